import Catalog
import DeltaLog
import Foundation
import Interchange
import Replica
import Schema
import Store

/// Shows one record.
package struct GetCommand: Command {
    package static let endpoint = Endpoint("get", .reader, .brief)
    package let id: String

    package init(id: String) { self.id = id }

    package func run(in context: CommandContext) async throws -> RecordAnswer {
        let replica = context.replica
        let view = try await replica.existingView(replica.resolve(id))
        try await replica.requireLive(view, edited: .showConflicts(record: id), other: .showHistory(record: id))
        return RecordAnswer(view, replica: replica)
    }
}

/// Searches the whole directory.
package struct SearchCommand: Command {
    package static let endpoint = Endpoint("search", .reader, .brief)
    package let text: String
    package let kind: String?
    package let owner: String?
    package let limit: Int

    package init(text: String, kind: String?, owner: String?, limit: Int) {
        self.text = text
        self.kind = kind
        self.owner = owner
        self.limit = limit
    }

    package struct Output: Codable, Sendable {
        package let hits: [RecordAnswer]
        package let total: Int
        /// False if there are more than `total`.
        package let exact: Bool
        package let milliseconds: Double
    }

    /// The longest list that is encoded where requests are read.
    private static let hitsBriefMax = 20

    package var isBrief: Bool { limit <= Self.hitsBriefMax }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        if let kind { try await replica.checkKind(kind) }
        let query = SearchQuery(
            text: text,
            kind: kind,
            owner: try owner.map { try replica.member($0) },
            limit: limit
        )
        let start = ContinuousClock.now
        let result = try await replica.read { try $0.search(query) }
        let elapsed = start.duration(to: .now) / .milliseconds(1)
        return Output(
            hits: result.hits.map { RecordAnswer($0, replica: replica) },
            total: result.total,
            exact: result.isTotalExact,
            milliseconds: (elapsed * 100).rounded() / 100
        )
    }
}

/// One argument of `edit`: `field=value`, `field+=element` or `field-=element`.
package struct EditWord: Codable, Hashable, Sendable {
    package enum Operation: String, Codable, Sendable {
        case set = "="
        case add = "+="
        case remove = "-="
    }

    package let field: String
    package let operation: Operation
    package let value: String

    /// Parses an argument; nil if it has no `=`.
    package init?(_ text: String) {
        // By bytes: a value may begin with a combining mark, which Swift would add to the character before it.
        let bytes = text.utf8
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")), equals > bytes.startIndex else { return nil }
        let before = bytes.index(before: equals)
        switch bytes[before] {
        case UInt8(ascii: "+"): operation = .add
        case UInt8(ascii: "-"): operation = .remove
        default: operation = .set
        }
        field = String(operation == .set ? text[..<equals] : text[..<before])
        value = String(text[bytes.index(after: equals)...])
        if field.isEmpty { return nil }
    }
}

/// The answer of a command that writes a record.
package struct WrittenAnswer: Codable, Sendable {
    package let id: String
    package let name: String
    /// One of `created`, `updated`, `unchanged` or `deleted`.
    package let action: String
    /// The sequence of the delta in the author's log; nil if nothing was written.
    package let sequence: UInt64?
    package let delta: String?

    init(_ id: RecordID, name: String, action: String, deltas: [VerifiedDelta]) {
        self.id = id.hex
        self.name = name
        self.action = deltas.isEmpty ? "unchanged" : action
        sequence = deltas.last?.header.sequence
        delta = deltas.last?.hash.hex
    }
}

