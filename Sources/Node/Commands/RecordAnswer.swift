package import Catalog
import DeltaLog
import Foundation
import Store

/// A record, as commands give it.
package struct RecordAnswer: Codable, Sendable {
    /// The record's id, 64 hexadecimal digits.
    package let id: String
    package let kind: String?
    /// The owner's name.
    package let owner: String
    package let ownerID: String
    package let localId: String?
    /// How it is called.
    package let name: String
    package let deleted: Bool
    /// A value, or a list of elements, by path.
    package let fields: NamedValues
    /// Fields that are left out here, since the record has more live in it than is shown.
    package let furtherFields: Int
    /// Paths of registers in which different values wait to be settled.
    package let conflicts: [String]
    /// When any value shown was written, by its author's clock; ISO 8601.
    package let updated: String?

    package init(_ view: RecordView, directory: Directory) {
        id = view.id.hex
        kind = view.identity?.kind
        owner = directory.name(of: view.owner)
        ownerID = view.owner.hex
        localId = view.identity?.localID
        name = view.displayName()
        deleted = view.isDeleted
        fields = NamedValues(
            (view.isDeleted ? [] : view.fields).compactMap { field in
                guard field.isSet else { return field.winner.map { (field.path.text, JSONValue($0)) } }
                return (field.path.text, .array(field.elements.map(JSONValue.init)))
            }
        )
        furtherFields = view.furtherFieldCount
        conflicts = view.conflicts.map(\.path.text) + (view.isEditedWhileDeleted ? ["deleted"] : [])
        updated = view.allCandidates.map(\.stamp).max().map { TimeText.iso(milliseconds: $0.milliseconds) }
    }
}

/// Times as text.
package enum TimeText {
    /// ISO 8601 in UTC with milliseconds.
    package static func iso(milliseconds: UInt64) -> String {
        let date = Date(timeIntervalSince1970: Double(min(milliseconds, 253_402_300_799_999)) / 1000)
        return date.formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted)
        )
    }

    /// `2026-07-30 12:05 UTC`, for sentences.
    package static func minute(milliseconds: UInt64) -> String {
        let text = iso(milliseconds: milliseconds)
        guard text.count > 16 else { return text }
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5)) UTC"
    }

    /// `12 s`, `3 min`, `5 h`, `2 d`, `25 years`; without a sign.
    package static func span(seconds: Double) -> String {
        switch abs(seconds) {
        case ..<120: "\(Int(abs(seconds).rounded())) s"
        case ..<7200: "\(Int((abs(seconds) / 60).rounded())) min"
        case ..<172_800: "\(Int((abs(seconds) / 3600).rounded())) h"
        case ..<(730 * 86_400): "\(Int((abs(seconds) / 86_400).rounded())) d"
        case ..<1e12: "\(Int((abs(seconds) / (365.2425 * 86_400)).rounded())) years"
        default: "ages"
        }
    }
}

extension Directory {
    /// The record that a user means: by `owner/kind/localId`, or by the beginning of its id.
    ///
    /// - Throws: ``ExitCode/rejected`` where there is none, ``ExitCode/refused`` with the candidates where there are
    ///   several.
    package func resolve(_ text: String) async throws -> RecordID {
        if text.utf8.contains(UInt8(ascii: "/")) { return try named(text) }
        let shownMax = 10
        let found = try await read { reading -> [(RecordID, RecordView?)]? in
            guard let ids = try reading.records(withPrefix: text, limit: shownMax + 1) else { return nil }
            return try ids.map { ($0, try reading.view(of: $0)) }
        }
        guard let found else {
            throw HansaError(.usage, "'\(text)' is neither the beginning of a record's id nor owner/kind/localId")
        }
        guard let first = found.first else { throw HansaError(.rejected, "no record's id begins with \(text)") }
        guard found.count == 1 else {
            let candidates = found.prefix(shownMax).map { id, view in
                "\(id.hex.prefix(16))  \(view.map { $0.isDeleted ? "(deleted)" : $0.displayName() } ?? "")"
            }
            throw HansaError(
                .refused,
                "several records' ids begin with \(text); give more of the one that you mean",
                details: candidates + (found.count > shownMax ? ["and more"] : [])
            )
        }
        return first.0
    }

