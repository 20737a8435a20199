// Runs with faults.

extension Trial {
    /// The maximum time until a healthy core agrees after the last fault, in milliseconds. An undetected dead session,
    /// or a peer in back-off, returns within a minute; dialling and catching up follow.
    private static let convergenceMilliseconds: UInt64 = 120_000
    /// The maximum time until an edit reaches all nodes if only broadcast messages are lost, in milliseconds.
    private static let probeMilliseconds: UInt64 = 5_000
    private static let probeLossPermille: UInt64 = 200

    /// - Parameter hasLimits: true if logs also count up to changing sequences, which differ between nodes until the
    ///   end.
    mutating func swarm(hasLimits: Bool = false) {
        let swarm = Swarm(seed: options.seed, nodes: options.nodes, hasLimits: hasLimits)
        report = Report(scenario: report.scenario, seed: report.seed, nodes: swarm.nodes)
        plan = options.plan ?? swarm.plan
        let simulation = simulation(nodes: swarm.nodes, swarm.settings)
        simulation.startAll()
        simulation.schedule(plan)
        simulation.run(milliseconds: swarm.milliseconds)
        // Faults that began in this time end after it.
        simulation.run(milliseconds: 1_000)
        end(simulation)
    }

    mutating func smoke() {
        var settings = Simulation.Settings()
        settings.network.lossPermille = 10
        settings.organizations = max(2, nodes / 2)
        let simulation = simulation(nodes: nodes, settings)
        simulation.startAll()
        for turn in 0..<20 {
            for nodeIndex in 0..<nodes { simulation.write(nodeIndex, [("r\(turn % 4)", "\(turn) \(nodeIndex)")]) }
            simulation.run(milliseconds: 1_000)
            switch turn {
            case 5: simulation.part([0], Array(1..<nodes))
            case 10: simulation.heal()
            case 12: simulation.crash(1)
            case 15: simulation.start(1)
            default: break
            }
        }
        end(simulation)
    }

    /// Ends the faults. Then the honest nodes must agree, have all data that any of them had, and receive an edit soon.
    private mutating func end(_ simulation: Simulation) {
        let core = simulation.recover()
        let holdings = simulation.holdings(of: core)
        let healedAt = simulation.now
        let isEqual = simulation.run(atMost: Self.convergenceMilliseconds) { $0.areEqual(core) }
        report.add("nodes that have to agree", core.count, "")
        report.add("deltas held when faults ended", holdings.total, "")
        if !simulation.isStopped {
            let seconds = Double(simulation.now - healedAt) / 1e9
            report.criterion(
                "seconds until equal",
                isEqual ? seconds : nil,
                atMost: Double(Self.convergenceMilliseconds) / 1e3
            )
            if isEqual {
                simulation.check(core, hold: holdings)
                simulation.checkDerivation(core)
                probe(simulation, core)
            }
        }
        close(simulation)
        if !isEqual, !simulation.isStopped { tail += simulation.summary.split(separator: "\n").map(String.init) }
    }

    /// Writes an edit while broadcast messages are lost, without other faults.
    private mutating func probe(_ simulation: Simulation, _ core: [Int]) {
        guard let author = core.randomElement(using: &random), !simulation.isStopped else { return }
        // Time for sessions that are still being established.
        simulation.run(milliseconds: Self.convergenceMilliseconds / 2)
        simulation.setPushLoss(permille: Self.probeLossPermille)
        guard let probe = simulation.write(author, [("probe", "\(simulation.now)")]) else { return }
        let writtenAt = simulation.now
        let isHeard = simulation.run(atMost: Self.probeMilliseconds * 12) { simulation in
            core.allSatisfy { simulation.storage($0).holds(probe) }
        }
        guard !simulation.isStopped else { return }
        let seconds = Double(simulation.now - writtenAt) / 1e9
        report.criterion(
            "seconds until an edit is heard",
            isHeard ? seconds : nil,
            atMost: Double(Self.probeMilliseconds) / 1e3
        )
    }
}
