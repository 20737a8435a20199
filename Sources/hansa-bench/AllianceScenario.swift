import Client
import Commands
import Foundation
import Glibc
import TestSupport

/// Spreads edits over an alliance of many nodes, and measures the time until a search on another node finds each edit.
/// First all nodes run, then a quarter of them is stopped or killed in turn. At the end all nodes must have equal data.
struct AllianceScenario {
    private let scratch: TemporaryFolder
    private let nodeCount: Int
    private let edits: Int

    /// The number of groups of nodes that are stopped or killed in turn.
    private static let quarters = 4
    /// The maximum time until all nodes agree.
    private static let patience = Duration.seconds(120)

    init(_ scratch: TemporaryFolder, nodes: Int, edits: Int) {
        self.scratch = scratch
        nodeCount = nodes
        self.edits = edits
    }

    func run() async throws -> [Measurement] {
        var nodes = Nodes(scratch)
        defer { for node in nodes.all { node.kill() } }
        for _ in 0..<nodeCount { _ = try nodes.add() }
        var alliance = Alliance(nodes: nodes.all)
        for position in nodes.all.indices { try await alliance.connect(position) }
        try await alliance.awaitAgreement(Self.patience)

        var calm: [Double] = []
        for number in 0..<edits {
            let author = number % nodeCount
            calm.append(try await alliance.edit(by: author, seenBy: Array(nodes.all.indices), number: number))
        }
        let settling = try await alliance.awaitAgreement(Self.patience)
        var failing: [Double] = []
        for quarter in 0..<Self.quarters {
            let down = nodes.all.indices.filter { $0 % Self.quarters == quarter }
            let up = nodes.all.indices.filter { $0 % Self.quarters != quarter }
            for (turn, position) in down.enumerated() { alliance.halt(position, kill: turn % 2 == 1) }
            for number in 0..<(edits / Self.quarters) {
                failing.append(try await alliance.edit(by: up[number % up.count], seenBy: up, number: number))
            }
            for (turn, position) in down.enumerated() { try await alliance.resume(position, isKilled: turn % 2 == 1) }
        }
        let recovering = try await alliance.awaitAgreement(Self.patience)
        let memory = nodes.all.compactMap { Facts.peakMemory(of: $0.processIdentifier) }.max()
        func results(_ name: String, _ series: [Double], agreement: Double) -> [Measurement] {
            [
                Measurement(
                    scenario: "alliance/\(name)-median",
                    figure: Facts.quantile(0.5, of: series),
                    unit: "ms",
                    rssBytes: memory
                ),
                Measurement(scenario: "alliance/\(name)-p99", figure: Facts.quantile(0.99, of: series), unit: "ms"),
                Measurement(scenario: "alliance/\(name)-all-equal-after", figure: agreement, unit: "ms"),
            ]
        }
        return results("visible", calm, agreement: settling)
            + results("visible-while-a-quarter-fails", failing, agreement: recovering)
    }
}

/// Real nodes with their local interfaces.
private struct Alliance {
    private let nodes: [HansaProcess]
    private var clients: [Int: LocalClient] = [:]

    init(nodes: [HansaProcess]) {
        self.nodes = nodes
    }

    mutating func connect(_ position: Int) async throws {
        clients[position] = try await Nodes.client(nodes[position].folder)
    }

    private func client(_ position: Int) throws -> LocalClient {
        guard let client = clients[position] else { throw BenchFailure("node \(position) is not running") }
        return client
    }

    /// Edits on one node, and waits until a search on another random node finds the edit. Returns the milliseconds from
    /// the answer of the edit until then.
    func edit(by author: Int, seenBy readers: [Int], number: Int) async throws -> Double {
        let word = "edit\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
        guard let change = EditWord("name=\(word)"), let reader = readers.filter({ $0 != author }).randomElement()
        else {
            throw BenchFailure("nobody to read '\(word)'")
        }
        let id = "Organization \(author)/need/\(number % 50)"
        _ = try await client(author).call(EditCommand(id: id, words: [change], create: true))
        let begin = ContinuousClock.now
        let query = SearchCommand(text: word, kind: nil, owner: nil, limit: 1)
        while try await client(reader).call(query).total == 0 {
            guard begin.duration(to: .now) < .seconds(60) else {
                throw BenchFailure("an edit of node \(author) is never found on node \(reader)")
            }
            try await Task.sleep(for: .microseconds(200))
        }
        return begin.duration(to: .now) / .milliseconds(1)
    }

    /// Waits until all nodes have one digest and one frontier. Returns the time in milliseconds.
    @discardableResult
    func awaitAgreement(_ patience: Duration) async throws -> Double {
        let begin = ContinuousClock.now
        while true {
            var states: Set<String> = []
            for position in nodes.indices {
                let status = try await client(position).call(StatusCommand())
                let heads = status.frontier.map { "\($0.author)\($0.incarnation)\($0.head)" }.sorted()
                states.insert(status.digest + heads.joined())
            }
            if states.count == 1 { return begin.duration(to: .now) / .milliseconds(1) }
            guard begin.duration(to: .now) < patience else { throw BenchFailure("the nodes never come to agree") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Stops a node's process, or kills it.
    mutating func halt(_ position: Int, kill isKilled: Bool) {
        clients[position] = nil
        if isKilled {
            nodes[position].kill()
        } else if let process = nodes[position].processIdentifier {
            kill(process, SIGSTOP)
        }
    }

    mutating func resume(_ position: Int, isKilled: Bool) async throws {
        if isKilled {
            try Nodes.start(nodes[position])
        } else if let process = nodes[position].processIdentifier {
            kill(process, SIGCONT)
        }
        try await connect(position)
    }
}
