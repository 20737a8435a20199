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
        var operations: [Int64: OperationBytes] = [:]
        /// The delta being merged, and which of its operations are accounted for in record or aside.
        var delta: Arriving?
        var isAccounted: [Bool] = []
        /// Shown records, more or fewer, by kind and owner.
        var tallies: [Tally: Int] = [:]
        var totals: [OrganizationID: TotalsChange] = [:]
        /// The terms of its operations, where they were prepared.
        var ahead: PreparedTerms?
        /// The terms by which searches are narrowed to a kind and an owner, of the record before.
        var filters: (kind: Int64, owner: Int64, terms: [UInt8])?
        /// The terms of a record, and those it had before: kept for their memory.
        var terms = Terms()
        var termsBefore = Terms()
        /// Records with many live operations, whose rows wait to be written.
        var deferred: [RecordID: Deferred] = [:]
        var deferredOperations = 0
    }

    /// A delta that is being merged.
    struct Arriving {
        let log: LogID
        let sequence: UInt64
        /// The location of its first operation.
        let location: Int64
        let operations: [VerifiedOperation]

        /// The index in the delta of the operation at a location; nil where it is another delta's.
        func index(of location: Int64) -> Int? {
            let (index, overflow) = location.subtractingReportingOverflow(self.location)
            return !overflow && index >= 0 && index < Int64(operations.count) ? Int(index) : nil
        }
    }

    /// A record that was changed in this transaction and is not written yet: writing it, and hashing its state, takes time in
    /// proportion to its live operations, so that is done once for all deltas of the transaction.
    struct Deferred {
        /// Its row before the transaction, and what that held.
        let found: RecordRow?
        let before: StoredRecord?
        var record: StoredRecord
        /// Locations of operations that count for it and may be live.
        var arrived: [Int64] = []
        /// Locations of operations for its history, live or not.
        var touched: [Int64] = []
        let hasher: any CatalogHasher
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

        /// True if no further value is indexed.
        var isFull: Bool { rest.count >= Self.bytesMax && name.count >= Self.bytesMax }

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
    ///
    /// - Throws: ``StoreError``, since what waited is written first.
    package var reading: ReadTransaction {
        get throws {
            try flush()
            return ReadTransaction(session, fields: cache.fields)
        }
    }

    /// The whole record with all its values, for planning; nil where it never was.
    package func view(of id: RecordID) throws -> RecordView? { try reading.wholeView(of: id) }

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
        // A delta beyond its log's bound leaves no trace.
        if let bound = try bound(of: delta.log), delta.header.sequence > bound { return }
        guard let location = scratch.delta?.location else { return }
        for (index, isAccounted) in scratch.isAccounted.enumerated() where !isAccounted {
            let operation = delta.operations[index]
            let envelope = operation.envelope
            let id = operation.record
            let owner = envelope.owner ?? delta.header.organization
            if scratch.deferred[id] != nil {
                scratch.deferred[id]?.touched.append(location + Int64(index))
                continue
            }
            let row =
                try RecordRow.find(id, session)?.row
                ?? insert(
                    StoredRecord(id: id, owner: owner, key: envelope.key, state: RecordState()),
                    isShown: false,
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
        let location = try session("SELECT max(id) FROM operation").first { $0.int(0) &+ 1 } ?? 1
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
        scratch.delta = Arriving(
            log: delta.log,
            sequence: delta.header.sequence,
            location: location,
            operations: delta.operations
        )
        scratch.isAccounted = Array(repeating: false, count: delta.operations.count)
        scratch.found = nil
        scratch.operations = [:]
        scratch.ahead = ahead.take(delta.header.root)
    }

    package mutating func number(of field: FieldPath) throws -> FieldNumber {
        try cache.number(of: field, session)
    }

    package mutating func exclude(_ dot: Dot, record: RecordID, as standing: Standing) throws {
        guard let number = standing.number else { return }
        let location = try location(of: dot)
        account(location)
        try session("INSERT OR REPLACE INTO aside(operation, record, why) VALUES(?, ?, ?)").bind(1, location)
            .bind(2, record.hash).bind(3, Int64(number)).run()
    }

    /// Where an operation is kept.
    func location(of dot: Dot) throws -> Int64 {
        if let delta = scratch.delta, delta.log == dot.log, delta.sequence == dot.sequence {
            return delta.location + Int64(dot.index)
        }
        let number = try cache.logNumber(dot.log, session)
        let first = try session("SELECT id FROM delta WHERE log = ? AND sequence = ?").bind(1, number)
            .bind(2, Int64(bitPattern: dot.sequence)).first { $0.int(0) }
        guard let first else { throw StoreError(.internal, "an operation of a delta that is not held") }
        return first + Int64(dot.index)
    }

    private func account(_ location: Int64) {
        guard let index = scratch.delta?.index(of: location) else { return }
        scratch.isAccounted[index] = true
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

    package func hasWaiting(log: LogID, sequence: UInt64) throws -> Bool {
        guard let number = try cache.log(log, session)?.number else { return false }
        return try session("SELECT 1 FROM waiting WHERE log = ? AND sequence = ? LIMIT 1").bind(1, number)
            .bind(2, Int64(bitPattern: sequence)).first { _ in true } ?? false
    }

    package mutating func takeWaiting(
        log: LogID,
        sequence: UInt64,
        where isWanted: (WaitingCitation) -> Bool
    ) throws -> [UInt32: [WaitingCitation]] {
        guard let number = try cache.log(log, session)?.number else { return [:] }
        var taken: [UInt32: [WaitingCitation]] = [:]
        let sql = try session(
            "SELECT position, record, field, prefix, number FROM waiting WHERE log = ? AND sequence = ?"
        )
        sql.bind(1, number).bind(2, Int64(bitPattern: sequence))
        defer { sql.reset() }
        while try sql.step() {
            let citation = try Self.waiting(sql, log: log, sequence: sequence)
            if isWanted(citation) { taken[citation.supersession.citation.dot.index, default: []].append(citation) }
        }
        sql.reset()
        try session("DELETE FROM waiting WHERE log = ? AND sequence = ?").bind(1, number)
            .bind(2, Int64(bitPattern: sequence)).run()
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

    /// Writes what waits for the end of the transaction: records with many live operations, digests and counts.
    func flush() throws {
        try flushRecords()
        for (organization, change) in scratch.totals.sorted(by: { $0.key < $1.key }) {
            try add(change, of: organization)
        }
        scratch.totals = [:]
        for (tally, change) in scratch.tallies.sorted(by: { $0.key < $1.key }) where change != 0 {
            try session(
                """
                INSERT INTO tally(kind, owner, shown) VALUES(?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET shown = shown + ?3
                """
            ).bind(1, tally.kind).bind(2, tally.owner).bind(3, Int64(change)).run()
            // Whether there was such a record once is no matter of what is held.
            try session("DELETE FROM tally WHERE kind = ? AND owner = ? AND shown = 0").bind(1, tally.kind)
                .bind(2, tally.owner).run()
        }
        scratch.tallies = [:]
    }

    private func add(_ change: TotalsChange, of organization: OrganizationID) throws {
        let number = try cache.organizationNumber(organization, session)
        let before = try session("SELECT digest, shown FROM total WHERE organization = ?").bind(1, number)
            .first { (CatalogDigest(sum: try $0.hash(0)), $0.int(1)) }
        var (digest, shown) = before ?? (CatalogDigest(), 0)
        digest.add(change.digest)
        shown &+= Int64(change.shown)
        guard digest != CatalogDigest() || shown != 0 else {
            try session("DELETE FROM total WHERE organization = ?").bind(1, number).run()
            return
        }
        try session("INSERT OR REPLACE INTO total(organization, digest, shown) VALUES(?, ?, ?)").bind(1, number)
            .bind(2, digest.sum).bind(3, shown).run()
    }

    // MARK: - Records

    package func record(_ id: RecordID) throws -> StoredRecord? {
        scratch.operations.removeAll(keepingCapacity: true)
        if let deferred = scratch.deferred[id] { return deferred.record }
        scratch.found = try RecordRow.find(id, session)
        guard let row = scratch.found else { return nil }
        let state = try cache.savedState(of: id, byteCount: row.state.count) ?? decode(row)
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

    /// The bytes of an operation: those of the delta being merged are at hand.
    private func operation(at location: Int64) throws -> OperationBytes {
        if let delta = scratch.delta, let index = delta.index(of: location) {
            return OperationBytes(delta.operations[index])
        }
        if let known = scratch.operations[location] { return known }
        let bytes = OperationBytes(try OperationRow.existing(at: location, session))
        cache.work.operationsRead += 1
        scratch.operations[location] = bytes
        return bytes
    }

    /// Live operations of a record from which on its row is written once for all deltas of the transaction. A guess: what
    /// hashing and writing them takes is some times what merging a delta takes.
    private static let deferredOperationsMin = 64
    /// Live operations of all records that wait, beyond which they are written: some 60 MiB.
    private static let deferredOperationsMax = 512 * 1024

    package mutating func save(_ change: MergedRecord, hasher: some CatalogHasher) throws {
        let id = change.record.id
        // The only operation about a record is accounted for here; of several each gets an entry in the history.
        let arrived = change.arrived.flatMap { index in scratch.delta.map { $0.location + Int64(index) } }
        if let arrived { account(arrived) }
        let size = change.record.state.operations.count
        let sizeBefore = change.before?.state.operations.count ?? 0
        if scratch.deferred[id] == nil {
            // What was not there when it was looked up is new.
            var found: RecordRow?
            if change.before != nil {
                found = scratch.found?.id == id ? scratch.found : try RecordRow.find(id, session)
            }
            scratch.found = nil
            guard max(size, sizeBefore) >= Self.deferredOperationsMin else {
                let row = try write(change.record, over: found, change.before, hasher: hasher)
                if let arrived, !change.record.state.operations.contains(where: { $0.location == arrived }) {
                    try touch(row, arrived)
                }
                return
            }
            scratch.deferred[id] = Deferred(
                found: found,
                before: change.before,
                record: change.record,
                hasher: hasher
            )
            scratch.deferredOperations += sizeBefore
        } else {
            scratch.deferred[id]?.record = change.record
            scratch.deferredOperations -= sizeBefore
        }
        if let arrived { scratch.deferred[id]?.arrived.append(arrived) }
        scratch.deferredOperations += size
        if scratch.deferredOperations > Self.deferredOperationsMax { try flushRecords() }
    }

    func flushRecords() throws {
        guard !scratch.deferred.isEmpty else { return }
        let deferred = scratch.deferred.values.sorted { $0.record.id < $1.record.id }
        scratch.deferred = [:]
        scratch.deferredOperations = 0
        for entry in deferred {
            let row = try write(entry.record, over: entry.found, entry.before, hasher: entry.hasher)
            // Most are live, and few are looked for: all live ones are gathered only for many.
            let operations = entry.record.state.operations
            let live = entry.arrived.count > 4 ? Set(operations.map(\.location)) : nil
            for location in entry.arrived {
                let isLive = live?.contains(location) ?? operations.contains { $0.location == location }
                if !isLive { try touch(row, location) }
            }
            for location in entry.touched { try touch(row, location) }
        }
    }

    /// Writes a record's row and all that is derived from it.
    ///
    /// - Parameter found: Its row before, which held `before`.
    /// - Returns: The row's number.
    func write(
        _ record: StoredRecord,
        over found: RecordRow?,
        _ before: StoredRecord?,
        hasher: some CatalogHasher
    ) throws -> Int64 {
        // What was read for it is not kept for the next one.
        defer { scratch.operations.removeAll(keepingCapacity: true) }
        let state = record.state
        let isShown = state.isShown
        let owner: Int64
        if let found { owner = found.owner } else { owner = try cache.organizationNumber(record.owner, session) }
        let kind = isShown ? try kind(of: state) : 0
        let trouble = try trouble(of: state)
        let isIndexed = found?.isShown == true
        // Search looks at the first operations alone, so of a record with more of them the terms seldom change.
        let areTermsSame =
            isShown && isIndexed && found?.kind == kind && Self.haveSameBeginning(before?.state, state)
        if !areTermsSame {
            try collect(state, isShown: isShown, kind: kind, owner: owner, into: \.terms)
            if let found, isIndexed {
                let state = before?.state ?? RecordState()
                try collect(state, isShown: true, kind: found.kind, owner: owner, into: \.termsBefore)
            }
        }

        let row: Int64
        if let found {
            row = found.row
            try update(record, over: found, isShown: isShown, kind: kind, trouble: trouble)
        } else {
            row = try insert(record, isShown: isShown, kind: kind, trouble: trouble)
        }
        cache.work.recordsSaved += 1
        if !areTermsSame, !isIndexed || !isShown || scratch.terms != scratch.termsBefore {
            if isIndexed { try unindex(row, scratch.termsBefore) }
            if isShown { try index(row, scratch.terms) }
        }
        if isShown { scratch.tallies[Tally(kind: kind, owner: owner), default: 0] += 1 }
        if let found, isIndexed { scratch.tallies[Tally(kind: found.kind, owner: owner), default: 0] -= 1 }
        var totals = TotalsChange()
        if let before {
            totals.digest.subtract(cache.canonicalHash(of: record.id, before.state, isSaved: true, hasher))
            if before.state.isShown { totals.shown -= 1 }
        }
        totals.digest.add(cache.canonicalHash(of: record.id, state, isSaved: false, hasher))
        if isShown { totals.shown += 1 }
        scratch.totals[record.owner, default: TotalsChange()].add(totals)

        // What is live is in the state; the history of the rest is kept here.
        try before?.state.forEachOperation(missingIn: state) { try touch(row, $0.location) }
        return row
    }

    func touch(_ row: Int64, _ location: Int64) throws {
        try session("INSERT OR IGNORE INTO touch(record, operation) VALUES(?, ?)").bind(1, row).bind(2, location)
            .run()
    }

    private func insert(
        _ record: StoredRecord,
        isShown: Bool,
        kind: Int64,
        trouble: RecordRow.Trouble
    ) throws -> Int64 {
        try session(
            """
            INSERT INTO record(id, short, owner, kind, shown, trouble, rest, state, key)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        .bind(1, try cache.rowNumber(of: record.id, session)).bind(2, RecordRow.short(of: record.id))
        .bind(3, try cache.organizationNumber(record.owner, session)).bind(4, kind).bind(5, isShown ? 1 : 0)
        .bind(6, trouble.rawValue).bind(7, RecordRow.rest(of: record.id)).bind(8, try encode(record))
        .bind(9, record.state.isEmpty ? record.key.bytes : nil).run()
        return session.lastInsertedRow
    }

    private func update(
        _ record: StoredRecord,
        over found: RecordRow,
        isShown: Bool,
        kind: Int64,
        trouble: RecordRow.Trouble
    ) throws {
        let state = try encode(record)
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

    private func encode(_ record: StoredRecord) throws -> [UInt8] {
        let bytes = try StateCoding.encode(record.state) { try cache.logNumber($0, session) }
        cache.work.stateBytesWritten += bytes.count
        cache.noteSaved(record.state, of: record.id, byteCount: bytes.count)
        return bytes
    }

    /// The number of a shown record's kind: the one that its live identity names. All identities of a record name the same,
    /// since its key is made of it; a value of any other field that looks like an identity counts for nothing.
    private func kind(of state: RecordState) throws -> Int64 {
        guard let (live, number) = state.identityWrite else { return 0 }
        if let delta = scratch.delta, let index = delta.index(of: live.location),
            let kind = scratch.ahead?.kind(index, of: delta.operations[index])
        {
            return try cache.kindNumber(kind, session)
        }
        guard let value = try operation(at: live.location).value(of: number),
            let identity = Value.identity(encoded: value)
        else { throw StoreError.damaged("table operation") }
        return try cache.kindNumber(identity.kind, session)
    }

    private func trouble(of state: RecordState) throws -> RecordRow.Trouble {
        var trouble: RecordRow.Trouble = []
        if state.isEditedWhileDeleted { trouble.insert(.editedWhileDeleted) }
        if try hasConflict(state) { trouble.insert(.conflict) }
        return trouble
    }

    /// True if a register has different live values; in a wide record, if it has several.
    private func hasConflict(_ state: RecordState) throws -> Bool {
        let contested = state.contestedFields
        guard !contested.isEmpty else { return false }
        if try state.isWide({ try operation(at: $0.location).byteCount }) { return true }
        var values: [FieldNumber: ArraySlice<UInt8>] = [:]
        for live in state.operations where live.writes.contains(where: { contested.contains($0.field) }) {
            let operation = try operation(at: live.location)
            let layout = try operation.layout
            for write in live.writes where contested.contains(write.field) {
                // Values are equal when their bytes are.
                guard let value = operation.value(of: write.number, layout) else { continue }
                if let other = values[write.field] {
                    if other != value { return true }
                } else {
                    values[write.field] = value
                }
            }
        }
        return false
    }

    /// How many of a state's first operations search looks at.
    private func reach(of state: RecordState) throws -> Int {
        // One operation is always within reach, and need not be read to know that.
        if state.operations.count <= 1 { return state.operations.count }
        return try state.reach { try operation(at: $0.location).byteCount }.count
    }

    // MARK: - The index

    /// True if the operations that search looks at are the same in both states.
    private static func haveSameBeginning(_ one: RecordState?, _ other: RecordState) -> Bool {
        guard let one else { return false }
        return one.operations.prefix(RecordReach.operationsMax)
            .elementsEqual(other.operations.prefix(RecordReach.operationsMax)) {
                $0.location == $1.location && $0.writes == $1.writes
            }
    }

    /// Gathers the terms of a record: a function of its state and its operations alone, so that what was entered can
    /// be taken out again. Every live value within reach counts, those too that lose a conflict.
    private func collect(
        _ state: RecordState,
        isShown: Bool,
        kind: Int64,
        owner: Int64,
        into column: ReferenceWritableKeyPath<Scratch, Terms>
    ) throws {
        var terms = Terms()
        swap(&terms, &scratch[keyPath: column])
        defer { swap(&terms, &scratch[keyPath: column]) }
        terms.removeAll()
        guard isShown else { return }
        for live in state.operations.prefix(try reach(of: state)) {
            if terms.isFull { break }
            try append(live, to: &terms)
        }
        terms.rest += filterTerms(kind: kind, owner: owner)
    }

    /// Appends the terms of an operation's live values.
    private func append(_ live: LiveOperation, to terms: inout Terms) throws {
        // What was prepared holds of operations all of whose values are live.
        if let delta = scratch.delta, let index = delta.index(of: live.location), let ahead = scratch.ahead,
            ahead.append(index, of: delta.operations[index], valueCount: live.writes.count, to: &terms)
        {
            return
        }
        let operation = try operation(at: live.location)
        let layout = try operation.layout
        for write in live.writes {
            guard let value = operation.value(of: write.number, layout) else { continue }
            terms.append(
                encoded: value,
                Value.identity(encoded: value),
                isNaming: try cache.fields.isNaming(write.field, session)
            )
        }
    }

    private func filterTerms(kind: Int64, owner: Int64) -> [UInt8] {
        if let filters = scratch.filters, filters.kind == kind, filters.owner == owner { return filters.terms }
        let terms = Array((Self.filterTerm(kind: kind) + " " + Self.filterTerm(owner: owner)).utf8)
        scratch.filters = (kind, owner, terms)
        return terms
    }

    /// Gives a wide record the terms and the trouble of today's rules, where its row has those of a format before 3: the
    /// terms of all its live operations.
    func deriveWideRecordAnew(_ row: RecordRow, _ state: RecordState) throws {
        if row.isShown {
            var terms = Terms()
            for live in state.operations {
                scratch.operations.removeAll(keepingCapacity: true)
                if terms.isFull { break }
                try append(live, to: &terms)
            }
            terms.rest += filterTerms(kind: row.kind, owner: row.owner)
            try unindex(row.row, terms)
            try collect(state, isShown: true, kind: row.kind, owner: row.owner, into: \.terms)
            try index(row.row, scratch.terms)
        }
        try session("UPDATE record SET trouble = ? WHERE id = ?").bind(1, try trouble(of: state).rawValue)
            .bind(2, row.row).run()
    }

    /// A term that stands for a kind. It begins with a character for private use, which no text's terms hold.
    static func filterTerm(kind: Int64) -> String { "\u{E000}k\(kind)" }
    /// A term that stands for an owner.
    static func filterTerm(owner: Int64) -> String { "\u{E000}o\(owner)" }

    private func index(_ row: Int64, _ terms: Terms) throws {
        cache.work.termBytesWritten += terms.rest.count + terms.name.count
        guard cache.termSums == nil else {
            cache.termSums?.add(terms, row: row)
            return
        }
        try session("INSERT INTO search(rowid, rest, name) VALUES(?, ?, ?)").bind(1, row).bind(2, text: terms.rest)
            .bind(3, text: terms.name).run()
    }

    /// The index holds no text, so it must be told what it was given.
    private func unindex(_ row: Int64, _ terms: Terms) throws {
        cache.work.termBytesWritten += terms.rest.count + terms.name.count
        guard cache.termSums == nil else {
            cache.termSums?.subtract(terms, row: row)
            return
        }
        try session("INSERT INTO search(search, rowid, rest, name) VALUES('delete', ?, ?, ?)").bind(1, row)
            .bind(2, text: terms.rest).bind(3, text: terms.name).run()
    }
}
