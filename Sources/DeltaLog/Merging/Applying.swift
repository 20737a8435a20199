package import Catalog

/// A stored record: the data that merging needs.
package struct StoredRecord: Hashable, Sendable {
    package let id: RecordID
    package let owner: OrganizationID
    package let key: RecordKey
    package var state: RecordState

    package init(id: RecordID, owner: OrganizationID, key: RecordKey, state: RecordState) {
        self.id = id
        self.owner = owner
        self.key = key
        self.state = state
    }
}

/// A dangling reference: a citation whose operation has not arrived.
package struct DanglingReference: Hashable, Sendable {
    package let record: RecordID
    package let supersession: Supersession

    package init(record: RecordID, supersession: Supersession) {
        self.record = record
        self.supersession = supersession
    }
}

/// A change of an organization's totals.
package struct TotalsChange: Hashable, Sendable {
    /// Canonical hashes added to the digest, minus those removed from it.
    package var digest = CatalogDigest()
    /// The change of the number of visible records; may be negative.
    package var shown = 0
    package init() {}

    /// Adds another change.
    package mutating func add(_ other: TotalsChange) {
        digest.add(other.digest)
        shown += other.shown
    }
}

/// The effect of a delta on one record.
package struct MergedRecord: Sendable {
    /// The value of ``DeltaStorage/record(_:)`` before the change.
    package let before: StoredRecord?
    /// The record with its new state, which differs from the state before.
    package let record: StoredRecord
    /// The index in the delta of the only operation that counts for the record; nil if several count.
    package let arrived: Int?

    package init(before: StoredRecord?, record: StoredRecord, arrived: Int?) {
        self.before = before
        self.record = record
        self.arrived = arrived
    }

    /// The change in the totals of the record's owner.
    ///
    /// - Complexity: Linear in the live writes.
    package func totals(hasher: some CatalogHasher) -> TotalsChange {
        var change = TotalsChange()
        change.digest.subtract(before?.state.canonicalHash(of: record.id, hasher: hasher))
        change.digest.add(record.state.canonicalHash(of: record.id, hasher: hasher))
        change.shown = (record.state.isVisible ? 1 : 0) - (before?.state.isVisible == true ? 1 : 0)
        return change
    }
}

