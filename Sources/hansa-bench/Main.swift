import ArgumentParser
import Foundation
import Replica
import TestSupport

@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hansa-bench",
        abstract: "Measure real nodes on this machine, each figure beside the raw cost of the same run.",
        discussion: """
            SCENARIOS
              import-jsonl   load JSON lines into an empty node
              import-csv     load a table into an empty node
              reimport       load the same file again
              reimport-1pct  load it with one percent changed, while another node follows
              catch-up       a fresh member gets everything over TLS
              two-writers    two nodes load half each at once and get the other's half
              edit-durable   an edit until it is on its own node's disk
              edit-visible   an edit until a search on two other nodes finds it
              search         three kinds of search
              start          start a node that holds everything
              idle           two nodes in step with nothing to do
              updates        many changes of few records, and what they take on disk
              verify         check every hash, chain and signature, and every derived row
              rebuild        rebuild everything that is derived
            Only when named:
              cities         load 117,554 real places on one node while two others catch up, then a late one
              alliance       edits spread over many nodes, also while a quarter is stopped and killed in turn

            RATIO is rate by raw rate, or raw cost by cost: higher is better. Build it in release:
              swift build -c release --product hansa && swift build -c release --product hansa-bench
            """
    )

    enum Scenario: String, CaseIterable, ExpressibleByArgument {
        case importJSONLines = "import-jsonl"
        case importTable = "import-csv"
        case reimport
        case reimportChanged = "reimport-1pct"
        case catchUp = "catch-up"
        case twoWriters = "two-writers"
        case editDurable = "edit-durable"
        case editVisible = "edit-visible"
        case search
        case start
        case idle
        case updates
        case verify
        case rebuild
        case cities
        case alliance

        /// The scenarios that run by default.
        static var usual: [Scenario] { allCases.filter { $0 != .cities && $0 != .alliance } }
    }

    @Argument(help: "Scenarios to run (default: all but 'cities' and 'alliance').")
    var scenarios: [Scenario] = []
    @Option(help: ArgumentHelp("So many records: 10k, 100k, 1m, or a number.", valueName: "number"))
    var records = "10k"
    @Option(
        name: .customLong("records-file"),
        help: ArgumentHelp("Take these JSON lines instead of generated ones.", valueName: "file")
    )
    var recordsFile: String?
    @Option(help: ArgumentHelp("The kind of the records in that file.", valueName: "kind"))
    var kind = "resource"
    @Option(help: ArgumentHelp("The field with their ids.", valueName: "field"))
    var key = "id"
    @Option(help: ArgumentHelp("Measure this many edits.", valueName: "number"))
    var edits = 200
    @Option(help: ArgumentHelp("Have so many nodes in 'alliance'.", valueName: "number"))
    var nodes = 24
    @Option(help: ArgumentHelp("Watch idle nodes for so long.", valueName: "seconds"))
    var idleSeconds = 10
    @Option(help: ArgumentHelp("Keep the nodes' data here (default: the temporary folder).", valueName: "dir"))
    var folder: String?
    @Flag(help: "Recompute every record from the logs at the end of each scenario; a wrong answer fails.")
    var check = false
    @Option(
        help: ArgumentHelp(
            "Measure nothing: let this go wrong in the middle of each scenario, and fail unless all is right afterwards.",
            valueName: "fault"
        )
    )
    var fault: Fault?
    @Flag(help: "Print JSON instead of a table.")
    var json = false

    func validate() throws {
        guard (1...100_000).contains(edits) else { throw ValidationError("--edits is 1 to 100000") }
        guard (4...200).contains(nodes) else { throw ValidationError("--nodes is 4 to 200") }
        guard fault == nil || recordsFile == nil else {
            throw ValidationError("--fault makes its own records; leave out --records-file")
        }
        guard (1...86_400).contains(idleSeconds) else { throw ValidationError("--idle-seconds is 1 to 86400") }
        _ = try count()
    }

    private func count() throws -> Int {
        let text = records.lowercased()
        let (digits, factor) =
            text.hasSuffix("k")
            ? (text.dropLast(), 1_000) : text.hasSuffix("m") ? (text.dropLast(), 1_000_000) : (text[...], 1)
        guard let number = Int(digits), (1...100_000_000).contains(number), number * factor <= 100_000_000 else {
            throw ValidationError("--records is a number like 5000, 10k or 1m, at most 100m")
        }
        return number * factor
    }

    /// Runs every scenario's work with a fault in the middle.
    private func endure(_ fault: Fault, _ source: RecordSource) async throws {
        var results: [Measurement] = []
        for scenario in scenarios.isEmpty ? Scenario.usual : scenarios {
            results.append(try await Endurance(fresh(), source: source, fault: fault, edits: edits).run(scenario))
            if !json { FileHandle.standardError.write(Data("\(scenario.rawValue) endured\n".utf8)) }
        }
        print(json ? try Measurement.json(results) : Measurement.table(results))
    }

    func run() async throws {
        Lifeline.watch()
        if let fault { return try await endure(fault, RecordSource(count: try count())) }
        var results = try RawCosts.measurements()
        let count = try count()
        // The nodes and this process look for the sockets in the same folder.
        let scratch = try TemporaryFolder(in: folder)
        setenv("XDG_RUNTIME_DIR", scratch.runtime, 1)
        let source =
            try recordsFile.map { try RecordSource(file: $0, count: count, kind: kind, key: key) }
            ?? RecordSource(count: count)
        let loaded = LoadedNode(scratch, source: source, isChecking: check)
        defer { for node in loaded.nodes.all { node.stop() } }
        for scenario in scenarios.isEmpty ? Scenario.usual : scenarios {
            switch scenario {
            case .importJSONLines: results += try await loaded.importLines()
            case .importTable: results += try loaded.importTable()
            case .reimport: results += try await loaded.reimport()
            case .reimportChanged: results += try await loaded.reimportChanged()
            case .catchUp: results += try await loaded.catchUp()
            case .twoWriters: results += try await loaded.twoWriters()
            case .search: results += try await loaded.search()
            case .start: results += try await loaded.start()
            case .idle: results += try await loaded.idle(seconds: idleSeconds)
            case .verify: results += try await loaded.verify()
            case .rebuild: results += try await loaded.rebuild()
            case .editDurable: results += try await loaded.editDurable(edits: edits)
            case .editVisible: results += try await loaded.editVisible(edits: edits)
            case .updates: results += try await UpdatesScenario(try fresh(), updates: count).run()
            case .cities: results += try await CitiesScenario(try fresh()).run()
            case .alliance: results += try await AllianceScenario(try fresh(), nodes: nodes, edits: edits).run()
            }
            if !json { FileHandle.standardError.write(Data("\(scenario.rawValue) done\n".utf8)) }
        }
        print(json ? try Measurement.json(results) : Measurement.table(results))
    }

    /// A new folder for the nodes of a scenario that shares none.
    private func fresh() throws -> TemporaryFolder {
        let scratch = try TemporaryFolder(in: folder)
        setenv("XDG_RUNTIME_DIR", scratch.runtime, 1)
        return scratch
    }
}
