import Catalog
import DeltaLog
import Gossip

// The writer of a node whose work takes time. As in a node, it executes one transaction at a time in the order of
// requests. Peers' deltas wait in one lane per organization, and the lanes take turns. Waiting statements and
// announcements are written together.

/// The queue of a disk's writer.
struct Writer {
    /// A change, all waiting statements and announcements, or the next transaction of peers' deltas.
    enum Job {
        case change(Transaction)
        case signed
        case peersDeltas
    }

    /// Deltas that the engine asks to store together.
    struct Batch {
        let token: UInt64
        let deltas: [VerifiedDelta]
        let link: LinkID
    }

    private var jobs = Fifo<Job>()
    private var lanes: [OrganizationID: Fifo<Batch>] = [:]
    /// The lanes in the order of their turns; each has at least one batch.
    private var turns = Fifo<OrganizationID>()
    private var isStoring = false
    private var signed: [Transaction] = []
    /// The contents of the transaction in progress.
    private(set) var underway: [Transaction] = []
    /// The batches of peers' deltas in the transaction in progress.
    private(set) var batches: [Batch] = []
    /// True while a transaction is in progress.
    private(set) var isWorking = false

    mutating func append(_ transaction: Transaction) {
        switch transaction {
        case .store(let token, let deltas, let link):
            guard let organization = deltas.first?.header.organization else { return }
            if lanes[organization] == nil { turns.append(organization) }
            lanes[organization, default: Fifo()].append(Batch(token: token, deltas: deltas, link: link))
            if !isStoring { jobs.append(.peersDeltas) }
            isStoring = true
        case .statement, .announcement:
            if signed.isEmpty { jobs.append(.signed) }
            signed.append(transaction)
        case .write, .change: jobs.append(.change(transaction))
        }
    }

    /// Begins the next transaction; false if none waits or one is in progress.
    mutating func begin(cost: (Batch) -> UInt64) -> Bool {
        guard !isWorking, let job = jobs.popFirst() else { return false }
        isWorking = true
        switch job {
        case .change(let transaction): underway = [transaction]
        case .signed: (underway, signed) = (signed, [])
        case .peersDeltas: takeBatches(cost: cost)
        }
        return true
    }

    private mutating func takeBatches(cost: (Batch) -> UInt64) {
        var time: UInt64 = 0
        while let organization = turns.first, var lane = lanes[organization], let batch = lane.first {
            time += cost(batch)
            if !batches.isEmpty, time > Self.patience { break }
            batches.append(batch)
            _ = lane.popFirst()
            _ = turns.popFirst()
            lanes[organization] = lane.isEmpty ? nil : lane
            if !lane.isEmpty { turns.append(organization) }
        }
    }

    /// Ends the transaction in progress.
    mutating func end() {
        if !batches.isEmpty {
            isStoring = !turns.isEmpty
            if isStoring { jobs.append(.peersDeltas) }
        }
        (isWorking, underway, batches) = (false, [], [])
    }

    /// The maximum duration of a transaction of peers' deltas, in nanoseconds; its first batch may exceed it.
    private static let patience: UInt64 = 250_000_000
}

extension Simulation {
    /// Queues a transaction, which is written in its turn.
    func beginInTurn(_ transaction: Transaction, at nodeIndex: Int) {
        nodes[nodeIndex].writer.append(transaction)
        beginNext(at: nodeIndex)
    }

    private func beginNext(at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard let costs = settings.costs,
            node.writer.begin(cost: { storingCost(of: $0.deltas, at: node, costs) })
        else { return }
        let range = node.storingMilliseconds ?? settings.storingMilliseconds
        var time = UInt64.random(in: range.lowerBound * 1_000_000...range.upperBound * 1_000_000, using: &diskRandom)
        for batch in node.writer.batches { time += storingCost(of: batch.deltas, at: node, costs) }
        schedule(after: time, .transaction(node: nodeIndex, epoch: node.epoch))
    }

    /// Ends the transaction in progress, and reports its result to the engine.
    func endTransaction(at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        let (transactions, batches) = (node.writer.underway, node.writer.batches)
        node.writer.end()
        for transaction in transactions {
            if let input = commit(transaction, at: nodeIndex) { answer(input, at: nodeIndex) }
        }
        for batch in batches {
            let excess = excess(of: batch, at: node)
            guard
                case .stored(let token, let outcomes, let summary, _)? = commit(
                    .store(token: batch.token, batch.deltas, from: batch.link),
                    at: nodeIndex
                )
            else { continue }
            answer(.stored(token: token, outcomes, summary: summary, excess: excess), at: nodeIndex)
        }
        beginNext(at: nodeIndex)
    }

    /// The microseconds that these deltas take beyond the usual time of such deltas.
    private func excess(of batch: Writer.Batch, at node: VirtualNode) -> UInt64 {
        guard let costs = settings.costs else { return 0 }
        return batch.deltas.reduce(0) { sum, delta in
            let time = storingCost(of: [delta], at: node, costs) / 1_000
            let usual = 1_000 + 100 * UInt64(delta.operations.count) + UInt64(delta.byteCount) / 10
            return sum + (time > usual ? time - usual : 0)
        }
    }

    /// Discards the writer of a stopping node. The transaction in progress is either complete or absent; the rest is
    /// lost.
    func abandonWriter(at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard settings.costs != nil else { return }
        if node.writer.isWorking, Bool.random(using: &faultRandom) {
            for batch in node.writer.batches {
                _ = commit(.store(token: batch.token, batch.deltas, from: batch.link), at: nodeIndex)
            }
            // A change without a reported result may be present or absent; here it is absent.
            for transaction in node.writer.underway {
                if case .change = transaction { continue }
                _ = commit(transaction, at: nodeIndex)
            }
        }
        node.writer = Writer()
    }
}
