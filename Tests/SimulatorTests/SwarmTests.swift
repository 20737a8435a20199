import Simulator
import Testing

/// Faults of all kinds: whatever comes, no promise is broken, and in the end the honest nodes agree.
struct SwarmTests {
    @Test(arguments: RecordedSeeds.swarm)
    func `a seed that once found something`(seed: UInt64) throws {
        let report = try report("swarm", seed: seed)
        #expect(report.isPassed, "seed \(seed): \(report.reason)")
    }

    /// Blocks of ten seeds.
    @Test(arguments: Array(0..<6))
    func `whatever goes wrong, the honest nodes agree in the end`(block: UInt64) throws {
        for seed in (block * 10)..<(block * 10 + 10) {
            let report = try report("swarm", seed: seed)
            #expect(report.isPassed, "seed \(seed): \(report.reason); hansa-sim run --scenario swarm --seed \(seed)")
        }
    }

    @Test
    func `smoke`() throws {
        let report = try report("smoke", seed: 1)
        #expect(report.isPassed, "\(report.reason)")
    }
}
