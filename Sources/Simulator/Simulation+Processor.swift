import Gossip

// Work that takes processor time, with connections in turn, and links that a node does not read for a while.

extension Simulation {
    // MARK: - Arrivals

    /// Handles an event of the node itself: at once, or when the processor has time.
    func take(_ event: Event, at nodeIndex: Int) {
        guard settings.costs != nil else { return execute(event) }
        nodes[nodeIndex].processor.own.events.append(event)
        if !nodes[nodeIndex].processor.own.isInTurn {
            nodes[nodeIndex].processor.own.isInTurn = true
            nodes[nodeIndex].processor.turns.append(.own)
        }
        work(at: nodeIndex)
    }

    /// Handles an event of a connection: at once, or after all earlier events of the connection.
    func take(_ event: Event, on connection: Int, side number: Int) {
        let side = network.connections[connection][number]
        let isFree = settings.costs == nil || nodes[side.node].box == nil
        if isFree, side.inbox.events.isEmpty, side.readsAgainAt <= now { return execute(event) }
        side.inbox.events.append(event)
        readOn(connection: connection, side: number)
    }

    /// Continues reading a link, unless it is still held.
    func readOn(connection: Int, side number: Int) {
        let side = network.connections[connection][number]
        guard side.readsAgainAt <= now, !side.inbox.events.isEmpty else { return }
        guard settings.costs != nil, nodes[side.node].box != nil else {
            while side.readsAgainAt <= now, let event = side.inbox.events.popFirst() { execute(event) }
            return
        }
        guard !side.inbox.isInTurn else { return }
        side.inbox.isInTurn = true
        nodes[side.node].processor.turns.append(.link(connection: connection, side: number))
        work(at: side.node)
    }

    /// Stops reading a link until this time. Arriving messages wait in order and count as in flight, so the sender's
    /// window closes as with a full socket.
    func hold(_ link: LinkID, until instant: Instant, at nodeIndex: Int) {
        let (connection, number) = (Network.connection(of: link), Network.side(of: link))
        let side = network.connections[connection][number]
        guard side.isUp, instant.nanoseconds > now, settings.plant != .readOn else { return }
        nodes[nodeIndex].notes.holds += 1
        let peer = nodes[network.connections[connection][1 - number].node]
        if peer.role == nil { nodes[nodeIndex].notes.holdsOfHonest += 1 }
        note(instant.nanoseconds, "node \(nodeIndex) reads nothing of link \(link.number) for a while")
        side.readsAgainAt = instant.nanoseconds
        events.add(.readOn(connection: connection, side: number), at: instant.nanoseconds)
    }

    // MARK: - Working

    /// Begins the next turn, unless one is in progress.
    func work(at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard let costs = settings.costs, node.isRunning, !node.processor.isWorking,
            let source = node.processor.turns.popFirst()
        else { return }
        var left = left(of: source, at: node, costs)
        let part = min(left.checking, costs.quantum)
        left.checking -= part
        let isDone = left.checking == 0
        let time = node.processor.debt + part + (isDone ? left.step : 0)
        node.processor.debt = 0
        node.processor.worked += time
        node.processor.isWorking = true
        set(left, of: source, at: node)
        let end = node.processor.slices?.end(of: time, from: now) ?? now + time
        events.add(.worked(node: nodeIndex, epoch: node.epoch, source, isDone: isDone), at: end)
    }

    /// Ends a turn: a finished input goes to the engine.
    func endTurn(_ source: Processor.Source, isDone: Bool, at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        let epoch = node.epoch
        if isDone, let event = popFirst(of: source, at: node) { execute(event) }
        guard node.epoch == epoch else { return }
        node.processor.isWorking = false
        switch source {
        case .own:
            node.processor.own.isInTurn = !node.processor.own.events.isEmpty
            if node.processor.own.isInTurn { node.processor.turns.append(source) }
        case .link(let connection, let number):
            let side = network.connections[connection][number]
            side.inbox.isInTurn = !side.inbox.events.isEmpty && side.readsAgainAt <= now
            if side.inbox.isInTurn { node.processor.turns.append(source) }
        }
        work(at: nodeIndex)
    }

    private func left(of source: Processor.Source, at node: VirtualNode, _ costs: HandlingCosts) -> InputCost {
        let inbox =
            switch source {
            case .own: node.processor.own
            case .link(let connection, let side): network.connections[connection][side].inbox
            }
        return inbox.left ?? inbox.events.first.map { cost(of: $0, at: node, costs) } ?? InputCost(checking: 0, step: 0)
    }

    private func set(_ left: InputCost, of source: Processor.Source, at node: VirtualNode) {
        switch source {
        case .own: node.processor.own.left = left
        case .link(let connection, let side): network.connections[connection][side].inbox.left = left
        }
    }

    private func popFirst(of source: Processor.Source, at node: VirtualNode) -> Event? {
        switch source {
        case .own:
            node.processor.own.left = nil
            return node.processor.own.events.popFirst()
        case .link(let connection, let side):
            network.connections[connection][side].inbox.left = nil
            return network.connections[connection][side].inbox.events.popFirst()
        }
    }
}
