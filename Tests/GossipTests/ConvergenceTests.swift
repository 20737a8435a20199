import Catalog
import DeltaLog
import Foundation
import Gossip
import Governance
import Simulator
import TestSupport
import Testing

/// Clusters of honest nodes: under all network faults, they converge.
struct ConvergenceTests {
    @Test(arguments: [2, 3, 8])
    func `concurrent imports reach everybody`(count: Int) {
        let cluster = Simulation(nodes: count, seed: UInt64(count))
        cluster.startAll()
        for round in 0..<10 {
            for node in 0..<count { cluster.write(node, (0..<5).map { ("r\($0)", "\(round)") }) }
            cluster.run(milliseconds: 20)
        }
        #expect(cluster.run(atMost: 30_000) { $0.isConverged }, "\(cluster.summary)")
        #expect(cluster.storage(0).frontier.heads.values.map(\.sequence) == Array(repeating: 10, count: count))
        #expect(cluster.violations.isEmpty)
    }

    @Test
    func `one seed gives one trace`() {
        func trace(_ seed: UInt64) -> MixHash {
            let cluster = Simulation(nodes: 3, seed: seed)
            cluster.startAll()
            for round in 0..<5 { cluster.write(round % 3, [("a", "\(round)")]) }
            cluster.run(milliseconds: 20_000)
            return cluster.trace
        }
        #expect(trace(1) == trace(1))
        if ProcessInfo.processInfo.environment["HANSA_PRINT_TRACE"] != nil { print("TRACE", trace(1).hex) }
        #expect(trace(1) != trace(2))
    }

    @Test
    func `a late node catches up with small credit, and gets no more than it gave`() {
        var settings = Simulation.Settings()
        settings.engine.creditBytes = 4_000
        settings.engine.messageBytes = 1_500
        let cluster = Simulation(nodes: 3, seed: 5, settings: settings)
        cluster.start(0)
        cluster.start(1)
        for number in 0..<400 { cluster.write(number % 2, [("r\(number)", "name")]) }
        #expect(cluster.run(atMost: 200_000) { $0.isConverged }, "\(cluster.summary)")
        let before = cluster.notes(0).deltaBytesSent + cluster.notes(1).deltaBytesSent
        cluster.start(2)
        #expect(cluster.run(atMost: 200_000) { $0.isConverged }, "\(cluster.summary)")
        let whole = cluster.storage(2).deltaBytes
        let sent = cluster.notes(0).deltaBytesSent + cluster.notes(1).deltaBytesSent - before
        #expect(sent < whole * 11 / 10, "each delta is sent to it once")
        #expect(cluster.violations.isEmpty)
    }

    @Test
    func `a partition heals`() {
        let cluster = Simulation(nodes: 4, seed: 6)
        cluster.startAll()
        cluster.run(milliseconds: 3_000)
        cluster.part([0, 1], [2, 3])
        for node in 0..<4 { cluster.write(node, [("p", "\(node)")]) }
        cluster.run(milliseconds: 100_000)
        #expect(!cluster.isConverged)
        #expect(cluster.storage(0).frontier == cluster.storage(1).frontier)
        cluster.heal()
        #expect(cluster.run(atMost: 60_000) { $0.isConverged }, "\(cluster.summary)")
    }

    @Test
    func `a link that works in one direction only is given up, and opened again after the fault`() {
        let cluster = Simulation(nodes: 2, seed: 7)
        cluster.startAll()
        cluster.run(milliseconds: 3_000)
        cluster.block(from: 0, to: 1)
        cluster.write(0, [("a", "0")])
        cluster.run(milliseconds: 100_000)
        #expect(cluster.box(1)?.engine.peerStatuses(now: Instant(nanoseconds: cluster.now))[0].standing == .unreachable)
        cluster.heal()
        #expect(cluster.run(atMost: 60_000) { $0.isConverged }, "\(cluster.summary)")
    }

    @Test
    func `a crash in the middle of catching up loses nothing that was acknowledged`() {
        var settings = Simulation.Settings()
        settings.engine.creditBytes = 4_000
        settings.engine.messageBytes = 1_500
        let cluster = Simulation(nodes: 2, seed: 8, settings: settings)
        cluster.start(0)
        for number in 0..<300 { cluster.write(0, [("r\(number)", "name")]) }
        cluster.start(1)
        for _ in 0..<5 {
            cluster.run(milliseconds: 700)
            cluster.crash(1)
            cluster.run(milliseconds: 2_000)
            cluster.start(1)
        }
        let held = cluster.storage(1).frontier.heads.values.first?.sequence ?? 0
        #expect(held > 0 && held < 300)
        #expect(cluster.run(atMost: 200_000) { $0.isConverged }, "\(cluster.summary)")
        #expect(cluster.violations.isEmpty)
    }

