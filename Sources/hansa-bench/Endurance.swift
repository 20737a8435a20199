import ArgumentParser
import Foundation
import Glibc
import TestSupport

/// A fault in the middle of a scenario, on request.
enum Fault: String, CaseIterable, ExpressibleByArgument {
    /// The process is killed (signal 9), and started again.
    case kill
    /// The disk of the node's folder is full for a while.
    case fullDisk = "full-disk"
    /// The process stops for two seconds with its connections open, like a process that does not read.
    case stop
}

/// The node that has the fault.
private final class Patient {
    let node: HansaProcess
    private let fault: Fault
    private let disk: SmallDisk?
    /// The process that has the fault instead of the node's; nil while the node runs.
    var process: ChildProcess?

    init(_ node: HansaProcess, _ fault: Fault, _ disk: SmallDisk?) {
        self.node = node
        self.fault = fault
        self.disk = disk
    }

    private func signal(_ number: Int32) {
        if let process { process.send(number) } else if let pid = node.processIdentifier { kill(pid, number) }
    }

    func hurt() throws {
        switch fault {
        case .kill:
            if process == nil { node.kill() } else { signal(SIGKILL) }
        case .fullDisk:
            guard disk?.fill() == true else { throw BenchFailure("the small disk cannot be filled") }
        case .stop:
            signal(SIGSTOP)
            sleep(2)
            signal(SIGCONT)
        }
    }

    /// Ends the fault. The node runs afterwards, unless another process had the fault.
    func heal() throws {
        if fault == .fullDisk, disk?.remount("size=\(Self.megabytes)m") != true {
            throw BenchFailure("the small disk cannot be made larger")
        }
        guard process == nil else { return }
        // A node that could not write exits by itself, which may take a moment.
        if fault == .fullDisk, node.processIdentifier != nil { usleep(200_000) }
        if node.processIdentifier == nil { try Nodes.start(node) }
    }

    static let megabytes = 16_384
}

/// Runs each scenario's work with a fault in the middle, and checks the result. Acknowledged data must be present, the
/// nodes must agree, every record must match the logs, and work must be able to continue.
struct Endurance {
    let scratch: TemporaryFolder
    let source: RecordSource
    let fault: Fault
    let edits: Int
    private let disk: SmallDisk?

    init(_ scratch: TemporaryFolder, source: RecordSource, fault: Fault, edits: Int) throws {
        self.scratch = scratch
        self.source = source
        self.fault = fault
        self.edits = edits
        disk = fault == .fullDisk ? SmallDisk(megabytes: Patient.megabytes) : nil
        guard fault != .fullDisk || disk != nil else {
            throw BenchFailure("a full disk takes the right to mount a file system")
        }
    }

    /// The scenario's name and fault, with the seconds from its start until all checks passed.
    func run(_ scenario: Bench.Scenario) async throws -> Measurement {
        let begin = ContinuousClock.now
        switch scenario {
        case .importJSONLines: try load("records.jsonl") { try source.writeJSONLines($0, 0..<source.count) }
        case .importTable: try load("records.csv") { try source.writeTable($0, 0..<source.count) }
        case .reimport, .reimportChanged: try reload(changedPercent: scenario == .reimport ? 0 : 1)
        case .catchUp: try catchUp()
        case .twoWriters: try twoWriters()
        case .editDurable, .editVisible: try edit()
        case .search, .start, .idle: try holding(scenario)
        case .updates: try update()
        case .verify: try verify("--deep")
        case .rebuild: try verify("--rebuild")
        case .cities, .alliance: throw BenchFailure("\(scenario.rawValue) has its own disturbances")
        }
        return Measurement(
            scenario: "\(scenario.rawValue)/\(fault.rawValue)",
            figure: begin.duration(to: .now) / .seconds(1),
            unit: "s"
        )
    }

    // MARK: - Scenarios

    /// Loads a file into an empty node.
    private func load(_ name: String, _ write: (String) throws -> Int) throws {
        let file = scratch(name)
        _ = try write(file)
        let words = source.words(importing: file)
        let usual = try time { try alliance(1).nodes[0].done(words) }
        let (nodes, patient) = try alliance(1, patient: 0)
        try endure(words, on: nodes[0], patient, after: usual / 2)
        try settle(nodes, records: source.count)
    }

