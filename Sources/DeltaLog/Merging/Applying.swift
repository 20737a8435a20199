package import Catalog

/// A record's row: what merging needs to know of it.
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

/// A citation that waits for its operation.
package struct WaitingCitation: Hashable, Sendable {
    package let record: RecordID
    package let supersession: Supersession

    package init(record: RecordID, supersession: Supersession) {
        self.record = record
        self.supersession = supersession
    }
}

/// A change of an organization's totals.
package struct TotalsChange: Hashable, Sendable {
    /// Canonical hashes that left the digest and that entered it.
    package var digest = CatalogDigest()
    /// Records shown, more or fewer.
    package var shown = 0
    package init() {}

    /// Takes in another change.
    package mutating func add(_ other: TotalsChange) {
        digest.add(other.digest)
        shown += other.shown
    }
}

/// What a delta has made of a record.
package struct MergedRecord: Sendable {
    /// The value of ``DeltaStorage/record(_:)`` before.
    package let before: StoredRecord?
    /// Its state is another one than before.
    package let record: StoredRecord
    /// The index in the delta of the operation that counts for the record; nil where several do.
    package let arrived: Int?

    package init(before: StoredRecord?, record: StoredRecord, arrived: Int?) {
        self.before = before
        self.record = record
        self.arrived = arrived
    }

    /// What it changes in the totals of the record's owner. Linear in the live writes.
    package func totals(hasher: some CatalogHasher) -> TotalsChange {
        var change = TotalsChange()
        change.digest.subtract(before?.state.canonicalHash(of: record.id, hasher: hasher))
        change.digest.add(record.state.canonicalHash(of: record.id, hasher: hasher))
        change.shown = (record.state.isShown ? 1 : 0) - (before?.state.isShown == true ? 1 : 0)
        return change
    }
}

/// What a node keeps: deltas as they came, and what is derived from them. The database implements it, and so does
/// memory; one conformance suite holds both.
///
/// What is derived is a function of the set of deltas held, never of the order in which they came. All calls belong to one
/// transaction, which the implementation's owner begins and ends.
package protocol DeltaStorage {
    /// The last delta held of a log, which means: stored and merged, or being merged.
    func head(of log: LogID) throws -> Head?
    /// Stores a delta that continues its log, and makes it the log's head. Returns the location of its first
    /// operation; the others follow one by one.
    mutating func append(_ delta: VerifiedDelta) throws -> Int64
    /// The path's number in this storage, given now if it had none.
    mutating func number(of field: FieldPath) throws -> FieldNumber
    func record(_ id: RecordID) throws -> StoredRecord?
    /// Stores a record's new state, with its entries in whatever is derived from it, and changes the totals of its owner.
    /// Called once a record for each delta.
    ///
    /// - Parameter hasher: Gives the canonical hashes, of which the digest is the sum.
    mutating func save(_ change: MergedRecord, hasher: some CatalogHasher) throws
    /// Notes that an operation does not count.
    ///
    /// - Parameter standing: Not ``Standing/counts``.
    mutating func exclude(_ dot: Dot, record: RecordID, as standing: Standing) throws
    mutating func addWaiting(_ citation: WaitingCitation) throws
    /// True if citations wait for operations of one delta.
    func hasWaiting(log: LogID, sequence: UInt64) throws -> Bool
    /// Takes out the citations that wait for operations of one delta. Returns those that are wanted, by the operation's
    /// index; the others are dropped one by one, since peers choose how many there are.
    mutating func takeWaiting(
        log: LogID,
        sequence: UInt64,
        where isWanted: (WaitingCitation) -> Bool
    ) throws -> [UInt32: [WaitingCitation]]

    // MARK: Bounds

    /// The sequence up to which a log counts; nil for a log without a bound. Deltas beyond it are kept, and leave no trace
    /// in what is derived.
    func bound(of log: LogID) throws -> UInt64?
    /// Notes a log's bound, and changes nothing that is derived: ``DeltaApplier/relimit(_:to:operationsMax:in:)`` does.
    mutating func setBound(_ bound: UInt64?, of log: LogID) throws
    /// The number of operations that deriving a record again reads, about; 0 for a record that is not held.
    func operationCount(about record: RecordID) throws -> Int
    /// All operations of a log's deltas in a range of sequences that are held, in any order.
    func operations(
        of log: LogID,
        _ range: ClosedRange<UInt64>,
        hasher: some CatalogHasher
    ) throws -> [StoredOperation]
    /// The operations that count for a record within the bounds of their logs, in any order, without those of a log in a
    /// range of sequences.
    func operations(
        about record: RecordID,
        without range: ClosedRange<UInt64>,
        of log: LogID,
        hasher: some CatalogHasher
    ) throws -> [StoredOperation]
    /// Takes back what ``exclude(_:record:as:)`` noted.
    mutating func removeExclusion(_ dot: Dot) throws
    /// Gives a record a state that was derived from all its operations. Changes everything that is derived from them, with
    /// the totals of its owner; removes all of the record where there are no operations.
    ///
    /// - Parameters:
    ///   - operations: All that count for the record now.
    ///   - waiting: All its citations that wait now. Those that waited before are dropped.
    mutating func replace(
        _ change: MergedRecord,
        operations: [StoredOperation],
        waiting: [WaitingCitation],
        hasher: some CatalogHasher
    ) throws
}

