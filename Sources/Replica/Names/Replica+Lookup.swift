package import Catalog
import DeltaLog
import Governance
import Schema
package import Store

extension Replica {
    /// The record that a user means, by `owner/kind/localId` or by the beginning of its id.
    ///
    /// - Throws: ``Failure``: ``Reason/badRecordName``, ``Reason/noSuchKind``, ``Reason/noSuchRecord``, and ``Reason/ambiguousRecord`` with the
    ///   candidates.
    package func resolve(_ text: String) async throws -> RecordID {
        if text.utf8.contains(UInt8(ascii: "/")) { return try await named(text) }
        let shownMax = 10
        let found = try await read { reading -> [(RecordID, RecordView?)]? in
            guard let ids = try reading.records(withPrefix: text, limit: shownMax + 1) else { return nil }
            return try ids.map { ($0, try reading.view(of: $0)) }
        }
        guard let found else {
            throw Failure(.badRecordName, "'\(text)' is neither the beginning of a record's id nor owner/kind/localId")
        }
        guard let first = found.first else { throw Failure(.noSuchRecord, "no record's id begins with \(text)") }
        guard found.count == 1 else {
            let candidates = found.prefix(shownMax).map { id, view in
                Failure.Candidate(
                    id: id.hex,
                    name: view.flatMap { $0.isDeleted ? nil : $0.displayName() },
                    deleted: view?.isDeleted ?? false
                )
            }
            throw Failure(
                .ambiguousRecord,
                "several records' ids begin with \(text); give more of the one that you mean",
                candidates: candidates,
                details: found.count > shownMax ? ["and more"] : []
            )
        }
        return first.0
    }

    private func named(_ text: String) async throws -> RecordID {
        guard let (owner, identity) = try recordName(text) else {
            throw Failure(.badRecordName, "'\(text)' is not owner/kind/localId")
        }
        try await checkKind(identity.kind)
        return recordID(owner: owner, identity)
    }

    /// The parts of `owner/kind/localId`; nil for a text with fewer parts.
    package func recordName(_ text: String) throws -> (owner: OrganizationID, identity: RecordIdentity)? {
        let parts = text.split(atByte: UInt8(ascii: "/"), partsMax: 3)
        guard parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty, !parts[2].isEmpty else { return nil }
        return (try member(parts[0]), RecordIdentity(kind: parts[1], localID: parts[2]))
    }

    package func recordID(owner: OrganizationID, _ identity: RecordIdentity) -> RecordID {
        RecordID(alliance: alliance, owner: owner, key: identity.key(cryptography), hasher: cryptography)
    }

    /// The member that a user means, by its name or by the beginning of its id (at least 8 digits).
    ///
    /// - Throws: ``Failure``: ``Reason/noSuchMember`` with the members, ``Reason/ambiguousMember`` with the candidates.
    package func member(_ text: String) throws -> OrganizationID {
        let members = roster.sorted
        if let exact = members.filter({ $0.name.hasSameBytes(as: text) }).single { return exact.id }
        let folded = NameFolding.fold(text)
        var found = members.filter { NameFolding.fold($0.name) == folded }
        if found.isEmpty {
            // The form in which names that are alike are shown: name (prefix).
            found = members.filter { "\($0.name) (\($0.id.short))".hasSameBytes(as: text) }
        }
        if found.isEmpty, text.count >= 8 { found = members.filter { $0.id.hex.hasPrefix(text.lowercased()) } }
        guard let first = found.first else {
            throw Failure(
                .noSuchMember,
                "no member is called '\(text)'",
                candidates: Self.candidates(members),
                details: Self.rest(of: members),
                fix: .listMembers
            )
        }
        guard found.count == 1 else {
            throw Failure(
                .ambiguousMember,
                "'\(text)' may be any of several members; give the beginning of its id",
                candidates: Self.candidates(found),
                details: Self.rest(of: found)
            )
        }
        return first.id
    }

    /// Members that a failure lists. 50, a guess: about one screen.
    private static let membersListedMax = 50

    private static func candidates(_ members: [Roster.Member]) -> [Failure.Candidate] {
        members.prefix(membersListedMax).map { Failure.Candidate(id: $0.id.hex, name: $0.name) }
    }

