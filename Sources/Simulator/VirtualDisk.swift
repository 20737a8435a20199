package import Catalog
package import DeltaLog
import Gossip

/// A node's storage in a run: numbers into the run's ``DeltaPool``, so that a thousand nodes with a thousand records each
/// fit into memory. A value: a copy is a snapshot.
package struct VirtualDisk: DeltaStorage {
    /// What is held of a log: the first so many deltas of one of its branches.
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
    /// The number of the state of each record, by the record's number; -1 where it never was.
    private var states: [Int32] = []
    private var totals: [Totals] = []
    private var waitingCitations = WaitingCitations()
    /// The operations that do not count.
    package private(set) var excluded: [Dot: Standing] = [:]
    package private(set) var bounds: [LogID: UInt64] = [:]
    /// The digest over all organizations.
    package private(set) var digest = CatalogDigest()
    /// Records shown.
    package private(set) var shownCount = 0
    /// The sum of the hashes of the last deltas that count, one of each log: equal where the same deltas count, and kept up
    /// to date at each delta.
    package private(set) var frontierSum = MixHash()
    /// Deltas held.
    package private(set) var deltaCount = 0
    /// The bytes of the deltas held.
    package private(set) var deltaBytes = 0
    /// A fault of the code of a node that is to be found.
    var plant: StoragePlant?

    package init(pool: DeltaPool) {
        self.pool = pool
    }

    // MARK: - Looking

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

    /// The number of the delta held of a log at a sequence; nil where none is.
    package func index(of log: LogID, sequence: UInt64) -> Int32? {
        guard let number = pool.knownNumber(of: log).map(Int.init), number < held.count,
            (1...UInt64(Int32.max)).contains(sequence), sequence <= UInt64(held[number].count)
        else { return nil }
        return pool.delta(on: held[number].branch, sequence: Int(sequence))
    }

    /// True if the delta with that head is held.
    package func holds(_ head: Head, of log: LogID) -> Bool {
        guard let index = index(of: log, sequence: head.sequence) else { return false }
        return pool.entries[Int(index)].delta.hash == head.hash
    }

    func holds(_ entry: FrontierEntry) -> Bool {
        guard let index = index(of: entry.log, sequence: entry.sequence) else { return false }
        return pool.entries[Int(index)].delta.hash.prefix == entry.prefix
    }

    /// True if the delta with that number is held.
    package func holds(_ index: Int32) -> Bool {
        let delta = pool.entries[Int(index)].delta
        return self.index(of: delta.log, sequence: delta.header.sequence) == index
    }

    /// How many deltas are held of each log, by the log's number.
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

    /// All records that ever were, in the order in which the run met them.
    package var records: [StoredRecord] { states.compactMap { $0 < 0 ? nil : pool.states[Int($0)] } }

    /// The record with its values; nil where it never was.
    package func view(of id: RecordID) -> RecordView? {
        guard let record = record(id) else { return nil }
        return RecordView(
            id: id,
            owner: record.owner,
            key: record.key,
            state: record.state,
            path: { pool.fields.path(of: $0) ?? .mark },
            values: { pool.operation(at: $0.location).valuesByNumber }
        )
    }

    /// The organizations with their totals.
    package var totalsByOrganization: [(organization: OrganizationID, digest: CatalogDigest, shown: Int)] {
        totals.enumerated().map { (pool.organizations[$0.offset], $0.element.digest, $0.element.shown) }
    }

    /// The citations that wait.
    package var waiting: [WaitingCitation] {
        waitingCitations.byDot.values.flatMap { $0 }
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

    /// The last delta held of a log that lies within its bound.
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

    package mutating func addWaiting(_ citation: WaitingCitation) {
        if plant?.losesCitation() == true { return }
        waitingCitations.add(citation)
    }

    package func hasWaiting(log: LogID, sequence: UInt64) -> Bool { waitingCitations.has(log, sequence) }

    package mutating func takeWaiting(
        log: LogID,
        sequence: UInt64,
        where isWanted: (WaitingCitation) -> Bool
    ) -> [UInt32: [WaitingCitation]] {
        waitingCitations.take(log, sequence).mapValues { $0.filter(isWanted) }
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
        waiting: [WaitingCitation],
        hasher: some CatalogHasher
    ) {
        let change = plant?.forgettingRevival(change) ?? change
        waitingCitations.removeAll(of: change.record.id)
        for citation in waiting { waitingCitations.add(citation) }
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
        shownCount += change.shown
    }
}
