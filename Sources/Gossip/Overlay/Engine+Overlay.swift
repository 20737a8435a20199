import Catalog
import Governance

// The overlay: its actions, the facts that it needs, and sessions with nodes that are no neighbours.

extension Engine {
    /// Carries out the overlay's actions.
    mutating func perform(_ wishes: [Overlay.Action], now: Instant) {
        for wish in wishes {
            switch wish {
            case .dial(let node): if !dial(node) { perform(overlay.closed(node, now: now), now: now) }
            case .ask(let node, let isUrgent): tell(node, .neighbour(isUrgent: isUrgent))
            case .answer(let node, let isAccepted): tell(node, .neighbourAnswer(isAccepted: isAccepted))
            case .leave(let node): tell(node, .leave)
            case .shuffle(let node, let token, let hops, let nodes):
                counters.shufflesSent += 1
                tell(node, .shuffle(token: token, hops: hops, nodes: nodes))
            case .shuffleReply(let node, let token, let nodes):
                counters.shufflesSent += 1
                tell(node, .shuffleReply(token: token, nodes: nodes))
            case .up(let node):
                broadcast.up(node)
                setNeighbour(node, true)
                // The state has changed since the session was opened.
                tell(node, .state(ownState, question: 0, answered: 0))
            case .down(let node):
                setNeighbour(node, false)
                if let other = broadcast.down(node, random: &random) { graft(other) }
                links.open(to: node)?.liveness.lastUsed = now
                links.due(now + settings.idleMax)
            }
        }
    }

    private func setNeighbour(_ node: NodeKey, _ isNeighbour: Bool) {
        for link in links.values where link.node == node { link.isNeighbour = isNeighbour }
    }

    private mutating func tell(_ node: NodeKey, _ message: PeerMessage) {
        guard let link = links.open(to: node) else { return }
        send(link.id, message)
    }

    mutating func wakeOverlay(now: Instant) {
        let surroundings = Overlay.Surroundings(
            nodeCount: roster.organizations.count - (roster.organization(of: node) == nil ? 0 : 1),
            open: Set(links.values.filter { $0.isOpen && !$0.isSuspect }.map(\.node)).sorted(),
            dialable: overlay.isSeeking(now: now) ? dialable(now: now) : []
        )
        perform(overlay.wake(now: now, surroundings: surroundings, random: &random), now: now)
    }

    /// Nodes that may be dialled now: enrolled, with an address, without a live link, and not in a pause.
    ///
    /// - Complexity: Linear in the roster.
    private func dialable(now: Instant) -> [NodeKey] {
        let linked = Set(links.values.filter { !$0.isSuspect }.map(\.node))
        return membership.announcements.held.latest.values.compactMap { announcement in
            let peer = announcement.node
            guard peer != node, !announcement.addresses.isEmpty, !linked.contains(peer),
                let organization = membership.roster.organization(of: peer),
                dialling.mayDial(peer, of: organization, mesh: overlay.isMesh ? node : nil, now: now)
            else { return nil }
            return peer
        }
    }

    /// Dials a node.
    ///
    /// - Parameter isOrdered: True if a person waits for the dial: the bound of parallel dials then does not apply.
    /// - Returns: False if it is not dialled.
    @discardableResult
    private mutating func dial(_ peer: NodeKey, isOrdered: Bool = false) -> Bool {
        guard let addresses = membership.announcements.held[peer]?.addresses, !addresses.isEmpty,
            roster.organization(of: peer) != nil, !dialling.current.contains(peer),
            isOrdered || dialling.current.count < settings.dialsMax
        else { return false }
        actions.append(.dial(peer, addresses: dialling.begin(peer, addresses)))
        return true
    }

    /// Replaces a silent neighbour in the overlay and in the wants. The session stays, since the neighbour may only be
    /// slow.
    mutating func suspect(_ id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        replanAll(of: link)
        link.liveness.isSuspect = true
        link.fetching.dropAll()
        perform(overlay.suspect(link.node, now: now), now: now)
    }

    // MARK: - Other nodes

    /// Opens a session with a node that need not be a neighbour, or keeps one open for longer.
    mutating func contact(_ peer: NodeKey, now: Instant) {
        if let link = links.open(to: peer) {
            link.liveness.lastUsed = now + settings.idleMax
        } else if links.values.allSatisfy({ $0.node != peer }), roster.organization(of: peer) != nil, peer != node {
            dial(peer, isOrdered: true)
        }
    }

    /// Compares frontiers with a random node that is no neighbour.
    mutating func contactNonNeighbour(now: Instant) {
        guard !overlay.isMesh else { return }
        let others = dialable(now: now).filter { !overlay.sought.contains($0) }.sorted()
        if let peer = others.randomElement(using: &random) { dial(peer) }
    }
}
