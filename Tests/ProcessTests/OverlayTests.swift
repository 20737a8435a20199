import Foundation
import Glibc
import TestSupport
import Testing

extension ProcessTests {
    /// An alliance too large for a full mesh, with real processes.
    struct OverlayTests {
        @Test
        func `fourteen nodes keep few neighbours, and all come to hold the same while some are stopped and killed`()
            throws
        {
            let cluster = try Cluster("Organization 0")
            for number in 1..<14 { try cluster.add("Organization \(number)") }
            #expect(try cluster.awaitAgreement())
            // Each node has neighbours, but none is connected to all others.
            let isSettled = try eventually(seconds: 60) {
                try cluster.nodes.allSatisfy { node in
                    let topology = try node.done("topology", "--json").json
                    return (3...12).contains(topology.active.array.count) && topology.mesh.bool == false
                }
            }
            #expect(isSettled)
            for (number, node) in cluster.nodes.enumerated() {
                try node.done("edit", "Organization \(number)/need/n", "title=calm \(number)", "--create")
            }
            #expect(try cluster.awaitAgreement())
            #expect(try cluster[0].records() == 28)

            let stopped = try #require(cluster[3].processIdentifier)
            kill(stopped, SIGSTOP)
            cluster[5].kill()
            let others = cluster.nodes.indices.filter { $0 != 3 && $0 != 5 }
            for number in others {
                try cluster[number].done("edit", "Organization \(number)/need/n", "title=storm \(number)")
            }
            #expect(try cluster.awaitAgreement(others.map { cluster[$0] }))
            kill(stopped, SIGCONT)
            #expect(try cluster[5].start())
            #expect(try cluster.awaitAgreement())
            #expect(try cluster[3].done("get", "Organization 9/need/n").output.contains("storm 9"))
            // A non-neighbour can still be queried.
            #expect(try cluster[0].command("diff", "Organization 7").code == 0)
            let text = try cluster[0].done("topology").output
            #expect(text.contains("neighbours wanted") && text.contains("redundancy"))
            cluster[0].stop()
            #expect(try cluster[0].command("topology").code == 3)
        }
    }
}