    /// Loads the file again, unchanged or with some records changed, while another node follows.
    private func reload(changedPercent: Int) throws {
        let (nodes, patient) = try alliance(2, patient: fault == .stop ? 1 : 0)
        let (file, changed) = (scratch("whole.jsonl"), scratch("changed.jsonl"))
        try source.writeJSONLines(file, 0..<source.count)
        try source.writeJSONLines(changed, 0..<source.count, changedPercent: changedPercent)
        try nodes[0].done(source.words(importing: file))
        let usual = try time { try nodes[0].done(source.words(importing: file)) }
        // The total includes the other node's own record.
        try settle(nodes, records: source.count + 1, isDeep: false)
        let before = try nodes[0].status().frontier.description
        try endure(source.words(importing: changed), on: nodes[0], patient, after: usual / 2)
        try settle(nodes, records: source.count)
        guard try changedPercent > 0 || nodes[0].status().frontier.description == before else {
            throw BenchFailure("loading a file again wrote something")
        }
    }

    /// A new member receives everything.
    private func catchUp() throws {
        let file = scratch("records.jsonl")
        try source.writeJSONLines(file, 0..<source.count)
        let (nodes, patient) = try alliance(3, patient: 2, running: 1)
        try nodes[0].done(source.words(importing: file))
        let usual = try time {
            try Nodes.start(nodes[1])
            try settle(Array(nodes[0...1]), records: source.count, isDeep: false)
        }
        let process = try patient.node.start()
        guard process else { throw BenchFailure("the newcomer does not start") }
        usleep(UInt32(usual / 2 * 1e6))
        try patient.hurt()
        if fault == .fullDisk { sleep(1) }
        try patient.heal()
        try settle(nodes, records: source.count)
    }

    /// Two nodes each load half of the records at once; the second has the fault.
    private func twoWriters() throws {
        let half = source.count / 2
        let files = [scratch("first.jsonl"), scratch("second.jsonl")]
        try source.writeJSONLines(files[0], 0..<half)
        try source.writeJSONLines(files[1], half..<source.count)
        let usual = try time { try alliance(1).nodes[0].done(source.words(importing: files[0])) }
        let (nodes, patient) = try alliance(2, patient: 1)
        let first = try nodes[0].begin(source.words(importing: files[0]))
        try endure(source.words(importing: files[1]), on: nodes[1], patient, after: usual / 2)
        guard first.wait(seconds: LoadedNode.patience) == 0 else { throw BenchFailure("the other's import failed") }
        try settle(nodes, records: half * 2)
    }

    /// Makes edits one after the other; each acknowledged edit must be present on both nodes.
    private func edit() throws {
        let (nodes, patient) = try alliance(2, patient: 0)
        for number in 0..<edits {
            let words = ["edit", "Organization 0/need/\(number)", "name=edit \(number)", "--create"]
            if number == edits / 2 {
                try endure(words, on: nodes[0], patient, after: 0.02)
            } else {
                try nodes[0].done(words)
            }
        }
        try settle(nodes, records: edits)
        for node in nodes {
            for number in 0..<edits where try node.fields(of: "Organization 0/need/\(number)") == nil {
                throw BenchFailure("edit \(number) was answered, and is not there")
            }
        }
    }

    /// A node with all records answers as before, and agrees with the other node.
    private func holding(_ scenario: Bench.Scenario) throws {
        let file = scratch("records.jsonl")
        try source.writeJSONLines(file, 0..<source.count)
        let (nodes, patient) = try alliance(2, patient: 0)
        try nodes[0].done(source.words(importing: file))
        try settle(nodes, records: source.count, isDeep: false)
        let query = ["search", "portable", "--json"]
        let wanted = try nodes[0].done(query).json.total.description
        switch scenario {
        case .search: try endure(query, on: nodes[0], patient, after: 0.01)
        case .start:
            let usual = try time { try restart(nodes[0]) }
            nodes[0].stop()
            let starting = try nodes[0].beginRunning()
            usleep(UInt32(usual / 2 * 1e6))
            patient.process = starting
            try patient.hurt()
            starting.end()
            patient.process = nil
            try patient.heal()
        default:
            try patient.hurt()
            sleep(1)
            try patient.heal()
        }
        guard try nodes[0].done(query).json.total.description == wanted else {
            throw BenchFailure("a search finds something else than before")
        }
        try settle(nodes, records: source.count)
    }