/// Changes one of the organization's own records.
package struct EditCommand: Command {
    package static let endpoint = Endpoint("edit", .editor, .brief)
    package let id: String
    package let words: [EditWord]
    /// True to create the record if it does not exist.
    package let create: Bool

    package init(id: String, words: [EditWord], create: Bool) {
        self.id = id
        self.words = words
        self.create = create
    }

    package func run(in context: CommandContext) async throws -> WrittenAnswer {
        let replica = context.replica
        if create, let (owner, identity) = try replica.recordName(id) {
            try replica.requireOwn(owner)
            try CatalogChecks.check(identity)
            return try await write(identity, in: replica, mayCreate: true)
        }
        let view = try await replica.existingView(replica.resolve(id))
        try replica.requireOwn(view.owner)
        try await replica.requireLive(view, edited: .createAgain, other: .createAgain)
        guard let identity = view.identity else {
            throw Failure(.recordUnnamed, "what the record is called has not arrived here yet")
        }
        return try await write(identity, in: replica, mayCreate: false)
    }

    private func write(
        _ identity: RecordIdentity,
        in replica: Replica,
        mayCreate: Bool
    ) async throws -> WrittenAnswer {
        let words = try words.map { word -> (FieldPath, EditWord) in
            (try CatalogChecks.path(word, kind: identity.kind), word)
        }
        let key = identity.key(replica.cryptography)
        let id = replica.recordID(owner: replica.organization, identity)
        let (deltas, written) = try await replica.ownLog.commit { transaction in
            let view = try transaction.view(of: id)
            if view?.isDeleted ?? true { try Self.checkLook(of: identity, in: replica, over: transaction) }
            let changes = try CatalogChecks.changes(words, over: view)
            try CatalogChecks.checkNaming(changes, over: view)
            let draft = Planner.upsert(identity, key: key, over: view, changes: changes, settling: .settles)
            if let draft { try CatalogChecks.check(draft) }
            let isNew = view == nil || view?.isDeleted == true
            return (
                draft.map { [$0] } ?? [],
                { (name: try $0.view(of: id)?.displayName() ?? id.short, action: isNew ? "created" : "updated") }
            )
        }
        return WrittenAnswer(id, name: written.name, action: written.action, deltas: deltas)
    }

    /// Refuses the id of a new record that only looks like another record's id, through blanks or invisible characters.
    private static func checkLook(
        of identity: RecordIdentity,
        in replica: Replica,
        over transaction: WriteTransaction
    ) throws {
        guard let folded = KeyFold.folded(identity.localID) else { return }
        let plain = RecordIdentity(kind: identity.kind, localID: folded)
        let id = replica.recordID(owner: replica.organization, plain)
        guard let view = try transaction.view(of: id), !view.isDeleted else { return }
        throw Failure(
            .looksAlike,
            "the own id '\(VisibleText.distinct(identity.localID))' looks like '\(VisibleText.distinct(folded))', which is held, "
                + "and is another one; use that, or one that differs visibly"
        )
    }
}

/// Deletes one of the organization's own records.
package struct DeleteCommand: Command {
    package static let endpoint = Endpoint("delete", .editor, .brief)
    package let id: String

    package init(id: String) { self.id = id }

    package func run(in context: CommandContext) async throws -> WrittenAnswer {
        let replica = context.replica
        let id = try await replica.resolve(id)
        let view = try await replica.existingView(id)
        try replica.requireOwn(view.owner)
        let (deltas, _) = try await replica.ownLog.commit { transaction in
            guard let view = try transaction.view(of: id), !view.isDeleted, !view.allCandidates.isEmpty else {
                return ([], { _ in })
            }
            return ([Planner.deletion(of: view)], { _ in })
        }
        let name = view.isDeleted ? try await replica.formerName(of: view) : view.displayName()
        return WrittenAnswer(id, name: name, action: "deleted", deltas: deltas)
    }
}

/// Checks of the records that this node writes.
enum CatalogChecks {
    static func check(_ identity: RecordIdentity) throws {
        guard CatalogSchema.kinds.contains(identity.kind) else {
            throw Failure(noSuchKind: identity.kind)
        }
        guard (1...WriterLimits.localIDBytesMax).contains(identity.localID.utf8.count) else {
            throw Failure(.badLocalID, "a local id has 1 to \(WriterLimits.localIDBytesMax) bytes")
        }
    }

    /// The path that a user means; `tag` also stands for `tags`.
    static func path(named field: String) throws -> FieldPath {
        var name = field
        if !CatalogSchema.setFields.contains(name), CatalogSchema.setFields.contains(name + "s") { name += "s" }
        guard let path = FieldPath(written: name) else {
            throw Failure(.badFieldName, "'\(field)' cannot be a field's name")
        }
        return path
    }

    /// Refuses a name that is no field of the kind: it is a typing error, not a new field.
    ///
    /// - Parameter name: The field as the user wrote it.
    /// - Throws: ``Failure`` with ``Reason/noSuchField`` and the nearest field as the candidate.
    static func requireField(_ path: FieldPath, named name: String, kind: String) throws {
        let fields = CatalogSchema.fields(of: kind)
        guard path.base != "ext", !fields.contains(String(path.base)) else { return }
        throw Failure(
            .noSuchField,
            "'\(name)' is no field of a \(kind)",
            candidates: Failure.nearest(String(path.base), in: fields.sorted()),
            fix: .useOwnField(field: name)
        )
    }

