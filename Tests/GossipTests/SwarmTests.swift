import Catalog
import Gossip
import Simulator
import TestSupport
import Testing

/// Mixed faults drawn from seeds. After the faults stop, all nodes converge.
struct SwarmTests {
    /// Blocks of ten seeds; blocks that once failed come first.
    private static let blocks = [84] + Array(0..<30)

    @Test(arguments: blocks)
    func `after the faults stop all nodes hold the same`(block: Int) {
        for seed in UInt64(block * 10)..<UInt64(block * 10 + 10) {
            let cluster = Self.run(seed: seed)
            let isConverged = cluster.isConverged
            #expect(isConverged, "seed \(seed)\n\(cluster.summary)")
            #expect(cluster.violations.isEmpty, "seed \(seed): \(cluster.violations.prefix(3))")
            for node in 0..<cluster.count {
                #expect(cluster.notes(node).violations.isEmpty, "seed \(seed): \(cluster.notes(node).violations)")
                #expect(cluster.notes(node).refusals.isEmpty, "seed \(seed): \(cluster.notes(node).refusals)")
            }
        }
    }

    private static func run(seed: UInt64) -> Simulation {
        var random = SplitMix64(seed: seed ^ 0x5EED)
        var settings = Simulation.Settings()
        settings.network.latency = .uniform(1...UInt64.random(in: 2...400, using: &random))
        settings.storingMilliseconds = 1...UInt64.random(in: 2...300, using: &random)
        if Bool.random(using: &random) {
            settings.engine.creditBytes = UInt64.random(in: 500...20_000, using: &random)
            settings.engine.messageBytes = UInt64.random(in: 300...5_000, using: &random)
            settings.engine.wantsPerLinkMax = Int.random(in: 1...4, using: &random)
        }
        if Int.random(in: 0..<3, using: &random) == 0 { settings.engine.pushBytesMax = 0 }
        if Int.random(in: 0..<3, using: &random) == 0 { settings.engine.storingBytesMax = 1_000 }
        if Int.random(in: 0..<3, using: &random) == 0 { settings.engine.headsPerMessage = 1 }
        let cluster = Simulation(nodes: Int.random(in: 2...4, using: &random), seed: seed, settings: settings)
        cluster.startAll()
        var admitted = 0
        for _ in 0..<40 {
            let one = Int.random(in: 0..<cluster.count, using: &random)
            let other = (one + Int.random(in: 1..<cluster.count, using: &random)) % cluster.count
            switch Int.random(in: 0..<14, using: &random) {
            case 0..<5:
                let records = (0...Int.random(in: 0...3, using: &random)).map { ("r\($0)", "\(random.next() % 5)") }
                cluster.write(one, records)
            case 5: cluster.crash(one, isClean: Bool.random(using: &random))
            case 6, 7: cluster.start(one)
            case 8: cluster.block(from: one, to: other)
            case 9: cluster.part([one], Array(0..<cluster.count).filter { $0 != one })
            case 10: cluster.heal()
            case 11: cluster.breakLinks(one, other, isNoticedByBoth: Bool.random(using: &random))
            case 12: cluster.setStalling(one, Bool.random(using: &random))
            default:
                guard admitted < 2, cluster.box(one) != nil else { break }
                admitted += 1
                _ = cluster.admit(sponsor: one)
            }
            cluster.run(milliseconds: UInt64.random(in: 0...2_000, using: &random))
        }
        cluster.heal()
        for node in 0..<cluster.count { cluster.setStalling(node, false) }
        cluster.startAll()
        _ = cluster.run(atMost: 300_000) { $0.isConverged }
        return cluster
    }
}
