import Catalog
import DeltaLog
import Foundation
import Governance
import Replica
import Schema
import Store

/// The author and time of a write.
package struct Authorship: Codable, Hashable, Sendable {
    /// The author's organization.
    package let organization: String
    package let node: String
    package let incarnation: String
    package let sequence: UInt64
    package let index: UInt32
    /// The author's clock, ISO 8601.
    package let time: String
    /// The clock's counter, for equal times.
    package let counter: UInt16

    init(_ dot: Dot, _ stamp: Stamp, replica: Replica) {
        organization =
            replica.organizationName(of: dot.log.author) ?? "unknown"
        node = dot.log.author.hex
        incarnation = Hex.string(dot.log.incarnation)
        sequence = dot.sequence
        index = dot.index
        time = TimeText.iso(milliseconds: stamp.milliseconds)
        counter = stamp.counter
    }
}

/// A value with its author.
package struct AuthoredValue: Codable, Hashable, Sendable {
    package let value: JSONValue
    package let author: Authorship
}

/// A field with conflicting values that wait to be settled.
package struct ConflictAnswer: Codable, Sendable {
    package let id: String
    package let name: String
    package let owner: String
    /// A field's path, or `deleted` for a record that was edited while it was deleted.
    package let field: String
    /// The visible value.
    package let winner: AuthoredValue
    package let others: [AuthoredValue]
}

/// Lists the conflicts of one record or of all records.
package struct ConflictsCommand: Command {
    package static let endpoint = Endpoint("conflicts", .reader)
    package let id: String?
    /// The most records that are checked.
    package let limit: Int

    package init(id: String?, limit: Int = 1000) {
        self.id = id
        self.limit = limit
    }

    package struct Output: Codable, Sendable {
        package let conflicts: [ConflictAnswer]
        /// True if there are conflicts beyond those listed.
        package let more: Bool
    }

    /// The number of values in an answer after which no further record is added. A guess: some megabytes.
    private static let valuesMax = 10_000

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let views: [RecordView]
        var more = false
        if let id {
            views = [try await replica.existingView(replica.resolve(id))]
        } else {
            let limit = limit
            let found = try await replica.read { try $0.conflicts(limit: limit) }
            views = found.records
            more = found.next != nil
        }
        var answers: [ConflictAnswer] = []
        var valueCount = 0
        for view in views {
            guard valueCount < Self.valuesMax else {
                more = true
                break
            }
            let conflicts = conflicts(of: view, replica)
            valueCount += conflicts.reduce(0) { $0 + 1 + $1.others.count }
            answers += conflicts
        }
        return Output(conflicts: answers, more: more)
    }

    private func conflicts(of view: RecordView, _ replica: Replica) -> [ConflictAnswer] {
        func authored(_ candidate: RecordView.Candidate, as value: JSONValue? = nil) -> AuthoredValue {
            AuthoredValue(
                value: value ?? candidate.value.map(JSONValue.init) ?? .null,
                author: Authorship(candidate.dot, candidate.stamp, replica: replica)
            )
        }
        func answer(_ field: String, _ winner: AuthoredValue, _ others: [AuthoredValue]) -> ConflictAnswer {
            ConflictAnswer(
                id: view.id.hex,
                name: view.displayName(),
                owner: replica.name(of: view.owner),
                field: field,
                winner: winner,
                others: others
            )
        }
        if view.isDeleted {
            guard view.isEditedWhileDeleted, let tombstone = view.tombstones.first else { return [] }
            let edits = view.fields.flatMap { field in
                field.candidates.map { candidate in
                    authored(
                        candidate,
                        as: .object(NamedValues([(field.path.text, candidate.value.map(JSONValue.init) ?? .null)]))
                    )
                }
            }
            return [answer("deleted", authored(tombstone, as: .boolean(true)), edits)]
        }
        return view.conflicts.compactMap { field in
            guard let first = field.candidates.first else { return nil }
            var seen: Set<Value> = first.value.map { [$0] } ?? []
            let others = field.candidates.dropFirst().filter { candidate in
                candidate.value.map { seen.insert($0).inserted } ?? true
            }
            return answer(field.path.text, authored(first), others.map { authored($0) })
        }
    }
}

