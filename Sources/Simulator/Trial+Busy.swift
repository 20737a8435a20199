import Gossip

// Runs on machines with other work: nodes get the processor in slices, and everything is late.

extension Trial {
    private static let workMilliseconds: UInt64 = 60_000
    /// The maximum times until the nodes agree after the last edit, and until one more edit arrives. They allow some
    /// slices for each step of a path of several links.
    private static let agreementMilliseconds: UInt64 = 60_000
    private static let lastEditMilliseconds: UInt64 = 20_000

    mutating func busy() {
        var draw = SplitMix64(seed: options.seed ^ 0x4255_5359)
        let count = options.nodes ?? Int.random(in: 5...16, using: &draw)
        report = Report(scenario: report.scenario, seed: report.seed, nodes: count)
        var settings = Simulation.Settings()
        settings.network.latency = .uniform(1...UInt64.random(in: 2...100, using: &draw))
        if Int.random(in: 0..<4, using: &draw) == 0 { settings.network.lossPermille = 10 }
        settings.storingMilliseconds = 1...UInt64.random(in: 2...50, using: &draw)
        settings.organizations = Bool.random(using: &draw) ? nil : max(2, count / 2)
        settings.costs = HandlingCosts()
        settings.roundTripEvery = 8
        let simulation = simulation(nodes: count, settings)
        for nodeIndex in 0..<count { simulation.setSlices(Self.slices(&draw), at: nodeIndex) }
        simulation.startAll()
        simulation.run(milliseconds: 10_000)
        write(simulation, count, &draw)
        let equalAt = simulation.now
        let isEqual = simulation.run(atMost: Self.agreementMilliseconds * 5) { $0.isConverged }
        let seconds = Double(simulation.now - equalAt) / 1e9
        report.criterion(
            "seconds until equal",
            isEqual ? seconds : nil,
            atMost: Double(Self.agreementMilliseconds) / 1e3
        )
        hearOneMore(simulation, count, &draw)
        judgeSessions(simulation, count)
        close(simulation)
        if !isEqual { tail += simulation.summary.split(separator: "\n").map(String.init) }
    }

    /// Draws slices of a twentieth to half of the time, 5 ms to a second long.
    private static func slices(_ draw: inout SplitMix64) -> Slices {
        let period = UInt64.random(in: 100...2_000, using: &draw)
        let length = max(5, period * UInt64.random(in: 5...50, using: &draw) / 100)
        let offset = UInt64.random(in: 0..<period, using: &draw)
        return Slices(period: period * 1_000_000, length: length * 1_000_000, offset: offset * 1_000_000)
    }

    /// Edits at all nodes without a pause, with occasional imports.
    private func write(_ simulation: Simulation, _ count: Int, _ draw: inout SplitMix64) {
        let pause = UInt64.random(in: 10...50, using: &draw)
        let end = simulation.now + Self.workMilliseconds * 1_000_000
        var number = 0
        while simulation.now < end {
            number += 1
            let nodeIndex = Int.random(in: 0..<count, using: &draw)
            let records = Int.random(in: 0..<100, using: &draw) == 0 ? 200 : 1
            simulation.ask(
                nodeIndex,
                (0..<records).map { RecordChange(localID: "r\((number + $0) % 300)", name: "\(number)") }
            )
            simulation.run(milliseconds: pause)
        }
    }

    private mutating func hearOneMore(_ simulation: Simulation, _ count: Int, _ draw: inout SplitMix64) {
        simulation.spread.nodeCount = count
        simulation.spread.isWatching = true
        let author = Int.random(in: 0..<count, using: &draw)
        let askedAt = simulation.now
        simulation.ask(author, [RecordChange(localID: "last", name: "edit")])
        let isHeard = simulation.run(atMost: Self.lastEditMilliseconds * 5) { simulation in
            !simulation.spread.courses.isEmpty && simulation.spread.missing(at: Array(0..<count)) == 0
        }
        let seconds = Double(simulation.now - askedAt) / 1e9
        report.criterion("seconds until one more edit is heard", isHeard ? seconds : nil, atMost: 20)
    }

    /// Checks that no session ended for a fault, and that each node has a neighbour.
    private mutating func judgeSessions(_ simulation: Simulation, _ count: Int) {
        var ends: [UInt32: Int] = [:]
        var fewest = Int.max
        for nodeIndex in 0..<count {
            ends.merge(simulation.notes(nodeIndex).ends) { $0 + $1 }
            fewest = min(fewest, simulation.box(nodeIndex)?.engine.topology().active.count ?? 0)
        }
        let forSilence = ends.removeValue(forKey: SessionRefusal.silent.code) ?? 0
        report.add("sessions ended for silence", forSilence, "")
        report.criterion("sessions ended for a fault", ends.values.reduce(0, +), atMost: 0)
        report.criterion("nodes without a neighbour", fewest == 0 ? 1 : 0, atMost: 0)
        report.add("holds", (0..<count).reduce(0) { $0 + simulation.notes($1).holds }, "")
        let share = (0..<count).map { Double(simulation.workedNanoseconds($0)) / Double(simulation.now) }.max() ?? 0
        report.add("largest processor share", share, "")
        report.add("fewest neighbours", fewest, "")
    }
}