    private static func rest(of members: [Roster.Member]) -> [String] {
        members.count > membersListedMax ? ["and \(members.count - membersListedMax) more"] : []
    }

    /// The view of a record.
    ///
    /// - Throws: ``Failure`` with ``Reason/noSuchRecord``.
    package func existingView(_ id: RecordID) async throws -> RecordView {
        guard let view = try await read({ try $0.view(of: id) }) else {
            throw Failure(.noSuchRecord, "there is no such record")
        }
        return view
    }

    /// Refuses a deleted record: it can be neither shown nor changed.
    ///
    /// - Parameters:
    ///   - edited: The user's remedy for a record that was edited while it was deleted.
    ///   - other: The user's remedy for any other deleted record.
    /// - Throws: ``Failure`` with ``Reason/recordDeleted``; the message says who deleted it, and when.
    package func requireLive(_ view: RecordView, edited: Fix, other: Fix) async throws {
        guard view.isDeleted else { return }
        let isEdited = view.isEditedWhileDeleted
        throw Failure(
            .recordDeleted,
            try await deletion(of: view) + (isEdited ? "; it was edited since" : ""),
            fix: isEdited ? edited : other
        )
    }

    /// The name of a deleted record before its deletion.
    package func formerName(of view: RecordView) async throws -> String {
        let (id, hasher) = (view.id, cryptography)
        return Self.name(of: id, view, try await read { try $0.history(of: id, hasher: hasher) })
    }

    /// The name of a record, or its last name before its deletion.
    package static func name(
        of id: RecordID,
        _ view: RecordView?,
        _ history: [ReadTransaction.HistoryEntry]
    ) -> String {
        if let view, view.identity != nil { return view.displayName() }
        for operation in history.reversed() {
            let values = operation.envelope.valuesByNumber(operation.content)
            for (number, write) in operation.envelope.writes.enumerated() {
                guard CatalogSchema.titleFields.contains(String(write.field.base)),
                    let value = values[UInt32(number)]
                else { continue }
                return value.displayText
            }
        }
        return id.short
    }

    /// A sentence about a deleted record: its name, who deleted it, and when.
    package func deletion(of view: RecordView) async throws -> String {
        let name = try await formerName(of: view)
        guard let tombstone = view.tombstones.first else { return "'\(name)' was deleted" }
        let author = organizationName(of: tombstone.dot.log.author) ?? "an unknown member"
        return "'\(name)' was deleted on \(TimeText.minute(milliseconds: tombstone.stamp.milliseconds)) by \(author)"
    }

    /// The nodes that a user means: those whose key begins with the text, else all of a member's.
    package func nodes(_ text: String) throws -> [NodeKey] {
        let digits = text.lowercased()
        let byKey = roster.organizations.keys.filter { digits.count >= 4 && $0.hex.hasPrefix(digits) }
        if !byKey.isEmpty { return byKey.sorted() }
        return roster.members[try member(text)]?.nodes ?? []
    }

    /// Refuses a kind that is neither known nor held: it is probably a misspelling.
    package func checkKind(_ kind: String) async throws {
        guard !CatalogSchema.kinds.contains(kind), try await !read({ try $0.hasRecords(of: kind) }) else { return }
        throw Failure(noSuchKind: kind)
    }

    /// Refuses a record of another organization: only the owner writes a record.
    package func requireOwn(_ owner: OrganizationID) throws {
        guard owner == organization else {
            throw Failure(
                .notOwner,
                "this record belongs to \(name(of: owner)); only that organization can change it"
            )
        }
    }
}

extension Failure {
    /// The failure of a request for a kind that is neither known nor held.
    package init(noSuchKind kind: String) {
        self.init(
            .noSuchKind,
            "there is no kind '\(kind)'; the kinds are: \(CatalogSchema.kinds.joined(separator: ", "))",
            candidates: Self.nearest(kind, in: CatalogSchema.kinds)
        )
    }

    /// The name that was probably meant, as a candidate; none where none is near.
    package static func nearest(_ name: String, in names: [String]) -> [Candidate] {
        NearestName.of(name, in: names).map { [Candidate(id: $0, name: nil)] } ?? []
    }
}

extension Array {
    /// The only element; nil if there is none or more than one.
    fileprivate var single: Element? { count == 1 ? first : nil }
}
