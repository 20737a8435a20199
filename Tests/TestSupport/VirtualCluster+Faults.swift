import Catalog
package import DeltaLog
import Gossip

// Nodes that start, write, crash and come late; connections that come up, are held back and break.

extension VirtualCluster {
    // MARK: - Nodes

    /// Starts a node from its disk.
    package mutating func start(_ number: Int) {
        let node = nodes[number]
        guard node.engine == nil else { return }
        nodes[number].epoch += 1
        nodes[number].diskFreeAt = now
        nodes[number].engine = VirtualEngine(
            settings: settings.engine,
            charter: alliance.charter,
            node: VirtualAlliance.node(number),
            program: "virtual",
            governance: node.governance,
            announcements: node.announcements,
            frontier: node.storage.frontier,
            summary: storedSummary(number),
            cryptography: alliance.cryptography,
            random: SplitMix64(seed: random.next())
        )
        note("start \(number)", bytes: [])
        feed(.timer, to: number)
    }

    package mutating func startAll() {
        for number in nodes.indices { start(number) }
    }

    /// Kills a node: what is not on disk is lost. Its peers learn of it at once where `isClean`, else never.
    package mutating func crash(_ number: Int, isClean: Bool = true) {
        guard nodes[number].engine != nil else { return }
        note("crash \(number)", bytes: [])
        nodes[number].engine = nil
        nodes[number].epoch += 1
        nodes[number].timerAt = nil
        for (index, connection) in connections.enumerated() where connection.nodes.contains(number) {
            guard !connection.isBroken else { continue }
            connections[index].isBroken = true
            let side = connection.nodes[0] == number ? 0 : 1
            if isClean { schedule(afterMilliseconds: delay(), .down(connection: index, side: 1 - side)) }
        }
        nodes[number].ends = [:]
    }

    /// Adds an organization with a node that a sponsor admits; it starts with what the sponsor tells a newcomer.
    package mutating func admit(sponsor: Int) -> Int {
        let number = nodes.count
        let statements = [alliance.admission(of: number, by: sponsor), alliance.enrolment(of: number)]
        let announcement = alliance.announcement(of: number)
        for statement in statements { keep(statement, replaced: nil, at: sponsor) }
        _ = nodes[sponsor].announcements.insert(announcement)
        nodes.append(
            Node(number: number, governance: nodes[sponsor].governance, announcements: nodes[sponsor].announcements)
        )
        feed(.stated(statements), to: sponsor)
        feed(.announced(announcement), to: sponsor)
        return number
    }

    /// Makes a node take wants and never answer them, or ends that.
    package mutating func setStalling(_ number: Int, _ isStalling: Bool) {
        nodes[number].isStalling = isStalling
        guard !isStalling else { return }
        let reads = nodes[number].stalledReads
        nodes[number].stalledReads = []
        for read in reads { schedule(afterMilliseconds: 1, read) }
    }

    /// How long storing takes a node, in milliseconds.
    package mutating func setStoring(_ number: Int, _ time: ClosedRange<UInt64>?) { nodes[number].storing = time }

    // MARK: - Writing

    /// Writes names of records of the node's own organization, as one delta.
    package mutating func write(_ number: Int, _ names: [(localID: String, name: String)]) {
        guard let engine = nodes[number].engine, !names.isEmpty else { return }
        var log = LogID(author: VirtualAlliance.node(number), incarnation: nodes[number].incarnation)
        if engine.forks[log] != nil {
            nodes[number].incarnation += 1
            log = LogID(author: log.author, incarnation: nodes[number].incarnation)
        }
        let storage = nodes[number].storage
        let delta = alliance.delta(
            by: number,
            incarnation: log.incarnation,
            after: storage.head(of: log),
            milliseconds: 1_700_000_000_000 + now / 1_000_000,
            names: names,
            view: { storage.view(of: $0) }
        )
        put(delta, into: number)
        feed(.committed([delta], summary: storedSummary(number)), to: number)
    }

