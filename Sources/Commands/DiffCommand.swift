import Catalog
import Foundation
import Gossip
import Governance
import PeerService
import Replica
import Schema
import Store

/// Compares the directory with a member's: are both identical, and if not, which records differ.
package struct DiffCommand: Command {
    package static let endpoint = Endpoint("diff", .reader)
    /// A member's name, or the beginning of a node's key.
    package let member: String

    /// The most differing records that are listed; all are counted.
    package static let shownMax = 1000

    package init(member: String) { self.member = member }

    package struct Record: Codable, Sendable {
        package let id: String
        package let name: String?
        /// `only here`, `only there` or `differs`.
        package let difference: String
    }

    package struct NodeAnswer: Codable, Sendable {
        package let organization: String
        package let node: String
        package let identical: Bool
        package let digestHere: String
        package let digestThere: String
        /// False if one side holds deltas that the other does not, even if the digests are equal.
        package let frontiersEqual: Bool
        package let differing: Int
        package let records: [Record]
    }

    package struct Output: Codable, Sendable {
        /// True if every node asked has answered and all are identical.
        package let identical: Bool
        package let nodes: [NodeAnswer]
        /// Nodes of the member that could not be asked, each with the reason.
        package let unreachable: [String]
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let nodes = try replica.nodes(member).filter { $0 != replica.node }
        guard !nodes.isEmpty else { throw Failure(.ownNode, "that is this node itself; name another member") }
        let service = try context.runningNode()
        var answers: [NodeAnswer] = []
        var unreachable: [Failure] = []
        for node in nodes {
            do {
                answers.append(try await compare(node, service: service))
            } catch let error as Failure where [.peerUnreachable, .peerSilent, .badAnswer].contains(error.reason) {
                unreachable.append(error)
            }
        }
        if answers.isEmpty, let first = unreachable.first { throw first }
        return Output(
            identical: unreachable.isEmpty && answers.allSatisfy(\.identical),
            nodes: answers,
            unreachable: unreachable.map(\.message)
        )
    }

    private func compare(_ node: NodeKey, service: NodeService) async throws -> NodeAnswer {
        let replica = service.replica
        let hasher = replica.cryptography
        let own = try await replica.read { try RecordComparison.answer(.sums(token: 0), reading: $0, hasher: hasher) }
        let theirs = try await service.ask(node) { .sums(token: $0) }
        guard theirs.sums.count == 256 else { throw Failure(.badAnswer, "the peer gave no sums") }
        var records: [Record] = []
        var count = 0
        for bucket in 0...255 where own.sums[bucket] != theirs.sums[bucket] {
            let found = try await compareBucket(UInt8(bucket), with: node, service: service)
            count += found.count
            records.append(contentsOf: found.prefix(Self.shownMax - min(records.count, Self.shownMax)))
        }
        return NodeAnswer(
            organization: replica.organizationName(of: node) ?? "unknown",
            node: node.hex,
            identical: count == 0 && own.digest == theirs.digest && own.frontier == theirs.frontier,
            digestHere: own.digest.hex,
            digestThere: theirs.digest.hex,
            frontiersEqual: own.frontier == theirs.frontier,
            differing: count,
            records: records
        )
    }

    private func compareBucket(_ bucket: UInt8, with node: NodeKey, service: NodeService) async throws -> [Record] {
        let replica = service.replica
        let hasher = replica.cryptography
        let own = try await all { after in
            try await replica.read {
                try RecordComparison.answer(
                    .records(token: 0, bucket: bucket, after: after),
                    reading: $0,
                    hasher: hasher
                )
            }
        }
        let theirs = try await all { after in
            try await service.ask(node) { .records(token: $0, bucket: bucket, after: after) }
        }
        let differing = Set(own.keys).union(theirs.keys).filter { own[$0] != theirs[$0] }.sorted()
        let names = try await replica.read { reading in
            try differing.prefix(Self.shownMax).map { try reading.view(of: $0)?.displayName() }
        }
        return differing.enumerated().map { position, id in
            Record(
                id: id.hex,
                name: position < names.count ? names[position] : nil,
                difference: theirs[id] == nil ? "only here" : own[id] == nil ? "only there" : "differs"
            )
        }
    }

    private func all(
        _ page: (RecordID?) async throws -> PeerMessage.DiffAnswer
    ) async throws -> [RecordID: Hash256] {
        var records: [RecordID: Hash256] = [:]
        var after: RecordID?
        while true {
            let answer = try await page(after)
            for entry in answer.records { records[entry.record] = entry.hash }
            guard answer.more, let last = answer.records.last?.record, after.map({ $0 < last }) ?? true else {
                return records
            }
            after = last
        }
    }
}
