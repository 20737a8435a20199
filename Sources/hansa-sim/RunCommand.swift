import ArgumentParser
import Foundation
import Simulator

/// `hansa-sim run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run one seed of a scenario, and print its figures.",
        discussion: """
            If a run fails, its plan is shortened while it still fails, and the last events of the shortest one are
            printed.
            """
    )

    @OptionGroup var options: ScenarioOptions
    @Option(help: ArgumentHelp("Draw everything from this number.", valueName: "number"))
    var seed: UInt64 = 1
    @Flag(help: "Print the last events of the run, also if it does not fail.")
    var trace = false

    @Option(help: ArgumentHelp("How many events '--trace' prints.", valueName: "number"))
    var events = 2_000

    func validate() throws {
        guard (1...10_000_000).contains(events) else { throw ValidationError("--events is 1 to 10000000") }
        _ = try options.scenario(or: "smoke")
        _ = try options.plantedBug()
    }

    func run() throws {
        var asked = RunOptions(scenario: try options.scenario(or: "smoke"), seed: seed)
        asked.nodes = options.nodes
        asked.plant = try options.plantedBug()
        if trace { asked.eventsKept = events }
        let clock = ContinuousClock()
        let start = clock.now
        let trial = Trial.run(asked)
        let wall = start.duration(to: clock.now)
        var report = trial.report
        if trace {
            report.tail = trial.tail
        } else if !report.isPassed {
            report = Shortening.explain(trial)
        }
        if options.json {
            print(try Output.json(report))
        } else {
            print(Output.text(report, wallSeconds: wall / .seconds(1)))
            if !report.isPassed { print(Output.replay(report, plant: options.plant)) }
        }
        if !report.isPassed { throw Failed() }
    }
}