    /// The path that an argument of `edit` means.
    static func path(_ word: EditWord, kind: String) throws -> FieldPath {
        let path = try path(named: word.field)
        try requireField(path, named: word.field, kind: kind)
        if path.text == "visibility", word.value != "alliance" {
            throw Failure(.visibilityUnsupported, "records can only be visible to the whole alliance yet")
        }
        if word.operation != .set, path.base != "ext", !CatalogSchema.isSet(path) {
            throw Failure(
                .holdsOneValue,
                "\(path) holds one value, not a set",
                fix: .setField(field: word.field)
            )
        }
        return path
    }

    /// Refuses an edit that leaves a record without a name and a description: an import could not load it again.
    static func checkNaming(_ changes: [(FieldPath, FieldChange)], over view: RecordView?) throws {
        var named = Set(
            (view?.isDeleted == false ? view?.fields ?? [] : []).map(\.path)
                .filter { CatalogSchema.namingFields.contains(String($0.base)) }
        )
        let hadName = !named.isEmpty
        for (path, change) in changes where CatalogSchema.namingFields.contains(String(path.base)) {
            switch change {
            case .set, .add: named.insert(path)
            case .elements(let elements):
                if elements.isEmpty { named.remove(path) } else { named.insert(path) }
            case .clear, .remove: named.remove(path)
            }
        }
        let isNew = view == nil || view?.isDeleted == true
        guard named.isEmpty, isNew || hadName else { return }
        throw Failure(.nameMissing, "a record needs a name or a description", fix: .addName)
    }

    static func changes(_ words: [(FieldPath, EditWord)], over view: RecordView?) throws -> [(FieldPath, FieldChange)] {
        var byPath: [FieldPath: (set: Set<Value>, isSet: Bool)] = [:]
        var order: [FieldPath] = []
        var changes: [FieldPath: FieldChange] = [:]
        for (path, word) in words {
            let field = view?[path]
            guard word.value.utf8.count <= WriterLimits.fieldBytesMax else {
                throw Failure(.valueTooLong, "the value of \(word.field) is longer than 64 KiB")
            }
            if changes[path] == nil, byPath[path] == nil { order.append(path) }
            if word.operation == .set, !CatalogSchema.isSet(path) {
                changes[path] = word.value.isEmpty ? .clear : .set(typed(word.value, like: field?.winner))
                continue
            }
            if field.map({ !$0.isSet && !$0.candidates.isEmpty }) == true, word.operation != .set {
                throw Failure(
                    .holdsOneValue,
                    "\(path) holds one value, not a set",
                    fix: .setField(field: word.field)
                )
            }
            var elements = byPath[path]?.set ?? Set(field?.distinctValues ?? [])
            switch word.operation {
            case .set:
                // Semicolons separate elements, and blanks around them do not count, as in an import.
                let parts = word.value.split { $0 == ";" || $0 == "；" }
                elements = Set(parts.map { $0.trimmed }.filter { !$0.isEmpty }.map { .text($0) })
            case .add: elements.insert(.text(word.value))
            case .remove: elements.remove(.text(word.value))
            }
            byPath[path] = (elements, true)
        }
        return order.map { path in
            if let change = changes[path] { return (path, change) }
            let elements = (byPath[path]?.set ?? []).sorted { $0.displayText.precedesByBytes($1.displayText) }
            return (path, .elements(elements))
        }
    }

    /// Keeps the type of the old value: a number or a flag stays one if the new text can be read as one.
    private static func typed(_ text: String, like old: Value?) -> Value {
        switch old {
        case .integer: Int64(text).map(Value.integer) ?? .text(text)
        case .boolean: text == "true" ? .boolean(true) : text == "false" ? .boolean(false) : .text(text)
        default: .text(text)
        }
    }

    static func check(_ draft: OperationDraft) throws {
        guard draft.estimatedSize <= WriterLimits.recordBytesMax + 4096 else {
            throw Failure(.recordTooLarge, "the record would be larger than 256 KiB")
        }
    }
}

extension Substring {
    /// The text without blanks at its ends.
    fileprivate var trimmed: String {
        let start = firstIndex { !$0.isWhitespace } ?? endIndex
        let end = lastIndex { !$0.isWhitespace }.map(index(after:)) ?? endIndex
        return String(self[start..<Swift.max(start, end)])
    }
}
