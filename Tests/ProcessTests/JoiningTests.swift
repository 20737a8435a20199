import Foundation
import OpenSSLKit
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing
import Wire

extension ProcessTests {
    /// The uses of a ticket, and the messages of a join.
    struct JoiningTests {
        @Test
        func `a member that forks its logs keeps nobody from joining`() throws {
            let cluster = try Cluster("Acme")
            let bolt = try HostileMember(ticket: cluster[0].ticket(), name: "Bolt")
            #expect(try bolt.join(port: cluster[0].port).count == 1)
            try bolt.state(bolt.forkProofs(64), port: cluster[0].port)

            let crow = try HostileMember(ticket: cluster[0].ticket(), name: "Crow")
            let answers = try crow.join(port: cluster[0].port)
            let sizes = try answers.map { answer -> Int in
                let bytes: [UInt8] = try answer.serializedBytes()
                return bytes.count
            }
            #expect(sizes.reduce(0, +) > 4 * 1024 * 1024 && sizes.allSatisfy { $0 < 400 * 1024 })
            #expect(answers.allSatisfy { $0.refused == 0 })
            #expect(answers[0].hasCharter && answers.dropFirst().allSatisfy { !$0.hasCharter })
            #expect(answers.map(\.more) == Array(repeating: true, count: answers.count - 1) + [false])
            // The first part has all data about membership.
            #expect(answers[0].statements.count { !$0.signer.isEmpty } == 5)

            try cluster.add("Dove")
            #expect(try cluster.awaitAgreement())
            #expect(try cluster[1].status().members.array.count == 4)
            #expect(try cluster[1].status().forks.array.count == 64)
        }

        @Test
        func `a ticket admits one organization, and no other by the same node`() throws {
            let cluster = try Cluster("Acme")
            let (node, port) = (cluster[0], cluster[0].port)
            let ticket = try node.ticket()
            let bolt = try HostileMember(ticket: ticket, name: "Bolt")
            #expect(try bolt.join(port: port)[0].refused == 0)
            for restarts in [false, true] {
                if restarts {
                    #expect(node.stop() == 0)
                    #expect(try node.start())
                }
                // The same node key with another organization's key, and the same organization's key with another node
                // key.
                for other in [
                    try HostileMember(ticket: ticket, name: "Crow", node: bolt.node),
                    try HostileMember(ticket: ticket, name: "Bolt", organizationKey: bolt.organizationKey),
                ] {
                    let answer = try other.join(port: port)[0]
                    #expect(answer.refused == 4 && answer.reason.contains("was used"), "\(answer)")
                }
                // A different name would admit it twice.
                let renamed = try HostileMember(
                    ticket: ticket,
                    name: "Crow",
                    organizationKey: bolt.organizationKey,
                    node: bolt.node
                )
                #expect(try renamed.join(port: port)[0].reason.contains("'Bolt'"))
                // A newcomer that lost the answer may ask again.
                #expect(try bolt.join(port: port)[0].refused == 0)
            }
            #expect(try node.status().members.array.count == 2)
        }

        @Test
        func `of two newcomers with one name at the same moment one is admitted`() throws {
            let cluster = try Cluster("Acme")
            let port = cluster[0].port
            for round in 1...15 {
                let newcomers = try ["Bolt \(round)", "BOLT \(round)"].map {
                    try HostileMember(ticket: cluster[0].ticket(), name: $0)
                }
                let codes = Mutex<[UInt32]>([])
                DispatchQueue.concurrentPerform(iterations: 2) { number in
                    let answers = try? newcomers[number].join(port: port)
                    codes.withLock { $0.append(answers?.first?.refused ?? 99) }
                }
                #expect(codes.withLock { $0.sorted() } == [0, 4], "round \(round)")
            }
            #expect(try cluster[0].status().members.array.count == 16)
        }

        @Test
        func `a newcomer may send little, and only a join request`() throws {
            let cluster = try Cluster("Acme")
            let port = cluster[0].port
            let ticket = try cluster[0].ticket()
            let identity = try HostileMember.identity(ofTicket: ticket)
            func connect() throws -> HostilePeer {
                let peer = try HostilePeer(port: port)
                try peer.shakeHands(as: identity)
                return peer
            }
            // Longer than any request; the node judges it by its length.
            let long = try connect()
            try long.send(frame: [1], announced: 16 * 1024 + 1)
            #expect(long.hasBeenClosed(within: 30))
            let other = try connect()
            let bolt = try HostileMember(ticket: ticket, name: "Bolt")
            try other.send(bolt.hello)
            guard case .joinAnswer(let answer) = try Hansa_V0_Frame(serializedBytes: other.receiveFrame()).message
            else {
                Issue.record("no answer")
                return
            }
            #expect(answer.refused == 4 && answer.reason.contains("may only ask to join"))
            #expect(other.hasBeenClosed(within: 30))
            // The ticket is still unused.
            #expect(try bolt.join(port: port)[0].refused == 0)
        }
    }
}
