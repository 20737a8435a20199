import Client
import Commands
import Foundation
import PeerService
import Replica
import TestSupport

/// Real nodes in one folder, and clients that query them without a new process for each call.
struct Nodes {
    let scratch: TemporaryFolder
    /// The prefix of their folders' names.
    private let prefix: String
    private(set) var all: [HansaProcess] = []
    /// The folder of a node, by its number and its default folder.
    private let location: (Int, String) -> String

    init(
        _ scratch: TemporaryFolder,
        prefix: String = "node",
        location: @escaping (Int, String) -> String = { $1 }
    ) {
        self.scratch = scratch
        self.prefix = prefix
        self.location = location
    }

    /// Adds a node that does not run yet; the first one founds the alliance.
    mutating func make() throws -> HansaProcess {
        let folder = location(all.count, scratch("\(prefix)-\(all.count)"))
        let node = HansaProcess(folder: folder, runtime: scratch.runtime)
        let name = "Organization \(all.count)"
        if let first = all.first {
            let joined = try node.join(try first.ticket(), organization: name)
            guard joined.code == 0 else { throw CommandFailure(words: ["join"], outcome: joined) }
        } else {
            try node.found(organization: name)
        }
        all.append(node)
        return node
    }

    /// Adds a running node.
    mutating func add() throws -> HansaProcess {
        let node = try make()
        try Self.start(node)
        return node
    }

    static func start(_ node: HansaProcess) throws {
        guard try node.start() else { throw BenchFailure("the node in \(node.folder) does not start") }
    }

    /// A client of the local interface of the node in a folder.
    static func client(_ folder: String) async throws -> LocalClient {
        guard let client = try await LocalClient(folder: DataFolder(folder)) else {
            throw BenchFailure("the node in \(folder) does not listen")
        }
        return client
    }

    /// The bytes that running nodes have sent each other since each start, by their own count: TLS records including
    /// handshakes, without TCP and IP headers.
    static func bytesOnTheWire(_ nodes: [HansaProcess]) async throws -> Int {
        var sum = 0
        for node in nodes {
            guard let traffic = try await client(node.folder).call(PeersCommand()).traffic else {
                throw BenchFailure("the node in \(node.folder) does not report its traffic")
            }
            sum += Int(clamping: traffic.sent.socketBytes)
        }
        return sum
    }
}
