import Foundation
import TestSupport
import Testing

/// Every suite that runs real processes, one test at a time: many nodes at once would overload a small machine.
@Suite(.serialized) enum ProcessTests {}

/// The real data sets, if the environment names them.
enum RealData {
    static let folder = ProcessInfo.processInfo.environment["HANSA_TEST_DATA"].flatMap { $0.isEmpty ? nil : $0 }
    static let isMissing: Comment = "HANSA_TEST_DATA is not set, so the real files are not there"

    static func path(_ name: String) -> String { (folder ?? "") + "/" + name }
}

/// Some nodes of one alliance in a temporary folder.
final class Cluster {
    let folder: TemporaryFolder
    /// All nodes created so far; the first is the founder's.
    private(set) var nodes: [HansaProcess] = []

    /// Founds an alliance with the first organization; the others join one after the other. All nodes run afterwards.
    init(_ organizations: String...) throws {
        folder = try TemporaryFolder()
        for organization in organizations {
            if nodes.isEmpty {
                let founder = node()
                try founder.found(organization: organization)
                #expect(try founder.start())
                nodes.append(founder)
            } else {
                try add(organization)
            }
        }
    }

    subscript(position: Int) -> HansaProcess { nodes[position] }

    /// A node whose folder is not created yet.
    func node(_ name: String = "node-\(UUID().uuidString.prefix(4))", folder path: String? = nil) -> HansaProcess {
        HansaProcess(folder: path ?? folder(name), runtime: folder.runtime)
    }

    /// Adds a running node of a new organization, or (nil) of the inviter's.
    @discardableResult
    func add(_ organization: String?, invitedBy inviter: HansaProcess? = nil) throws -> HansaProcess {
        let newcomer = node()
        let inviter = inviter ?? nodes[0]
        let ticket = organization == nil ? try inviter.ticket("--own") : try inviter.ticket()
        let joined = try newcomer.join(ticket, organization: organization)
        guard joined.code == 0 else { throw CommandFailure(words: ["join"], outcome: joined) }
        #expect(try newcomer.start())
        nodes.append(newcomer)
        return newcomer
    }

    /// Waits until all running nodes have the same frontier and digest; false if the time limit passes first.
    @discardableResult
    func awaitAgreement(seconds: Double = 120, _ some: [HansaProcess]? = nil) throws -> Bool {
        let running = (some ?? nodes).filter { $0.processIdentifier != nil }
        return try eventually(seconds: seconds) {
            let all = try running.map { try $0.status() }
            return all.allSatisfy { $0.digest != .null && $0.digest == all[0].digest && $0.frontier == all[0].frontier }
        }
    }

    /// True if no running node reports a forked log.
    func hasNoFork() throws -> Bool {
        try nodes.filter { $0.processIdentifier != nil }.allSatisfy { try $0.status().forks == .list([]) }
    }
}

extension HansaProcess {
    /// The frontier entries of this node's own logs: sequence numbers by incarnation.
    func ownLogs() throws -> [String: Int] {
        let status = try status()
        var logs: [String: Int] = [:]
        for entry in status.frontier.array where entry.author == status.node.id {
            logs[entry.incarnation.string ?? ""] = entry.sequence.int
        }
        return logs
    }

    /// The sequence numbers of all logs by incarnation.
    func sequences() throws -> [String: Int] {
        var logs: [String: Int] = [:]
        for entry in try status().frontier.array { logs[entry.incarnation.string ?? ""] = entry.sequence.int }
        return logs
    }

    /// All records of a kind by local id, from `export`, without their owner.
    func catalog(_ kind: String) throws -> [String: JSONTree] {
        var catalog: [String: JSONTree] = [:]
        for line in try done("export", "--kind", kind, "--format", "jsonl").output.split(separator: "\n") {
            var record = JSONTree(Data(line.utf8)).object
            record["owner"] = nil
            catalog[record["localId"]?.string ?? "\(line)"] = .members(record)
        }
        return catalog
    }
}

/// Copies a folder with its current contents.
func copyFolder(_ source: String, to target: String) throws {
    try? FileManager.default.removeItem(atPath: target)
    try FileManager.default.copyItem(atPath: source, toPath: target)
}
