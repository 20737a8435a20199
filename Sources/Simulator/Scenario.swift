/// The options of one run.
package struct RunOptions: Sendable {
    package var scenario: Scenario
    package var seed: UInt64
    /// The number of nodes; nil for the scenario's own number.
    package var nodes: Int?
    package var plant: PlantedBug?
    /// The number of last events that are kept as text.
    package var eventsKept = 0
    package var stopsAtViolation = false
    /// Replaces the plan that the seed gives.
    package var plan: Plan?

    package init(scenario: Scenario, seed: UInt64) {
        self.scenario = scenario
        self.seed = seed
    }
}

/// A kind of run, with the criteria that it must pass.
package struct Scenario: Sendable {
    package let name: String
    /// A one-line summary for people.
    package let summary: String
    /// The default number of nodes; nil if the seed decides.
    package let nodes: Int?
    package let nodesAllowed: ClosedRange<Int>
    let body: @Sendable (inout Trial) -> Void

    /// The scenario with this name; nil if there is none.
    package static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }

    /// All scenarios.
    package static let all: [Scenario] =
        [
            Scenario(
                name: "smoke",
                summary: "a few nodes, a few edits, a partition and a crash",
                nodes: 5,
                nodesAllowed: 3...100,
                body: { $0.smoke() }
            ),
            Scenario(
                name: "swarm",
                summary: "faults and work of all kinds drawn from the seed, then all must agree",
                nodes: nil,
                nodesAllowed: 2...100,
                body: { $0.swarm() }
            ),
            Scenario(
                name: "limits",
                summary: "as swarm, and logs count up to sequences that fall and rise at each node at its own time",
                nodes: nil,
                nodesAllowed: 2...100,
                body: { $0.swarm(hasLimits: true) }
            ),
            Scenario(
                name: "one-sender",
                summary: "one node sends 100 messages over links of 50 ms: copies and hops",
                nodes: 100,
                nodesAllowed: 2...5_000,
                body: { $0.oneSender() }
            ),
            Scenario(
                name: "burst",
                summary: "all nodes send at once: copies and hops",
                nodes: 100,
                nodesAllowed: 2...5_000,
                body: { $0.burst() }
            ),
            Scenario(
                name: "thousand",
                summary: "1,000 nodes send once each while 2 % is lost: all arrives",
                nodes: 1_000,
                nodesAllowed: 2...5_000,
                body: { $0.thousand() }
            ),
            Scenario(
                name: "split-hour",
                summary: "two halves apart for an hour, 10,000 edits in each: equal soon after",
                nodes: 100,
                nodesAllowed: 2...1_000,
                body: { $0.splitHour() }
            ),
            Scenario(
                name: "in-step",
                summary: "two nodes that hold the same: bytes of a comparison",
                nodes: 2,
                nodesAllowed: 2...2,
                body: { $0.inStep() }
            ),
            Scenario(
                name: "one-missing",
                summary: "two nodes with 1,000 logs, one delta missing: round trips and bytes",
                nodes: 2,
                nodesAllowed: 2...2,
                body: { $0.oneMissing() }
            ),
            Scenario(
                name: "dead-third",
                summary: "30 of 100 nodes dead or silent: the others receive edits as fast as before",
                nodes: 100,
                nodesAllowed: 10...1_000,
                body: { $0.deadThird() }
            ),
            Scenario(
                name: "repair",
                summary: "15 % of pushes and announcements are lost: the tree is repaired before any comparison",
                nodes: 24,
                nodesAllowed: 14...500,
                body: { $0.repair() }
            ),
            Scenario(
                name: "idle",
                summary: "ten minutes with an edit a second: the cost",
                nodes: 100,
                nodesAllowed: 2...5_000,
                body: { $0.idle() }
            ),
            Scenario(
                name: "busy",
                summary: "nodes get the processor in slices while all write: all agree, and nobody is blamed",
                nodes: nil,
                nodesAllowed: 2...100,
                body: { $0.busy() }
            ),
        ] + HostileRole.allCases.map(\.scenario)
}

/// A run of a scenario in progress.
package struct Trial {
    package let options: RunOptions
    package internal(set) var report: Report
    /// The plan of the run, in scenarios that have one.
    package internal(set) var plan = Plan()
    /// The last events; if the nodes did not agree, also the state of each node.
    package internal(set) var tail: [String] = []
    /// Edits that took too long, as text.
    var late: [String] = []
    var random: SplitMix64

    /// Runs a scenario once.
    package static func run(_ options: RunOptions) -> Trial {
        var trial = Trial(options: options)
        options.scenario.body(&trial)
        return trial
    }

    private init(options: RunOptions) {
        self.options = options
        report = Report(
            scenario: options.scenario.name,
            seed: options.seed,
            nodes: options.nodes ?? options.scenario.nodes ?? 0
        )
        random = SplitMix64(seed: options.seed ^ 0x5EED)
    }

    // MARK: - Shared by scenarios

    /// The number of nodes.
    var nodes: Int { report.nodes }

    /// The simulation with the given options.
    func simulation(nodes: Int, _ settings: Simulation.Settings) -> Simulation {
        var settings = settings
        settings.plant = options.plant
        settings.eventsKept = options.eventsKept
        settings.stopsAtViolation = options.stopsAtViolation
        return Simulation(nodes: nodes, seed: options.seed, settings: settings)
    }

    /// Settings of a run with many nodes on a uniform network.
    func evenSettings() -> Simulation.Settings {
        var settings = Simulation.Settings()
        settings.network.latency = .constant(50)
        settings.storingMilliseconds = 1...1
        settings.roundTripEvery = nodes > 12 ? 32 : 1
        return settings
    }

    /// Adds the results of the run.
    mutating func close(_ simulation: Simulation) {
        report.close(simulation)
        tail = simulation.eventLog.text
    }
}