    private func named(_ text: String) throws -> RecordID {
        guard let (owner, identity) = try recordName(text) else {
            throw HansaError(.usage, "'\(text)' is not owner/kind/localId")
        }
        return recordID(owner: owner, identity)
    }

    /// The parts of `owner/kind/localId`; nil where it has fewer.
    package func recordName(_ text: String) throws -> (owner: OrganizationID, identity: RecordIdentity)? {
        let parts = text.split(atByte: UInt8(ascii: "/"), partsMax: 3)
        guard parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty, !parts[2].isEmpty else { return nil }
        return (try member(parts[0]), RecordIdentity(kind: parts[1], localID: parts[2]))
    }

    package func recordID(owner: OrganizationID, _ identity: RecordIdentity) -> RecordID {
        RecordID(alliance: alliance, owner: owner, key: identity.key(cryptography), hasher: cryptography)
    }

    /// The member that a user means: by its name, or by the beginning of its id (8 digits at least).
    ///
    /// - Throws: ``ExitCode/rejected`` where there is none, ``ExitCode/refused`` with the candidates where there are
    ///   several.
    package func member(_ text: String) throws -> OrganizationID {
        let members = roster.sorted
        if let exact = members.filter({ $0.name.hasSameBytes(as: text) }).single { return exact.id }
        let folded = NameFolding.fold(text)
        var found = members.filter { NameFolding.fold($0.name) == folded }
        if found.isEmpty {
            // As it is shown where names are alike: name (prefix).
            found = members.filter { "\($0.name) (\($0.id.short))".hasSameBytes(as: text) }
        }
        if found.isEmpty, text.count >= 8 { found = members.filter { $0.id.hex.hasPrefix(text.lowercased()) } }
        guard let first = found.first else {
            let names = members.map(\.name).joined(separator: ", ")
            throw HansaError(.rejected, "no member is called '\(text)'; the members are: \(names)")
        }
        guard found.count == 1 else {
            let names = found.map { "\($0.name) (\($0.id.short))" }.joined(separator: ", ")
            throw HansaError(.refused, "'\(text)' may be any of: \(names)")
        }
        return first.id
    }

    /// The view of a record, with what is missing said.
    func existingView(_ id: RecordID) async throws -> RecordView {
        guard let view = try await read({ try $0.view(of: id) }) else {
            throw HansaError(.rejected, "there is no such record")
        }
        return view
    }

    /// Only a record that is not deleted can be shown and changed.
    ///
    /// - Parameter help: What the user may do with a deleted one.
    /// - Throws: ``ExitCode/rejected`` with who deleted it, and when.
    func requireLive(_ view: RecordView, help: String) async throws {
        guard view.isDeleted else { return }
        throw HansaError(.rejected, "\(try await deletion(of: view)); \(help)")
    }

    /// How a deleted record was called.
    func formerName(of view: RecordView) async throws -> String {
        let (id, hasher) = (view.id, cryptography)
        return WhyCommand.name(of: id, view, try await read { try $0.history(of: id, hasher: hasher) })
    }

    /// A deleted record in a sentence: how it was called, who deleted it, and when.
    func deletion(of view: RecordView) async throws -> String {
        let name = try await formerName(of: view)
        guard let mark = view.marks.first else { return "'\(name)' was deleted" }
        let author = roster.organization(of: mark.dot.log.author).map { self.name(of: $0) } ?? "an unknown member"
        return "'\(name)' was deleted on \(TimeText.minute(milliseconds: mark.stamp.milliseconds)) by \(author)"
    }

    /// Creates or changes one own record. Returns the deltas, none where nothing differs.
    func upsert(
        _ identity: RecordIdentity,
        changes: [(FieldPath, FieldChange)],
        settling: Planner.Settling
    ) async throws -> [VerifiedDelta] {
        let key = identity.key(cryptography)
        let id = recordID(owner: organization, identity)
        return try await commit { transaction in
            let draft = Planner.upsert(
                identity,
                key: key,
                over: try transaction.view(of: id),
                changes: changes,
                settling: settling
            )
            return (draft.map { [$0] } ?? [], { _ in })
        }.deltas
    }
}

extension Array {
    /// The only element, if it is the only one.
    fileprivate var single: Element? { count == 1 ? first : nil }
}
