package import Catalog
package import DeltaLog

extension Store {
    /// What came of deltas that were stored in one transaction.
    package struct Applied<Hasher: CatalogHasher>: Sendable {
        /// For each delta, in order, as far as the transaction went.
        package let outcomes: [DeltaApplier<Hasher>.Outcome]
        /// The processor's time that each took, in microseconds.
        package let microseconds: [UInt64]
        /// The totals afterwards.
        package let totals: ReadTransaction.Totals
    }

    /// Stores and merges deltas in one durable transaction, in the order given.
    ///
    /// - Parameters:
    ///   - organization: The organization of a node by the roster. A delta is refused as one of an unknown author unless
    ///     that is the one its header names.
    ///   - patience: How long the transaction may go on; at least one delta is stored, the others are left out.
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
