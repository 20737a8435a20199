package import Catalog
package import DeltaLog
import Gossip

/// A node's storage in a run. It holds numbers of the run's ``DeltaPool``, so a thousand nodes with a thousand records
/// each fit into memory. It is a value: a copy is a snapshot.
package struct VirtualDisk: DeltaStorage {
    /// The stored part of a log: the first `count` deltas of one of its branches.
    struct Held {
        var branch: Int32 = -1
        var count: Int32 = 0
    }

    /// The totals of an organization.
    struct Totals {
        var digest = CatalogDigest()
        var shown = 0
    }

    package let pool: DeltaPool
    /// By the log's number.
    private var held: [Held] = []
    /// The number of each record's state, by the record's number; -1 if the record never existed here.
    private var states: [Int32] = []
    private var totals: [Totals] = []
    private var danglingReferences = DanglingReferences()
    /// The operations that are excluded.
    package private(set) var excluded: [Dot: Standing] = [:]
    package private(set) var bounds: [LogID: UInt64] = [:]
    /// The digest over all organizations.
    package private(set) var digest = CatalogDigest()
    /// The number of visible records.
    package private(set) var visibleCount = 0
    /// The sum of the hashes of the last counting delta of each log; updated at each delta. It is equal if the same
    /// deltas count.
    package private(set) var frontierSum = MixHash()
    /// The number of stored deltas.
    package private(set) var deltaCount = 0
    /// The total size of the stored deltas in bytes.
    package private(set) var deltaBytes = 0
    /// A planted bug of the node's storage code.
    var plant: StoragePlant?

    package init(pool: DeltaPool) {
        self.pool = pool
    }

    // MARK: - Inspection

    package func head(of log: LogID) -> Head? {
        if let plant, plant.hides(log) { return nil }
        return lastIndex(of: log).map { pool.entries[Int($0)].delta.head }
    }

    private func lastIndex(of log: LogID) -> Int32? {
        guard let number = pool.knownNumber(of: log).map(Int.init), number < held.count, held[number].count > 0 else {
            return nil
        }
        return pool.delta(on: held[number].branch, sequence: Int(held[number].count))
    }

    /// The number of the stored delta of a log at a sequence; nil if there is none.
    package func index(of log: LogID, sequence: UInt64) -> Int32? {
        guard let number = pool.knownNumber(of: log).map(Int.init), number < held.count,
            (1...UInt64(Int32.max)).contains(sequence), sequence <= UInt64(held[number].count)
        else { return nil }
        return pool.delta(on: held[number].branch, sequence: Int(sequence))
    }

    /// True if the delta with this head is stored.
    package func holds(_ head: Head, of log: LogID) -> Bool {
        guard let index = index(of: log, sequence: head.sequence) else { return false }
        return pool.entries[Int(index)].delta.hash == head.hash
    }

    func holds(_ entry: FrontierEntry) -> Bool {
        guard let index = index(of: entry.log, sequence: entry.sequence) else { return false }
        return pool.entries[Int(index)].delta.hash.prefix == entry.prefix
    }

    /// True if the delta with this number is stored.
    package func holds(_ index: Int32) -> Bool {
        let delta = pool.entries[Int(index)].delta
        return self.index(of: delta.log, sequence: delta.header.sequence) == index
    }

    /// The number of stored deltas of each log, by the log's number.
    package var counts: [Int] { held.map { Int($0.count) } }

    package var frontier: Frontier {
        var heads: [LogID: Head] = [:]
        for (number, held) in held.enumerated() where held.count > 0 {
            let index = pool.delta(on: held.branch, sequence: Int(held.count))
            heads[pool.logs[number]] = pool.entries[Int(index)].delta.head
        }
        return Frontier(heads)
    }

    package func record(_ id: RecordID) -> StoredRecord? {
        guard let number = pool.knownNumber(of: id), number < states.count, states[number] >= 0 else { return nil }
        return pool.states[Int(states[number])]
    }

    /// All records that ever existed here, in the order of their numbers in the run.
    package var records: [StoredRecord] { states.compactMap { $0 < 0 ? nil : pool.states[Int($0)] } }

    /// The record with its values; nil if it never existed here.
    package func view(of id: RecordID) -> RecordView? {
        guard let record = record(id) else { return nil }
        return RecordView(
            id: id,
            owner: record.owner,
            key: record.key,
            state: record.state,
            path: { pool.fields.path(of: $0) ?? .tombstone },
            values: { pool.operation(at: $0.location).valuesByNumber }
        )
    }

    /// The organizations with their totals.
    package var totalsByOrganization: [(organization: OrganizationID, digest: CatalogDigest, shown: Int)] {
        totals.enumerated().map { (pool.organizations[$0.offset], $0.element.digest, $0.element.shown) }
    }

    /// The dangling references.
    package var waiting: [DanglingReference] {
        danglingReferences.byDot.values.flatMap { $0 }
    }

    // MARK: - Merging

    package mutating func append(_ delta: VerifiedDelta) -> Int64 {
        let index = pool.add(delta)
        let entry = pool.entries[Int(index)]
        let number = Int(entry.log)
        while held.count <= number { held.append(Held()) }
        let before = held[number]
        if let last = lastCounted(of: number) { frontierSum = frontierSum - Self.headHash(last) }
        held[number].branch = pool.branch(
            of: entry.log,
            continuing: before.count > 0 ? before.branch : nil,
            count: Int(before.count),
            with: index
        )
        held[number].count += 1
        if let last = lastCounted(of: number) { frontierSum = frontierSum + Self.headHash(last) }
        deltaCount += 1
        deltaBytes += delta.byteCount
        return entry.base
    }

    /// The last stored delta of a log within its bound.
    private func lastCounted(of number: Int) -> VerifiedDelta? {
        guard number < held.count else { return nil }
        let sequence = min(UInt64(held[number].count), bounds[pool.logs[number]] ?? .max)
        guard sequence > 0 else { return nil }
        return pool.entries[Int(pool.delta(on: held[number].branch, sequence: Int(sequence)))].delta
    }

    private static func headHash(_ delta: VerifiedDelta) -> MixHash {
        var hash = MixHash(seed: 5)
        hash.add(delta.hash.word0)
        hash.add(delta.hash.word1)
        hash.add(delta.header.sequence)
        return hash
    }

    package mutating func number(of field: FieldPath) -> FieldNumber { pool.number(of: field) }

    package mutating func save(_ change: MergedRecord, hasher: some CatalogHasher) {
        let number = pool.number(of: change.record.id)
        while states.count <= number { states.append(-1) }
        states[number] = pool.number(of: change.record)
        add(change.totals(hasher: hasher), of: change.record.owner)
    }

    package mutating func exclude(_ dot: Dot, record: RecordID, as standing: Standing) {
        excluded[dot] = standing
    }

    package mutating func removeExclusion(_ dot: Dot) { excluded[dot] = nil }

    package mutating func addDangling(_ citation: DanglingReference) {
        if plant?.losesCitation() == true { return }
        danglingReferences.add(citation)
    }

    package func hasDangling(log: LogID, sequence: UInt64) -> Bool { danglingReferences.has(log, sequence) }

    package mutating func takeDangling(
        log: LogID,
        sequence: UInt64,
        where isWanted: (DanglingReference) -> Bool
    ) -> [UInt32: [DanglingReference]] {
        danglingReferences.take(log, sequence).mapValues { $0.filter(isWanted) }
    }

    // MARK: - Bounds

    package func bound(of log: LogID) -> UInt64? { bounds[log] }

    package mutating func setBound(_ bound: UInt64?, of log: LogID) {
        let number = Int(pool.number(of: log))
        if let last = lastCounted(of: number) { frontierSum = frontierSum - Self.headHash(last) }
        bounds[log] = bound
        if let last = lastCounted(of: number) { frontierSum = frontierSum + Self.headHash(last) }
    }

    package func operationCount(about record: RecordID) -> Int { self.record(record)?.state.operations.count ?? 0 }

    package func operations(
        of log: LogID,
        _ range: ClosedRange<UInt64>,
        hasher: some CatalogHasher
    ) -> [StoredOperation] {
        range.flatMap { stored(of: log, sequence: $0) { _ in true } }
    }

    package func operations(
        about record: RecordID,
        without range: ClosedRange<UInt64>,
        of log: LogID,
        hasher: some CatalogHasher
    ) -> [StoredOperation] {
        held.enumerated().flatMap { number, held in
            let other = pool.logs[number]
            let count = min(UInt64(max(0, held.count)), bounds[other] ?? .max)
            return (0..<count).map { $0 + 1 }.filter { other != log || !range.contains($0) }.flatMap { sequence in
                stored(of: other, sequence: sequence) { $0.record == record }.filter { excluded[$0.dot] == nil }
            }
        }
    }

    private func stored(
        of log: LogID,
        sequence: UInt64,
        where isWanted: (VerifiedOperation) -> Bool
    ) -> [StoredOperation] {
        guard let index = index(of: log, sequence: sequence) else { return [] }
        let entry = pool.entries[Int(index)]
        return entry.delta.operations.indices.filter { isWanted(entry.delta.operations[$0]) }.map { index in
            entry.delta.stored(index, at: entry.base)
        }
    }

    package mutating func replace(
        _ change: MergedRecord,
        operations: [StoredOperation],
        waiting: [DanglingReference],
        hasher: some CatalogHasher
    ) {
        let change = plant?.forgettingRevival(change) ?? change
        danglingReferences.removeAll(of: change.record.id)
        for citation in waiting { danglingReferences.add(citation) }
        let number = pool.number(of: change.record.id)
        while states.count <= number { states.append(-1) }
        states[number] = operations.isEmpty ? -1 : pool.number(of: change.record)
        add(change.totals(hasher: hasher), of: change.record.owner)
    }

    private mutating func add(_ change: TotalsChange, of organization: OrganizationID) {
        let number = pool.number(of: organization)
        while totals.count <= number { totals.append(Totals()) }
        totals[number].digest.add(change.digest.sum)
        totals[number].shown += change.shown
        digest.add(change.digest.sum)
        visibleCount += change.shown
    }
}
