import Catalog
import DeltaLog
import Gossip
import Replica
import TestSupport
import Testing

extension ProcessTests {
    @Suite struct ForkTests {
        /// A delta with one operation per record, signed by the member's first node.
        private static func delta(_ ids: [String], after head: Head?, by member: HostileMember) throws -> VerifiedDelta
        {
            let cryptography = SystemCryptography()
            let drafts = ids.map { id -> OperationDraft in
                let identity = RecordIdentity(kind: "need", localID: id)
                return OperationDraft(
                    envelope: Envelope(
                        key: identity.key(cryptography),
                        kind: .ordinary,
                        writes: [Write(field: .identity, mode: .set)]
                    ),
                    values: [.identity(identity)]
                )
            }
            return try VerifiedDelta(
                signing: drafts,
                salts: drafts.indices.map { Array(repeating: UInt8($0), count: Content.saltByteCount) },
                as: VerifiedDelta.Authorship(
                    alliance: member.alliance,
                    organization: member.organization,
                    log: LogID(author: NodeKey(member.node.publicKey), incarnation: 5),
                    head: head,
                    stamp: Stamp(milliseconds: 1, counter: 0),
                    importMark: nil
                ),
                signer: member.node,
                hasher: cryptography
            )
        }

        private static func push(_ deltas: [VerifiedDelta], by member: HostileMember, to node: HansaProcess) throws {
            let peer = try member.session(port: node.port)
            try peer.send(.neighbour(isUrgent: true))
            for delta in deltas { try peer.send(.push([delta.encoded()], hops: 1)) }
            // The node handles the session's messages in order.
            try peer.send(.diffQuestion(.sums(token: 9)))
            while true { if case .diffAnswer = try peer.receive() { break } }
            peer.close()
        }

        @Test
        func `nodes that merged different branches before they met have one digest soon after`() throws {
            let cluster = try Cluster("Reed", "Moss")
            try cluster[0].done("edit", "Reed/need/own", "name=Own", "--create")
            let hostile = try HostileMember(ticket: cluster[0].ticket(), name: "Thistle")
            try hostile.join(port: cluster[0].port)
            #expect(
                try eventually(seconds: 60) {
                    try cluster.nodes.allSatisfy { try $0.status().members.array.count == 3 }
                }
            )
            #expect(try cluster.awaitAgreement())
            let own = try cluster[0].records()
            let first = try Self.delta(["first"], after: nil, by: hostile)
            let left = try Self.delta(["left 1", "left 2"], after: first.head, by: hostile)
            let right = try Self.delta(["right"], after: first.head, by: hostile)
            // Each node is alone while it receives its branch.
            #expect(cluster[1].stop() == 0)
            for (place, branch) in [(0, left), (1, right)] {
                try Self.push([first, branch], by: hostile, to: cluster[place])
                let records = own + 1 + branch.operations.count
                #expect(try eventually(seconds: 60) { try cluster[place].records() == records })
                #expect(cluster[place].stop() == 0)
                #expect(try cluster[1 - place].start())
            }
            #expect(cluster[0].stop() == 0)
            for node in cluster.nodes { #expect(try node.start()) }
            #expect(
                try eventually(seconds: 120) {
                    let all = try cluster.nodes.map { try $0.status() }
                    return all.allSatisfy { $0.forks.array.count == 1 && $0.records.int == own + 1 }
                        && all[0].digest == all[1].digest
                }
            )
            for node in cluster.nodes {
                #expect(node.stop() == 0)
                #expect(try node.command("verify", "--deep").code == 0)
                #expect(try node.start())
            }
        }
    }
}
