package import Catalog
package import DeltaLog
import Governance
import Store

// Deltas of peers, and the bounds that follow from fork proofs.

extension Replica {
    /// Stores peers' deltas in one transaction. Call it on the writer's queue.
    ///
    /// - Parameter patience: The longest time of the transaction; at least one delta is taken.
    /// - Returns: The outcome of each delta taken, the processor time of each in microseconds, and the totals afterwards.
    package func applyNow(
        _ deltas: [VerifiedDelta],
        patience: Duration
    ) throws -> (
        outcomes: [DeltaApplier<SystemCryptography>.Outcome], microseconds: [UInt64], totals: StoredTotals
    ) {
        let roster = roster
        ownLog.observe(deltas)
        let applied = try writer.access { store in
            try store.applyBatch(
                deltas,
                organization: { roster.organization(of: $0) },
                applier: applier,
                patience: patience
            )
        }
        // Another node of this organization has written.
        if deltas.contains(where: { $0.header.organization == organization }) { ownLog.noteOtherChange() }
        return (applied.outcomes, applied.microseconds, StoredTotals(applied.totals))
    }

    /// A step that ``relimitNext(where:)`` took.
    package struct RelimitStep: Sendable {
        package let log: LogID
        /// True if the log has its bound now.
        package let isDone: Bool
        /// Totals after the step.
        package let totals: StoredTotals
        /// The time for which the step held the writer's queue.
        package let time: Duration
    }

    /// Takes a step towards the bounds that follow from fork proofs: a log counts up to the delta before its lowest proven
    /// fork.
    ///
    /// - Parameter isDue: False for logs that this step leaves unchanged.
    /// - Returns: Nil if every log that is due has its bound.
    /// - Throws: ``Failure``, with ``Reason/databaseLocked`` if another program holds a lock.
    package func relimitNext(where isDue: @escaping @Sendable (LogID) -> Bool) async throws -> RelimitStep? {
        let writer = writer
        return try await writer.run { [self] in
            let (forks, bounds) = (forks, try snapshot { try $0.bounds() })
            func limit(of log: LogID) -> UInt64? { forks[log].map { $0 - min($0, 1) } }
            // A bound without a proof: a crash lost the proof. Peers send it again.
            let log = Set(forks.keys).union(bounds.keys).sorted().first { bounds[$0] != limit(of: $0) && isDue($0) }
            guard let log else { return nil }
            let start = ContinuousClock.now
            let (isDone, totals) = try writer.access { try $0.relimitStep(log, to: limit(of: log), applier: applier) }
            // The step may have changed records of this organization.
            ownLog.noteOtherChange()
            return RelimitStep(
                log: log,
                isDone: isDone,
                totals: StoredTotals(totals),
                time: start.duration(to: .now)
            )
        }
    }
}
