import Catalog
import DeltaLog
import Gossip
import Governance

// Nodes: starts, crashes, pauses, late joins and departures.

extension Simulation {
    /// Starts a node from its disk.
    package func start(_ place: Int) {
        let node = nodes[place]
        guard node.box == nil, !node.hasLeft, !node.isPuppet else { return }
        note(UInt64(place), "node \(place) starts")
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
        feed(.timer, to: place)
    }

    package func startAll() {
        for place in nodes.indices { start(place) }
    }

    /// The log that a node may continue after a start; the token in volatile memory decides. Nil if the first write
    /// must begin a new log.
    private func continuedLog(of node: VirtualNode) -> LogID? {
        guard let log = node.lastLog else { return nil }
        if settings.plant == .ignoreToken { return log }
        guard let token = node.token else { return nil }
        let head = node.disk.head(of: log)
        return token.allows(place: node.place, boot: node.boot, log: log, head: head) ? log : nil
    }

    /// Signs a new announcement if the node's own does not name its current address. This affects a folder copy that
    /// runs elsewhere, and then the original.
    private func announce(_ node: VirtualNode) {
        let held = node.announcements.latest[node.key]
        guard held?.addresses != [VirtualAlliance.address(of: node.place)] else { return }
        let version = (held?.version ?? 0) + 1
        _ = node.announcements.insert(alliance.announcement(of: node.number, at: node.place, version: version))
    }

    /// Checks that reported deltas are on disk, unless the disk lied or was restored.
    func checkAcknowledged(_ node: VirtualNode) {
        for (log, sequence) in node.acknowledged.sorted(by: { $0.key < $1.key })
        where node.disk.head(of: log)?.sequence ?? 0 < sequence {
            violate("node \(node.place) lost delta \(sequence) of its log, which it had reported to be on disk")
        }
    }

    /// Kills a node; data that is not on disk is lost. Its peers learn of it at once if `isClean`, otherwise never.
    package func crash(_ place: Int, isClean: Bool = true) {
        let node = nodes[place]
        guard node.box != nil else { return }
        note(UInt64(place), "node \(place) crashes" + (isClean ? "" : " without notice to its peers"))
        // The transaction in progress is either complete or absent.
        if node.nextTransaction < node.transactions.count, Bool.random(using: &faultRandom) {
            _ = commit(node.transactions[node.nextTransaction], at: place)
        }
        abandonWriter(at: place)
        node.box = nil
        node.epoch += 1
        node.timerAt = nil
        node.isPaused = false
        node.backlog = []
        node.stalledReads = []
        node.processor.stop()
        for index in node.connections where !network.connections[index].isBroken {
            let connection = network.connections[index]
            let side = connection[0].node == place ? 0 : 1
            connection.isBroken = true
            connection[side].isUp = false
            connection[side].discardUnread()
            guard isClean else { continue }
            schedule(
                after: network.delay(from: place, to: connection[1 - side].node),
                .down(connection: index, side: 1 - side)
            )
        }
        node.connections = []
    }

    /// Cuts a node's power: volatile memory is lost too, and a lying disk loses its last transactions.
    package func cutPower(_ place: Int) {
        let node = nodes[place]
        guard !node.hasLeft else { return }
        crash(place, isClean: false)
        node.boot += 1
        node.token = nil
        if node.isLying, !node.history.isEmpty {
            let index = Int.random(in: 0..<node.history.count, using: &faultRandom)
            restore(node.history[index], at: node)
            note(UInt64(index), "the disk of node \(place) has lost \(node.history.count - index) transactions")
        }
        node.history = []
    }

    /// Restores a node's folder to its last ``Fault/snapshot(_:)``; the machine keeps running.
    func rollBack(_ place: Int) {
        let node = nodes[place]
        // If a folder is restored after a kill between commit and settling, and before it was opened, its log forks.
        // The threat model names this gap, so no run needs to show it.
        guard let snapshot = node.snapshot, !node.hasLeft, node.token?.intended == nil else { return }
        crash(place)
        restore(snapshot, at: node)
        node.history = []
        note(UInt64(place), "the folder of node \(place) is restored")
    }

    /// Copies a node's folder to another machine, where it runs under the same key.
    func copyFolder(of place: Int) {
        let original = nodes[place]
        guard nodes.count < Self.nodesMax, !original.hasLeft, original.number == original.place else { return }
        let copy = VirtualNode(
            place: nodes.count,
            number: original.number,
            alliance: alliance,
            pool: pool,
            governance: original.governance,
            announcements: original.announcements
        )
        copy.disk = original.disk
        copy.lastLog = original.lastLog
        nodes.append(copy)
        note(UInt64(copy.place), "the folder of node \(place) is copied to node \(copy.place)")
        start(copy.place)
    }

    /// The maximum number of nodes, including copies and newcomers.
    private static let nodesMax = 4_096

    /// Stops a node for good.
    package func leave(_ place: Int) {
        crash(place)
        nodes[place].hasLeft = true
    }

    /// Stops a node's process: its connections stay up, but it answers nothing.
    package func pause(_ place: Int) {
        guard nodes[place].box != nil else { return }
        nodes[place].isPaused = true
        note(UInt64(place), "node \(place) is stopped")
    }

    /// Resumes a stopped process: all waiting events arrive at once.
    package func resume(_ place: Int) {
        let node = nodes[place]
        guard node.isPaused else { return }
        note(UInt64(place), "node \(place) goes on")
        node.isPaused = false
        let backlog = node.backlog
        node.backlog = []
        for event in backlog { schedule(after: 0, event) }
        work(at: place)
    }

    /// Adds an organization with one node, admitted by a sponsor. It starts with the sponsor's governance data.
    @discardableResult
    package func admit(sponsor place: Int) -> Int {
        let sponsor = nodes[place]
        let number = nodes.count
        let statements = [
            alliance.admission(of: number, by: sponsor.number), alliance.enrolment(of: number),
        ]
        let announcement = alliance.announcement(of: number)
        for statement in statements { _ = commit(.statement(statement, replaced: nil), at: place) }
        _ = commit(.announcement(announcement), at: place)
        nodes.append(
            VirtualNode(
                place: number,
                number: number,
                alliance: alliance,
                pool: pool,
                governance: sponsor.governance,
                announcements: sponsor.announcements
            )
        )
        note(UInt64(number), "node \(place) admits node \(number)")
        feed(.stated(statements), to: place)
        feed(.announced(announcement), to: place)
        return number
    }

    /// Makes a node accept requests for deltas without answering them, or ends that.
    package func setStalling(_ place: Int, _ isStalling: Bool) {
        nodes[place].isStalling = isStalling
        guard !isStalling else { return }
        let reads = nodes[place].stalledReads
        nodes[place].stalledReads = []
        for read in reads { schedule(after: 1_000_000, read) }
    }

    /// Sets the times at which a node gets the processor; nil for always. Effective only with processor costs.
    package func setSlices(_ slices: Slices?, at place: Int) { nodes[place].processor.slices = slices }

    /// Sets the duration of a node's transactions in milliseconds.
    package func setStoring(_ place: Int, _ time: ClosedRange<UInt64>?) { nodes[place].storingMilliseconds = time }
}
