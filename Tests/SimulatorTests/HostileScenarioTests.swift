import Simulator
import Testing

/// One hostile organization on links without loss. An honest edit reaches all honest nodes within five seconds, and the
/// traffic, memory and work of honest nodes stay within bounds.
struct HostileScenarioTests {
    private static func expectPassed(_ name: String, _ seed: UInt64) throws {
        let report = try report(name, seed: seed)
        let failed = report.criteria.filter { !$0.isPassed }.map { "\($0.name): \(Report.text($0.value))" }
        #expect(
            report.isPassed,
            "\(report.reason) \(failed); hansa-sim run --scenario \(name) --seed \(seed)"
        )
    }

    @Test(arguments: HostileRole.allCases)
    func `an honest edit arrives within five seconds, with each role of a hostile member`(role: HostileRole) throws {
        try Self.expectPassed("hostile-\(role.rawValue)", 1)
    }

    @Test(arguments: HostileRole.allCases)
    func `an honest edit arrives within five seconds with a new seed`(role: HostileRole) throws {
        try Self.expectPassed("hostile-\(role.rawValue)", .random(in: 1_000...1_000_000_000))
    }
}

/// Nodes that get the processor in slices.
struct BusyTests {
    @Test(arguments: 0..<4)
    func `late nodes all agree, and nobody is blamed`(part: Int) throws {
        let seed = part == 0 ? 1 : UInt64.random(in: 1_000...1_000_000_000)
        let report = try report("busy", seed: seed)
        #expect(report.isPassed, "\(report.reason); hansa-sim run --scenario busy --seed \(seed)")
    }
}
