import Catalog
import DeltaLog
import Foundation
import Simulator
import Store
import TestSupport

/// All kinds of writes to a store's files, in a fixed order, and the expected content after each step.
struct StoreWorkload: Sendable {
    enum Step {
        /// Stores and merges deltas, and records their new number, in one transaction.
        case batch(Range<Int>)
        case checkpoint
        case reopen
        case rebuild
        /// Lets a log's bound fall to its first delta and rise again, in many steps.
        case relimit(LogID)
    }

    /// The progress of a run, finished or interrupted.
    struct Progress {
        /// True once the creation of the store has returned.
        var isCreated = false
        /// Deltas in transactions that have returned, and deltas in transactions that have at least begun.
        var acknowledged = 0
        var attempted = 0
        /// Steps done.
        var steps = 0
    }

    let history: RandomHistory
    let steps: [Step]
    /// The summary of the storage in memory after each number of the history's deltas.
    private let expected: [StorageSummary]

    private static let countKey = "count"

    init(seed: UInt64) throws {
        history = RandomHistory(seed: seed, steps: 45)
        var storage = MemoryStorage()
        var expected = [StorageSummary(storage)]
        for delta in history.deltas {
            _ = try history.applier.apply(delta, to: &storage)
            expected.append(StorageSummary(storage))
        }
        self.expected = expected
        var steps: [Step] = []
        let size = 3
        for start in stride(from: 0, to: history.deltas.count, by: size) {
            steps.append(.batch(start..<min(start + size, history.deltas.count)))
            switch start / size {
            case 2: steps.append(.checkpoint)
            case 4: steps.append(.reopen)
            case 6: steps.append(.rebuild)
            case 8:
                let logs = Dictionary(grouping: history.deltas[..<start], by: \.log)
                if let log = logs.max(by: { ($0.value.count, $0.key) < ($1.value.count, $1.key) })?.key {
                    steps.append(.relimit(log))
                }
            default: break
            }
        }
        self.steps = steps
    }

    /// Small limits, so that rare events happen within a few transactions: the write-ahead log restarts and is
    /// truncated, and a rebuild takes several steps.
    static var configuration: Store.Configuration {
        var configuration = Store.Configuration()
        configuration.checkpointPages = 80
        configuration.rebuildOperations = 12
        configuration.relimitOperations = 4
        return configuration
    }

    /// Takes the remaining steps and closes the store.
    ///
    /// - Parameters:
    ///   - store: The open store; nil to create it, or to open it if it was created before. When this throws, it is the
    ///     store that is still open.
    ///   - progress: The start of this run; updated also when this throws. The content of an earlier run is first
    ///     compared with it.
    ///   - opened: Called after a store was opened.
    ///   - written: Called after each step that wrote.
    /// - Throws: ``Mismatch``, and any error of the store.
    func run(
        in folder: String,
        _ store: inout Store?,
        _ progress: inout Progress,
        opened: () -> Void = {},
        written: () throws -> Void = {}
    ) throws {
        var current: Store
        if let store {
            current = store
        } else if progress.isCreated {
            current = try Store.open(folder: folder, configuration: Self.configuration)
        } else {
            current = try Store.create(in: folder, configuration: Self.configuration)
            progress.isCreated = true
        }
        if store == nil { opened() }
        store = current
        progress.acknowledged = try count(of: current, after: progress)
        if progress.steps < steps.count, case .batch(let range) = steps[progress.steps],
            range.upperBound == progress.acknowledged
        {
            progress.steps += 1
        }
        while progress.steps < steps.count {
            switch steps[progress.steps] {
            case .batch(let range):
                progress.attempted = range.upperBound
                try write(range, to: current)
                progress.acknowledged = range.upperBound
                try written()
            case .checkpoint:
                try current.checkpoint()
                try written()
            case .reopen:
                store = nil
                try current.close()
                current = try Store.open(folder: folder, configuration: Self.configuration)
                opened()
                store = current
            case .rebuild:
                try current.rebuild(applier: history.applier)
                try written()
            case .relimit(let log):
                for bound in [1, nil] as [UInt64?] {
                    while try !current.relimitStep(log, to: bound, applier: history.applier).isDone { try written() }
                }
                try written()
            }
            progress.steps += 1
        }
        store = nil
        try current.close()
    }