/// Chooses the value of a field with a conflict.
package struct SettleCommand: Command {
    package static let endpoint = Endpoint("settle", .editor)
    package let id: String
    package let field: String
    package let value: String

    package init(id: String, field: String, value: String) {
        self.id = id
        self.field = field
        self.value = value
    }

    package func run(in context: CommandContext) async throws -> WrittenAnswer {
        let replica = context.replica
        let id = try await replica.resolve(id)
        let view = try await replica.existingView(id)
        try replica.requireOwn(view.owner)
        if field == "deleted" { return try await settleDeletion(of: view, replica) }
        let path = try CatalogChecks.path(named: field)
        try await replica.requireLive(view, edited: .settleDeletion(record: self.id), other: .createAgain)
        guard let current = view[path] else {
            throw Failure(.fieldNotHeld, "the record has no field \(field)", fix: .showRecord(record: self.id))
        }
        guard let identity = view.identity else {
            throw Failure(.recordUnnamed, "what the record is called has not arrived here yet")
        }
        // If one of the present values is meant, it keeps its type.
        let chosen = current.distinctValues.first { $0.displayText.hasSameBytes(as: value) } ?? .text(value)
        let deltas = try await replica.upsert(identity, changes: [(path, .set(chosen))], settling: .settles)
        let name = try await replica.existingView(id).displayName()
        return WrittenAnswer(id, name: name, action: "updated", deltas: deltas)
    }

    private func settleDeletion(of view: RecordView, _ replica: Replica) async throws -> WrittenAnswer {
        guard view.isEditedWhileDeleted else {
            throw Failure(
                .nothingToSettle,
                "the record was not edited while it was deleted; there is nothing to settle"
            )
        }
        let id = view.id
        switch value {
        case "yes", "true":
            let (deltas, _) = try await replica.ownLog.commit { transaction in
                guard let view = try transaction.view(of: id), view.isEditedWhileDeleted else { return ([], { _ in }) }
                return ([Planner.deletion(of: view)], { _ in })
            }
            return WrittenAnswer(id, name: view.displayName(), action: "deleted", deltas: deltas)
        case "no", "false":
            let hasher = replica.cryptography
            let history = try await replica.read { try $0.history(of: id, hasher: hasher) }
            let identity =
                view.identity
                ?? history.lazy.compactMap { operation in
                    let values = operation.envelope.valuesByNumber(operation.content)
                    let number = operation.envelope.writes.firstIndex { $0.field == .identity && $0.hasValue }
                    if let number, case .identity(let identity)? = values[UInt32(number)] { return identity }
                    return RecordIdentity?.none
                }.first
            guard let identity else {
                throw Failure(.recordUnnamed, "what the record is called is not held any more; import it again")
            }
            let deltas = try await replica.upsert(identity, changes: [], settling: .settles)
            let name = try await replica.existingView(id).displayName()
            return WrittenAnswer(id, name: name, action: "updated", deltas: deltas)
        default: throw Failure(.badValue, "'deleted' is settled by yes (delete it again) or no (bring it back)")
        }
    }
}

/// Explains the visible values of a record by their writes.
package struct WhyCommand: Command {
    package static let endpoint = Endpoint("why", .reader)
    package let id: String
    package let field: String?

    package init(id: String, field: String?) {
        self.id = id
        self.field = field
    }

    /// A write of a field.
    package struct Entry: Codable, Sendable {
        /// The value; nil for a removal, and for a write whose content is no longer held.
        package let value: JSONValue?
        /// `winner`, `loser` (live beside the winner), `element` (of a set), `superseded`, or the reason why it is
        /// excluded.
        package let standing: String
        package let author: Authorship
        /// The delta's hash.
        package let delta: String
        package let operation: String
        /// The import that wrote it; nil for an edit.
        package let importId: String?
    }

    package struct FieldAnswer: Codable, Sendable {
        package let field: String
        /// The winner first, then the losers, then the superseded writes, the latest first.
        package let entries: [Entry]
    }

    package struct Output: Codable, Sendable {
        package let id: String
        package let name: String
        package let owner: String
        package let deleted: Bool
        /// The record's name, who deleted it, and when, as a sentence; nil if it is not deleted.
        package let deletion: String?
        package let fields: [FieldAnswer]
        /// True if there are further, older operations beyond those listed.
        package let more: Bool
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let id = try await replica.resolve(id)
        let hasher = replica.cryptography
        let (found, recent) = try await replica.read { reading in
            (try reading.view(of: id), try reading.recentHistory(of: id, hasher: hasher))
        }
        let history = recent.entries
        guard found != nil || !history.isEmpty else { throw Failure(.noSuchRecord, "there is no such record") }
        var byField: [FieldPath: [(rank: Int, entry: Entry)]] = [:]
        for operation in history.reversed() {
            let values = operation.envelope.valuesByNumber(operation.content)
            for (number, write) in operation.envelope.writes.enumerated() {
                let number = UInt32(number)
                let (rank, standing) = standing(of: write, number, operation, view: found)
                let entry = Entry(
                    value: write.field == .tombstone && write.mode == .set
                        ? .boolean(true) : values[number].map(JSONValue.init),
                    standing: standing,
                    author: Authorship(operation.dot, operation.delta.header.stamp, replica: replica),
                    delta: operation.delta.hash.hex,
                    operation: operation.hash.hex,
                    importId: operation.delta.header.importMark.map { Hex.string($0.id) }
                )
                byField[write.field, default: []].append((rank, entry))
            }
        }
        let wanted = try field.map { try $0 == "deleted" ? .tombstone : CatalogChecks.path(named: $0) }
        let fields = byField.keys.sorted().filter { wanted == nil ? true : $0 == wanted }
            .map { path in
                FieldAnswer(
                    field: path == .tombstone ? "deleted" : path == .identity ? "identity" : path.text,
                    entries: (byField[path] ?? []).enumerated()
                        .sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }
                        .map(\.element.entry)
                )
            }
        var deletion: String?
        if let found, found.isDeleted { deletion = try await replica.deletion(of: found) }
        if let field, fields.isEmpty { throw Failure(.fieldNotHeld, "the record never had a field \(field)") }
        return Output(
            id: id.hex,
            name: Replica.name(of: id, found, history),
            owner: found.map { replica.name(of: $0.owner) } ?? "unknown",
            deleted: found?.isDeleted ?? false,
            deletion: deletion,
            fields: fields,
            more: !recent.isWhole
        )
    }

    private func standing(
        of write: Write,
        _ number: UInt32,
        _ operation: ReadTransaction.HistoryEntry,
        view: RecordView?
    ) -> (rank: Int, words: String) {
        switch operation.standing {
        case .excluded(let standing): return (3, standing.words)
        case .dead: return (2, write.mode == .remove ? "removal" : "superseded")
        case .live(let writes):
            guard writes.contains(number) else { return (2, write.mode == .remove ? "removal" : "superseded") }
            if write.mode == .add { return (0, "element") }
            let first = view?[write.field]?.candidates.first
            let isWinner =
                !write.field.isOrdinary || first.map { $0.dot == operation.dot && $0.number == number } ?? true
            return isWinner ? (0, "winner") : (1, "loser")
        }
    }
}