/// A node's storage: deltas as received, and the data derived from them. The database and the memory storage implement
/// it and pass one conformance suite.
///
/// Derived data is a function of the set of deltas held, never of their order of arrival. All calls belong to one
/// transaction, which the implementation's owner begins and ends.
package protocol DeltaStorage {
    /// The last delta of a log that is stored and merged. While a delta is being merged, it is its log's head already.
    func head(of log: LogID) throws -> Head?
    /// Stores a delta that continues its log and makes it the log's head.
    ///
    /// - Returns: The location of its first operation. The locations of the others follow one by one.
    mutating func append(_ delta: VerifiedDelta) throws -> Int64
    /// The path's number in this storage. A new path gets the next number.
    mutating func number(of field: FieldPath) throws -> FieldNumber
    func record(_ id: RecordID) throws -> StoredRecord?
    /// Stores a record's new state and the data derived from it, and updates the totals of its owner. Called once per
    /// record and delta.
    ///
    /// - Parameter hasher: Computes the canonical hashes, whose sum is the digest.
    mutating func save(_ change: MergedRecord, hasher: some CatalogHasher) throws
    /// Records that an operation does not count.
    ///
    /// - Parameter standing: Any standing but ``Standing/counts``.
    mutating func exclude(_ dot: Dot, record: RecordID, as standing: Standing) throws
    mutating func addDangling(_ citation: DanglingReference) throws
    /// True if dangling references cite operations of the delta.
    func hasDangling(log: LogID, sequence: UInt64) throws -> Bool
    /// Removes the dangling references to operations of a delta, and returns the wanted ones by the operation's index.
    ///
    /// Peers choose how many references there are. The storage therefore reads the unwanted ones one at a time and
    /// never collects them.
    mutating func takeDangling(
        log: LogID,
        sequence: UInt64,
        where isWanted: (DanglingReference) -> Bool
    ) throws -> [UInt32: [DanglingReference]]

    // MARK: Bounds

    /// The last sequence of a log that counts; nil for a log without a bound. Deltas beyond it are stored but have no
    /// effect on derived data.
    func bound(of log: LogID) throws -> UInt64?
    /// Stores a log's bound without changing derived data; ``DeltaApplier/relimit(_:to:operationsMax:in:)`` changes
    /// that.
    mutating func setBound(_ bound: UInt64?, of log: LogID) throws
    /// The approximate number of operations that re-deriving a record reads; 0 for a record that the storage does not hold.
    func operationCount(about record: RecordID) throws -> Int
    /// All stored operations of a log within a range of sequences, in any order.
    func operations(
        of log: LogID,
        _ range: ClosedRange<UInt64>,
        hasher: some CatalogHasher
    ) throws -> [StoredOperation]
    /// The operations that count for a record, in any order, without those of one log in a range of sequences. Each
    /// log's bound applies.
    func operations(
        about record: RecordID,
        without range: ClosedRange<UInt64>,
        of log: LogID,
        hasher: some CatalogHasher
    ) throws -> [StoredOperation]
    /// Reverses ``exclude(_:record:as:)``.
    mutating func removeExclusion(_ dot: Dot) throws
    /// Replaces a record's state with one that was derived from all its operations. Updates all derived data, including
    /// the totals of its owner.
    ///
    /// Removes the record if there are no operations.
    ///
    /// - Parameters:
    ///   - operations: All operations that count for the record now.
    ///   - waiting: All its dangling references now; they replace the earlier ones.
    mutating func replace(
        _ change: MergedRecord,
        operations: [StoredOperation],
        waiting: [DanglingReference],
        hasher: some CatalogHasher
    ) throws
}

