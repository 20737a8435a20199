import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator

// Connections of a run, and the frames on them.

extension Run {
    // MARK: - Connections

    func dial(_ key: NodeKey, address: String?, from node: HonestNode) {
        let delay = UInt64.random(in: 1_000_000...30_000_000, using: &worldRandom)
        if let target = nodes.first(where: { $0.key == key }), target.roster.organization(of: node.key) != nil {
            connect(.honest(node.nodeIndex), .honest(target.nodeIndex), address: address, after: delay)
        } else if let nodeIndex = peers.firstIndex(where: { $0.key == key }), !isQuiet, !random.isOne(in: 4) {
            connect(.honest(node.nodeIndex), .hostile(nodeIndex), address: address, after: delay)
        } else {
            schedule(after: delay, .input(node: node.nodeIndex, epoch: node.epoch, .dialFailed(key, reason: "nobody")))
        }
    }

    /// Makes a hostile peer dial a node, which accepts only peers in its roster.
    func dial(_ node: HonestNode, by nodeIndex: Int) {
        guard node.roster.organization(of: peers[nodeIndex].key) != nil else { return }
        connect(.hostile(nodeIndex), .honest(node.nodeIndex), after: 1_000_000)
    }

    func connect(_ one: End, _ other: End, address: String? = nil, after delay: UInt64) {
        let ends = [one, other]
        let epochs = ends.map { end in
            if case .honest(let nodeIndex) = end { nodes[nodeIndex].epoch } else { UInt64(0) }
        }
        let connection = Connection(number: nextConnection, ends: ends, address: address, epochs: epochs)
        nextConnection += 1
        connections[connection.number] = connection
        for side in 0...1 {
            connection.lastArrival[side] = now + delay * UInt64(side + 1)
            events.add(.up(connection: connection.number, side: side), at: connection.lastArrival[side])
        }
    }

    func goUp(_ number: Int, side: Int) {
        guard let connection = connections[number] else { return }
        connection.isUp[side] = true
        let peer = key(of: connection.ends[1 - side])
        switch connection.ends[side] {
        case .honest(let nodeIndex):
            guard nodes[nodeIndex].epoch == connection.epochs[side] else { return hangUp(number) }
            let address = side == 0 ? connection.address : nil
            feed(
                .linkUp(connection.links[side], node: peer, dialled: side == 0, address: address),
                to: nodes[nodeIndex]
            )
        case .hostile(let nodeIndex):
            counts.sessions += 1
            greet(connection, side: side, as: nodeIndex)
        }
        if connection.isUp == [true, true],
            connection.ends.contains(where: { if case .hostile = $0 { true } else { false } })
        {
            openHostile.append(number)
        }
    }

    /// Breaks a connection; both sides learn of it after all earlier frames.
    func hangUp(_ number: Int) {
        guard let connection = connections[number] else { return }
        for side in 0...1 {
            events.add(.down(connection: number, side: side), at: max(now, connection.lastArrival[side]))
        }
        openHostile.removeAll { $0 == number }
    }

    func goDown(_ number: Int, side: Int) {
        guard let connection = connections[number] else { return }
        let wasUp = connection.isUp[side]
        connection.isUp[side] = false
        if case .honest(let nodeIndex) = connection.ends[side], nodes[nodeIndex].epoch == connection.epochs[side] {
            if wasUp {
                feed(.linkDown(connection.links[side]), to: nodes[nodeIndex])
            } else if side == 0 {
                feed(.dialFailed(key(of: connection.ends[1]), reason: "broken off"), to: nodes[nodeIndex])
            }
        }
        if connection.isUp == [false, false] { connections[number] = nil }
    }

    func disconnect(_ link: LinkID, _ refusal: SessionRefusal?, at node: HonestNode) {
        let (number, side) = Connection.nodeIndex(of: link)
        guard let connection = connections[number], connection.isUp[side] else { return }
        if let refusal { send(.refusal(refusal), on: link, from: node) }
        connection.isUp[side] = false
        openHostile.removeAll { $0 == number }
        schedule(after: 0, .input(node: node.nodeIndex, epoch: node.epoch, .linkDown(link)))
        events.add(.down(connection: number, side: 1 - side), at: max(now, connection.lastArrival[1 - side]))
    }

    // MARK: - Frames

    func send(_ message: PeerMessage, on link: LinkID, from node: HonestNode) {
        let (number, side) = Connection.nodeIndex(of: link)
        guard let connection = connections[number], connection.isUp[side] else { return }
        let frame = message.encoded()
        if frame.count > Self.frameBytesMax {
            fail("node \(node.nodeIndex) sends a frame of \(frame.count) bytes, \(message.kind.name)")
        }
        transmit(frame, on: connection, to: 1 - side)
    }

    /// Sends a frame to a side of a connection.
    func transmit(_ frame: [UInt8], on connection: Connection, to side: Int) {
        let delay = UInt64.random(in: 100_000...8_000_000, using: &worldRandom)
        connection.lastArrival[side] = max(connection.lastArrival[side], now + delay)
        events.add(
            .arrival(connection: connection.number, side: side, frame: frame),
            at: connection.lastArrival[side]
        )
    }

    func arrive(_ frame: [UInt8], connection number: Int, side: Int) {
        guard let connection = connections[number], connection.isUp[side] else { return }
        guard connection.heldUntil[side] <= now else {
            // The frame waits in order until the side reads again.
            connection.lastArrival[side] = max(connection.lastArrival[side], connection.heldUntil[side])
            events.add(.arrival(connection: number, side: side, frame: frame), at: connection.heldUntil[side])
            return
        }
        switch connection.ends[side] {
        case .honest(let nodeIndex):
            let isFromHonest = if case .honest = connection.ends[1 - side] { true } else { false }
            receive(frame, on: connection.links[side], isFromHonest: isFromHonest, at: nodes[nodeIndex])
        case .hostile(let nodeIndex):
            guard let message = try? PeerMessage(decoding: frame) else {
                return fail("an honest node sends a frame that is no message")
            }
            pool.keep(frame: frame, at: step)
            guard !isQuiet else { return }
            react(to: message, on: connection, side: side, as: nodeIndex)
        }
    }

    /// Handles a frame as a running node does.
    func receive(_ frame: [UInt8], on link: LinkID, isFromHonest: Bool, at node: HonestNode) {
        CrashNote.at(node: node.nodeIndex, "a frame", frame: frame)
        mix.add(frame)
        if settings.plant == .deaf, step >= settings.steps / 2, isFromHonest, node.nodeIndex == 0 { return }
        let message: PeerMessage
        do throws(MalformedMessage) {
            message = try PeerMessage(decoding: frame)
        } catch {
            if isFromHonest { fail("an honest node sends a frame that is no message: \(error.what)") }
            return feed(.malformed(link, error.what), to: node)
        }
        if !isFromHonest { counts.taken += 1 }
        switch message {
        case .deltas where !node.box.engine.expectsDeltas(on: link):
            feed(.unaskedDeltas(link, byteCount: frame.count), to: node)
        case .deltas(let deltas):
            feed(.deltas(link, deltas.map(node.check), .asked(byteCount: frame.count)), to: node)
        case .push(let deltas, let hops): feed(.deltas(link, deltas.map(node.check), .pushed(hops: hops)), to: node)
        default: feed(.message(link, message), to: node)
        }
    }
}
