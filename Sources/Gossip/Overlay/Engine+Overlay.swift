import Catalog
import Governance

// The overlay's wishes carried out, and what it has to know; sessions with nodes that are no neighbours.

extension Engine {
    /// Carries out what the overlay asks for.
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
                // What has happened since the session was opened.
                tell(node, .state(ownState, question: 0, answered: 0))
            case .down(let node):
                setNeighbour(node, false)
                if let other = broadcast.down(node, random: &random) { graft(other) }
                if let id = openLink(to: node) { links[id]?.lastUsed = now }
                due(now + settings.idleMax)
            }
        }
    }

    private func setNeighbour(_ node: NodeKey, _ isNeighbour: Bool) {
        for link in links.values where link.node == node { link.isNeighbour = isNeighbour }
    }

    private mutating func tell(_ node: NodeKey, _ message: PeerMessage) {
        guard let id = openLink(to: node) else { return }
        send(id, message)
    }

    mutating func wakeOverlay(now: Instant) {
        let surroundings = Overlay.Surroundings(
            nodeCount: roster.organizations.count - (roster.organization(of: node) == nil ? 0 : 1),
            open: Set(links.values.filter { $0.isOpen && !$0.isSuspect }.map(\.node)).sorted(),
            dialable: overlay.isSeeking(now: now) ? dialable(now: now) : []
        )
        perform(overlay.wake(now: now, surroundings: surroundings, random: &random), now: now)
    }

    /// Enrolled nodes with an address, without a link on which anything is heard, whose pause is over.
    ///
    /// - Complexity: Linear in the roster.
    private func dialable(now: Instant) -> [NodeKey] {
        let linked = Set(links.values.filter { !$0.isSuspect }.map(\.node))
        return announcements.latest.values.compactMap { announcement in
            let peer = announcement.node
            guard peer != node, !announcement.addresses.isEmpty, !linked.contains(peer),
                let organization = roster.organization(of: peer), mayDial(peer, of: organization, now: now)
            else { return nil }
            return peer
        }
    }

    private func mayDial(_ peer: NodeKey, of organization: OrganizationID, now: Instant) -> Bool {
        // In a full mesh both sides would dial at once; the one with the lesser key goes first.
        if overlay.isMesh, peer < node, now < courtesyUntil { return false }
        let peerRecord = peerRecords[peer]
        // Nodes that never answered take turns by organization, so that no organization's dead addresses use up the dials.
        if !overlay.isMesh, peerRecord?.isProven != true, let pause = unprovenPauses[organization], now < pause.until
        {
            return false
        }
        guard !dialling.contains(peer) else { return false }
        guard let peerRecord else { return true }
        if let banned = peerRecord.bannedUntil, banned > now { return false }
        return peerRecord.nextDial.map { $0 <= now } ?? true
    }

    /// Dials a node, the address that last answered first.
    ///
    /// - Parameter isOrdered: Whether a person waits for it: then it is dialled beside as many others as there are.
    /// - Returns: False where it is not dialled.
    @discardableResult
    private mutating func dial(_ peer: NodeKey, isOrdered: Bool = false) -> Bool {
        guard var addresses = announcements.latest[peer]?.addresses, !addresses.isEmpty,
            roster.organization(of: peer) != nil, !dialling.contains(peer),
            isOrdered || dialling.count < settings.dialsMax
        else { return false }
        let peerRecord = peerRecord(peer)
        if let known = peerRecord.address, let position = addresses.firstIndex(of: known) {
            addresses.remove(at: position)
            addresses.insert(known, at: 0)
        }
        peerRecord.nextDial = nil
        dialling.insert(peer)
        actions.append(.dial(peer, addresses: addresses))
        return true
    }

    /// A neighbour has fallen silent. Others take its place in the overlay and in what was asked of it; the session
    /// lasts, since it may only be slow.
    mutating func suspect(_ id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        replanAll(of: link)
        link.isSuspect = true
        link.wants = [:]
        link.wantsCheckAt = nil
        perform(overlay.suspect(link.node, now: now), now: now)
    }

    // MARK: - Other nodes

    /// Opens a session with a node that need not be a neighbour, or keeps one open for longer.
    mutating func contact(_ peer: NodeKey, now: Instant) {
        if let id = openLink(to: peer) {
            let until = now + settings.idleMax
            links[id]?.lastUsed = until
        } else if links.values.allSatisfy({ $0.node != peer }), roster.organization(of: peer) != nil, peer != node {
            dial(peer, isOrdered: true)
        }
    }

    /// Compares frontiers with somebody who is no neighbour, drawn at random.
    mutating func contactNonNeighbour(now: Instant) {
        guard !overlay.isMesh else { return }
        let others = dialable(now: now).filter { !overlay.sought.contains($0) }.sorted()
        if let peer = others.randomElement(using: &random) { dial(peer) }
    }
}
