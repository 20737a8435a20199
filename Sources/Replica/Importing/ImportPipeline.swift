import Catalog
import DeltaLog
import Dispatch
import Foundation
import Interchange
import Store
import Synchronization

/// Reads the rows of an import's second pass and plans them batch by batch. While some batches are written the next ones are
/// read, planned, encoded and hashed.
struct ImportPipeline: Sendable {
    let replica: Replica
    let source: SourceBox
    let id: [UInt8]
    let isDryRun: Bool
    /// Thrown where a row is rejected that was accepted in the first pass.
    let changed: Failure

    /// Rows planned at a time, and the bytes of rows at which that ends earlier.
    private static let rowsPerBatch = 1000
    private static let bytesPerBatch = 2 * 1024 * 1024
    /// Batches planned before the first of them is written, and batches written in one transaction. The more, the fewer
    /// pages are written twice; each takes some 3 MiB of memory.
    static let batchesAhead = 4
    /// Parts of a batch that are planned at once at most: each has a snapshot, of which searches need some, and its own deltas,
    /// of 250 rows then.
    private static let widthMax = 4

    /// Plans all rows until the consumer closes the stream. Meanwhile the next rows are read.
    func run(into batches: BoundedStream<ImportBatch>) async throws {
        // Storing takes a processor of its own; where nothing is to be stored, all are for planning.
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

    /// Plans and encodes rows: `width` parts of them at once, each on a thread of its own over a snapshot of its own, since
    /// they are about different records.
    private func planned(_ rows: [SourceRow], width: Int) async throws -> ImportBatch {
        try await replica.onReaders { [self] in
            // Before the snapshots: what changes between the two is taken for later.
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

/// A source on its way between threads. One call at a time uses it: the next rows are asked for only when those before have
/// come, and the first pass has ended before the second begins.
final class SourceBox: @unchecked Sendable {
    let source: any RecordSource
    init(_ source: any RecordSource) { self.source = source }
}

extension SourceRow {
    /// About as many bytes as it takes in memory and in a delta.
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
