import Catalog
import Gossip
import Governance

// Connections: how they are established, held back and broken.

extension Simulation {
    func dial(_ key: NodeKey, addresses: [String], from nodeIndex: Int) {
        let node = nodes[nodeIndex]
        let nodeIndices = addresses.map {
            VirtualAlliance.nodeIndex(of: $0).flatMap { nodes.indices.contains($0) ? $0 : nil }
        }
        let target = nodeIndices.lazy.compactMap { $0 }.first
        // An address without a node gives no answer; after a pause the next one is tried in parallel.
        let dead = UInt64(nodeIndices.prefix { $0 == nil }.count)
        let timeout = network.settings.dialTimeoutMilliseconds * 1_000_000
        let start = settings.plant == .sharedDials ? slot(for: dead * timeout, at: node) : now
        let deadline = settings.plant == .sharedDials ? start + (dead + 1) * timeout : start + timeout
        let begin = start + dead * (settings.plant == .sharedDials ? timeout : Network.addressPause)
        node.notes.dials += 1
        guard let target, nodes[target].key == key, begin < deadline else {
            let time = dead > 0 ? deadline : now + 1_000_000
            events.add(.input(node: nodeIndex, epoch: node.epoch, .dialFailed(key, reason: "no answer")), at: time)
            return
        }
        events.add(
            .dial(from: nodeIndex, epoch: node.epoch, to: target, deadline: deadline),
            at: begin + network.delay(from: nodeIndex, to: target)
        )
    }

    /// Reserves the earlier of two dial slots for this time and returns its start.
    private func slot(for nanoseconds: UInt64, at node: VirtualNode) -> UInt64 {
        let index = node.dialSlots[0] <= node.dialSlots[1] ? 0 : 1
        let start = max(now, node.dialSlots[index])
        node.dialSlots[index] = start + nanoseconds
        return start
    }

    /// Connects two nodes if the network allows it; TLS accepts only peers in the roster. The dialling node learns of
    /// the connection after two round trips, the other node half a round trip later.
    func answerDial(from: Int, to: Int, deadline: UInt64) {
        let target = nodes[to]
        let isFull = network.settings.connectionsMax.map { target.connections.count >= $0 } ?? false
        let isOpen = !network.isBlocked(from: from, to: to) && !network.isBlocked(from: to, to: from) && !isFull
        let back = network.delay(from: to, to: from)
        guard isOpen, !target.isPaused, now <= deadline, lets(nodes[from], in: target) else {
            // A machine whose node is down refuses the connection. A block, a stopped process or a full connection
            // table gives no answer.
            let time = isOpen && !target.isPaused ? now + back : max(deadline, now)
            events.add(
                .input(node: from, epoch: nodes[from].epoch, .dialFailed(target.key, reason: "refused")),
                at: time
            )
            return
        }
        let index = network.connections.count
        network.connections.append(Connection(from: from, to: to))
        let epochs = [nodes[from].epoch, target.epoch]
        let first = back + network.delay(from: from, to: to) + network.delay(from: to, to: from)
        let second = first + network.delay(from: from, to: to)
        nodes[from].connections.append(index)
        target.connections.append(index)
        network.connections[index][0].lastArrival = now + first
        network.connections[index][1].lastArrival = now + second
        schedule(after: first, .up(connection: index, side: 0, epochs: epochs))
        schedule(after: second, .up(connection: index, side: 1, epochs: epochs))
    }

    /// True if a node's TLS accepts a peer: the roster names it.
    private func lets(_ peer: VirtualNode, in node: VirtualNode) -> Bool {
        node.isPuppet ? node.role != nil : node.box?.engine.roster.organization(of: peer.key) != nil
    }

    func goUp(connection index: Int, side: Int, epochs: [UInt64]) {
        let connection = network.connections[index]
        let node = nodes[connection[side].node]
        let peer = nodes[connection[1 - side].node]
        guard node.epoch == epochs[side], node.box != nil || node.isPuppet else { return }
        guard !node.isPaused else {
            node.backlog.append(.up(connection: index, side: side, epochs: epochs))
            return
        }
        guard !connection.isBroken, peer.epoch == epochs[1 - side] else {
            if side == 0 { feed(.dialFailed(peer.key, reason: "broken off"), to: node.nodeIndex) }
            return
        }
        network.connections[index][side].isUp = true
        note(UInt64(index), "node \(node.nodeIndex) is connected with \(peer.nodeIndex)")
        guard !node.isPuppet else {
            network.connections[index][side].session = PuppetSession()
            return
        }
        let links = node.connections.count {
            let other = network.connections[$0]
            return other[other[0].node == node.nodeIndex ? 0 : 1].isUp && other.joins(peer.nodeIndex)
        }
        if links > settings.engine.linksPerNodeMax + 1 {
            violate("node \(node.nodeIndex) has \(links) connections with a peer")
        }
        let address = side == 0 ? VirtualAlliance.address(of: peer.nodeIndex) : nil
        let link = Network.link(index, side: side)
        feed(.linkUp(link, node: peer.key, dialled: side == 0, address: address), to: node.nodeIndex)
    }

