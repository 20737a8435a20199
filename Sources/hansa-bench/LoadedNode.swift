import Client
import Commands
import Foundation
import TestSupport

/// Shared by the scenarios of one run: the records, the raw cost of storing them, and a node that has loaded them. Each
/// is created on first use.
final class LoadedNode {
    let scratch: TemporaryFolder
    let source: RecordSource
    /// True to recompute every node's digests from its log at the end of a scenario.
    let isChecking: Bool
    private(set) var nodes: Nodes
    private var loaded: HansaProcess?
    private var reference: PlainSQLite.Outcome?
    /// The duration of loading in seconds.
    private(set) var loadSeconds = 0.0
    /// The size of the JSON lines in bytes.
    private(set) var lineBytes = 0

    init(_ scratch: TemporaryFolder, source: RecordSource, isChecking: Bool) {
        self.scratch = scratch
        self.source = source
        self.isChecking = isChecking
        nodes = Nodes(scratch)
    }

    /// The results of plain SQLite with the same records.
    func plain() throws -> PlainSQLite.Outcome {
        if let reference { return reference }
        let outcome = try PlainSQLite.run(in: scratch("plain"), count: source.count, record: source.record)
        try? FileManager.default.removeItem(atPath: scratch("plain"))
        reference = outcome
        return outcome
    }

    /// The file of all records.
    func lines() throws -> String {
        let path = scratch("records.jsonl")
        if lineBytes == 0 { lineBytes = try source.writeJSONLines(path, 0..<source.count) }
        return path
    }

    /// The running node with all records.
    func author() async throws -> HansaProcess {
        if let loaded { return loaded }
        let file = try lines()
        let node = try nodes.add()
        loadSeconds = try load(file, into: node, created: source.count)
        loaded = node
        return node
    }

    /// Adds a running member.
    func member() throws -> HansaProcess { try nodes.add() }

    /// Adds a member that does not run yet.
    func newcomer() throws -> HansaProcess { try nodes.make() }

    /// Loads a file into a running node. Returns the duration in seconds.
    @discardableResult
    func load(_ file: String, into node: HansaProcess, created: Int = 0, updated: Int = 0) throws -> Double {
        let words = source.words(importing: file)
        let output = scratch("import-\(UUID().uuidString.prefix(8)).json")
        let begin = ContinuousClock.now
        let process = try node.begin(words, output: output)
        guard process.wait(seconds: Self.patience) != nil else {
            throw BenchFailure("the import of \(file) never ends")
        }
        let seconds = begin.duration(to: .now) / .seconds(1)
        let answer = JSONTree(FileManager.default.contents(atPath: output) ?? Data())
        guard answer.created.int == created, answer.updated.int == updated else {
            let text = String(decoding: FileManager.default.contents(atPath: output) ?? Data(), as: UTF8.self)
            throw BenchFailure("the import of \(file) gave \(text.prefix(1000))")
        }
        return seconds
    }

    /// The maximum duration of a scenario in seconds.
    static let patience = 3600.0

    /// Waits until a running node has this many records.
    func awaitRecords(_ count: Int, at node: HansaProcess) async throws {
        let client = try await Nodes.client(node.folder)
        let begin = ContinuousClock.now
        while try await client.call(StatusCommand()).records < count {
            guard begin.duration(to: .now) < .seconds(Self.patience) else {
                throw BenchFailure("the node in \(node.folder) does not get all records")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Waits until a running node has the same data as the other, including changes of records. The goal may change
    /// during the wait: a newcomer adds its own record.
    func awaitDigest(of other: HansaProcess, at node: HansaProcess) async throws {
        let (source, client) = (try await Nodes.client(other.folder), try await Nodes.client(node.folder))
        let begin = ContinuousClock.now
        while true {
            let (wanted, held) = (try await source.call(StatusCommand()), try await client.call(StatusCommand()))
            if wanted.digest == held.digest, held.records >= self.source.count { return }
            guard begin.duration(to: .now) < .seconds(Self.patience) else {
                throw BenchFailure("the node in \(node.folder) does not come to hold the same")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Waits until the nodes agree (a newcomer's own record may still be in transit). If `isChecking`, recomputes the
    /// digests from the logs.
    func check(_ some: [HansaProcess]) throws {
        var digests: [String] = []
        let agree = try eventually(seconds: 60) {
            digests = try some.map { try $0.digest() }
            return Set(digests).count == 1
        }
        guard agree else { throw BenchFailure("the nodes do not agree: \(digests)") }
        guard isChecking else { return }
        for node in some {
            let answer = try node.done("verify", "--deep", "--json").json
            guard answer.sound.bool == true, answer.digest.string == digests.first else {
                throw BenchFailure("the node in \(node.folder) is not sound")
            }
        }
    }
}
