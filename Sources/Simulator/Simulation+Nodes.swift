import Catalog
import DeltaLog
import Gossip
import Governance

// Nodes: starts, crashes, pauses, late joins and departures.

extension Simulation {
    /// Starts a node from its disk.
    package func start(_ nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard node.box == nil, !node.hasLeft, !node.isPuppet else { return }
        note(UInt64(nodeIndex), "node \(nodeIndex) starts")
        node.startedAt = now
        checkAcknowledged(node)
        node.epoch += 1
        node.diskFreeAt = now
        node.answeredAt = now
        node.transactions = []
        node.nextTransaction = 0
        node.storingBytes = 0
        node.isDoomed = false
        node.isDoomedInWrite = false
        node.log = continuedLog(of: node)
        announce(node)
        let bounded = Set(node.disk.bounds.keys).union(node.limits.keys).union(node.governance.forks.keys)
        for log in bounded.sorted() { relimit(log, at: node) }
        let engine = Engine(
            settings: settings.engine,
            charter: alliance.charter,
            node: node.key,
            program: "virtual",
            governance: node.governance,
            announcements: node.announcements,
            frontier: node.disk.frontier,
            summary: node.summary,
            contacts: node.contacts.values.sorted { $0.node < $1.node },
            cryptography: alliance.cryptography,
            random: SplitMix64(seed: engineRandom.next())
        )
        node.box = EngineBox(engine)
        feed(.timer, to: nodeIndex)
    }

    package func startAll() {
        for nodeIndex in nodes.indices { start(nodeIndex) }
    }

    /// The log that a node may continue after a start; the token in volatile memory decides. Nil if the first write
    /// must begin a new log.
    private func continuedLog(of node: VirtualNode) -> LogID? {
        guard let log = node.lastLog else { return nil }
        if settings.plant == .ignoreToken { return log }
        guard let token = node.token else { return nil }
        let head = node.disk.head(of: log)
        return token.allows(nodeIndex: node.nodeIndex, boot: node.boot, log: log, head: head) ? log : nil
    }

    /// Signs a new announcement if the node's own does not name its current address. This affects a folder copy that
    /// runs elsewhere, and then the original.
    private func announce(_ node: VirtualNode) {
        let held = node.announcements.latest[node.key]
        guard held?.addresses != [VirtualAlliance.address(of: node.nodeIndex)] else { return }
        let version = (held?.version ?? 0) + 1
        _ = node.announcements.insert(alliance.announcement(of: node.number, at: node.nodeIndex, version: version))
    }

    /// Checks that reported deltas are on disk, unless the disk lied or was restored.
    func checkAcknowledged(_ node: VirtualNode) {
        for (log, sequence) in node.acknowledged.sorted(by: { $0.key < $1.key })
        where node.disk.head(of: log)?.sequence ?? 0 < sequence {
            violate("node \(node.nodeIndex) lost delta \(sequence) of its log, which it had reported to be on disk")
        }
    }

    /// Kills a node; data that is not on disk is lost. Its peers learn of it at once if `isClean`, otherwise never.
    package func crash(_ nodeIndex: Int, isClean: Bool = true) {
        let node = nodes[nodeIndex]
        guard node.box != nil else { return }
        note(UInt64(nodeIndex), "node \(nodeIndex) crashes" + (isClean ? "" : " without notice to its peers"))
        // The transaction in progress is either complete or absent.
        if node.nextTransaction < node.transactions.count, Bool.random(using: &faultRandom) {
            _ = commit(node.transactions[node.nextTransaction], at: nodeIndex)
        }
        abandonWriter(at: nodeIndex)
        node.box = nil
        node.epoch += 1
        node.timerAt = nil
        node.isPaused = false
        node.backlog = []
        node.stalledReads = []
        node.processor.stop()
        for index in node.connections where !network.connections[index].isBroken {
            let connection = network.connections[index]
            let side = connection[0].node == nodeIndex ? 0 : 1
            connection.isBroken = true
            connection[side].isUp = false
            connection[side].discardUnread()
            guard isClean else { continue }
            schedule(
                after: network.delay(from: nodeIndex, to: connection[1 - side].node),
                .down(connection: index, side: 1 - side)
            )
        }
        node.connections = []
    }

