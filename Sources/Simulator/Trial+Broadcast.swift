import Gossip

// Scenarios about the delay, hops and copies of new deltas.

extension Trial {
    /// The duration of a round trip on a uniform network, in milliseconds.
    private static let roundTripMilliseconds: UInt64 = 100

    /// Starts all nodes, waits until they are connected, and sends a first message that builds the broadcast tree.
    private mutating func warmUp(_ simulation: Simulation) {
        simulation.spread.nodeCount = simulation.count
        simulation.startAll()
        simulation.run(milliseconds: 20_000)
        simulation.write(0, [("warm", "up")])
        _ = simulation.run(atMost: 60_000) { $0.isConverged }
        simulation.run(milliseconds: 5_000)
        simulation.spread.isWatching = true
    }

    /// Adds criteria for redundancy, hops and completeness.
    private mutating func judge(_ simulation: Simulation, redundancy: Double, hops: Int) {
        let nodeIndices = Array(0..<simulation.count)
        report.criterion("redundancy", simulation.spread.redundancy(to: nodeIndices), below: redundancy)
        report.criterion("last hop", simulation.spread.hopsMax, atMost: hops)
        report.criterion("missed", simulation.spread.missing(at: nodeIndices), atMost: 0)
        report.add("deliveries", simulation.spread.deliveries(to: nodeIndices), "")
        report.add("slowest", Double(simulation.spread.delayMaxMilliseconds(at: nodeIndices)), "ms")
    }

    mutating func oneSender() {
        let simulation = simulation(nodes: nodes, evenSettings())
        warmUp(simulation)
        for number in 0..<100 {
            simulation.write(0, [("r\(number)", "name")])
            simulation.run(milliseconds: 100)
        }
        let nodeIndices = Array(0..<nodes)
        _ = simulation.run(atMost: 60_000) { $0.spread.missing(at: nodeIndices) == 0 }
        // Copies in flight count too.
        simulation.run(milliseconds: 2_000)
        judge(simulation, redundancy: 0.15, hops: 12)
        close(simulation)
    }

    mutating func burst() {
        let simulation = simulation(nodes: nodes, evenSettings())
        warmUp(simulation)
        for nodeIndex in 0..<nodes { simulation.write(nodeIndex, [("burst", "name")]) }
        let nodeIndices = Array(0..<nodes)
        _ = simulation.run(atMost: 60_000) { $0.spread.missing(at: nodeIndices) == 0 }
        simulation.run(milliseconds: 2_000)
        judge(simulation, redundancy: 2, hops: 20)
        close(simulation)
    }

    mutating func thousand() {
        var settings = evenSettings()
        settings.network.lossPermille = 20
        settings.network.pushLossPermille = 20
        let simulation = simulation(nodes: nodes, settings)
        warmUp(simulation)
        for nodeIndex in 0..<nodes {
            simulation.write(nodeIndex, [("one", "record")])
            if nodeIndex % 10 == 9 { simulation.run(milliseconds: 100) }
        }
        let nodeIndices = Array(0..<nodes)
        let sentAt = simulation.now
        // A round of anti-entropy takes half to one and a half times its interval, plus the transfer.
        let round = simulation.settings.engine.antiEntropy.count * 3 / 2 + 20 * Self.roundTripMilliseconds
        _ = simulation.run(atMost: round * 3) { $0.spread.missing(at: nodeIndices) == 0 }
        report.criterion("time after the last was sent", Double(simulation.now - sentAt) / 1e6, atMost: Double(round))
        report.criterion("missed", simulation.spread.missing(at: nodeIndices), atMost: 0)
        simulation.run(milliseconds: 2_000)
        let deliveries = simulation.spread.deliveries(to: nodeIndices)
        let degrees = nodeIndices.reduce(0) { $0 + (simulation.box($1)?.engine.topology().active.count ?? 0) }
        // Flooding sends each message over every link in both directions, except back over the link on which it
        // arrived.
        let flooding = max(0, nodes * (degrees - (nodes - 1)) - deliveries)
        let duplicates = max(0, simulation.spread.copies - deliveries)
        report.criterion("duplicates", Double(duplicates), below: max(1, Double(flooding) / 5))
        report.add("duplicates of plain gossip", flooding, "")
        report.add("last hop", simulation.spread.hopsMax, "")
        close(simulation)
    }

    mutating func deadThird() {
        let simulation = simulation(nodes: nodes, evenSettings())
        warmUp(simulation)
        let dead = nodes * 3 / 10
        let live = Array(0..<(nodes - dead))
        let before = delays(simulation, at: Array(0..<nodes))
        for nodeIndex in live.count..<nodes {
            if nodeIndex.isMultiple(of: 2) {
                simulation.crash(nodeIndex, isClean: false)
            } else {
                simulation.pause(nodeIndex)
            }
        }
        let timeout = simulation.settings.engine.suspectAfter.count
        let meanwhile = delays(simulation, at: live)
        report.criterion(
            "slowest while failing, ms",
            meanwhile.slowest,
            atMost: before.slowest + Double(timeout + 2 * Self.roundTripMilliseconds)
        )
        simulation.run(milliseconds: timeout * 2)
        let after = delays(simulation, at: live)
        report.criterion(
            "until the last has it after that, ms",
            after.mean,
            atMost: before.mean + Double(Self.roundTripMilliseconds)
        )
        report.add("before", before.mean, "ms")
        report.add("slowest before", before.slowest, "ms")
        report.add("slowest after", after.slowest, "ms")
        close(simulation)
    }

    mutating func repair() {
        var settings = evenSettings()
        settings.network.pushLossPermille = 150
        let simulation = simulation(nodes: nodes, settings)
        warmUp(simulation)
        // Heartbeats also find missing deltas, but only every 5 s: a node repaired by them is late.
        let slowest = delays(simulation, at: Array(0..<nodes)).slowest
        report.criterion("slowest, ms", slowest, atMost: 3_500)
        close(simulation)
    }

    /// Ten nodes write one after the other. Returns the time until all given nodes have the delta on disk, in
    /// milliseconds: the mean of the ten and the slowest.
    private func delays(_ simulation: Simulation, at nodeIndices: [Int]) -> (mean: Double, slowest: Double) {
        simulation.spread.reset()
        for number in 0..<10 {
            simulation.write(nodeIndices[number * nodeIndices.count / 10], [("dead", "\(simulation.now)")])
            simulation.run(milliseconds: 200)
        }
        guard simulation.run(atMost: 200_000, until: { $0.spread.missing(at: nodeIndices) == 0 }) else {
            return (1_000_000, 1_000_000)
        }
        let spread = simulation.spread
        return (spread.delayMeanMilliseconds(at: nodeIndices), Double(spread.delayMaxMilliseconds(at: nodeIndices)))
    }

    mutating func idle() {
        let simulation = simulation(nodes: nodes, evenSettings())
        simulation.startAll()
        simulation.run(milliseconds: 20_000)
        let before = simulation.eventCount
        for second in 0..<600 {
            simulation.write(Int.random(in: 0..<nodes, using: &random), [("r\(second % 10)", "\(second)")])
            simulation.run(milliseconds: 1_000)
        }
        let isEqual = simulation.run(atMost: 30_000) { $0.isConverged }
        report.criterion("nodes that differ in the end", isEqual ? 0 : 1, atMost: 0)
        report.add("events a second", Double(simulation.eventCount - before) / 600, "")
        close(simulation)
    }
}
