import Simulator
import Testing

/// Faults of all kinds: no promise is broken, and in the end the honest nodes agree.
struct SwarmTests {
    @Test(arguments: RecordedSeeds.swarm)
    func `a seed that once found something`(seed: UInt64) throws {
        let report = try report("swarm", seed: seed)
        #expect(report.isPassed, "seed \(seed): \(report.reason)")
    }

    /// Blocks of ten seeds.
    @Test(arguments: Array(0..<6))
    func `the honest nodes agree in the end after any fault`(block: UInt64) throws {
        for seed in (block * 10)..<(block * 10 + 10) {
            let report = try report("swarm", seed: seed)
            #expect(report.isPassed, "seed \(seed): \(report.reason); hansa-sim run --scenario swarm --seed \(seed)")
        }
    }

    /// The number of new seeds, which differ in each run.
    private static let freshSeeds = 240

    @Test(arguments: 0..<4)
    func `the honest nodes agree with new seeds`(part: Int) throws {
        let first = UInt64.random(in: 1_000_000...1_000_000_000)
        for seed in first..<(first + UInt64(Self.freshSeeds / 4)) {
            let report = try report("swarm", seed: seed)
            #expect(report.isPassed, "seed \(seed): \(report.reason); hansa-sim run --scenario swarm --seed \(seed)")
        }
    }

    @Test(arguments: ["one-sender", "burst", "in-step", "one-missing", "dead-third"])
    func `scenarios pass their criteria`(name: String) throws {
        let report = try report(name, seed: 1)
        #expect(report.isPassed, "\(report.reason)")
    }

    @Test(arguments: [("thousand", 60), ("split-hour", 8), ("idle", 30)])
    func `large scenarios pass their criteria with fewer nodes`(name: String, nodes: Int) throws {
        let report = try report(name, seed: 1, nodes: nodes)
        #expect(report.isPassed, "\(report.reason)")
    }

    @Test
    func `smoke`() throws {
        let report = try report("smoke", seed: 1)
        #expect(report.isPassed, "\(report.reason)")
    }
}
