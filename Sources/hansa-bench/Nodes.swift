import Foundation
import LocalAPI
import Node
import TestSupport

/// Real nodes in one folder, and how they are asked without starting a process each time.
struct Nodes {
    let scratch: TemporaryFolder
    private(set) var all: [HansaProcess] = []

    init(_ scratch: TemporaryFolder) {
        self.scratch = scratch
    }

    /// One more running node; the first founds the alliance.
    mutating func add() throws -> HansaProcess {
        let node = HansaProcess(folder: scratch("node-\(all.count)"), runtime: scratch.runtime)
        let name = "Organization \(all.count)"
        if let first = all.first {
            let joined = try node.join(try first.ticket(), organization: name)
            guard joined.code == 0 else { throw CommandFailure(words: ["join"], outcome: joined) }
        } else {
            try node.found(organization: name)
        }
        guard try node.start() else { throw BenchFailure("the node in \(node.folder) does not start") }
        all.append(node)
        return node
    }

    /// The local interface of the node in a folder.
    static func client(_ folder: String) async throws -> LocalClient {
        guard let client = try await LocalClient(folder: DataFolder(folder)) else {
            throw BenchFailure("the node in \(folder) does not listen")
        }
        return client
    }
}
