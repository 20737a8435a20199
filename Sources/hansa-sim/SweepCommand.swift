import ArgumentParser
import Foundation
import Simulator

/// `hansa-sim sweep`.
struct SweepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Run a range of seeds on all cores, and name those that fail."
    )

    @OptionGroup var options: ScenarioOptions
    @Option(help: ArgumentHelp("Run these seeds, both ends included, as in 1..200.", valueName: "A..B"))
    var seeds: SeedRange
    @Option(help: ArgumentHelp("Begin no further seed after so many minutes.", valueName: "number"))
    var minutes: Double?

    func validate() throws {
        _ = try options.scenario(or: "swarm")
        _ = try options.plantedBug()
        if let minutes, !(minutes > 0) { throw ValidationError("--minutes must be more than 0.") }
    }

    /// The results of a sweep.
    private struct Outcome: Encodable {
        let scenario: String
        let seedsRun: Int
        let failures: [Sweep.Failure]
        let virtualSeconds: Double
        let bytesPerRecord: Double
    }

    func run() throws {
        let sweep = Sweep(
            scenario: try options.scenario(or: "swarm"),
            seeds: seeds.range,
            nodes: options.nodes,
            plant: try options.plantedBug()
        )
        let clock = ContinuousClock()
        let start = clock.now
        let end = minutes.map { start.advanced(by: .seconds($0 * 60)) }
        let group = DispatchGroup()
        for _ in 0..<max(1, ProcessInfo.processInfo.activeProcessorCount) {
            group.enter()
            let thread = Thread {
                sweep.work { end.map { ContinuousClock.now >= $0 } ?? false }
                group.leave()
            }
            thread.start()
        }
        let isTerminal = isatty(STDERR_FILENO) == 1
        while group.wait(timeout: .now() + 0.5) == .timedOut {
            if isTerminal { Self.show(sweep) }
        }
        if isTerminal { Self.say("\r\u{1B}[K") }
        let progress = sweep.progress
        let outcome = Outcome(
            scenario: sweep.scenario.name,
            seedsRun: progress.finished,
            failures: progress.failures,
            virtualSeconds: progress.virtualSeconds,
            bytesPerRecord: progress.bytesSent / max(1, progress.recordsDelivered)
        )
        if options.json {
            print(try Output.json(outcome))
        } else {
            let wall = start.duration(to: clock.now) / .seconds(1)
            print(
                "\(progress.finished) seeds of \(sweep.scenario.name), \(progress.failures.count) failed; "
                    + "\(Report.text(progress.virtualSeconds.rounded())) virtual seconds in \(Report.text(wall)) s"
            )
            for failure in progress.failures { print("seed \(failure.seed)  \(failure.reason)") }
            if let first = progress.failures.first {
                print(
                    Output.replay(
                        scenario: sweep.scenario.name,
                        seed: first.seed,
                        nodes: options.nodes,
                        plant: options.plant
                    )
                )
            }
        }
        if !progress.failures.isEmpty { throw Failed() }
    }

    private static func show(_ sweep: Sweep) {
        let progress = sweep.progress
        let (total, isOver) = (sweep.seeds.upperBound - sweep.seeds.lowerBound).addingReportingOverflow(1)
        say(
            "\r\u{1B}[K\(progress.finished) of \(isOver ? "many" : "\(total)") seeds, \(progress.failures.count) failed"
        )
    }

    private static func say(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
