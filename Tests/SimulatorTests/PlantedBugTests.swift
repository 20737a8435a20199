import Simulator
import Testing

/// Deliberate bugs are found, so the same bugs would also be found if they were real.
struct PlantedBugTests {
    /// The seeds in which each bug must be found.
    private static let seeds: ClosedRange<UInt64> = 1...40

    /// The scenario that reveals the bug. Some bugs show only in broadcast repair, with a hostile member, or with late
    /// nodes.
    private static func scenario(for bug: PlantedBug) -> String {
        switch bug {
        case .dropGraft, .forgetHave: "repair"
        case .freeWork, .readOn: "hostile-unpriced-questions"
        case .crowdedNeighbours, .endlessSessions: "hostile-session-hoarder"
        case .sharedDials, .relayAtOnce: "hostile-address-flooder"
        case .endlessHeads, .unknownHeads, .replan: "hostile-head-flooder"
        case .trustPromises: "hostile-flooder"
        case .impatience: "busy"
        case .uncountedFrames, .skipSuperseded, .sendBeforeDurable, .ackBeforeStoring, .applyTwice,
            .loseDanglingReference, .ignoreToken:
            "swarm"
        case .forgetRevival: "limits"
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `without a bug the tree is repaired in time`(seed: UInt64) throws {
        let report = try SimulatorTests.report("repair", seed: seed)
        #expect(report.isPassed, "\(report.reason)")
    }

    @Test(arguments: PlantedBug.allCases)
    func `a planted bug is found within a few seeds`(bug: PlantedBug) throws {
        var report: Report?
        for seed in Self.seeds {
            let next = try SimulatorTests.report(Self.scenario(for: bug), seed: seed, plant: bug)
            if !next.isPassed {
                report = next
                break
            }
        }
        #expect(report != nil, "\(bug.rawValue) was not found")
    }

    @Test
    func `a failing run is shortened, and its last events are shown`() throws {
        var options = RunOptions(scenario: try #require(Scenario.named("swarm")), seed: 1)
        options.plant = .ackBeforeStoring
        let report = Shortening.run(options)
        #expect(!report.isPassed)
        #expect(report.tail.contains { $0.contains("VIOLATION") })
    }
}