    @Test
    func `a node whose peers do not notice its crash is let in again`() {
        let cluster = Simulation(nodes: 2, seed: 9)
        cluster.startAll()
        cluster.run(milliseconds: 30_000)
        // The node with the lower key keeps the dead link that it dialled; the other node dials again.
        cluster.crash(1, isClean: false)
        cluster.start(1)
        cluster.write(1, [("a", "1")])
        #expect(cluster.run(atMost: 5_000) { $0.isConverged }, "\(cluster.summary)")
    }

    @Test
    func `another peer serves when one stalls`() {
        let cluster = Simulation(nodes: 4, seed: 10)
        for node in 0..<3 { cluster.start(node) }
        for number in 0..<20 { cluster.write(0, [("r\(number)", "name")]) }
        #expect(cluster.run(atMost: 30_000) { $0.isConverged })
        cluster.setStalling(0, true)
        cluster.setStalling(1, true)
        cluster.start(3)
        #expect(cluster.run(atMost: 120_000) { $0.isConverged }, "\(cluster.summary)")
    }

    @Test
    func `deltas that a push lost are found`() {
        var settings = Simulation.Settings()
        settings.engine.storingBytesMax = 0
        let cluster = Simulation(nodes: 2, seed: 11, settings: settings)
        cluster.startAll()
        cluster.run(milliseconds: 3_000)
        // No push finds room, and no later delta reveals the gap.
        cluster.write(0, [("a", "0")])
        #expect(cluster.run(atMost: 15_000) { $0.isConverged }, "\(cluster.summary)")
    }

    @Test
    func `a slow disk is no reason to back off from a peer`() {
        var settings = Simulation.Settings()
        settings.engine.creditBytes = 3_000
        settings.engine.messageBytes = 1_500
        let cluster = Simulation(nodes: 2, seed: 12, settings: settings)
        cluster.start(0)
        for number in 0..<60 { cluster.write(0, [("r\(number)", "name")]) }
        cluster.setStoring(1, 25_000...30_000)
        cluster.start(1)
        #expect(cluster.run(atMost: 2_000_000) { $0.isConverged }, "\(cluster.summary)")
        let whole = cluster.storage(1).deltaBytes
        #expect(cluster.notes(0).deltaBytesSent < whole * 3 / 2, "hardly anything is sent twice")
    }

    @Test
    func `an admission reaches a node that never met the newcomer's sponsor`() {
        let cluster = Simulation(nodes: 3, seed: 13)
        cluster.startAll()
        cluster.block(from: 0, to: 2)
        cluster.block(from: 2, to: 0)
        cluster.run(milliseconds: 100_000)
        let newcomer = cluster.admit(sponsor: 0)
        cluster.start(newcomer)
        cluster.write(newcomer, [("new", "record")])
        #expect(cluster.run(atMost: 60_000) { $0.isConverged }, "\(cluster.summary)")
        #expect(cluster.box(2)?.engine.announcements.latest[VirtualAlliance.node(newcomer)] != nil)
        #expect(cluster.box(2)?.engine.openLink(to: VirtualAlliance.node(newcomer)) != nil)
        #expect(cluster.notes(2).rosters > 0)
    }

    @Test
    func `an idle cluster sends little`() {
        let cluster = Simulation(nodes: 4, seed: 14)
        cluster.startAll()
        for node in 0..<4 { cluster.write(node, [("a", "\(node)")]) }
        cluster.run(milliseconds: 60_000)
        #expect(cluster.isConverged)
        let before = (0..<4).map { cluster.notes($0).bytesSent }
        cluster.run(milliseconds: 10 * 60_000)
        for node in 0..<4 {
            // Each minute has 12 heartbeats of some 100 bytes to each of three peers, and a few questions.
            let perLinkAndMinute = (cluster.notes(node).bytesSent - before[node]) / 30
            #expect(perLinkAndMinute < 2_000, "\(perLinkAndMinute) bytes")
        }
    }
}