    /// Puts a delta on a node's disk, behind its engine's back where that runs.
    package mutating func put(_ delta: VerifiedDelta, into number: Int) {
        let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        _ = try! applier.apply(delta, to: &nodes[number].storage)
        note("write \(number)", bytes: delta.hash.bytes)
    }

    // MARK: - The network

    /// Stops what goes from one node to the other; it waits, as in TCP, until that is lifted or the connection breaks.
    package mutating func block(from sender: Int, to receiver: Int) {
        blocked.insert([sender, receiver])
    }

    /// Stops all that passes between the two groups.
    package mutating func part(_ some: [Int], _ others: [Int]) {
        for one in some {
            for other in others {
                block(from: one, to: other)
                block(from: other, to: one)
            }
        }
    }

    /// Lifts all blocks; what waited goes on.
    package mutating func heal() {
        blocked = []
        for index in connections.indices where !connections[index].isBroken {
            for side in 0...1 {
                let held = connections[index].held[side]
                connections[index].held[side] = []
                // At once: what is still under way was sent later.
                for frame in held { hand(frame, connection: index, side: side) }
            }
        }
    }

    /// Breaks the connections between two nodes; one side may not notice.
    package mutating func breakLinks(_ one: Int, _ other: Int, isNoticedByBoth: Bool = true) {
        for index in connections.indices
        where !connections[index].isBroken && connections[index].nodes.contains(one)
            && connections[index].nodes.contains(other)
        {
            connections[index].isBroken = true
            note("break", bytes: [])
            schedule(afterMilliseconds: delay(), .down(connection: index, side: 0))
            if isNoticedByBoth { schedule(afterMilliseconds: delay(), .down(connection: index, side: 1)) }
        }
    }

    /// Connects two nodes where the network lets them; TLS lets in only whom the roster names.
    mutating func answerDial(from: Int, to: Int, deadline: UInt64) {
        let keys = (VirtualAlliance.node(from), VirtualAlliance.node(to))
        let isOpen = !blocked.contains([from, to]) && !blocked.contains([to, from])
        guard isOpen, nodes[to].engine?.roster.organization(of: keys.0) != nil else {
            let wait = isOpen ? delay() : (max(deadline, now) - now) / 1_000_000
            schedule(afterMilliseconds: wait, .input(node: from, epoch: nodes[from].epoch, .dialFailed(keys.1)))
            return
        }
        connect(from, to)
    }

    /// Opens a connection that the first node dialled.
    package mutating func connect(_ from: Int, _ to: Int) {
        let links = [LinkID(nextLink), LinkID(nextLink + 1)]
        nextLink += 2
        connections.append(Connection(nodes: [from, to], links: links))
        for (side, number) in [from, to].enumerated() {
            nodes[number].ends[links[side]] = End(connection: connections.count - 1, side: side)
        }
        feed(.linkUp(links[0], node: VirtualAlliance.node(to), dialled: true), to: from)
        feed(.linkUp(links[1], node: VirtualAlliance.node(from), dialled: false), to: to)
    }

    mutating func disconnect(_ link: LinkID, _ refusal: SessionRefusal?, at number: Int) {
        guard let end = nodes[number].ends.removeValue(forKey: link) else { return }
        if let refusal {
            deliver(PeerMessage.refusal(refusal).encoded(), connection: end.connection, side: 1 - end.side)
        }
        // The other side learns of the end after all that was sent before it.
        let time = max(connections[end.connection].arrivals[1 - end.side], now + delay() * 1_000_000)
        events.add(.down(connection: end.connection, side: 1 - end.side), at: time)
        schedule(afterMilliseconds: 0, .input(node: number, epoch: nodes[number].epoch, .linkDown(link)))
    }

    mutating func goDown(connection index: Int, side: Int) {
        let connection = connections[index]
        let number = connection.nodes[side]
        guard nodes[number].ends.removeValue(forKey: connection.links[side]) != nil else { return }
        feed(.linkDown(connection.links[side]), to: number)
    }
}
