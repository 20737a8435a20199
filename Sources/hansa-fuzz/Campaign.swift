import Foundation
import Gossip
import Replica
import Simulator

/// Runs seeds one after the other, and checks the growth of memory.
struct Campaign {
    private let options: Options
    private let folder: String

    init(_ options: Options) {
        self.options = options
        // In memory if the system has such a folder: the test is about logic, not disks.
        let root = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        folder = options.folder ?? root + "/hansa-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
    }

    /// The number of seeds after which memory use should be stable.
    private static let warmUp = 4
    /// The maximum growth of memory after that, in bytes. It is generous, because allocators keep freed memory.
    private static let growthMax = 96 * 1024 * 1024

    /// - Returns: the exit code.
    func run() throws -> Int32 {
        CrashNote.install()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let start = ContinuousClock.now
        var random = SplitMix64(seed: UInt64(bitPattern: Int64(Date().timeIntervalSince1970 * 1_000)))
        var resident: [Int] = []
        var messages = 0
        var failures = 0
        var hoard: [[UInt8]] = []
        repeat {
            let seed = options.seed ?? random.next() >> 32
            let begun = ContinuousClock.now
            let run = try Run(
                Run.Settings(
                    seed: seed,
                    steps: options.steps,
                    skipped: Set(options.skip),
                    isTracing: options.isTracing,
                    plant: options.plant,
                    folder: folder
                )
            )
            try run.run()
            messages += run.counts.taken
            FreedMemory.giveBack()
            if options.plant == .hoard { hoard.append([UInt8](repeating: 1, count: 32 * 1024 * 1024)) }
            resident.append(Memory.resident)
            tell(line(run, seed: seed, seconds: begun.duration(to: .now).seconds, resident: Memory.resident))
            if options.isCounting { tell(counts(run)) }
            if let failure = run.failure {
                tell("BROKEN: \(failure)")
                tell("again: hansa-fuzz --seed \(seed) --steps \(options.steps)")
                failures += 1
                guard options.isKeptGoing else { return 1 }
            }
        } while options.seed == nil
            && options.seeds.map { resident.count < $0 } ?? (start.duration(to: .now).seconds < options.seconds)
        let seconds = start.duration(to: .now).seconds
        tell("\(resident.count) seeds, \(messages) messages taken in, \(Int(Double(messages) / seconds)) a second")
        return hasGrown(resident) || failures > 0 ? 1 : 0
    }

    /// Prints a line without buffering, because a trap loses buffered output.
    private func tell(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

    private func line(_ run: Run, seed: UInt64, seconds: Double, resident: Int) -> String {
        let applied = run.nodes.map(\.deltasApplied).reduce(0, +)
        let refused = run.nodes.map(\.deltasRefused).reduce(0, +)
        return
            "seed \(seed), trace \(run.mix.hex.prefix(8)): \(run.counts.taken) messages of \(run.counts.sent) in \(run.counts.sessions) sessions, "
            + "\(run.counts.violations.values.reduce(0, +)) ended by blame, \(applied) deltas stored, \(refused) refused, "
            + "\(Int(seconds * 1_000)) ms, \(resident / 1_048_576) MiB"
    }

    private func counts(_ run: Run) -> String {
        let sent = PeerMessage.Kind.allCases.map { "\($0.name) \(run.counts.sentByKind[Int($0.rawValue)])" }
        let ended = run.counts.violations.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "  \($0.value) × \($0.key)" }
        return (["  sent: " + sent.joined(separator: ", ")] + ended).joined(separator: "\n")
    }

    private func hasGrown(_ resident: [Int]) -> Bool {
        guard resident.count > 2 * Self.warmUp, let last = resident.last else { return false }
        let before = resident.prefix(Self.warmUp).max() ?? 0
        guard last > before + Self.growthMax else { return false }
        tell("BROKEN: memory has grown from \(before / 1_048_576) to \(last / 1_048_576) MiB")
        return true
    }
}

/// This process's memory.
enum Memory {
    /// The resident memory in bytes.
    static var resident: Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}

extension Duration {
    fileprivate var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
