import Catalog
package import DeltaLog

/// The position of a rebuild, kept in `meta` by the transactions of the rebuild itself.
enum RebuildMark {
    private static let key = "rebuilding"

    /// The position of the last delta that the rebuild has merged, 0 before the first; nil if no rebuild is unfinished.
    static func read(_ session: Session) throws -> Int64? {
        try session("SELECT value FROM meta WHERE key = ?").bind(1, text: key)
            .first { $0.bytes(0).reduce(Int64(0)) { $0 << 8 | Int64($1) } }
    }

    static func write(_ position: Int64?, _ session: Session) throws {
        guard let position else {
            try session("DELETE FROM meta WHERE key = ?").bind(1, text: key).run()
            return
        }
        try session("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)").bind(1, text: key)
            .bind(2, withUnsafeBytes(of: position.bigEndian) { Array($0) }).run()
    }
}

extension Store {
    /// The progress of work that reads the whole log.
    package struct Progress: Hashable, Sendable {
        /// Operations done, and the number of all operations.
        package let done: Int
        package let total: Int
    }

    /// True if a rebuild was begun and not finished; then only ``rebuild(applier:progress:)`` may write.
    package func isRebuilding() throws -> Bool {
        try read { try RebuildMark.read($0.session) != nil }
    }

    /// Rebuilds everything derived from the log: records, search index, digests, counts, dangling references and
    /// excluded operations.
    ///
    /// The rebuild runs in durable steps; after a crash, the next call continues with the next step. Until it is done,
    /// reads see the part rebuilt so far, and other writes are refused with `rebuilding`.
    ///
    /// Stored deltas were accepted before, so the rebuild consults no roster.
    ///
    /// - Parameters:
    ///   - applier: Its hasher also checks the signatures of the stored deltas.
    ///   - progress: Called after each step.
    /// - Throws: ``StoreError``; `corrupt` if the log itself is damaged, which no rebuild can repair.
    package func rebuild(
        applier: DeltaApplier<some Cryptography>,
        progress: (Progress) -> Void = { _ in }
    ) throws {
        let isBegun = try write(whileRebuilding: true) { transaction in
            let session = transaction.session
            guard try RebuildMark.read(session) == nil else { return true }
            for table in DatabaseSchema.catalog { try table.empty(session) }
            try transaction.restartProjections()
            try RebuildMark.write(0, session)
            return false
        }
        if !isBegun { forgetCaches() }
        let (position, total) = try read {
            (
                try RebuildMark.read($0.session) ?? 0,
                try $0.session("SELECT max(id) FROM operation").first { $0.int(0) } ?? 0
            )
        }
        var deltas = CheckedDeltas(
            .arrival(after: position),
            operationsMax: configuration.rebuildOperations,
            applier: applier,
            ahead: ahead
        )
        var isDone = false
        while !isDone {
            let batch = try read { try deltas.next(from: $0) }
            isDone = batch.isEmpty
            try write(whileRebuilding: true) { transaction in
                try rebuildStep(batch, in: &transaction, applier: applier)
            }
            progress(Progress(done: Int(batch.last.map { $0.id &+ $0.count &- 1 } ?? total), total: Int(total)))
        }
        forgetCaches()
    }

    /// One durable step: merges a batch, or ends the rebuild if the batch is empty.
    private func rebuildStep(
        _ batch: [CheckedDelta],
        in transaction: inout WriteTransaction,
        applier: DeltaApplier<some Cryptography>
    ) throws {
        let session = transaction.session
        if transaction.cache.mergedHeads == nil {
            let position = try RebuildMark.read(session) ?? 0
            transaction.cache.mergedHeads = try Self.mergedHeads(transaction.reading, upTo: position)
        }
        try Self.remerge(batch, into: &transaction, applier: applier)
        try RebuildMark.write(batch.last?.id, session)
        // After this step's commit, other writes are allowed again.
        if batch.isEmpty { transaction.cache.mergedHeads = nil }
    }

    /// The heads of the logs just after the delta at a position was stored.
    private static func mergedHeads(_ reading: ReadTransaction, upTo position: Int64) throws -> [LogID: Head] {
        let rows = try reading.session("SELECT log, max(sequence), hash FROM delta WHERE id <= ? GROUP BY log")
            .bind(1, position)
            .all { ($0.int(0), Head(sequence: UInt64(bitPattern: $0.int(1)), hash: try $0.hash(2))) }
        var heads: [LogID: Head] = [:]
        for (log, head) in rows { heads[try reading.log(log)] = head }
        return heads
    }

    /// Merges stored deltas that come next in their logs.
    static func remerge(
        _ deltas: [CheckedDelta],
        into transaction: inout WriteTransaction,
        applier: DeltaApplier<some Cryptography>
    ) throws {
        for stored in deltas {
            let delta: VerifiedDelta
            do {
                delta = try stored.form.get()
            } catch let refusal as DeltaRefusal {
                throw StoreError(
                    .corrupt,
                    "the log is damaged at delta \(stored.id) (\(refusal.reason)): restore a backup, or join again",
                    cause: refusal
                )
            }
            // A delta becomes its log's head before it is merged.
            transaction.cache.mergedHeads?[delta.log] = delta.head
            transaction.begin(delta, at: stored.id)
            _ = try applier.merge(delta, at: stored.id, into: &transaction)
            try transaction.noteUnaccounted(in: delta)
        }
    }
}