/// Merges deltas into a storage: a pure function of the delta and the stored data.
package struct DeltaApplier<Hasher: CatalogHasher>: Sendable {
    package let alliance: AllianceID
    package let hasher: Hasher
    package let authority: any Authority

    /// - Parameter authority: Judges every operation within its log's bound. All nodes must use the same authority.
    package init(alliance: AllianceID, hasher: Hasher, authority: any Authority = OwnerAuthority()) {
        self.alliance = alliance
        self.hasher = hasher
        self.authority = authority
    }

    /// The result of applying a delta.
    package enum Outcome: Hashable, Sendable {
        /// The delta was stored and merged, and the states of this many records changed.
        case applied(records: Int)
        /// The storage holds the delta already.
        case duplicate
        /// Earlier deltas of the log are missing here.
        case gap
        case refused(DeltaRefusal)
    }

    /// Stores and merges a delta that continues its log. The caller first checks that the author is enrolled with the
    /// organization in the header.
    ///
    /// - Throws: The storage's errors. An expected refusal is an ``Outcome``.
    package func apply(
        _ delta: VerifiedDelta,
        to storage: inout some DeltaStorage
    ) throws -> Outcome {
        let head = try storage.head(of: delta.log)
        // A sequence is below 2^63 unless the storage is damaged; wrapping addition cannot trap.
        let next = (head?.sequence ?? 0) &+ 1
        if delta.header.sequence < next {
            if delta.header.sequence == head?.sequence, delta.hash != head?.hash { return .refused(.fork) }
            return .duplicate
        }
        guard delta.header.sequence == next else { return .gap }
        guard delta.header.previous == head?.hash else { return .refused(.wrongChain) }
        let location = try storage.append(delta)
        return .applied(records: try merge(delta, at: location, into: &storage))
    }

    /// Merges a delta that is already stored; a rebuild calls this for every delta. Merge the deltas of one log in
    /// order; the order among logs does not matter.
    ///
    /// A delta beyond its log's bound only removes the dangling references to it.
    ///
    /// During a rebuild, ``DeltaStorage/head(of:)`` must return the last merged delta, not the last stored one. A
    /// citation of a delta that is not merged yet must stay dangling.
    ///
    /// - Returns: The number of records whose state changed.
    package func merge(
        _ delta: VerifiedDelta,
        at location: Int64,
        into storage: inout some DeltaStorage
    ) throws -> Int {
        let organization = delta.header.organization
        if let bound = try storage.bound(of: delta.log), delta.header.sequence > bound {
            // If the bound rises, the operations that cite this delta are read again.
            if try storage.hasDangling(log: delta.log, sequence: delta.header.sequence) {
                _ = try storage.takeDangling(log: delta.log, sequence: delta.header.sequence) { _ in false }
            }
            return 0
        }
        let waiting = try takeDangling(for: delta, from: &storage)
        var touched: [Touched] = []
        touched.reserveCapacity(delta.operations.count)
        var slots: [RecordID: Int] = Dictionary(minimumCapacity: delta.operations.count)
        var plain = PlainWrites()
        for (index, operation) in delta.operations.enumerated() {
            let id = operation.record
            let dot = delta.dot(index)
            let standing = authority.standing(of: dot, operation.envelope, by: organization)
            guard standing == .counts else {
                try storage.exclude(dot, record: id, as: standing)
                continue
            }
            let slot: Int
            if let known = slots[id] {
                slot = known
            } else {
                let before = try storage.record(id)
                let record =
                    before
                    ?? StoredRecord(id: id, owner: organization, key: operation.envelope.key, state: RecordState())
                slot = touched.count
                slots[id] = slot
                touched.append(Touched(before: before, record: record, first: index))
            }
            let (live, superseded) = try effects(of: operation, at: dot, in: delta, plain: &plain, storage: &storage)
            let arrived = LiveOperation(
                dot: dot,
                stamp: delta.header.stamp,
                hash: operation.hash,
                location: location + Int64(index),
                writes: live
            )
            touched[slot].add(arrived, superseded, waiting: waiting[UInt32(index)] ?? [])
        }

        // Save each record once per delta: hashing and saving cost time linear in the live writes, and a peer chooses
        // both numbers.
        var changed = 0
        for index in touched.indices {
            guard let change = touched[index].merged() else { continue }
            try storage.save(change, hasher: hasher)
            changed += 1
        }
        return changed
    }

    /// The live writes that an operation adds, and the supersessions by it of operations that have arrived. Stores its
    /// dangling references.
    private func effects(
        of operation: VerifiedOperation,
        at dot: Dot,
        in delta: VerifiedDelta,
        plain: inout PlainWrites,
        storage: inout some DeltaStorage
    ) throws -> (live: LiveWrites, superseded: [Supersession]) {
        let writes = operation.envelope.writes
        if let known = plain.live(of: writes) { return (known, []) }
        var live: [LiveWrite] = []
        var superseded: [Supersession] = []
        for (number, write) in writes.enumerated() {
            let field = try storage.number(of: write.field)
            for citation in write.supersedes {
                let supersession = Supersession(
                    citation: citation,
                    field: operation.envelope.kind == .deletion ? nil : field
                )
                if try hasCome(citation.dot, with: delta, citing: dot, in: storage) {
                    superseded.append(supersession)
                } else {
                    try storage.addDangling(DanglingReference(record: operation.record, supersession: supersession))
                }
            }
            if write.mode != .remove {
                live.append(LiveWrite(number: UInt32(number), field: field, mode: write.mode))
            }
        }
        let known = LiveWrites(live)
        plain.note(writes, live: known)
        return (known, superseded)
    }

    /// True if the cited operation belongs to this delta or was merged before.
    ///
    /// The delta being applied is its log's head already. An operation that cites itself stays dangling: no author can
    /// know its hash in advance.
    private func hasCome(
        _ cited: Dot,
        with delta: VerifiedDelta,
        citing dot: Dot,
        in storage: borrowing some DeltaStorage
    ) throws -> Bool {
        if cited.log == delta.log {
            return cited.sequence <= delta.header.sequence && cited != dot
        }
        guard let head = try storage.head(of: cited.log) else { return false }
        return cited.sequence <= head.sequence
    }

    /// Removes the dangling references to a delta's operations, and returns those that match a write.
    ///
    /// Peers can send any number of references that match nothing.
    private func takeDangling(
        for delta: VerifiedDelta,
        from storage: inout some DeltaStorage
    ) throws -> [UInt32: [DanglingReference]] {
        guard try storage.hasDangling(log: delta.log, sequence: delta.header.sequence) else { return [:] }
        // Operations that do not count belong to no record, so no reference matches them.
        var fields: [[FieldNumber]] = []
        for (index, operation) in delta.operations.enumerated() {
            let standing = authority.standing(
                of: delta.dot(index),
                operation.envelope,
                by: delta.header.organization
            )
            let writes = standing == .counts ? operation.envelope.writes : []
            fields.append(try writes.map { try storage.number(of: $0.field) })
        }
        let fieldSets = fields.map { Set($0) }
        return try storage.takeDangling(log: delta.log, sequence: delta.header.sequence) { waiting in
            let supersession = waiting.supersession
            let index = Int(supersession.citation.dot.index)
            guard fields.indices.contains(index), !fields[index].isEmpty else { return false }
            let operation = delta.operations[index]
            guard waiting.record == operation.record, supersession.citation.prefix == operation.hash.prefix else {
                return false
            }
            guard let number = supersession.citation.number else {
                return supersession.field.map(fieldSets[index].contains) ?? true
            }
            guard number < fields[index].count else { return false }
            return supersession.field.map { $0 == fields[index][Int(number)] } ?? true
        }
    }
}

