import Catalog
import DeltaLog
import Governance
import Interchange
import Store

/// Rows that are written together, and the plan of their deltas.
struct ImportBatch: Sendable {
    /// Kept to plan them again if their records change meanwhile.
    let rows: [SourceRow]
    let planned: OwnLogWriter.Plan<ImportTally>
}

/// Writes the batches of one import. Each transaction is atomic, and marks its deltas with the import's id and part
/// numbers. To resume an import that ended early, run it again: the rows already written are then unchanged.
struct ImportJournal {
    private let replica: Replica
    private let planner: RowPlanner
    /// The source's hash.
    private let fingerprint: Hash256
    /// The import's id.
    let id: [UInt8]
    /// The number of the next delta.
    private var part: UInt32 = 1

    /// Begins an import with a random id. End it with ``end()``.
    init(_ replica: Replica, fingerprint: Hash256) throws {
        self.replica = replica
        planner = RowPlanner(replica: replica)
        self.fingerprint = fingerprint
        id = try SystemRandom.bytes(count: 16)
    }

    /// True if anything was written.
    var hasWritten: Bool { part > 1 }

    /// Writes batches in one transaction. When this returns, they are on disk.
    ///
    /// - Returns: The tally of their rows.
    mutating func write(_ batches: [ImportBatch]) async throws -> ImportTally {
        var tally = ImportTally()
        let writing = batches.filter { !$0.planned.parts.isEmpty }
        for batch in batches where batch.planned.parts.isEmpty { tally += batch.planned.result }
        guard !writing.isEmpty else { return tally }
        let (deltas, results) = try await replica.ownLog.commit(
            importMark: ImportMark(id: id, fileHash: fingerprint, part: part),
            plans: writing.map(\.planned)
        ) { [planner, replica] index, transaction, log in
            let (drafts, tally) = try planner.plan(writing[index].rows[...], over: transaction.reading)
            return (try replica.ownLog.encode(drafts, for: log), tally)
        }
        part += UInt32(deltas.count)
        for result in results { tally += result }
        return tally
    }

    /// Ends the import.
    func end() { replica.ownLog.endImport(id) }
}
