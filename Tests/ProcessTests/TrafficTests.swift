import Foundation
import TestSupport
import Testing

extension ProcessTests {
    /// The nodes' counts of their own traffic.
    struct TrafficTests {
        private static func traffic(_ node: HansaProcess) throws -> JSONTree { try node.done("peers", "--json").json }

        /// The counts of a direction by message, without those of joins, which another process sends.
        private static func counts(_ direction: JSONTree) -> [String: JSONTree] {
            direction.byMessage.object.filter { $0.key != "join" }
        }

        private static func sum(_ counts: some Sequence<JSONTree>, _ key: String) -> Int {
            counts.reduce(0) { $0 + ($1[key].int ?? 0) }
        }

        @Test
        func `one node has received what the other has sent, message by message`() throws {
            let cluster = try Cluster("First", "Second")
            for number in 0..<20 { try cluster[0].done("edit", "First/need/n\(number)", "title=\(number)", "--create") }
            #expect(try cluster.awaitAgreement())
            // A heartbeat may be in transit.
            var both: [JSONTree] = []
            let isEqual = try eventually(seconds: 60) {
                both = try cluster.nodes.map(Self.traffic)
                return Self.counts(both[0].traffic.sent) == Self.counts(both[1].traffic.received)
                    && Self.counts(both[1].traffic.sent) == Self.counts(both[0].traffic.received)
            }
            #expect(isEqual, "\(both)")
            let sent = both[0].traffic.sent
            #expect(sent.byMessage.hello.messages.int == 1)
            // Each of twenty edits, some hundred bytes long, was sent once, as a push or on request.
            let edits = Self.sum([sent.byMessage.push, sent.byMessage.deltas], "bytes")
            #expect((20 * 200..<20 * 2_000).contains(edits), "\(sent)")
            for direction in [sent, both[0].traffic.received] {
                #expect(direction.bytes.int == Self.sum(direction.byMessage.object.values, "bytes"))
                #expect(direction.messages.int == Self.sum(direction.byMessage.object.values, "messages"))
                // TLS records and handshakes add to this.
                #expect((direction.socketBytes.int ?? 0) > (direction.bytes.int ?? .max) + 1_000)
            }
            let peer = both[0].peers[0]
            #expect(peer.sentBytes.int == Self.sum(Self.counts(sent).values, "bytes"))
            #expect(peer.receivedBytes.int == Self.sum(Self.counts(both[0].traffic.received).values, "bytes"))
            #expect((sent.byMessage.join.bytes.int ?? 0) > 500, "the answer to the newcomer")
            #expect(try cluster[0].done("peers").output.contains("since the start"))
        }

        @Test
        func `counts of a peer's traffic outlast its session`() throws {
            let cluster = try Cluster("First", "Second")
            #expect(try cluster.awaitAgreement())
            let before = try Self.traffic(cluster[0]).peers[0].sentBytes.int ?? 0
            #expect(before > 0)
            cluster[1].stop()
            let isEnded = try eventually(seconds: 60) {
                try Self.traffic(cluster[0]).peers[0].connected.bool == false
            }
            #expect(isEnded)
            #expect(try Self.traffic(cluster[0]).peers[0].sentBytes.int ?? 0 >= before)
            #expect(try cluster[1].done("peers", "--json").json.traffic == .null, "it does not run")
        }
    }
}
