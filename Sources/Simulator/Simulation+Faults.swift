import Catalog
import DeltaLog
import Gossip
import Governance

// Executes plans, and ends all faults.

extension Simulation {
    /// Schedules the events of a plan; their times count from now.
    package func schedule(_ plan: Plan) {
        self.plan = plan
        for (index, step) in plan.faults.enumerated() {
            schedule(after: step.milliseconds * 1_000_000, .fault(index))
        }
        for (index, step) in plan.work.enumerated() {
            schedule(after: step.milliseconds * 1_000_000, .work(index))
        }
    }

    func perform(_ work: Plan.WorkStep) { change(work.nodeIndex % nodes.count, work.changes) }

    package func perform(_ fault: Fault) {
        note(1, "fault: \(fault)")
        func nodeIndex(_ number: Int) -> Int { number % nodes.count }
        func node(_ number: Int) -> VirtualNode { nodes[number % nodes.count] }
        switch fault {
        case .crash(let number, let isClean): crash(nodeIndex(number), isClean: isClean)
        case .cutPower(let number): cutPower(nodeIndex(number))
        case .start(let number): start(nodeIndex(number))
        case .doom(let number): node(number).isDoomed = true
        case .doomInWrite(let number): node(number).isDoomedInWrite = true
        case .pause(let number): pause(nodeIndex(number))
        case .resume(let number): resume(nodeIndex(number))
        case .join(let number):
            if node(number).isRunning, node(number).role == nil { start(admit(sponsor: nodeIndex(number))) }
        case .leave(let number): leave(nodeIndex(number))
        case .role(let number, let role): take(role, at: nodeIndex(number))
        case .slowDisk(let number, let milliseconds): node(number).storingMilliseconds = milliseconds
        case .lyingDisk(let number, let isLying):
            node(number).isLying = isLying
            node(number).history = []
        case .snapshot(let number): node(number).snapshot = snapshot(node(number))
        case .rollBack(let number): rollBack(nodeIndex(number))
        case .copyFolder(let number): copyFolder(of: nodeIndex(number))
        case .stall(let number, let isStalling): setStalling(nodeIndex(number), isStalling)
        case .limit(let number, let log, let sequence):
            guard !pool.logs.isEmpty else { break }
            let id = pool.logs[log % pool.logs.count]
            node(number).limits[id] = sequence
            demandLimits([id], at: nodeIndex(number))
        case .clock(let number, let ahead, let drift):
            node(number).clockAheadMilliseconds = ahead
            node(number).driftPerMillion = drift
        case .format(let number, let format): node(number).format = format
        case .ignoreBroadcast(let number, let isIgnoring): node(number).ignoresBroadcast = isIgnoring
        case .block(let from, let to):
            if nodeIndex(from) != nodeIndex(to) { block(from: nodeIndex(from), to: nodeIndex(to)) }
        case .unblock(let from, let to): unblock(from: nodeIndex(from), to: nodeIndex(to))
        case .part(let shape): part(shape)
        case .heal: heal()
        case .breakLinks(let one, let other, let isNoticedByBoth):
            breakLinks(nodeIndex(one), nodeIndex(other), isNoticedByBoth: isNoticedByBoth)
        case .clog(let number, let rate): network.clogged[nodeIndex(number)] = rate
        case .loss(let permille): network.settings.lossPermille = permille
        case .pushLoss(let permille): network.settings.pushLossPermille = permille
        case .duplication(let permille): network.settings.duplicatePermille = permille
        case .reordering(let permille): network.settings.reorderPermille = permille
        }
    }

    /// Sets the bounds of logs at a running node. A stopped node sets them when it starts.
    private func demandLimits(_ logs: [LogID], at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard node.box != nil else { return }
        let changes = logs.map { relimit($0, at: node) }
        if changes.contains(true) { answer(.committed([], summary: node.summary), at: nodeIndex) }
    }

    private func part(_ shape: Fault.Shape) {
        let all = Array(nodes.indices)
        switch shape {
        case .halves(let number):
            let middle = 1 + number % max(1, all.count - 1)
            part(Array(all[..<middle]), Array(all[middle...]))
        case .isolated(let number): part([number % all.count], all.filter { $0 != number % all.count })
        case .ring:
            for one in all {
                part([one], all.filter { other in other != (one + 1) % all.count && one != (other + 1) % all.count })
            }
        case .bridge(let number):
            let bridge = number % all.count
            let others = all.filter { $0 != bridge }
            part(Array(others[..<(others.count / 2)]), Array(others[(others.count / 2)...]))
        }
    }

    // MARK: - The end of all faults

    /// The data of some nodes at one time: the number of deltas of each log, by the log's number.
    package struct Holdings: Sendable {
        fileprivate let counts: [Int]
        /// The total number of deltas.
        package var total: Int { counts.reduce(0, +) }
    }

    /// Sets the rate at which broadcast messages are dropped.
    package func setPushLoss(permille: UInt64) { network.settings.pushLossPermille = permille }