    /// Cuts a node's power: volatile memory is lost too, and a lying disk loses its last transactions.
    package func cutPower(_ nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard !node.hasLeft else { return }
        crash(nodeIndex, isClean: false)
        node.boot += 1
        node.token = nil
        if node.isLying, !node.history.isEmpty {
            let index = Int.random(in: 0..<node.history.count, using: &faultRandom)
            restore(node.history[index], at: node)
            note(UInt64(index), "the disk of node \(nodeIndex) has lost \(node.history.count - index) transactions")
        }
        node.history = []
    }

    /// Restores a node's folder to its last ``Fault/snapshot(_:)``; the machine keeps running.
    func rollBack(_ nodeIndex: Int) {
        let node = nodes[nodeIndex]
        // If a folder is restored after a kill between commit and settling, and before it was opened, its log forks.
        // The threat model names this gap, so no run needs to show it.
        guard let snapshot = node.snapshot, !node.hasLeft, node.token?.intended == nil else { return }
        crash(nodeIndex)
        restore(snapshot, at: node)
        node.history = []
        note(UInt64(nodeIndex), "the folder of node \(nodeIndex) is restored")
    }

    /// Copies a node's folder to another machine, where it runs under the same key.
    func copyFolder(of nodeIndex: Int) {
        let original = nodes[nodeIndex]
        guard nodes.count < Self.nodesMax, !original.hasLeft, original.number == original.nodeIndex else { return }
        let copy = VirtualNode(
            nodeIndex: nodes.count,
            number: original.number,
            alliance: alliance,
            pool: pool,
            governance: original.governance,
            announcements: original.announcements
        )
        copy.disk = original.disk
        copy.lastLog = original.lastLog
        nodes.append(copy)
        note(UInt64(copy.nodeIndex), "the folder of node \(nodeIndex) is copied to node \(copy.nodeIndex)")
        start(copy.nodeIndex)
    }

    /// The maximum number of nodes, including copies and newcomers.
    private static let nodesMax = 4_096

    /// Stops a node for good.
    package func leave(_ nodeIndex: Int) {
        crash(nodeIndex)
        nodes[nodeIndex].hasLeft = true
    }

    /// Stops a node's process: its connections stay up, but it answers nothing.
    package func pause(_ nodeIndex: Int) {
        guard nodes[nodeIndex].box != nil else { return }
        nodes[nodeIndex].isPaused = true
        note(UInt64(nodeIndex), "node \(nodeIndex) is stopped")
    }

    /// Resumes a stopped process: all waiting events arrive at once.
    package func resume(_ nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard node.isPaused else { return }
        note(UInt64(nodeIndex), "node \(nodeIndex) goes on")
        node.isPaused = false
        let backlog = node.backlog
        node.backlog = []
        for event in backlog { schedule(after: 0, event) }
        work(at: nodeIndex)
    }

    /// Adds an organization with one node, admitted by a sponsor. It starts with the sponsor's governance data.
    @discardableResult
    package func admit(sponsor nodeIndex: Int) -> Int {
        let sponsor = nodes[nodeIndex]
        let number = nodes.count
        let statements = [
            alliance.admission(of: number, by: sponsor.number), alliance.enrolment(of: number),
        ]
        let announcement = alliance.announcement(of: number)
        for statement in statements { _ = commit(.statement(statement, replaced: nil), at: nodeIndex) }
        _ = commit(.announcement(announcement), at: nodeIndex)
        nodes.append(
            VirtualNode(
                nodeIndex: number,
                number: number,
                alliance: alliance,
                pool: pool,
                governance: sponsor.governance,
                announcements: sponsor.announcements
            )
        )
        note(UInt64(number), "node \(nodeIndex) admits node \(number)")
        feed(.stated(statements), to: nodeIndex)
        feed(.announced(announcement), to: nodeIndex)
        return number
    }

    /// Makes a node accept requests for deltas without answering them, or ends that.
    package func setStalling(_ nodeIndex: Int, _ isStalling: Bool) {
        nodes[nodeIndex].isStalling = isStalling
        guard !isStalling else { return }
        let reads = nodes[nodeIndex].stalledReads
        nodes[nodeIndex].stalledReads = []
        for read in reads { schedule(after: 1_000_000, read) }
    }

    /// Sets the times at which a node gets the processor; nil for always. Effective only with processor costs.
    package func setSlices(_ slices: Slices?, at nodeIndex: Int) { nodes[nodeIndex].processor.slices = slices }

    /// Sets the duration of a node's transactions in milliseconds.
    package func setStoring(_ nodeIndex: Int, _ time: ClosedRange<UInt64>?) {
        nodes[nodeIndex].storingMilliseconds = time
    }
}
