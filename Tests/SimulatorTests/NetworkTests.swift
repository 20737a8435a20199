import Simulator
import Testing

/// The network's effects on messages.
struct NetworkTests {
    /// The minimum and maximum milliseconds between two nodes, by their indices.
    private static func way(_ from: Int, _ to: Int) -> ClosedRange<Double> {
        var random = SplitMix64(seed: 1)
        let draws = (0..<1_000).map { _ in
            Double(LatencyModel.earth.nanoseconds(from: from, to: to, using: &random)) / 1e6
        }
        return (draws.min() ?? 0)...(draws.max() ?? 0)
    }

    @Test
    func `distances on the earth are right, and latencies vary`() {
        // The distance from Beijing to London is 8,140 km: 57 ms through a cable that is 1.4 times as long.
        let far = Self.way(0, 6)
        #expect(far.lowerBound > 55 && far.lowerBound < 59, "\(far)")
        #expect(far.upperBound > far.lowerBound + 3 && far.upperBound < far.lowerBound * 1.1 + 1, "\(far)")
        #expect(Self.way(5, 6).upperBound < 5)
        #expect(Self.way(3, 15).upperBound < 1, "one city")
    }

    /// The milliseconds until an edit is on every disk.
    private static func spread(_ change: (inout NetworkSettings) -> Void) -> UInt64 {
        var settings = Simulation.Settings()
        settings.network.latency = .constant(50)
        settings.storingMilliseconds = 1...1
        change(&settings.network)
        let simulation = Simulation(nodes: 4, seed: 5, settings: settings)
        simulation.startAll()
        simulation.run(milliseconds: 20_000)
        simulation.spread.nodeCount = 4
        simulation.spread.isWatching = true
        for number in 0..<20 {
            simulation.write(0, [("r\(number)", String(repeating: "x", count: 1_000))])
            simulation.run(milliseconds: 1_000)
        }
        _ = simulation.run(atMost: 100_000) { $0.spread.missing(at: [0, 1, 2, 3]) == 0 }
        #expect(simulation.violations.isEmpty)
        return simulation.spread.delayMaxMilliseconds(at: [0, 1, 2, 3])
    }

    @Test
    func `loss and a narrow line delay what they pass`() {
        let even = Self.spread { _ in }
        #expect((51...60).contains(even), "\(even)")
        #expect(Self.spread { $0.lossPermille = 300 } > even + 200)
        #expect(Self.spread { $0.bytesPerSecond = 10_000 } > even + 100)
    }
}
