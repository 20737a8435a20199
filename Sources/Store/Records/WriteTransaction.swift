package import Catalog
package import DeltaLog

/// One durable transaction on the directory. Valid only within the body of ``Store/write(_:)``.
///
/// As a ``DeltaStorage`` it stores and merges deltas; it also writes the node's own state.
package struct WriteTransaction: DeltaStorage {
    /// The mutable state of the transaction; a class, because lookups also change it.
    final class Scratch {
        /// The row of the last lookup, because merging looks up a record just before it saves it.
        var found: RecordRow?
        /// For each operation of the delta being merged, true if it is accounted for: in its record, or as excluded.
        var isAccounted: [Bool] = []
        var totals: [OrganizationID: TotalsChange] = [:]
        /// Records with many live operations whose rows are not written yet.
        var deferred: [RecordID: Deferred] = [:]
        var deferredOperations = 0
    }

    /// A record that was changed in this transaction and is not written yet. Hashing and writing it is linear in its
    /// live operations, so this is done once for all deltas of the transaction.
    struct Deferred {
        /// Its row and record before the transaction.
        let found: RecordRow?
        let before: StoredRecord?
        var record: StoredRecord
        /// Locations of operations that arrived for it and may be live.
        var arrived: [Int64] = []
        /// Locations of operations that need a history link, live or not.
        var touched: [Int64] = []
        let hasher: any CatalogHasher
    }

    let session: Session
    let cache: WriterCache
    let scratch = Scratch()
    let operations: OperationReader
    private let ahead: TermsAhead

    init(session: Session, cache: WriterCache, ahead: TermsAhead) {
        self.session = session
        self.cache = cache
        self.ahead = ahead
        operations = OperationReader(session, cache)
    }

    var projections: Projections { cache.projections }

    /// Reads of the directory that include this transaction's changes so far.
    ///
    /// - Throws: ``StoreError``, because deferred records are written first.
    package var reading: ReadTransaction {
        get throws {
            try flush()
            return ReadTransaction(session, fields: cache.fields)
        }
    }

    /// The whole record with all its values, for planning; nil if it never existed.
    package func view(of id: RecordID) throws -> RecordView? { try reading.wholeView(of: id) }

    // MARK: - Deltas

    /// Stores a delta that continues its log, and merges it. Call this instead of the applier's own method: it also
    /// records operations that change nothing in the history of their record.
    ///
    /// - Throws: ``StoreError``; the transaction must then be rolled back.
    /// - Complexity: Linear in the delta's operations and citations.
    package mutating func apply<Hasher>(
        _ delta: VerifiedDelta,
        applier: DeltaApplier<Hasher>
    ) throws -> DeltaApplier<Hasher>.Outcome {
        let outcome = try applier.apply(delta, to: &self)
        if case .applied = outcome { try noteUnaccounted(in: delta) }
        return outcome
    }

    /// Adds to the history those operations of the merged delta that are not accounted for.
    func noteUnaccounted(in delta: VerifiedDelta) throws {
        // A delta beyond its log's bound has no effect on derived data.
        if let bound = try bound(of: delta.log), delta.header.sequence > bound { return }
        guard let location = operations.delta?.location else { return }
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
                    RecordChange.Facts(state: RecordState(), isVisible: false, kind: 0),
                    []
                )
            try projections.history.link(row, location + Int64(index), session)
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

    /// Sets the delta for the calls that follow.
    func begin(_ delta: VerifiedDelta, at location: Int64) {
        let arriving = ArrivingDelta(
            log: delta.log,
            sequence: delta.header.sequence,
            location: location,
            operations: delta.operations
        )
        operations.begin(arriving, prepared: ahead.take(delta.header.root))
        scratch.isAccounted = Array(repeating: false, count: delta.operations.count)
        scratch.found = nil
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

    /// The location of an operation.
    func location(of dot: Dot) throws -> Int64 {
        if let delta = operations.delta, delta.log == dot.log, delta.sequence == dot.sequence {
            return delta.location + Int64(dot.index)
        }
        let number = try cache.logNumber(dot.log, session)
        let first = try session("SELECT id FROM delta WHERE log = ? AND sequence = ?").bind(1, number)
            .bind(2, Int64(bitPattern: dot.sequence)).first { $0.int(0) }
        guard let first else { throw StoreError(.internal, "an operation of a delta that is not held") }
        return first + Int64(dot.index)
    }

    func account(_ location: Int64) {
        guard let index = operations.delta?.index(of: location) else { return }
        scratch.isAccounted[index] = true
    }
}
