import Catalog
import DeltaLog
import Gossip

/// Peers' deltas that wait to be stored, in a lane for each organization. The lanes take turns, so no organization waits
/// for the cost of another. Each lane keeps its order.
struct StoringLanes {
    /// Deltas that the engine wants to store together.
    struct Batch {
        let token: UInt64
        let deltas: [VerifiedDelta]
        /// The outcomes of the first deltas.
        var outcomes: [StoreOutcome] = []
        /// Microseconds of a processor beyond the usual time of such deltas.
        var excess: UInt64 = 0

        /// The deltas that are not stored yet.
        var rest: ArraySlice<VerifiedDelta> { deltas.dropFirst(outcomes.count) }
    }

    /// Operations stored in one transaction, unless a single batch has more. A transaction of few operations costs several
    /// times as much for each. 4,096 operations are some 2 MiB of deltas, half of the bytes that a peer may have in flight.
    /// The node checks the other half meanwhile.
    private static let operationsMax = 4096

    private var lanes: [OrganizationID: [Batch]] = [:]
    /// The lanes in the order of their turns; none is empty.
    private var turns: [OrganizationID] = []
    /// True from the first batch until ``stored(_:_:microseconds:)`` reports that nothing is left.
    private var isStoring = false

    /// Adds a batch. All its deltas are of one organization.
    ///
    /// - Returns: True if the caller must begin to store.
    mutating func add(_ token: UInt64, _ deltas: [VerifiedDelta]) -> Bool {
        guard let organization = deltas.first?.header.organization else { return false }
        if lanes[organization] == nil { turns.append(organization) }
        lanes[organization, default: []].append(Batch(token: token, deltas: deltas))
        defer { isStoring = true }
        return !isStoring
    }

    /// Takes the batches of the next transaction: the first one of each lane in turn.
    mutating func next() -> [Batch] {
        var taken: [Batch] = []
        var operations = 0
        while let organization = turns.first, var lane = lanes[organization] {
            let batch = lane.removeFirst()
            let size = batch.rest.reduce(0) { $0 + $1.operations.count }
            if !taken.isEmpty, operations + size > Self.operationsMax { break }
            operations += size
            taken.append(batch)
            turns.removeFirst()
            lanes[organization] = lane.isEmpty ? nil : lane
            if !lane.isEmpty { turns.append(organization) }
        }
        return taken
    }

    /// Notes the outcomes of the first deltas of the batches taken. The deltas that were not stored return to the front of
    /// their lanes.
    ///
    /// - Returns: The finished batches, in their order, and whether deltas are left.
    mutating func stored(
        _ batches: [Batch],
        _ outcomes: [StoreOutcome],
        microseconds: [UInt64]
    ) -> (done: [Batch], hasMore: Bool) {
        var results = zip(outcomes, microseconds).makeIterator()
        var done: [Batch] = []
        var left: [Batch] = []
        for var batch in batches {
            for delta in batch.rest {
                guard let (outcome, time) = results.next() else { break }
                batch.outcomes.append(outcome)
                let usual = Self.usualMicroseconds(of: delta)
                batch.excess += time > usual ? time - usual : 0
            }
            if batch.rest.isEmpty { done.append(batch) } else { left.append(batch) }
        }
        for batch in left.reversed() {
            guard let organization = batch.deltas.first?.header.organization else { continue }
            if lanes[organization] == nil { turns.append(organization) }
            lanes[organization, default: []].insert(batch, at: 0)
        }
        isStoring = !turns.isEmpty
        return (done, isStoring)
    }

    /// The time of storing a delta that is free of charge: a few times the measured time of an import's deltas and of
    /// single edits.
    private static func usualMicroseconds(of delta: VerifiedDelta) -> UInt64 {
        1_000 + 100 * UInt64(delta.operations.count) + UInt64(delta.byteCount) / 10
    }
}
