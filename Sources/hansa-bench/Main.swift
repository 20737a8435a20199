import ArgumentParser
import Foundation
import TestSupport

/// Measures real nodes on this machine, beside what the machine can do without them.
@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hansa-bench",
        abstract: "Measure real nodes on this machine, each figure beside the raw cost of the same run.",
        discussion: """
            SCENARIOS
              cities        load 117,554 places on one node while two others catch up, then a late one
              edit-visible  edit on one node until the edit is found on another
              alliance      the same spread over many nodes, and while a quarter is stopped and killed in turn

            Build it in release: swift build -c release --product hansa --product hansa-bench
            """
    )

    enum Scenario: String, CaseIterable, ExpressibleByArgument {
        case cities
        case editVisible = "edit-visible"
        case alliance
    }

    @Argument(help: "Scenarios to run (default: all).")
    var scenarios: [Scenario] = []
    @Option(help: ArgumentHelp("Measure this many edits.", valueName: "number"))
    var edits = 200
    @Option(help: ArgumentHelp("Have so many nodes in 'alliance'.", valueName: "number"))
    var nodes = 24
    @Option(help: ArgumentHelp("Keep the nodes' data here (default: the temporary folder).", valueName: "dir"))
    var folder: String?
    @Flag(help: "Print JSON instead of a table.")
    var json = false

    func validate() throws {
        guard (1...100_000).contains(edits) else { throw ValidationError("--edits is 1 to 100000") }
        guard (4...200).contains(nodes) else { throw ValidationError("--nodes is 4 to 200") }
    }

    func run() async throws {
        var results: [Measurement] = []
        for scenario in scenarios.isEmpty ? Scenario.allCases : scenarios {
            // The nodes' sockets lie where both they and this process look for them.
            let scratch = try TemporaryFolder(in: folder)
            setenv("XDG_RUNTIME_DIR", scratch.runtime, 1)
            switch scenario {
            case .cities: results += try await CitiesScenario(scratch).run()
            case .alliance: results += try await AllianceScenario(scratch, nodes: nodes, edits: edits).run()
            case .editVisible: results += try await EditVisibleScenario(scratch, edits: edits).run()
            }
        }
        print(json ? try Measurement.json(results) : Measurement.table(results))
    }
}
