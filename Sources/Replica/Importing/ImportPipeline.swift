import Catalog
import DeltaLog
import Dispatch
import Foundation
import Interchange
import Store
import Synchronization

/// Reads the rows of an import's second pass and plans them batch by batch. While some batches are written, the next
/// ones are read, planned, encoded and hashed.
struct ImportPipeline: Sendable {
    let replica: Replica
    let source: SourceBox
    let id: [UInt8]
    let isDryRun: Bool
    /// Thrown if a row is rejected that the first pass accepted.
    let changed: Failure

    /// The limits of one batch: rows, and bytes of rows.
    private static let rowsPerBatch = 1000
    private static let bytesPerBatch = 2 * 1024 * 1024
    /// The maximum number of batches planned ahead, and of batches written in one transaction. Larger numbers write
    /// fewer pages twice; each batch takes some 3 MiB of memory.
    static let batchesAhead = 4
    /// The maximum number of parts of a batch planned in parallel. Each part takes one of the snapshots, which searches
    /// need too, and its own deltas (of 250 rows at this maximum).
    private static let widthMax = 4

    /// Plans all rows until the consumer closes the stream. The next rows are read in parallel.
    func run(into batches: BoundedStream<ImportBatch>) async throws {
        // Storing occupies one processor. If nothing is stored, planning uses all processors.
        let processors = min(ProcessInfo.processInfo.activeProcessorCount, Self.widthMax + 1)
        var width = max(1, processors - 1)
        var rows = try await nextRows()
        while !rows.isEmpty {
            async let following = nextRows()
            let batch = try await planned(rows, width: width)
            width = batch.planned.parts.isEmpty ? min(processors, Self.widthMax) : max(1, processors - 1)
            try await batches.send(batch)
            rows = try await following
        }
    }

    private func nextRows() async throws -> [SourceRow] {
        try await replica.onReaders { [self] in
            var rows: [SourceRow] = []
            rows.reserveCapacity(Self.rowsPerBatch)
            var byteCount = 0
            while rows.count < Self.rowsPerBatch, byteCount < Self.bytesPerBatch, let event = try source.source.next() {
                guard case .row(let row) = event else { throw changed }
                byteCount += row.estimatedSize
                rows.append(row)
            }
            return rows
        }
    }

    /// Plans and encodes rows in `width` parallel parts. Each part has its own thread and snapshot; this is safe
    /// because rows are about different records.
    private func planned(_ rows: [SourceRow], width: Int) async throws -> ImportBatch {
        try await replica.onReaders { [self] in
            // Taken before the snapshots: a change between the two counts as a later one, so its rows are planned
            // again.
            let basis = replica.ownLog.basis(of: id)
            let planner = RowPlanner(replica: replica)
            let share = (rows.count + width - 1) / width
            let shares = stride(from: 0, to: rows.count, by: share).map { rows[$0..<min($0 + share, rows.count)] }
            let planned = Mutex<[Result<OwnLogWriter.Plan<ImportTally>, any Error>?]>(
                Array(repeating: nil, count: shares.count)
            )
            DispatchQueue.concurrentPerform(iterations: shares.count) { index in
                let result = Result {
                    let (drafts, tally) = try replica.snapshot { try planner.plan(shares[index], over: $0) }
                    return OwnLogWriter.Plan(
                        basis: basis,
                        parts: isDryRun ? [] : try replica.ownLog.encode(drafts, for: basis.log),
                        result: tally
                    )
                }
                planned.withLock { $0[index] = result }
            }
            let done = try planned.withLock { try $0.compactMap { try $0?.get() } }
            var tally = ImportTally()
            for plan in done { tally += plan.result }
            return ImportBatch(
                rows: rows,
                planned: OwnLogWriter.Plan(basis: basis, parts: done.flatMap(\.parts), result: tally)
            )
        }
    }
}

/// Carries a source between threads. Only one call at a time uses it: the pipeline requests rows only after the
/// previous ones have arrived, and the first pass ends before the second begins.
final class SourceBox: @unchecked Sendable {
    let source: any RecordSource
    init(_ source: any RecordSource) { self.source = source }
}

extension SourceRow {
    /// The approximate bytes of the row in memory and in a delta.
    fileprivate var estimatedSize: Int {
        fields.reduce(64 + localID.utf8.count) { size, field in
            switch field.input {
            case .absent: size + 16
            case .value(let value): size + 32 + value.estimatedSize
            case .elements(let elements): elements.reduce(size) { $0 + 32 + $1.estimatedSize }
            }
        }
    }
}
