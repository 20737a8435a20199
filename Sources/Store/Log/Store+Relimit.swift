package import Catalog
package import DeltaLog

extension Store {
    /// Sets the bound of a log: the last sequence that counts. Derived data is then as if no delta beyond the bound had
    /// arrived. The deltas stay, and count again when the bound rises.
    ///
    /// The work runs in durable steps. All derived data always matches the bound on disk. So other writes may happen
    /// between two steps, and after a crash the next call continues with the next step. Idempotent.
    ///
    /// - Parameter bound: Nil for none.
    /// - Throws: ``StoreError``; `rebuilding` while a rebuild is unfinished.
    /// - Complexity: Linear in the operations between the two bounds, and in all operations of their records.
    package func relimit(_ log: LogID, to bound: UInt64?, applier: DeltaApplier<some CatalogHasher>) throws {
        while try !relimitStep(log, to: bound, applier: applier).isDone {}
    }

    /// The next step of ``relimit(_:to:applier:)``: one transaction.
    ///
    /// - Returns: True for `isDone` once the bound is reached; the totals after the step.
    package func relimitStep(
        _ log: LogID,
        to bound: UInt64?,
        applier: DeltaApplier<some CatalogHasher>
    ) throws -> (isDone: Bool, totals: ReadTransaction.Totals) {
        try write { transaction in
            let isDone = try applier.relimit(
                log,
                to: bound.map { min($0, UInt64(Int64.max)) },
                operationsMax: configuration.relimitOperations,
                readsMax: configuration.relimitReads,
                in: &transaction
            )
            return (isDone, try transaction.reading.totals())
        }
    }
}
