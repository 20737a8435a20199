package import Catalog
package import DeltaLog

extension Store {
    /// The outcome of deltas that one transaction stored.
    package struct Applied<Hasher: CatalogHasher>: Sendable {
        /// For each delta that the transaction reached, in order.
        package let outcomes: [DeltaApplier<Hasher>.Outcome]
        /// The processor time of each, in microseconds.
        package let microseconds: [UInt64]
        /// The totals afterwards.
        package let totals: ReadTransaction.Totals
    }

    /// Stores and merges deltas in one durable transaction, in the order given.
    ///
    /// - Parameters:
    ///   - organization: The organization of a node by the roster. A delta whose header names another organization is
    ///     refused as one of an unknown author.
    ///   - patience: The time limit of the transaction. At least one delta is processed; those after the limit are left
    ///     out.
    package func applyBatch<Hasher>(
        _ deltas: [VerifiedDelta],
        organization: (NodeKey) -> OrganizationID?,
        applier: DeltaApplier<Hasher>,
        patience: Duration? = nil
    ) throws -> Applied<Hasher> {
        try write { transaction in
            var outcomes: [DeltaApplier<Hasher>.Outcome] = []
            var microseconds: [UInt64] = []
            let start = ContinuousClock.now
            for delta in deltas {
                if let patience, !outcomes.isEmpty, start.duration(to: .now) >= patience { break }
                let before = ProcessorTime.microseconds
                if organization(delta.log.author) == delta.header.organization {
                    outcomes.append(try transaction.apply(delta, applier: applier))
                } else {
                    outcomes.append(.refused(.unknownAuthor))
                }
                microseconds.append(ProcessorTime.microseconds - before)
            }
            return Applied(
                outcomes: outcomes,
                microseconds: microseconds,
                totals: try transaction.reading.totals()
            )
        }
    }
}