    func disconnect(_ link: LinkID, _ refusal: SessionRefusal?, at nodeIndex: Int) {
        let index = Network.connection(of: link)
        let side = Network.side(of: link)
        guard network.connections[index][side].isUp else { return }
        if let refusal {
            note(UInt64(refusal.code), "node \(nodeIndex) ends a session: \(refusal.reason)")
            if !refusal.isOrderly { nodes[nodeIndex].notes.ends[refusal.code, default: 0] += 1 }
            let message = PeerMessage.refusal(refusal)
            transmit(Parcel(message: message, byteCount: note(message)), connection: index, to: 1 - side)
        }
        network.connections[index][side].isUp = false
        network.connections[index][side].discardUnread()
        nodes[nodeIndex].connections.removeAll { $0 == index }
        // The other side learns of the end after all earlier messages.
        let other = network.connections[index][1 - side].node
        let arrival = network.connections[index][1 - side].lastArrival
        let time = max(arrival, now + network.delay(from: nodeIndex, to: other))
        events.add(.down(connection: index, side: 1 - side), at: time)
        schedule(after: 0, .input(node: nodeIndex, epoch: nodes[nodeIndex].epoch, .linkDown(link)))
    }

    func goDown(connection index: Int, side: Int) {
        let node = nodes[network.connections[index][side].node]
        guard !node.isPaused else {
            node.backlog.append(.down(connection: index, side: side))
            return
        }
        node.connections.removeAll { $0 == index }
        guard network.connections[index][side].isUp else {
            // The connection was still being established; the dialling node must learn that it failed.
            network.connections[index].isBroken = true
            return
        }
        network.connections[index][side].isUp = false
        network.connections[index].isBroken = true
        feed(.linkDown(Network.link(index, side: side)), to: node.nodeIndex)
    }

    // MARK: - Blocks

    /// Blocks messages from one node to the other. As in TCP, they wait until the block ends or the connection breaks.
    package func block(from sender: Int, to receiver: Int) {
        network.block(from: sender, to: receiver)
        note(UInt64(sender) << 32 | UInt64(receiver), "nothing passes from node \(sender) to \(receiver)")
    }

    /// Blocks all messages between the two groups.
    package func part(_ some: [Int], _ others: [Int]) {
        for one in some {
            for other in others where one != other {
                network.block(from: one, to: other)
                network.block(from: other, to: one)
            }
        }
        note(UInt64(some.count), "nodes \(some) and \(others) are partitioned")
    }

    /// Ends the block between two nodes; waiting messages are delivered.
    func unblock(from sender: Int, to receiver: Int) {
        network.unblock(from: sender, to: receiver)
        release()
    }

    /// Ends all blocks; waiting messages are delivered.
    package func heal() {
        network.unblockAll()
        note(0, "all blocks are lifted")
        release()
    }

    private func release() {
        for index in network.connections.indices where !network.connections[index].isBroken {
            let connection = network.connections[index]
            for side in 0...1 where !connection[side].held.isEmpty {
                guard !network.isBlocked(from: connection[1 - side].node, to: connection[side].node) else { continue }
                let held = connection[side].held
                connection[side].held = []
                // Delivered at once: messages still in flight were sent later.
                for parcel in held { arrive(parcel, connection: index, side: side) }
            }
        }
    }

    /// Breaks the connections between two nodes; one side may not notice.
    package func breakLinks(_ one: Int, _ other: Int, isNoticedByBoth: Bool = true) {
        for index in nodes[one].connections
        where !network.connections[index].isBroken && network.connections[index].joins(other) {
            let connection = network.connections[index]
            network.connections[index].isBroken = true
            note(UInt64(index), "a connection of nodes \(one) and \(other) breaks")
            schedule(after: network.delay(from: one, to: other), .down(connection: index, side: 0))
            // A side that does not know of the connection yet always notices.
            if isNoticedByBoth || !connection[1].isUp {
                schedule(after: network.delay(from: one, to: other), .down(connection: index, side: 1))
            }
        }
    }
}