/// Merging a delta into a storage: a pure function of the delta and what is stored.
package struct DeltaApplier<Hasher: CatalogHasher>: Sendable {
    package let alliance: AllianceID
    package let hasher: Hasher
    package let authority: any Authority

    /// - Parameter authority: Judges every operation within its log's bound. All nodes must use the same.
    package init(alliance: AllianceID, hasher: Hasher, authority: any Authority = OwnerAuthority()) {
        self.alliance = alliance
        self.hasher = hasher
        self.authority = authority
    }

    /// What became of a delta.
    package enum Outcome: Hashable, Sendable {
        /// Stored and merged; how many records' state changed.
        case applied(records: Int)
        /// Held already.
        case duplicate
        /// It does not continue its log here: deltas before it are missing.
        case gap
        case refused(DeltaRefusal)
    }

    /// Stores a delta that continues its log, and merges it. Whether its author is enrolled with the organization that
    /// its header names is for the caller to judge before.
    ///
    /// - Complexity: Linear in operations, citations and the live operations of the records that they are about.
    package func apply(
        _ delta: VerifiedDelta,
        to storage: inout some DeltaStorage
    ) throws -> Outcome {
        let head = try storage.head(of: delta.log)
        // A sequence is below 2^63, unless the storage is damaged.
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

    /// Merges a delta that is stored already; rebuilding calls this for every one. Deltas of one log come in their
    /// order; among logs any order gives the same. A delta beyond its log's bound changes nothing but that nothing waits
    /// for it any longer.
    ///
    /// While it rebuilds, a storage must answer ``DeltaStorage/head(of:)`` with what has been merged so far, not with
    /// all that it stores: a citation of what is yet to be merged has to wait for it.
    package func merge(
        _ delta: VerifiedDelta,
        at location: Int64,
        into storage: inout some DeltaStorage
    ) throws -> Int {
        let organization = delta.header.organization
        if let bound = try storage.bound(of: delta.log), delta.header.sequence > bound {
            // Whatever cites it is read again when the bound rises.
            if try storage.hasWaiting(log: delta.log, sequence: delta.header.sequence) {
                _ = try storage.takeWaiting(log: delta.log, sequence: delta.header.sequence) { _ in false }
            }
            return 0
        }
        let waiting = try takeWaiting(for: delta, from: &storage)
        var touched: [Touched] = []
        touched.reserveCapacity(delta.operations.count)
        var places: [RecordID: Int] = Dictionary(minimumCapacity: delta.operations.count)
        var plain = PlainWrites()
        for (index, operation) in delta.operations.enumerated() {
            let id = operation.record
            let dot = delta.dot(index)
            let standing = authority.standing(of: dot, operation.envelope, by: organization)
            guard standing == .counts else {
                try storage.exclude(dot, record: id, as: standing)
                continue
            }
            let place: Int
            if let known = places[id] {
                place = known
            } else {
                let before = try storage.record(id)
                let record =
                    before
                    ?? StoredRecord(id: id, owner: organization, key: operation.envelope.key, state: RecordState())
                place = touched.count
                places[id] = place
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
            touched[place].add(arrived, superseded, waiting: waiting[UInt32(index)] ?? [])
        }

        // Once a record, however many of the delta's operations are about it: hashing and saving cost as much as the
        // record has live writes, and a peer chooses both numbers.
        var changed = 0
        for index in touched.indices {
            guard let change = touched[index].merged() else { continue }
            try storage.save(change, hasher: hasher)
            changed += 1
        }
        return changed
    }

    /// The writes that an operation brings, and what it supersedes of operations that have come.
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
                    try storage.addWaiting(WaitingCitation(record: operation.record, supersession: supersession))
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

    /// True if the cited operation is one of this delta's or was merged before. While a delta is applied it is its log's
    /// head already. An operation's citation of itself hits nothing and waits for ever: its hash cannot be known before.
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

    /// The citations that wait for operations of a delta and hit writes of them. Of others peers may have sent any number.
    private func takeWaiting(
        for delta: VerifiedDelta,
        from storage: inout some DeltaStorage
    ) throws -> [UInt32: [WaitingCitation]] {
        guard try storage.hasWaiting(log: delta.log, sequence: delta.header.sequence) else { return [:] }
        // Of operations that count; others are not on any record.
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
        return try storage.takeWaiting(log: delta.log, sequence: delta.header.sequence) { waiting in
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

/// The live writes of the last operation that cites nothing: those of an import write the same, one after the other, and
/// share what their envelopes say of it.
private struct PlainWrites {
    private var writes: [Write] = []
    private var live = LiveWrites([])

    /// What those writes give, where it is known.
    func live(of writes: [Write]) -> LiveWrites? {
        !live.isEmpty && writes.isSameStorage(as: self.writes) ? live : nil
    }

    mutating func note(_ writes: [Write], live: LiveWrites) {
        guard !writes.isSameStorage(as: self.writes), writes.allSatisfy({ $0.supersedes.isEmpty }) else { return }
        self.writes = writes
        self.live = live
    }
}

/// A record that a delta is about. Not within the generic type: its metadata would be looked up for every record.
private struct Touched {
    let before: StoredRecord?
    var record: StoredRecord
    /// The index of the first of the delta's operations about it.
    let first: Int
    /// How many of the delta's operations are about it.
    var count = 0
    /// The operations behind the first. They lie side by side in the state, and are entered there at once.
    var further: [LiveOperation] = []
    /// Citations of operations that have come, in any order.
    var superseded: [Supersession] = []

    init(before: StoredRecord?, record: StoredRecord, first: Int) {
        self.before = before
        self.record = record
        self.first = first
    }

    mutating func add(_ operation: LiveOperation, _ superseded: [Supersession], waiting: [WaitingCitation]) {
        if count == 0 { record.state.insert(operation) } else { further.append(operation) }
        count += 1
        self.superseded += superseded
        self.superseded += waiting.map(\.supersession)
    }

    /// What it has come to; nil where nothing has changed. To be asked once.
    mutating func merged() -> MergedRecord? {
        record.state.insert(further)
        record.state.supersede(superseded)
        guard record.state != before?.state ?? RecordState() else { return nil }
        return MergedRecord(before: before, record: record, arrived: count == 1 ? first : nil)
    }
}