/// Lists deltas, the newest first.
package struct LogCommand: Command {
    package static let endpoint = Endpoint("log", .reader)
    /// A member's name, or the beginning of a node's key.
    package let author: String?
    package let limit: Int

    package init(author: String?, limit: Int) {
        self.author = author
        self.limit = limit
    }

    package struct Entry: Codable, Sendable {
        package let organization: String
        package let node: String
        package let incarnation: String
        package let sequence: UInt64
        package let operations: UInt32
        package let time: String
        package let hash: String
        package let importId: String?
        package let importPart: UInt32?
    }

    package struct Output: Codable, Sendable {
        package let deltas: [Entry]
        package let refused: [RefusedEntry]
        package let excluded: [ExcludedEntry]
    }

    /// A delta that was refused.
    package struct RefusedEntry: Codable, Sendable {
        package let organization: String
        package let node: String
        package let sequence: UInt64
        package let reason: String
        package let from: String
        package let time: String
        package let count: Int
    }

    /// An operation that is stored but excluded.
    package struct ExcludedEntry: Codable, Sendable {
        package let organization: String
        package let node: String
        package let sequence: UInt64
        package let index: UInt32
        package let record: String
        package let reason: String
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let nodes = try author.map { try Set(replica.nodes($0)) }
        let limit = limit
        let found = try await replica.read { reading in
            (
                try nodes.map { nodes in
                    try nodes.sorted().flatMap { try reading.recentDeltas(author: $0, limit: limit) }
                        .sorted { $0.position > $1.position }
                } ?? reading.recentDeltas(limit: limit),
                try reading.refusals(limit: limit), try reading.excluded(limit: limit)
            )
        }
        func organization(_ node: NodeKey) -> String {
            replica.organizationName(of: node) ?? "unknown"
        }
        func isWanted(_ node: NodeKey) -> Bool { nodes?.contains(node) ?? true }
        return Output(
            deltas: found.0.prefix(limit).map { delta in
                Entry(
                    organization: organization(delta.header.log.author),
                    node: delta.header.log.author.hex,
                    incarnation: Hex.string(delta.header.log.incarnation),
                    sequence: delta.header.sequence,
                    operations: delta.header.count,
                    time: TimeText.iso(milliseconds: delta.header.stamp.milliseconds),
                    hash: delta.hash.hex,
                    importId: delta.header.importMark.map { Hex.string($0.id) },
                    importPart: delta.header.importMark?.part
                )
            },
            refused: found.1.filter { isWanted($0.log.author) }.map { refusal in
                RefusedEntry(
                    organization: organization(refusal.log.author),
                    node: refusal.log.author.hex,
                    sequence: refusal.sequence,
                    reason: refusal.reason,
                    from: organization(refusal.peer),
                    time: TimeText.iso(milliseconds: refusal.time),
                    count: refusal.count
                )
            },
            excluded: found.2.filter { isWanted($0.dot.log.author) }.map { entry in
                ExcludedEntry(
                    organization: organization(entry.dot.log.author),
                    node: entry.dot.log.author.hex,
                    sequence: entry.dot.sequence,
                    index: entry.dot.index,
                    record: entry.record.hex,
                    reason: entry.standing.words
                )
            }
        )
    }
}
