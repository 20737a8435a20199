import DeltaLog
import Gossip
import Simulator
import Testing

/// One hostile member among honest ones: its acts cost the others a bounded amount of work, and nothing else.
struct HostileRoleTests {
    private static let hostile = 3

    /// Runs eight nodes with edits at all of them; one node may misbehave.
    private static func run(_ role: HostileRole?, seed: UInt64) -> Simulation {
        var settings = Simulation.Settings()
        settings.network.latency = .constant(10)
        // Budgets small enough to be used up within the run.
        settings.engine.budget.workPerSecond = 20_000
        settings.engine.budget.workBurst = 400_000
        let simulation = Simulation(nodes: 8, seed: seed, settings: settings)
        simulation.startAll()
        simulation.run(milliseconds: 5_000)
        if let role { simulation.perform(.role(hostile, role)) }
        for turn in 0..<30 {
            for nodeIndex in 0..<8 { simulation.write(nodeIndex, [("r\(turn % 5)", "\(turn) \(nodeIndex)")]) }
            simulation.run(milliseconds: 1_000)
        }
        return simulation
    }

    @Test(arguments: HostileRole.allCases)
    func `the honest nodes agree, with each role of a hostile node`(role: HostileRole) {
        let simulation = Self.run(role, seed: 7)
        let honest = (0..<8).filter { $0 != Self.hostile }
        // The hostile node's own log may be forked or incomplete; the honest nodes must show the same records.
        let isEqual = simulation.run(atMost: 120_000) { $0.areEqual(honest) }
        #expect(isEqual, "\(simulation.summary)")
        #expect(simulation.violations.isEmpty, "\(simulation.violations.prefix(3))")
        for nodeIndex in honest {
            #expect(simulation.storage(nodeIndex).frontier.heads.count >= 7)
            for other in honest where other != nodeIndex {
                // No honest node was blamed for the hostile node's acts.
                let isClosed = simulation.box(nodeIndex)?.engine.openLink(to: VirtualAlliance.node(other)) == nil
                #expect(!isClosed, "\(nodeIndex) has lost \(other)")
            }
        }
    }

    @Test(arguments: [HostileRole.flooder, .deceiver])
    func `a node that floods uses up its share, and its links are held`(role: HostileRole) {
        let simulation = Self.run(role, seed: 11)
        let held = (0..<8).filter { $0 != Self.hostile && simulation.notes($0).holds > 0 }
        #expect(!held.isEmpty)
    }

    @Test
    func `a node that reads and sends a byte a second counts as silent, and its sessions end`() {
        let simulation = Self.run(.dripper, seed: 11)
        let hostile = VirtualAlliance.node(Self.hostile)
        let isRid = simulation.run(atMost: 120_000) { simulation in
            (0..<8).allSatisfy { $0 == Self.hostile || simulation.box($0)?.engine.openLink(to: hostile) == nil }
        }
        #expect(isRid, "\(simulation.summary)")
    }

    @Test(arguments: HostileRole.allCases)
    func `messages and checks of an honest node stay within bounds`(role: HostileRole) {
        let (calm, attacked) = (Self.run(nil, seed: 5), Self.run(role, seed: 5))
        for nodeIndex in 0..<8 where nodeIndex != Self.hostile {
            let (before, after) = (calm.notes(nodeIndex), attacked.notes(nodeIndex))
            #expect(after.bytesSent < before.bytesSent * 4 + 8_000_000, "\(after.bytesSent) after \(before.bytesSent)")
            #expect(after.signatureChecks < before.signatureChecks * 3 + 21_000)
            let passive = attacked.box(nodeIndex)?.engine.topology().passive.count ?? 0
            #expect(passive <= OverlaySettings().passiveMax)
        }
    }
}
