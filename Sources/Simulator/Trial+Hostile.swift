import Gossip

// Runs with one hostile organization on links without loss; they measure the cost for the other nodes.

extension HostileRole {
    /// The scenario that measures the cost of a role.
    var scenario: Scenario {
        Scenario(
            name: "hostile-\(rawValue)",
            summary: "one member \(summary): honest edits still arrive within 5 s",
            nodes: 10,
            nodesAllowed: 6...100,
            body: { $0.hostile(self) }
        )
    }

    /// The number of node keys without an engine that the hostile organization has enrolled.
    fileprivate var puppets: Int {
        switch self {
        case .addressFlooder, .sessionHoarder: 300
        case .extremeNumbers, .headFlooder, .pathFlooder, .unpricedQuestions: 60
        default: 0
        }
    }
}

/// The bounds for messages, memory and processor time of honest nodes while one member is hostile.
struct CostBounds {
    /// The maximum milliseconds from an honest edit to the last honest node's disk.
    var edit: Double = 5_000
    /// The maximum bytes per second: 2.1 MB that the budget allows one organization for answers, and the rest.
    var sentPerSecond: Double = 2_500_000
    /// The maximum fraction of one core.
    var processorShare: Double = 0.5
    var heads = 50_000
    var links = 64
    var unreadBytes = 32 * 1024 * 1024
}

extension Trial {
    private static let calmMilliseconds: UInt64 = 15_000
    private static let editPause: UInt64 = 500
    /// The number of edits during the attack.
    private static let edits = 50
    /// The edit at which two honest nodes are killed, and the edit at which they start again.
    private static let killedAt = 12
    private static let startedAt = 16

    /// The peak values of one honest node.
    private struct Peaks {
        var links = 0
        /// The number of heads that peers announced.
        var heads = 0
        var signed = 0
        var unreadBytes = 0
        var neighbourShare = 0.0

        mutating func add(_ simulation: Simulation, _ nodeIndices: [Int], hostile: Int) {
            for nodeIndex in nodeIndices {
                guard let sizes = simulation.box(nodeIndex)?.engine.sizes else { continue }
                if let excess = sizes.excess(over: simulation.settings.engine) {
                    simulation.violate("node \(nodeIndex) keeps \(excess)")
                }
                links = max(links, sizes.links)
                heads = max(heads, sizes.headsAhead + sizes.headsMissing)
                signed = max(signed, sizes.statements + sizes.announcements)
                unreadBytes = max(unreadBytes, simulation.unreadBytes(nodeIndex))
                neighbourShare = max(neighbourShare, simulation.neighbourShare(of: hostile, at: nodeIndex))
            }
        }
    }

    mutating func hostile(_ role: HostileRole) {
        let organizations = max(3, nodes * 2 / 3)
        var settings = Simulation.Settings()
        settings.network.latency = .uniform(1...40)
        settings.network.connectionsMax = 400
        settings.network.dialTimeoutMilliseconds = 10_000
        settings.storingMilliseconds = 1...5
        settings.organizations = organizations
        settings.puppets = role.puppets
        settings.costs = HandlingCosts()
        settings.roundTripEvery = 32
        let simulation = simulation(nodes: nodes, settings)
        let hostile = (0..<nodes).filter { $0 % organizations == organizations - 1 }
        let honest = (0..<nodes).filter { $0 % organizations != organizations - 1 }
        simulation.spread.nodeCount = nodes
        simulation.startAll()
        simulation.run(milliseconds: Self.calmMilliseconds)
        for nodeIndex in 0..<nodes {
            simulation.write(nodeIndex, (0..<20).map { ("r\($0)", "first") })
        }
        simulation.run(milliseconds: Self.calmMilliseconds)
        let before = honest.map { simulation.notes($0).bytesSent }
        let worked = honest.map { simulation.workedNanoseconds($0) }
        simulation.spread.isWatching = true
        for nodeIndex in hostile { simulation.perform(.role(nodeIndex, role)) }
        let peaks = attack(simulation, honest: honest, hostile: hostile)
        let seconds = Double(UInt64(Self.edits) * Self.editPause) / 1e3
        judge(simulation, honest, CostBounds(), peaks)
        let sent = zip(honest, before).map { simulation.notes($0).bytesSent - $1 }.max() ?? 0
        report.criterion(
            "bytes an honest node sends a second",
            Double(sent) / seconds,
            atMost: CostBounds().sentPerSecond
        )
        let share = zip(honest, worked).map { Double(simulation.workedNanoseconds($0) - $1) / 1e9 / seconds }.max() ?? 0
        report.criterion("processor share of an honest node", share, atMost: CostBounds().processorShare)
        simulation.endAttack()
        let isEqual = simulation.run(atMost: 120_000) { $0.areEqual(honest) }
        report.criterion("honest nodes that differ in the end", isEqual ? 0 : 1, atMost: 0)
        close(simulation)
        tail += late.prefix(20)
        if !isEqual { tail += simulation.summary.split(separator: "\n").map(String.init) }
    }

