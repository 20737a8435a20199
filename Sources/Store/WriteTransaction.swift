package import Catalog
package import DeltaLog

/// One durable transaction on the directory. Given to the body of ``Store/write(_:)``, and of no use after it.
///
/// As a ``DeltaStorage`` it stores and merges deltas; beside that it holds what the node keeps of its own.
package struct WriteTransaction: DeltaStorage {
    /// What changes while the transaction runs; a class, because lookups remember what they found.
    final class Scratch {
        /// The record looked up last: merging saves what it has just looked up.
        var found: RecordRow?
        /// The operations read for it, by location.
        var operations: [Int64: OperationRow] = [:]
        /// Where the delta being merged begins, and which of its operations are accounted for in record or aside.
        var delta: (log: LogID, sequence: UInt64, location: Int64)?
        var isAccounted: [Bool] = []
        /// Shown records, more or fewer, by kind and owner.
        var tallies: [Tally: Int] = [:]
        /// For each field, the run of ``WriteTransaction/hasRepeatedField(_:)`` that met it last.
        var fieldRuns: [UInt32] = []
        var run: UInt32 = 0
        /// The terms of its operations, where they were prepared.
        var ahead: PreparedTerms?
        /// The terms by which searches are narrowed to a kind and an owner, of the record before.
        var filters: (kind: Int64, owner: Int64, terms: [UInt8])?
        /// The terms of a record, and those it had before: kept for their memory.
        var terms = Terms()
        var termsBefore = Terms()

        /// The place in the delta being merged of the operation at a location.
        func index(of location: Int64) -> Int { Int(location - (delta?.location ?? 0)) }
    }

    struct Tally: Hashable, Comparable {
        let kind: Int64
        let owner: Int64
        static func < (left: Tally, right: Tally) -> Bool { (left.kind, left.owner) < (right.kind, right.owner) }
    }

    /// What the index holds of a record, by column.
    struct Terms: Equatable, Sendable {
        var rest: [UInt8] = []
        var name: [UInt8] = []

        /// Bytes of terms in a column beyond which no further value is indexed. A guess: an average book chapter.
        static let bytesMax = 64 * 1024

        mutating func removeAll() {
            rest.removeAll(keepingCapacity: true)
            name.removeAll(keepingCapacity: true)
        }

        /// Takes in the terms of one value, given as its message: texts, JSON, and an identity's local id.
        ///
        /// - Parameter identity: What `value` is, where it is one.
        mutating func append(encoded value: ArraySlice<UInt8>, _ identity: RecordIdentity?, isNaming: Bool) {
            if let text = Value.textBytes(of: value) {
                if isNaming {
                    if name.count < Self.bytesMax { SearchText.append(utf8: text, to: &name) }
                } else if rest.count < Self.bytesMax {
                    SearchText.append(utf8: text, to: &rest)
                }
            } else if let identity, rest.count < Self.bytesMax {
                SearchText.append(identity.localID, to: &rest)
            }
        }
    }

    let session: Session
    let cache: WriterCache
    let scratch = Scratch()
    private let ahead: TermsAhead

    init(session: Session, cache: WriterCache, ahead: TermsAhead) {
        self.session = session
        self.cache = cache
        self.ahead = ahead
    }

    /// Reads of the directory as this transaction has made it so far.
    package var reading: ReadTransaction { ReadTransaction(session, fields: cache.fields) }

    /// The record with its values; nil where it never was.
    package func view(of id: RecordID) throws -> RecordView? { try reading.view(of: id) }

    // MARK: - Deltas

    /// Stores a delta that continues its log, and merges it. Call this rather than the applier's own method: it also
    /// notes operations that change nothing, so that a record's history has them.
    ///
    /// - Throws: ``StoreError``; the transaction must then be given up.
    /// - Complexity: Linear in the delta's operations and citations.
    package mutating func apply<Hasher>(
        _ delta: VerifiedDelta,
        applier: DeltaApplier<Hasher>
    ) throws -> DeltaApplier<Hasher>.Outcome {
        let outcome = try applier.apply(delta, to: &self)
        if case .applied = outcome { try noteUnaccounted(in: delta) }
        return outcome
    }

    /// Enters in the history those operations of the delta just merged that left no trace.
    func noteUnaccounted(in delta: VerifiedDelta) throws {
        guard let location = scratch.delta?.location else { return }
        for (index, isAccounted) in scratch.isAccounted.enumerated() where !isAccounted {
            let operation = delta.operations[index]
            let envelope = operation.envelope
            let id = operation.record
            let owner = envelope.owner ?? delta.header.organization
            let row =
                try RecordRow.find(id, session)?.row
                ?? insert(
                    StoredRecord(id: id, owner: owner, key: envelope.key, state: RecordState()),
                    kind: 0,
                    trouble: []
                )
            try touch(row, location + Int64(index))
        }
        scratch.isAccounted = []
    }

    package func head(of log: LogID) throws -> Head? {
        if let merged = cache.mergedHeads { return merged[log] }
        return try cache.log(log, session)?.head
    }

    package mutating func append(_ delta: VerifiedDelta) throws -> Int64 {
        let location = try session("SELECT max(id) FROM operation").first { $0.int(0) + 1 } ?? 1
        let number = try cache.logNumber(delta.log, session)
        let (header, isCut) = try cache.rest(ofHeader: delta, session)
        try session(
            "INSERT INTO delta(id, log, sequence, count, header, signature, hash, cut) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind(1, location).bind(2, number).bind(3, Int64(bitPattern: delta.header.sequence))
        .bind(4, Int64(delta.operations.count)).bind(5, header).bind(6, delta.signature).bind(7, delta.hash)
        .bind(8, isCut ? 1 : 0).run()
        let insert = try session("INSERT INTO operation(id, shape, envelope, content) VALUES(?, ?, ?, ?)")
        for (index, operation) in delta.operations.enumerated() {
            let shape = try cache.shapeNumber(operation, session)
            insert.bind(1, location + Int64(index)).bind(2, shape)
            if shape == 0 {
                insert.bind(3, operation.envelopeBytes)
            } else {
                Shapes.key(of: operation.envelopeBytes).withUnsafeBytes { _ = insert.bind(3, $0) }
            }
            try insert.bind(4, operation.contentBytes).run()
        }
        try cache.setHead(delta.head, of: delta.log, session)
        begin(delta, at: location)
        return location
    }

    /// Tells which delta the calls that follow belong to.
    func begin(_ delta: VerifiedDelta, at location: Int64) {
        scratch.delta = (delta.log, delta.header.sequence, location)
        scratch.isAccounted = Array(repeating: false, count: delta.operations.count)
        scratch.found = nil
        scratch.operations = [:]
        scratch.ahead = ahead.take(delta.header.root)
    }

    package mutating func number(of field: FieldPath) throws -> FieldNumber {
        try cache.number(of: field, session)
    }

    package mutating func setAside(_ dot: Dot, record: RecordID, why: SetAside) throws {
        let location: Int64
        if let delta = scratch.delta, delta.log == dot.log, delta.sequence == dot.sequence {
            location = delta.location + Int64(dot.index)
        } else {
            let number = try cache.logNumber(dot.log, session)
            let first = try session("SELECT id FROM delta WHERE log = ? AND sequence = ?").bind(1, number)
                .bind(2, Int64(bitPattern: dot.sequence)).first { $0.int(0) }
            guard let first else { throw StoreError(.internal, "an operation of a delta that is not held") }
            location = first + Int64(dot.index)
        }
        account(location)
        try session("INSERT OR REPLACE INTO aside(operation, record, why) VALUES(?, ?, ?)").bind(1, location)
            .bind(2, record.hash).bind(3, Int64(why.rawValue)).run()
    }

    private func account(_ location: Int64) {
        guard let first = scratch.delta?.location else { return }
        let index = Int(location - first)
        if scratch.isAccounted.indices.contains(index) { scratch.isAccounted[index] = true }
    }

    package mutating func addWaiting(_ citation: WaitingCitation) throws {
        let dot = citation.supersession.citation.dot
        try session(
            """
            INSERT OR IGNORE INTO waiting(log, sequence, position, record, field, prefix, number)
            VALUES(?, ?, ?, ?, ?, ?, ?)
            """
        )
        .bind(1, try cache.logNumber(dot.log, session)).bind(2, Int64(bitPattern: dot.sequence))
        .bind(3, Int64(dot.index)).bind(4, citation.record.hash)
        .bind(5, citation.supersession.field.map { Int64($0.rawValue) } ?? -1)
        .bind(6, Int64(bitPattern: citation.supersession.citation.prefix))
        .bind(7, citation.supersession.citation.number.map { Int64($0) } ?? -1).run()
    }

    package mutating func takeWaiting(log: LogID, sequence: UInt64) throws -> [UInt32: [WaitingCitation]] {
        guard let number = try cache.log(log, session)?.number else { return [:] }
        var taken: [UInt32: [WaitingCitation]] = [:]
        let sql = try session(
            "SELECT position, record, field, prefix, number FROM waiting WHERE log = ? AND sequence = ?"
        )
        sql.bind(1, number).bind(2, Int64(bitPattern: sequence))
        defer { sql.reset() }
        while try sql.step() {
            let citation = try Self.waiting(sql, log: log, sequence: sequence)
            taken[citation.supersession.citation.dot.index, default: []].append(citation)
        }
        if !taken.isEmpty {
            try session("DELETE FROM waiting WHERE log = ? AND sequence = ?").bind(1, number)
                .bind(2, Int64(bitPattern: sequence)).run()
        }
        return taken
    }

    static func waiting(_ sql: SQL, log: LogID, sequence: UInt64) throws -> WaitingCitation {
        guard let index = UInt32(exactly: sql.int(0)), let field = Int32(exactly: sql.int(2)),
            let number = Int64(exactly: sql.int(4)), number <= Int64(UInt32.max)
        else { throw StoreError.damaged("table waiting") }
        return WaitingCitation(
            record: RecordID(try sql.hash(1)),
            supersession: Supersession(
                citation: Citation(
                    dot: Dot(log: log, sequence: sequence, index: index),
                    prefix: UInt64(bitPattern: sql.int(3)),
                    number: number < 0 ? nil : UInt32(number)
                ),
                field: field < 0 ? nil : FieldNumber(rawValue: field)
            )
        )
    }

    package mutating func change(_ totals: TotalsChange, of organization: OrganizationID) throws {
        let number = try cache.organizationNumber(organization, session)
        let before = try session("SELECT digest, shown FROM total WHERE organization = ?").bind(1, number)
            .first { (CatalogDigest(sum: try $0.hash(0)), $0.int(1)) }
        var (digest, shown) = before ?? (CatalogDigest(), 0)
        digest.add(totals.digest.sum)
        shown += Int64(totals.shown)
        try session("INSERT OR REPLACE INTO total(organization, digest, shown) VALUES(?, ?, ?)").bind(1, number)
            .bind(2, digest.sum).bind(3, shown).run()
        try flushTallies()
    }

    /// Writes the counts by kind and owner.
    func flushTallies() throws {
        for (tally, change) in scratch.tallies.sorted(by: { $0.key < $1.key }) where change != 0 {
            try session(
                """
                INSERT INTO tally(kind, owner, shown) VALUES(?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET shown = shown + ?3
                """
            ).bind(1, tally.kind).bind(2, tally.owner).bind(3, Int64(change)).run()
        }
        scratch.tallies = [:]
    }

    // MARK: - Records

    package func record(_ id: RecordID) throws -> StoredRecord? {
        scratch.operations.removeAll(keepingCapacity: true)
        scratch.found = try RecordRow.find(id, session)
        guard let row = scratch.found else { return nil }
        let state = try decode(row)
        let key: RecordKey
        if let held = row.key {
            key = held
        } else if let first = state.operations.first {
            key = try operation(at: first.location).key
        } else {
            throw StoreError.damaged("table record")
        }
        return StoredRecord(id: id, owner: try cache.organizationID(row.owner, session), key: key, state: state)
    }

    private func decode(_ row: RecordRow) throws -> RecordState {
        do {
            return try row.state.withUnsafeBytes { bytes in
                try StateCoding.decode(bytes) { try cache.logID($0, session) }
            }
        } catch is ByteReader.Damage {
            throw StoreError.damaged("table record")
        }
    }

    private func operation(at location: Int64) throws -> OperationRow {
        if let known = scratch.operations[location] { return known }
        let row = try OperationRow.existing(at: location, session)
        scratch.operations[location] = row
        return row
    }

    package mutating func save(
        _ record: StoredRecord,
        before: StoredRecord?,
        arrived: (location: Int64, operation: VerifiedOperation)?
    ) throws {
        // What was not there when it was looked up is new.
        if before == nil {
            scratch.found = nil
        } else if scratch.found?.id != record.id {
            scratch.found = try RecordRow.find(record.id, session)
        }
        let found = scratch.found
        scratch.found = nil
        let isShown = record.state.isShown
        let kind = try kind(of: record, arrived: arrived) ?? found?.kind ?? 0
        let trouble = try trouble(of: record.state, arrived: arrived)

        let owner: Int64
        if let found { owner = found.owner } else { owner = try cache.organizationNumber(record.owner, session) }
        try collect(record, isShown: isShown, kind: kind, owner: owner, arrived: arrived, into: \.terms)
        let hadTerms = found?.isShown == true
        if let before, let found, hadTerms {
            try collect(before, isShown: true, kind: found.kind, owner: owner, arrived: nil, into: \.termsBefore)
        }

        let row: Int64
        if let found {
            row = found.row
            try update(record, over: found, kind: kind, trouble: trouble)
        } else {
            row = try insert(record, kind: kind, trouble: trouble)
        }
        if !hadTerms || !isShown || scratch.terms != scratch.termsBefore {
            if hadTerms { try unindex(row, scratch.termsBefore) }
            if isShown { try index(row, scratch.terms) }
        }
        if isShown { scratch.tallies[Tally(kind: kind, owner: owner), default: 0] += 1 }
        if let found, found.isShown { scratch.tallies[Tally(kind: found.kind, owner: owner), default: 0] -= 1 }

        // What is live is in the state; the history of the rest is kept here.
        for operation in before?.state.operations ?? []
        where !record.state.operations.contains(where: { $0.location == operation.location }) {
            try touch(row, operation.location)
        }
        if let location = arrived?.location {
            account(location)
            if !record.state.operations.contains(where: { $0.location == location }) { try touch(row, location) }
        }
    }

    private func touch(_ row: Int64, _ location: Int64) throws {
        try session("INSERT OR IGNORE INTO touch(record, operation) VALUES(?, ?)").bind(1, row).bind(2, location)
            .run()
    }

    private func insert(_ record: StoredRecord, kind: Int64, trouble: RecordRow.Trouble) throws -> Int64 {
        try session(
            """
            INSERT INTO record(short, owner, kind, shown, trouble, rest, state, key) VALUES(?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        .bind(1, RecordRow.short(of: record.id)).bind(2, try cache.organizationNumber(record.owner, session))
        .bind(3, kind).bind(4, record.state.isShown ? 1 : 0).bind(5, trouble.rawValue)
        .bind(6, RecordRow.rest(of: record.id)).bind(7, try encode(record.state))
        .bind(8, record.state.isEmpty ? record.key.bytes : nil).run()
        return session.lastInsertedRow
    }

    private func update(
        _ record: StoredRecord,
        over found: RecordRow,
        kind: Int64,
        trouble: RecordRow.Trouble
    ) throws {
        let state = try encode(record.state)
        let isShown = record.state.isShown
        let key: RecordKey? = record.state.isEmpty ? record.key : nil
        // Naming a column in an update rewrites the entries of its indexes, changed or not.
        if found.kind == kind, found.isShown == isShown, found.trouble == trouble, found.key == key {
            try session("UPDATE record SET state = ? WHERE id = ?").bind(1, state).bind(2, found.row).run()
        } else {
            try session("UPDATE record SET kind = ?, shown = ?, trouble = ?, state = ?, key = ? WHERE id = ?")
                .bind(1, kind).bind(2, isShown ? 1 : 0).bind(3, trouble.rawValue).bind(4, state)
                .bind(5, key?.bytes).bind(6, found.row).run()
        }
    }

    private func encode(_ state: RecordState) throws -> [UInt8] {
        try StateCoding.encode(state) { try cache.logNumber($0, session) }
    }

    /// The record's kind, where an operation at hand tells it.
    private func kind(
        of record: StoredRecord,
        arrived: (location: Int64, operation: VerifiedOperation)?
    ) throws -> Int64? {
        if let arrived {
            let kind: String?
            if let known = scratch.ahead?.kind(scratch.index(of: arrived.location)) {
                kind = known
            } else {
                let values = (try? ContentReader.values(of: arrived.operation.contentBytes)) ?? []
                kind = values.lazy.compactMap { Value.identity(encoded: $0)?.kind }.first
            }
            return try kind.map { try cache.kindNumber($0, session) }
        }
        for live in record.state.operations {
            guard let write = live.writes.first(where: { $0.field == .identity }) else { continue }
            let value = try operation(at: live.location).values(of: [write])[write.number]
            if case .identity(let identity) = value { return try cache.kindNumber(identity.kind, session) }
        }
        return nil
    }

    private func trouble(
        of state: RecordState,
        arrived: (location: Int64, operation: VerifiedOperation)?
    ) throws -> RecordRow.Trouble {
        var trouble: RecordRow.Trouble = []
        if state.isEditedWhileDeleted { trouble.insert(.editedWhileDeleted) }
        guard hasRepeatedField(state) else { return trouble }
        var values: [FieldNumber: Set<Value>] = [:]
        var sets: Set<FieldNumber> = []
        for live in state.operations {
            let known: [UInt32: Value]
            if let arrived, arrived.location == live.location {
                known = arrived.operation.valuesByNumber
            } else {
                known = try operation(at: live.location).values(of: live.writes)
            }
            for write in live.writes where write.field != .mark && write.field != .identity {
                if write.mode == .add { sets.insert(write.field) }
                if let value = known[write.number] { values[write.field, default: []].insert(value) }
            }
        }
        if values.contains(where: { $0.value.count > 1 && !sets.contains($0.key) }) { trouble.insert(.conflict) }
        return trouble
    }

    /// True if two live writes set one field: only then can values conflict.
    private func hasRepeatedField(_ state: RecordState) -> Bool {
        scratch.run &+= 1
        if scratch.fieldRuns.count < cache.fields.count {
            let missing = cache.fields.count - scratch.fieldRuns.count
            scratch.fieldRuns.append(contentsOf: repeatElement(0, count: missing))
        }
        for operation in state.operations {
            for write in operation.writes where write.mode == .set {
                let field = Int(write.field.rawValue)
                if scratch.fieldRuns[field] == scratch.run { return true }
                scratch.fieldRuns[field] = scratch.run
            }
        }
        return false
    }

    // MARK: - The index

    /// Gathers the terms of a record: a function of its state and its operations alone, so that what was entered can
    /// be taken out again. Every live value counts, those too that lose a conflict.
    private func collect(
        _ record: StoredRecord,
        isShown: Bool,
        kind: Int64,
        owner: Int64,
        arrived: (location: Int64, operation: VerifiedOperation)?,
        into column: ReferenceWritableKeyPath<Scratch, Terms>
    ) throws {
        var terms = Terms()
        swap(&terms, &scratch[keyPath: column])
        defer { swap(&terms, &scratch[keyPath: column]) }
        terms.removeAll()
        guard isShown else { return }
        for live in record.state.operations {
            if let arrived, arrived.location == live.location {
                // What was prepared holds of operations all of whose values are live.
                let index = scratch.index(of: live.location)
                if scratch.ahead?
                    .append(index, of: arrived.operation, valueCount: live.writes.count, to: &terms) == true
                {
                    continue
                }
                try append(live.writes, arrived.operation.envelopeBytes, arrived.operation.contentBytes, to: &terms)
            } else {
                let row = try operation(at: live.location)
                try append(live.writes, row.envelope[...], row.content[...], to: &terms)
            }
        }
        if scratch.filters?.kind != kind || scratch.filters?.owner != owner {
            scratch.filters = (
                kind, owner, Array((Self.filterTerm(kind: kind) + " " + Self.filterTerm(owner: owner)).utf8)
            )
        }
        terms.rest += scratch.filters?.terms ?? []
    }

    private func append(
        _ writes: [LiveWrite],
        _ envelope: ArraySlice<UInt8>,
        _ content: ArraySlice<UInt8>,
        to terms: inout Terms
    ) throws {
        let layout = try OperationLayout(envelope, content)
        for write in writes {
            guard let range = layout.value(of: write.number) else { continue }
            let value = content.dropFirst(range.lowerBound).prefix(range.count)
            terms.append(encoded: value, Value.identity(encoded: value), isNaming: cache.isNaming(write.field))
        }
    }

    /// A term that stands for a kind. It begins with a character for private use, which no text's terms hold.
    static func filterTerm(kind: Int64) -> String { "\u{E000}k\(kind)" }
    /// A term that stands for an owner.
    static func filterTerm(owner: Int64) -> String { "\u{E000}o\(owner)" }

    private func index(_ row: Int64, _ terms: Terms) throws {
        guard cache.termSums == nil else {
            cache.termSums?.add(terms, row: row)
            return
        }
        try session("INSERT INTO search(rowid, rest, name) VALUES(?, ?, ?)").bind(1, row).bind(2, text: terms.rest)
            .bind(3, text: terms.name).run()
    }

    /// The index holds no text, so it must be told what it was given.
    private func unindex(_ row: Int64, _ terms: Terms) throws {
        guard cache.termSums == nil else {
            cache.termSums?.subtract(terms, row: row)
            return
        }
        try session("INSERT INTO search(search, rowid, rest, name) VALUES('delete', ?, ?, ?)").bind(1, row)
            .bind(2, text: terms.rest).bind(3, text: terms.name).run()
    }
}
