import Catalog
import Gossip

// Scenarios about finding differences.

extension Trial {
    mutating func inStep() {
        let simulation = simulation(nodes: 2, evenSettings())
        simulation.startAll()
        for number in 0..<1_000 {
            simulation.write(number % 2, [("r\(number)", "name")])
            simulation.run(milliseconds: 5)
        }
        _ = simulation.run(atMost: 60_000) { $0.isConverged }
        simulation.run(milliseconds: 20_000)
        let before = (0..<2).map { simulation.notes($0) }
        simulation.run(milliseconds: 600_000)
        let after = (0..<2).map { simulation.notes($0) }
        let bytes = (0..<2).reduce(0) { $0 + after[$1].bytesSent - before[$1].bytesSent }
        let messages = (0..<2).reduce(0) { $0 + after[$1].messagesSent - before[$1].messagesSent }
        // Idle nodes send only states; two of them make a comparison.
        report.criterion("bytes of a comparison", 2 * Double(bytes) / Double(max(1, messages)), atMost: 200)
        report.criterion("nodes that differ in the end", simulation.isConverged ? 0 : 1, atMost: 0)
        close(simulation)
    }

    mutating func oneMissing() {
        let simulation = simulation(nodes: 2, evenSettings())
        var incarnations = SplitMix64(seed: options.seed)
        for number in 0..<1_000 {
            let delta = simulation.alliance.delta(
                by: number % 2,
                incarnation: incarnations.next(),
                after: nil,
                names: [("r\(number)", "name")]
            )
            simulation.put(delta, into: 0)
            if number != 500 { simulation.put(delta, into: 1) }
        }
        simulation.startAll()
        _ = simulation.run(atMost: 10_000) { $0.notes(1).payloadsReceived > 0 }
        let notes = (0..<2).map { simulation.notes($0) }
        let bytes = notes.reduce(0) { $0 + $1.bytesSent - $1.deltaBytesSent }
        let first = notes.compactMap(\.firstSentAt).min() ?? 0
        let came = notes[1].firstPayloadAt ?? simulation.now
        // The delta itself then needs 50 ms.
        report.criterion("round trips before the delta", (Double(came - first) - 5e7) / 1e8, atMost: 3.05)
        report.criterion("bytes before the delta", bytes, atMost: 4_096)
        let isEqual = simulation.run(atMost: 10_000) { $0.isConverged }
        report.criterion("nodes that differ in the end", isEqual ? 0 : 1, atMost: 0)
        close(simulation)
    }

    mutating func splitHour() {
        var settings = evenSettings()
        settings.network.latency = .earth
        let simulation = simulation(nodes: nodes, settings)
        simulation.startAll()
        simulation.run(milliseconds: 20_000)
        let half = nodes / 2
        simulation.part(Array(0..<half), Array(half..<nodes))
        for number in 0..<10_000 {
            for (low, high) in [(0, half), (half, nodes)] {
                let nodeIndex = Int.random(in: low..<high, using: &random)
                simulation.write(nodeIndex, [("r\(Int.random(in: 0..<10, using: &random))", "\(number)")])
            }
            simulation.run(milliseconds: 360)
        }
        simulation.heal()
        let healedAt = simulation.now
        let isEqual = simulation.run(atMost: 300_000) { $0.isConverged }
        report.criterion("nodes that differ in the end", isEqual ? 0 : 1, atMost: 0)
        report.criterion("seconds until equal", Double(simulation.now - healedAt) / 1e9, atMost: 30)
        report.add("deltas held", simulation.storage(0).deltaCount, "")
        close(simulation)
    }
}