    /// Ends all faults and starts the stopped nodes. Copies of folders leave, and a few other nodes stay down: data
    /// that only they have is not promised by any other node. Some of the rest are restarted. Returns the nodes that
    /// must agree from now on: the running honest ones.
    package func recover() -> [Int] {
        areFaultsOver = true
        var settings = network.settings
        settings.lossPermille = 0
        settings.pushLossPermille = 0
        settings.duplicatePermille = 0
        settings.reorderPermille = 0
        settings.bytesPerSecond = nil
        network.settings = settings
        network.clogged = network.clogged.filter { nodes[$0.key].role == .dripper }
        heal()
        for node in nodes {
            node.storingMilliseconds = nil
            node.isLying = false
            node.history = []
            node.format = nil
            node.ignoresBroadcast = false
            node.driftPerMillion = 0
            node.isDoomed = false
            node.isDoomedInWrite = false
            resume(node.nodeIndex)
            setStalling(node.nodeIndex, false)
            if node.nodeIndex != node.number { leave(node.nodeIndex) }
        }
        let limited = agreeOnLimits()
        defer { for node in nodes { demandLimits(limited, at: node.nodeIndex) } }
        let candidates = nodes.filter { !$0.hasLeft && $0.role == nil }.map(\.nodeIndex)
        var downMax = candidates.count / 3
        var core: [Int] = []
        for nodeIndex in candidates {
            let draw = UInt8.random(in: 0..<8, using: &faultRandom)
            if draw == 0, downMax > 0 {
                downMax -= 1
                crash(nodeIndex)
                continue
            }
            if draw < 4 { crash(nodeIndex, isClean: draw.isMultiple(of: 2)) }
            core.append(nodeIndex)
            start(nodeIndex)
        }
        for node in nodes where node.role != nil { start(node.nodeIndex) }
        return known(of: core)
    }

    /// Gives all nodes the same limits for the logs for which some node had a limit. Returns these logs.
    private func agreeOnLimits() -> [LogID] {
        let limited = Set(nodes.flatMap(\.limits.keys)).sorted()
        for log in limited {
            let isEnded = Bool.random(using: &faultRandom)
            let limit = isEnded ? UInt64.random(in: 0...12, using: &faultRandom) : nil
            for node in nodes { node.limits[log] = limit }
        }
        return limited
    }

    /// The nodes that the founders among them know, directly or through each other. If only vanished nodes knew a node,
    /// no other node has heard of it and it would need a new admission.
    private func known(of nodeIndices: [Int]) -> [Int] {
        var known = nodeIndices.filter { nodes[$0].number < alliance.enrolments.count }
        var others = nodeIndices.filter { nodes[$0].number >= alliance.enrolments.count }
        while let next = others.firstIndex(where: { other in
            known.contains { nodes[$0].box?.engine.roster.organization(of: nodes[other].key) != nil }
        }) {
            known.append(others.remove(at: next))
        }
        for nodeIndex in others { crash(nodeIndex) }
        return known.sorted()
    }

    /// The data that these nodes have together.
    package func holdings(of nodeIndices: [Int]) -> Holdings {
        var counts = Array(repeating: 0, count: pool.logs.count)
        for nodeIndex in nodeIndices {
            for (log, count) in nodes[nodeIndex].disk.counts.enumerated() { counts[log] = max(counts[log], count) }
        }
        return Holdings(counts: counts)
    }

    /// Records a violation for each delta in `holdings` that one of these nodes lacks. Of a forked log, only deltas
    /// before the fork count.
    package func check(_ nodeIndices: [Int], hold holdings: Holdings) {
        for nodeIndex in nodeIndices {
            let counts = nodes[nodeIndex].disk.counts
            for (number, wanted) in holdings.counts.enumerated() where wanted > 0 {
                let log = pool.logs[number]
                let limit = nodes[nodeIndex].box?.engine.forks[log].map { Int(clamping: $0) - 1 } ?? wanted
                let held = number < counts.count ? counts[number] : 0
                guard held < min(wanted, limit) else { continue }
                violate("node \(nodeIndex) holds \(held) of \(wanted) deltas of log \(name(of: log)) in the end")
            }
            checkAcknowledged(nodes[nodeIndex])
        }
    }

    /// Records a violation for each node whose records differ from a fresh merge of its deltas within the bounds of
    /// their logs.
    package func checkDerivation(_ nodeIndices: [Int]) {
        for nodeIndex in nodeIndices {
            let disk = nodes[nodeIndex].disk
            var fresh = VirtualDisk(pool: pool)
            for (log, bound) in disk.bounds { fresh.setBound(bound, of: log) }
            for (number, count) in disk.counts.enumerated() where count > 0 {
                for sequence in 1...UInt64(count) {
                    guard let index = disk.index(of: pool.logs[number], sequence: sequence) else { continue }
                    // Storing in memory never throws.
                    _ = try! applier.apply(pool.entries[Int(index)].delta, to: &fresh)
                }
            }
            if fresh.digest != disk.digest || fresh.visibleCount != disk.visibleCount || fresh.excluded != disk.excluded
            {
                violate("node \(nodeIndex) shows other records than its counting deltas give")
            }
        }
    }
}
