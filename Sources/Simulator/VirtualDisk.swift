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
    package private(set) var aside: [Dot: SetAside] = [:]
    /// The digest over all organizations.
    package private(set) var digest = CatalogDigest()
    /// Records shown.
    package private(set) var shownCount = 0
    /// The sum of the hashes of all heads: equal for equal frontiers, and kept up to date at each delta.
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
        if before.count > 0 {
            let last = pool.delta(on: before.branch, sequence: Int(before.count))
            frontierSum = frontierSum - Self.headHash(pool.entries[Int(last)].delta)
        }
        held[number].branch = pool.branch(
            of: entry.log,
            continuing: before.count > 0 ? before.branch : nil,
            count: Int(before.count),
            with: index
        )
        held[number].count += 1
        frontierSum = frontierSum + Self.headHash(delta)
        deltaCount += 1
        deltaBytes += delta.byteCount
        return entry.base
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

    package mutating func setAside(_ dot: Dot, record: RecordID, why: SetAside) {
        aside[dot] = why
    }

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

    private mutating func add(_ change: TotalsChange, of organization: OrganizationID) {
        let number = pool.number(of: organization)
        while totals.count <= number { totals.append(Totals()) }
        totals[number].digest.add(change.digest.sum)
        totals[number].shown += change.shown
        digest.add(change.digest.sum)
        shownCount += change.shown
    }
}
