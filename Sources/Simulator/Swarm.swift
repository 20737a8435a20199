import Gossip

/// A run drawn from a seed: the number of nodes, their behaviour and the network's, the faults and the edits.
///
/// Each kind of fault is on in some seeds and off in others: a run with all kinds of faults hides the effects of a few
/// in combination (Groce, Zhang, Eide, Chen, Regehr 2012, "Swarm Testing").
package struct Swarm {
    package private(set) var nodes: Int
    package private(set) var settings = Simulation.Settings()
    package private(set) var plan = Plan()
    /// The duration of the phase with faults, in milliseconds.
    package let milliseconds: UInt64
    private var random: SplitMix64

    /// One in this many seeds signs with Ed25519 and hashes with SHA-256.
    private static let systemCryptographyEvery: UInt64 = 50

    /// - Parameters:
    ///   - nodes: the number of nodes; nil for the seed's number.
    ///   - hasLimits: true if logs also count up to changing sequences.
    package init(seed: UInt64, nodes wanted: Int? = nil, hasLimits: Bool = false) {
        var random = SplitMix64(seed: seed ^ 0x5741_524D)
        let few = Int.random(in: 3...8, using: &random)
        let more = Int.random(in: 9...12, using: &random)
        let many = Int.random(in: 13...24, using: &random)
        switch Int.random(in: 0..<30, using: &random) {
        case 0: nodes = many
        case 1..<6: nodes = more
        default: nodes = few
        }
        if let wanted { nodes = wanted }
        milliseconds = UInt64.random(in: 20_000...90_000, using: &random)
        self.random = random
        settings.organizations = Bool.random(using: &self.random) ? nil : max(2, nodes * 2 / 3)
        if seed % Self.systemCryptographyEvery == 7 { settings.cryptography = .system }
        drawNetwork()
        drawEngine()
        drawFaults()
        drawWork()
        if hasLimits { drawLimits() }
        plan.faults.sort { $0.milliseconds < $1.milliseconds }
        plan.work.sort { $0.milliseconds < $1.milliseconds }
    }

    // MARK: - Environment

    private mutating func isOn(_ ofEight: Int = 4) -> Bool { Int.random(in: 0..<8, using: &random) < ofEight }
    private mutating func number(_ range: ClosedRange<UInt64>) -> UInt64 { UInt64.random(in: range, using: &random) }
    private mutating func nodeIndex() -> Int { Int.random(in: 0..<nodes, using: &random) }
    private mutating func moment() -> UInt64 { number(0...milliseconds) }

    private mutating func drawNetwork() {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: settings.network.latency = .constant(number(1...100))
        case 1: settings.network.latency = .earth
        default: settings.network.latency = .uniform(1...number(2...400))
        }
        if isOn(3) { settings.network.lossPermille = number(1...300) }
        if isOn(3) { settings.network.pushLossPermille = number(1...300) }
        if isOn(2) { settings.network.duplicatePermille = number(1...200) }
        if isOn(2) { settings.network.reorderPermille = number(1...200) }
        if isOn(1) { settings.network.bytesPerSecond = number(4_000...100_000) }
        settings.storingMilliseconds = 1...number(2...200)
        settings.roundTripEvery = nodes > 12 ? 8 : 1
    }

    private mutating func drawEngine() {
        if isOn(3) {
            settings.engine.creditBytes = number(500...20_000)
            settings.engine.messageBytes = number(300...5_000)
            settings.engine.wantsPerLinkMax = Int(number(1...4))
        }
        if isOn(2) { settings.engine.pushBytesMax = 0 }
        if isOn(2) { settings.engine.storingBytesMax = 1_000 }
        if isOn(2) { settings.engine.headsPerMessage = 1 }
    }

    // MARK: - Faults

    private mutating func add(_ fault: Fault, at moment: UInt64) {
        plan.faults.append(Plan.FaultStep(milliseconds: moment, fault: fault))
    }

    /// Adds a fault and its later repair.
    private mutating func add(_ begin: Fault, _ end: Fault, lastingAtMost longest: UInt64) {
        let start = moment()
        add(begin, at: start)
        add(end, at: start + number(100...longest))
    }

    private mutating func drawFaults() {
        drawNodeFaults()
        drawDiskFaults()
        drawNetworkFaults()
        if isOn(2) {
            for _ in 0..<number(1...2) {
                let role = HostileRole.ofSwarms[Int.random(in: 0..<HostileRole.ofSwarms.count, using: &random)]
                add(.role(nodeIndex(), role), at: number(0...milliseconds / 2))
            }
        }
    }

    private mutating func drawNodeFaults() {
        if isOn() {
            for _ in 0..<number(1...6) {
                let nodeIndex = nodeIndex()
                add(.crash(nodeIndex, isClean: isOn()), .start(nodeIndex), lastingAtMost: 20_000)
            }
        }
        if isOn(3) {
            for _ in 0..<number(1...6) {
                let nodeIndex = nodeIndex()
                add(isOn() ? .doom(nodeIndex) : .doomInWrite(nodeIndex), .start(nodeIndex), lastingAtMost: 10_000)
            }
        }
        if isOn(3) {
            for _ in 0..<number(1...3) {
                let nodeIndex = nodeIndex()
                add(.pause(nodeIndex), .resume(nodeIndex), lastingAtMost: isOn(1) ? 80_000 : 15_000)
            }
        }
        if isOn(2) { for _ in 0..<number(1...2) { add(.join(sponsor: nodeIndex()), at: moment()) } }
        if isOn(1), nodes > 3 { add(.leave(nodeIndex()), at: moment()) }
        if isOn(1) {
            // A long absence.
            let nodeIndex = nodeIndex()
            add(.crash(nodeIndex, isClean: true), at: number(0...1_000))
            add(.start(nodeIndex), at: milliseconds)
        }
        if isOn(3) {
            for _ in 0..<number(1...3) {
                let day: Int64 = 86_400_000
                let ahead = Int64.random(in: -day...day, using: &random)
                let drift = Int64.random(in: -50_000...50_000, using: &random)
                add(.clock(nodeIndex(), aheadMilliseconds: ahead, driftPerMillion: drift), at: moment())
            }
        }
        if isOn(1) { add(.format(nodeIndex(), UInt32(number(1...3))), at: 0) }
        if isOn(1) { add(.ignoreBroadcast(nodeIndex(), true), at: 0) }
    }

    private mutating func drawDiskFaults() {
        if isOn(3) {
            for _ in 0..<number(1...3) {
                let nodeIndex = nodeIndex()
                if isOn() { add(.lyingDisk(nodeIndex, true), at: moment()) }
                add(.cutPower(nodeIndex), .start(nodeIndex), lastingAtMost: 10_000)
            }
        }
        if isOn(2) {
            for _ in 0..<number(1...2) {
                let nodeIndex = nodeIndex()
                let start = moment()
                let back = start + number(100...20_000)
                add(.snapshot(nodeIndex), at: start)
                add(.rollBack(nodeIndex), at: back)
                add(.start(nodeIndex), at: back + number(0...3_000))
            }
        }
        if isOn(1) { add(.copyFolder(nodeIndex()), at: moment()) }
        if isOn(2) {
            let nodeIndex = nodeIndex()
            add(.stall(nodeIndex, true), .stall(nodeIndex, false), lastingAtMost: 40_000)
        }
        if isOn(2) {
            let nodeIndex = nodeIndex()
            let time = number(200...2_000)
            add(
                .slowDisk(nodeIndex, milliseconds: time...(time * 2)),
                .slowDisk(nodeIndex, milliseconds: nil),
                lastingAtMost: 30_000
            )
        }
    }

    /// Adds limits of logs that fall and rise, at each node at its own time.
    private mutating func drawLimits() {
        for _ in 0..<number(3...10) {
            let log = Int(number(0...30))
            let sequence = isOn(2) ? nil : number(0...12)
            for nodeIndex in 0..<nodes where isOn(7) {
                add(.limit(nodeIndex, log: log, sequence: sequence), at: moment())
            }
        }
    }

    private mutating func drawNetworkFaults() {
        if isOn() {
            for _ in 0..<number(1...4) { add(.part(shape()), .heal, lastingAtMost: 40_000) }
        }
        if isOn(3) {
            for _ in 0..<number(1...4) {
                let (from, to) = (nodeIndex(), nodeIndex())
                add(.block(from: from, to: to), .unblock(from: from, to: to), lastingAtMost: 70_000)
            }
        }
        if isOn(2) {
            // A flapping block.
            let (from, to) = (nodeIndex(), nodeIndex())
            let period = number(50...3_000)
            for turn in 0..<number(2...8) {
                add(.block(from: from, to: to), at: turn * 2 * period)
                add(.unblock(from: from, to: to), at: (turn * 2 + 1) * period)
            }
        }
        if isOn(3) {
            for _ in 0..<number(1...6) {
                add(.breakLinks(nodeIndex(), nodeIndex(), isNoticedByBoth: isOn(5)), at: moment())
            }
        }
        if isOn(2) {
            let nodeIndex = nodeIndex()
            add(
                .clog(nodeIndex, bytesPerSecond: number(1_000...50_000)),
                .clog(nodeIndex, bytesPerSecond: nil),
                lastingAtMost: 40_000
            )
        }
        if isOn(1) { add(.loss(permille: number(0...300)), at: moment()) }
        if isOn(1) { add(.pushLoss(permille: number(0...500)), at: moment()) }
    }

    private mutating func shape() -> Fault.Shape {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .halves(nodeIndex())
        case 1: .isolated(nodeIndex())
        case 2: .ring
        default: .bridge(nodeIndex())
        }
    }

    // MARK: - Edits

    private mutating func add(_ changes: [RecordChange], by nodeIndex: Int, at moment: UInt64) {
        plan.work.append(Plan.WorkStep(milliseconds: moment, nodeIndex: nodeIndex, changes: changes))
    }

    private mutating func change(deletes: Bool = false) -> RecordChange {
        RecordChange(localID: "r\(number(0...5))", name: deletes ? nil : "\(number(0...9))")
    }

    private mutating func drawWork() {
        for _ in 0..<number(10...40) {
            let nodeIndex = nodeIndex()
            let moment = moment()
            switch Int.random(in: 0..<12, using: &random) {
            case 0:
                let count = number(20...120)
                add((0..<count).map { RecordChange(localID: "i\($0)", name: "\(moment)") }, by: nodeIndex, at: moment)
            case 1: add([change(deletes: true)], by: nodeIndex, at: moment)
            case 2:
                for turn in 0..<number(3...20) { add([change()], by: nodeIndex, at: moment + turn * 10) }
            case 3..<6:
                // Nodes of one organization write the same record at once.
                let organizations = settings.organizations ?? nodes
                for other in stride(from: nodeIndex % organizations, to: nodes, by: organizations) {
                    add([RecordChange(localID: "r0", name: "\(other) \(moment)")], by: other, at: moment)
                }
            default: add((0..<number(1...3)).map { _ in change() }, by: nodeIndex, at: moment)
            }
        }
    }
}
