import Foundation
import Simulator
import Store
import TestSupport
import Testing

/// Faults that kill -9 cannot cause: the disk loses unsynced writes, fails at a sync, or is full.
///
/// `HANSA_TEST_POWER_LOSSES=all` makes the power fail at every call of the workload instead of at some of them.
@Suite("Power loss") struct PowerLossTests {
    private static let isThorough = ProcessInfo.processInfo.environment["HANSA_TEST_POWER_LOSSES"] == "all"
    static let seeds = Array(UInt64(1)...(isThorough ? 8 : 3))
    /// Calls at which something fails, per seed and test.
    private static let samples = isThorough ? Int.max : 32

    /// A workload on a separate disk.
    private struct Run {
        let workload: StoreWorkload
        let folder: ScratchFolder
        let disk: FaultyDisk
        var progress: StoreWorkload.Progress
        /// The store that is still open after an error.
        private(set) var store: Store?

        init(
            _ workload: StoreWorkload,
            seed: UInt64,
            fault: FaultyDisk.Fault? = nil,
            on files: [String: [UInt8]] = [:],
            progress: StoreWorkload.Progress = StoreWorkload.Progress()
        ) throws {
            self.workload = workload
            self.progress = progress
            folder = try ScratchFolder(files)
            disk = try FaultyDisk(folder: folder.path, seed: seed, fault: fault)
        }

        /// Continues to the end, or until the store throws; returns its error.
        mutating func go(opened: () -> Void = {}, written: () throws -> Void = {}) throws -> StoreError? {
            do {
                try workload.run(in: folder.path, &store, &progress, opened: opened, written: written)
                return nil
            } catch let error as StoreError {
                // A store that cannot be created deletes its files.
                disk.noteDeletions()
                return error
            }
        }

        /// Expects that the store refuses further writes after this error.
        func expectRefusal(_ error: StoreError?) {
            guard let error, let store else { return }
            #expect(throws: error, "\(disk.failure ?? "")") { try store.write { try $0.setMeta("x", [1]) } }
        }

        /// Simulates the end of the process: drops the open store.
        mutating func end() { store = nil }

        /// Checks the files after a power loss, as the next boot finds them.
        func checkRemains() throws {
            disk.losePower()
            guard let remains = disk.remains else { return }
            let found = try ScratchFolder(remains)
            try withExtendedLifetime(found) { try workload.check(found.path, after: progress) }
        }
    }

    /// The calls of a complete run on the disk.
    private func counts(_ workload: StoreWorkload) throws -> FaultyDisk.Counts {
        var run = try Run(workload, seed: 0)
        let error = try run.go()
        #expect(error == nil && run.progress.acknowledged == workload.history.deltas.count)
        return run.disk.counts
    }

    /// Numbers up to a count: either all, or evenly spread ones that differ by seed.
    private func sample(upTo count: Int, seed: UInt64) -> [Int] {
        let step = max(1, count / Self.samples)
        return Array(stride(from: 1 + Int(seed) * 7 % step, through: count, by: step))
    }

    /// Runs `body` and records a thrown error as an issue.
    private func trying(_ moment: @autoclosure () -> String, _ body: () throws -> Void) {
        do { try body() } catch { Issue.record("\(moment()): \(error)") }
    }