/// Caches the live writes of the last operation without citations. The operations of an import share one list of
/// writes, and so one result.
private struct PlainWrites {
    private var writes: [Write] = []
    private var live = LiveWrites([])

    /// The cached live writes for these writes; nil if they are other writes.
    func live(of writes: [Write]) -> LiveWrites? {
        !live.isEmpty && writes.isSameStorage(as: self.writes) ? live : nil
    }

    mutating func note(_ writes: [Write], live: LiveWrites) {
        guard !writes.isSameStorage(as: self.writes), writes.allSatisfy({ $0.supersedes.isEmpty }) else { return }
        self.writes = writes
        self.live = live
    }
}

/// A record that a delta's operations are about. A nested type would be generic and need a metadata lookup for every
/// record.
private struct Touched {
    let before: StoredRecord?
    var record: StoredRecord
    /// The index of the first of the delta's operations about it.
    let first: Int
    /// The number of the delta's operations about it.
    var count = 0
    /// The operations after the first. They are adjacent in the state and are inserted together.
    var further: [LiveOperation] = []
    /// Citations of operations that have arrived, in any order.
    var superseded: [Supersession] = []

    init(before: StoredRecord?, record: StoredRecord, first: Int) {
        self.before = before
        self.record = record
        self.first = first
    }

    mutating func add(_ operation: LiveOperation, _ superseded: [Supersession], waiting: [DanglingReference]) {
        if count == 0 { record.state.insert(operation) } else { further.append(operation) }
        count += 1
        self.superseded += superseded
        self.superseded += waiting.map(\.supersession)
    }

    /// The record with its new state; nil if the state did not change. Call this once.
    mutating func merged() -> MergedRecord? {
        record.state.insert(further)
        record.state.supersede(superseded)
        guard record.state != before?.state ?? RecordState() else { return nil }
        return MergedRecord(before: before, record: record, arrived: count == 1 ? first : nil)
    }
}