    private func write(_ range: Range<Int>, to store: Store) throws {
        try store.write { transaction in
            for delta in history.deltas[range] {
                guard case .applied = try transaction.apply(delta, applier: history.applier) else {
                    throw Mismatch("a delta of the history was refused")
                }
            }
            try transaction.setMeta(Self.countKey, [UInt8(range.upperBound)])
        }
    }

    /// The store's content differs from the expected one.
    struct Mismatch: Error, CustomStringConvertible {
        let description: String
        /// True if a committed transaction is missing.
        let isLoss: Bool

        init(_ description: String, isLoss: Bool = false) {
            self.description = description
            self.isLoss = isLoss
        }
    }

    /// Opens the remaining files of a disk and compares the store with memory. Then continues to the end of the history
    /// and compares again.
    ///
    /// - Parameter progress: The progress of the run that left the files.
    /// - Throws: ``Mismatch``, and any error of the store.
    func check(_ folder: String, after progress: Progress) throws {
        let store: Store
        do {
            store = try Store.open(folder: folder, configuration: Self.configuration)
        } catch let error as StoreError where error.code == .notADataFolder && !progress.isCreated {
            // The creation has not returned, so no store is required.
            return
        }
        defer { try? store.close() }
        let count = try count(of: store, after: progress)
        if try store.isRebuilding() {
            guard progress.steps < steps.count, case .rebuild = steps[progress.steps] else {
                throw Mismatch("a rebuild is under way that was answered as done", isLoss: true)
            }
            try store.rebuild(applier: history.applier)
        }
        for log in try store.read({ try $0.bounds() }).keys {
            guard progress.steps < steps.count, case .relimit(log) = steps[progress.steps] else {
                throw Mismatch("a bound is there that was lifted", isLoss: true)
            }
            // The bound on disk is the one by which everything is derived, also in the middle of a relimit.
            let report = try store.verify(deep: true, applier: history.applier)
            guard report.isSound else { throw Mismatch("in a relimit, verify found \(report.findings)") }
            try store.relimit(log, to: nil, applier: history.applier)
        }
        try compare(store, count)
        for start in stride(from: count, to: history.deltas.count, by: 10) {
            try write(start..<min(start + 10, history.deltas.count), to: store)
        }
        try compare(store, history.deltas.count)
    }

    /// The recorded number of deltas in a store; throws if it is impossible after the run.
    private func count(of store: Store, after progress: Progress) throws -> Int {
        let count = Int(try store.read { try $0.meta(Self.countKey) }?.first ?? 0)
        guard progress.acknowledged <= count else {
            throw Mismatch(
                "\(progress.acknowledged) deltas were answered as committed, \(count) are there",
                isLoss: true
            )
        }
        guard count == progress.acknowledged || count == progress.attempted else {
            throw Mismatch("\(count) deltas are there: a part of a transaction")
        }
        return count
    }

    /// Requires that the store equals memory after this number of deltas, and that nothing in it is damaged.
    private func compare(_ store: Store, _ count: Int) throws {
        let summary = try store.summary()
        guard summary.heads == expected[count].heads else {
            throw Mismatch("the heads are not those of \(count) deltas")
        }
        guard summary == expected[count] else { throw Mismatch("what is derived is not that of \(count) deltas") }
        let report = try store.verify(deep: true, applier: history.applier)
        guard report.isSound else { throw Mismatch("verify found \(report.findings)") }
        guard report.deltaCount == count else { throw Mismatch("\(report.deltaCount) deltas instead of \(count)") }
    }
}