    @Test(
        "no committed transaction is lost, and none is kept in part, whenever the power fails",
        arguments: seeds
    )
    func powerLoss(seed: UInt64) throws {
        let workload = try StoreWorkload(seed: seed)
        let calls = try counts(workload).calls
        for call in sample(upTo: calls, seed: seed) {
            var run = try Run(workload, seed: seed &* 1_000_003 &+ UInt64(call), fault: .powerLoss(call: call))
            let disk = run.disk
            trying("seed \(seed), \(disk.failure ?? "call \(call)")") {
                let error = try run.go()
                try #require(disk.remains != nil)
                if let error { #expect(error.code == .inputOutput, "seed \(seed), \(disk.failure!)") }
                run.expectRefusal(error)
                try run.checkRemains()
            }
        }
    }

    @Test("a second power failure during the recovery, or soon after, loses nothing either", arguments: seeds)
    func twice(seed: UInt64) throws {
        let workload = try StoreWorkload(seed: seed)
        let calls = try counts(workload).calls
        var random = SplitMix64(seed: seed)
        for call in sample(upTo: calls, seed: seed &+ 3) {
            let again = Int.random(in: 1...120, using: &random)
            var run = try Run(workload, seed: seed &* 1_000_033 &+ UInt64(call), fault: .powerLoss(call: call))
            trying("seed \(seed), calls \(call) and \(again)") {
                _ = try run.go()
                guard run.progress.isCreated, let remains = run.disk.remains else { return }
                var next = try Run(
                    workload,
                    seed: random.next(),
                    fault: .powerLoss(call: again),
                    on: remains,
                    progress: run.progress
                )
                _ = try next.go()
                try next.checkRemains()
            }
        }
    }

    /// The event after a failed sync.
    enum SyncSequel {
        /// The machine and the process lose power together.
        case powerLoss
        /// The store is closed, opened again on the same machine, and runs to the end; then the power fails.
        case newOpening
        /// The process is killed. The power fails while the next process copies the write-ahead log back into the
        /// database, or soon after.
        case killAndPowerLoss
    }

    @Test(
        "after a failed sync nothing more is written, and a new opening finds all committed transactions",
        arguments: seeds,
        [SyncSequel.powerLoss, .newOpening, .killAndPowerLoss]
    )
    func failedSync(seed: UInt64, sequel: SyncSequel) throws {
        let workload = try StoreWorkload(seed: seed)
        let syncs = try counts(workload).syncs
        var random = SplitMix64(seed: seed)
        for sync in 1...syncs {
            for _ in 0..<(sequel == .killAndPowerLoss ? 3 : 1) {
                var run = try Run(workload, seed: random.next(), fault: .failedSync(number: sync))
                let disk = run.disk
                trying("seed \(seed), \(disk.failure ?? "sync \(sync)"), then \(sequel)") {
                    try failSync(&run)
                    guard run.progress.isCreated else { return }
                    switch sequel {
                    case .powerLoss: break
                    case .newOpening: run.end()
                    case .killAndPowerLoss:
                        disk.killing { run.end() }
                        disk.losePower(afterCalls: Int.random(in: 1...70, using: &random))
                    }
                    if sequel != .powerLoss, let error = try run.go(), disk.remains == nil { throw error }
                    try run.checkRemains()
                }
            }
        }
    }

    /// Runs up to a sync that fails, and expects that the store writes nothing after it.
    private func failSync(_ run: inout Run) throws {
        let disk = run.disk
        // Closing and opening may hide the fault, because the next opening repeats their work.
        var isExcused = false
        let error = try run.go(
            opened: { isExcused = disk.failure != nil },
            written: {
                if let failure = disk.failure, !isExcused {
                    throw StoreWorkload.Mismatch("the store went on after \(failure)")
                }
            }
        )
        let failure = try #require(disk.failure)
        if let error { #expect(error.code == .inputOutput, "\(failure)") }
        run.expectRefusal(error)
    }

    @Test("a full disk loses nothing, and with room again the same store goes on", arguments: seeds)
    func fullDisk(seed: UInt64) throws {
        let workload = try StoreWorkload(seed: seed)
        let writes = try counts(workload).writes
        for write in sample(upTo: writes, seed: seed) {
            var run = try Run(workload, seed: seed &* 1_000_039 &+ UInt64(write), fault: .full(write: write))
            let disk = run.disk
            trying("seed \(seed), \(disk.failure ?? "write \(write)")") {
                if let error = try run.go() {
                    #expect(error.code == .diskFull, "seed \(seed), \(disk.failure!)")
                    disk.makeRoom()
                    if let error = try run.go() { throw error }
                }
                try #require(disk.failure != nil)
                try run.checkRemains()
            }
        }
    }

    @Test(
        "these tests can fail: with less than FULL, committed transactions are lost",
        arguments: ["OFF", "NORMAL"]
    )
    func weakerSync(level: String) throws {
        let workload = try StoreWorkload(seed: 1)
        let calls = try counts(workload).calls
        var losses = 0
        for call in sample(upTo: calls, seed: 1) {
            var run = try Run(workload, seed: UInt64(call), fault: .powerLoss(call: call))
            let disk = run.disk
            _ = try run.go(opened: { disk.tamper("PRAGMA synchronous = \(level)") })
            do {
                try run.checkRemains()
            } catch let error as StoreWorkload.Mismatch where error.isLoss {
                losses += 1
            } catch {
                // OFF may also damage the file.
                #expect(level == "OFF", "\(error)")
            }
        }
        #expect(losses > 0)
    }
}

extension ScratchFolder {
    /// A folder with files.
    convenience init(_ files: [String: [UInt8]]) throws {
        self.init()
        for (name, bytes) in files { try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)")) }
    }
}