    /// Honest nodes write during the attack. Two nodes that do not write are killed and restarted.
    private func attack(_ simulation: Simulation, honest: [Int], hostile: [Int]) -> Peaks {
        var peaks = Peaks()
        let organization = simulation.organizationNumber(hostile[0])
        let restarted = honest.prefix(2)
        let authors = Array(honest.dropFirst(2))
        for edit in 0..<Self.edits {
            if edit == Self.killedAt { for nodeIndex in restarted { simulation.crash(nodeIndex) } }
            if edit == Self.startedAt { for nodeIndex in restarted { simulation.start(nodeIndex) } }
            let change = RecordChange(localID: "r\(edit % 5)", name: "\(edit)")
            simulation.ask(authors[edit % authors.count], [change])
            if edit.isMultiple(of: 2) { for nodeIndex in hostile { simulation.ask(nodeIndex, [change]) } }
            simulation.run(milliseconds: Self.editPause)
            peaks.add(simulation, honest, hostile: organization)
        }
        // Time for the last edits.
        simulation.run(milliseconds: 6_000)
        return peaks
    }

    /// Adds criteria for the delays of honest edits to honest nodes. Records those that took too long.
    private mutating func judgeEdits(_ simulation: Simulation, _ honest: [Int], _ bounds: CostBounds) {
        let courses = simulation.spread.courses.filter { honest.contains($0.author) }
        report.criterion("honest edits that were never made", Self.edits - courses.count, atMost: 0)
        var slowest = 0.0
        var sum = 0.0
        var missing = 0
        for course in courses {
            var last = 0.0
            for nodeIndex in honest {
                // For a node that was down at the write, the time counts from its start.
                let from = max(course.begunAt, simulation.startedAt(nodeIndex))
                let at = course.storedAt[nodeIndex] ?? simulation.now
                let time = at > from ? Double(at - from) / 1e6 : 0
                if course.storedAt[nodeIndex] == nil { missing += 1 }
                last = max(last, time)
                guard course.storedAt[nodeIndex] == nil || time > bounds.edit else { continue }
                let what = course.storedAt[nodeIndex] == nil ? "is not at" : "took \(Report.text(time)) ms to"
                late.append(
                    "the edit of node \(course.author) at \(course.begunAt / 1_000_000) ms \(what) node \(nodeIndex)"
                )
            }
            slowest = max(slowest, last)
            sum += last
        }
        report.criterion("slowest honest edit, ms", missing == 0 ? slowest : nil, atMost: bounds.edit)
        report.add("mean honest edit", sum / Double(max(1, courses.count)), "ms")
        report.add("deliveries missed", missing, "")
    }

    private mutating func judge(_ simulation: Simulation, _ honest: [Int], _ bounds: CostBounds, _ peaks: Peaks) {
        judgeEdits(simulation, honest, bounds)
        report.criterion("heads an honest node remembers", peaks.heads, atMost: bounds.heads)
        report.criterion("links of an honest node", peaks.links, atMost: bounds.links)
        report.criterion("unread bytes of an honest node", peaks.unreadBytes, atMost: bounds.unreadBytes)
        report.criterion("share of neighbours that are hostile", peaks.neighbourShare, atMost: 0.34)
        report.add("statements and announcements held", peaks.signed, "")
        report.add("holds", honest.reduce(0) { $0 + simulation.notes($1).holds }, "")
        let unjust = honest.reduce(0) { $0 + simulation.notes($1).holdsOfHonest }
        report.criterion("times that an honest node was not read", unjust, atMost: 0)
        report.add("dials", honest.reduce(0) { $0 + simulation.notes($1).dials }, "")
        var ends: [UInt32: Int] = [:]
        for nodeIndex in honest { ends.merge(simulation.notes(nodeIndex).ends) { $0 + $1 } }
        for code in ends.keys.sorted() { report.add("sessions ended with code \(code)", ends[code] ?? 0, "") }
    }
}
