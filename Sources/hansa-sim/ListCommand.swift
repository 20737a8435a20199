import ArgumentParser
import Simulator

/// `hansa-sim list`.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the scenarios, and the mistakes that can be planted."
    )

    @Flag(help: "Print JSON instead of text.")
    var json = false

    private struct Entry: Encodable {
        let name: String
        let summary: String
    }

    private struct Lists: Encodable {
        let scenarios: [Entry]
        let planted: [Entry]
    }

    func run() throws {
        let lists = Lists(
            scenarios: Scenario.all.map { Entry(name: $0.name, summary: $0.summary) },
            planted: PlantedBug.allCases.map { Entry(name: $0.rawValue, summary: $0.summary) }
        )
        if json {
            print(try Output.json(lists))
            return
        }
        print("SCENARIOS")
        print(Output.table(lists.scenarios.map { ["  " + $0.name, $0.summary] }))
        print("\nMISTAKES TO PLANT")
        print(Output.table(lists.planted.map { ["  " + $0.name, $0.summary] }))
    }
}