    /// Makes many changes to few records.
    private func update() throws {
        let (nodes, patient) = try alliance(1, patient: 0)
        let records = max(10, source.count / 100)
        let rounds = 20
        func file(_ revision: Int) throws -> String {
            let file = scratch("revision-\(revision).jsonl")
            let lines = (0..<records).map { RecordGenerator.record($0, revision: revision).json + [UInt8(ascii: "\n")] }
            try Data(lines.joined()).write(to: URL(fileURLWithPath: file))
            return file
        }
        let usual = try time { try nodes[0].done(source.words(importing: file(0))) }
        for revision in 1...rounds {
            let words = source.words(importing: try file(revision))
            if revision == rounds / 2 {
                try endure(words, on: nodes[0], patient, after: usual / 2)
            } else {
                try nodes[0].done(words)
            }
        }
        guard try nodes[0].done(source.words(importing: file(rounds))).json.unchanged.int == records else {
            throw BenchFailure("the last revision is not what is held")
        }
        try settle(nodes, records: records)
    }

    /// Verifies with the running node, or rebuilds all derived data with the node stopped.
    private func verify(_ how: String) throws {
        let file = scratch("records.jsonl")
        try source.writeJSONLines(file, 0..<source.count)
        let (nodes, patient) = try alliance(1, patient: 0)
        try nodes[0].done(source.words(importing: file))
        let digest = try nodes[0].digest()
        let words = ["verify", how, "--json"]
        let isRebuild = how == "--rebuild"
        if isRebuild { nodes[0].stop() }
        let usual = try time { try nodes[0].done(words) }
        try endure(words, on: nodes[0], patient, after: usual / 2, isCommandHurt: isRebuild)
        if isRebuild { try Nodes.start(nodes[0]) }
        guard try nodes[0].digest() == digest else { throw BenchFailure("the directory has changed") }
        try settle(nodes, records: source.count)
    }

    // MARK: - Shared by scenarios

    private func time(_ work: () throws -> Void) rethrows -> Double {
        let begin = ContinuousClock.now
        try work()
        return begin.duration(to: .now) / .seconds(1)
    }

    private func restart(_ node: HansaProcess) throws {
        node.stop()
        try Nodes.start(node)
    }

    /// Nodes of one alliance; the first ones run.
    ///
    /// - Parameter patient: the node that has the fault. Its folder is on the small disk if there is one.
    private func alliance(_ count: Int, patient: Int, running: Int? = nil) throws -> (nodes: [HansaProcess], Patient) {
        let name = "alliance-" + UUID().uuidString.prefix(8)
        var nodes = Nodes(scratch, prefix: name) { [disk] number, folder in
            number == patient ? disk.map { $0.path + "/" + name } ?? folder : folder
        }
        for number in 0..<count { _ = number < running ?? count ? try nodes.add() : try nodes.make() }
        return (nodes.all, Patient(nodes.all[patient], fault, disk))
    }

    private func alliance(_ count: Int) throws -> (nodes: [HansaProcess], Patient) {
        let (nodes, patient) = try alliance(count, patient: 0)
        return (nodes, patient)
    }

    /// Runs a command with a fault in the middle, and repeats it until it succeeds.
    private func endure(
        _ words: [String],
        on node: HansaProcess,
        _ patient: Patient,
        after seconds: Double,
        isCommandHurt: Bool = false
    ) throws {
        let command = try node.begin(words)
        usleep(UInt32(seconds * 1e6))
        if isCommandHurt { patient.process = command }
        try patient.hurt()
        // If the command runs on another node, the fault can end at once.
        let code = node === patient.node ? command.wait(seconds: LoadedNode.patience) : nil
        if node !== patient.node, fault == .fullDisk { sleep(1) }
        try patient.heal()
        patient.process = nil
        guard code ?? command.wait(seconds: LoadedNode.patience) != 0 else { return }
        for _ in 0..<5 where try node.command(words).code == 0 { return }
        throw BenchFailure("'\(words[0])' does not work any more: \(try node.command(words))")
    }

    /// Waits until the nodes agree and have at least this many records plus one of an organization; checks their stores
    /// if `isDeep`.
    private func settle(_ nodes: [HansaProcess], records: Int, isDeep: Bool = true) throws {
        var found: [String] = []
        let agree = try eventually(seconds: 600) {
            let states = try nodes.map { try $0.status() }
            found = states.map { "\($0.records.int ?? -1) records, digest \($0.digest.string ?? "none")" }
            return Set(found).count == 1 && states[0].records.int ?? 0 >= records + 1
        }
        guard agree else { throw BenchFailure("the nodes do not agree: \(found)") }
        for node in nodes where isDeep {
            guard try node.done("verify", "--deep", "--json").json.sound.bool == true else {
                throw BenchFailure("the node in \(node.folder) is not sound")
            }
        }
    }
}
