import DeltaLog
import Gossip
import Replica
import Synchronization

/// Stores peers' deltas on the replica's writer queue: one transaction at a time, in which organizations take turns.
///
/// Isolation: any task may call ``store(_:_:)``. Outcomes go to the engine as inputs.
final class DeltaStoring: Sendable {
    private let replica: Replica
    private let driver: EngineDriver
    private let counters: NodeCounters
    private let stop: NodeStop
    private let lanes = Mutex(StoringLanes())

    /// The longest time of a transaction. It bounds the wait of a local edit; transactions of a catch-up usually end
    /// sooner.
    private static let patience = Duration.milliseconds(250)

    init(replica: Replica, driver: EngineDriver, counters: NodeCounters, stop: NodeStop) {
        self.replica = replica
        self.driver = driver
        self.counters = counters
        self.stop = stop
    }

    /// Queues deltas of one organization. The engine gets an input with `token` after all of them are stored or refused.
    func store(_ token: UInt64, _ deltas: [VerifiedDelta]) {
        if lanes.withLock({ $0.add(token, deltas) }) { storeNext() }
    }

    /// Stores one transaction of the waiting deltas, and queues itself again if more wait: other writes run in between.
    private func storeNext() {
        replica.enqueueOnWriter { [self] in
            let batches = lanes.withLock { $0.next() }
            do {
                let applied = try replica.awaitingLock {
                    try replica.applyNow(batches.flatMap(\.rest), patience: Self.patience)
                }
                counters.count { counters in
                    for case .applied in applied.outcomes { counters.deltasApplied += 1 }
                }
                let (done, hasMore) = lanes.withLock {
                    $0.stored(batches, applied.outcomes.map(StoreOutcome.init), microseconds: applied.microseconds)
                }
                let summary = StoredSummary(digest: applied.totals.digest, records: applied.totals.records)
                for batch in done {
                    driver.feed(
                        .stored(token: batch.token, batch.outcomes, summary: summary, excess: batch.excess)
                    )
                }
                if hasMore { storeNext() }
            } catch {
                stop.failUnlessStopping(error)
            }
        }
    }
}

extension StoreOutcome {
    fileprivate init(_ outcome: DeltaApplier<SystemCryptography>.Outcome) {
        switch outcome {
        case .applied: self = .applied
        case .duplicate, .gap: self = .skipped
        case .refused(let refusal): self = .refused(refusal)
        }
    }
}
