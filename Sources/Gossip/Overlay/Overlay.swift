import Catalog

/// The nodes with which this one keeps links: HyParView (Leitão, Pereira, Rodrigues 2007, "HyParView: a membership
/// protocol for reliable gossip-based broadcast"), as a pure value.
///
/// The **active view** holds the neighbours: a link with each is open, and both sides agreed to it. The **passive
/// view** holds nodes that can replace a lost neighbour. The differences from the paper:
///
/// - Every node knows all members and their signed addresses, so a newcomer itself picks random nodes to ask. That
///   replaces the paper's Join and its forwarded random walks, which make such a choice without that knowledge.
/// - Views hold keys of nodes, never addresses: no node can direct others to false addresses.
/// - In an alliance of at most ``OverlaySettings/meshNodesMax`` nodes the active view holds all other nodes: a full
///   mesh.
/// - No organization but this node's own takes more than a third of the neighbours' slots, unless it is a larger share
///   of the organizations. So a member with many nodes cannot surround a node.
/// - There are two sizes instead of one: a node looks for ``OverlaySettings/neighboursWanted`` neighbours, and accepts
///   up to ``OverlaySettings/neighboursMax``. So most requests find room, and fewer neighbours are evicted.
struct Overlay: Sendable {
    /// A request of the overlay, to be carried out in order.
    enum Action: Hashable, Sendable {
        /// Open a connection.
        case dial(NodeKey)
        /// Over an open link, ask to be a neighbour.
        case ask(NodeKey, isUrgent: Bool)
        case answer(NodeKey, isAccepted: Bool)
        case leave(NodeKey)
        case shuffle(NodeKey, token: UInt64, hops: UInt32, nodes: [NodeKey])
        case shuffleReply(NodeKey, token: UInt64, nodes: [NodeKey])
        /// The node is a neighbour now, or no longer.
        case up(NodeKey)
        case down(NodeKey)
    }

    /// The facts about the rest of the engine that an overlay needs to look for neighbours.
    struct Surroundings {
        /// The number of enrolled nodes other than this one, with an address or without.
        let nodeCount: Int
        /// Nodes with an open link that is not silent, ascending.
        let open: [NodeKey]
        /// Nodes that may be dialled now: with an address, not linked, not being dialled, and not in a pause. Only
        /// needed while ``isSeeking(now:)``.
        let dialable: [NodeKey]
    }

    private let node: NodeKey
    private let settings: OverlaySettings
    /// The organization of every enrolled node.
    private var organizations: [NodeKey: OrganizationID] = [:]
    /// The number of nodes of each organization, without this one.
    private var sizes: [OrganizationID: Int] = [:]

    /// The neighbours.
    private(set) var active: Set<NodeKey> = []
    /// Known nodes, the latest last.
    private(set) var passive: [NodeKey] = []
    /// Nodes that were asked to be neighbours, and the moment until which an answer counts.
    private var asked: [NodeKey: Instant] = [:]
    /// Nodes that refused to be neighbours, and the moment until which they are not asked again.
    private var reluctant: [NodeKey: Instant] = [:]
    /// Nodes dialled in order to be asked.
    private(set) var sought: Set<NodeKey> = []
    /// Shuffles under way: the neighbour that each came from, nil for own ones, and the nodes sent.
    private var walks: [UInt64: Walk] = [:]
    /// The number of enrolled nodes other than this one.
    private(set) var nodeCount = 0

    /// When to look for neighbours next, and when to shuffle. A nil time to look means that no neighbour is lacking.
    private var seekAt: Instant? = Instant(nanoseconds: 0)
    private var shuffleAt: Instant?

    private struct Walk {
        let from: NodeKey?
        let sent: [NodeKey]
        let until: Instant
    }

    init(node: NodeKey, settings: OverlaySettings) {
        self.node = node
        self.settings = settings
    }

    /// True if every node should be a neighbour of every other.
    var isMesh: Bool { nodeCount + 1 <= settings.meshNodesMax }

    /// The number of neighbours that this node looks for, within the organizations' shares.
    var wanted: Int { isMesh ? nodeCount : min(settings.neighboursWanted, available) }

    /// The most neighbours that the organizations' shares allow.
    private var available: Int { sizes.reduce(0) { $0 + min($1.value, share(of: $1.key)) } }

    /// The most neighbours that one organization's nodes may be.
    private func share(of organization: OrganizationID?) -> Int {
        guard !isMesh else { return Int.max }
        let (slots, parts) = (settings.neighboursMax, settings.organizationParts)
        let isOwn = organization == organizations[node]
        let others = sizes.keys.count { $0 != organizations[node] }
        guard others > 0, parts > 1 else { return slots }
        // At least one part is for other organizations.
        if isOwn { return max(1, slots - slots / parts) }
        return others < parts ? (slots + others - 1) / others : max(1, slots / parts)
    }

    /// The number of nodes in `nodes` that belong to an organization.
    private func count(_ organization: OrganizationID?, in nodes: some Sequence<NodeKey>) -> Int {
        nodes.count { organizations[$0] == organization }
    }

    /// Replaces the map of nodes to organizations.
    mutating func adopt(_ organizations: [NodeKey: OrganizationID]) {
        self.organizations = organizations
        sizes = [:]
        for (other, organization) in organizations where other != node { sizes[organization, default: 0] += 1 }
    }

    /// Puts a node into the passive view, as the latest.
    mutating func remember(_ node: NodeKey) { keepPassive(node) }

    private var activeMax: Int { isMesh ? Int.max : settings.neighboursMax }

    /// When ``wake(now:surroundings:random:)`` is due.
    var deadline: Instant? {
        switch (seekAt, shuffleAt) {
        case (let seek?, let shuffle?): min(seek, shuffle)
        case (let seek, let shuffle): seek ?? shuffle
        }
    }

    /// True if the next wake looks for neighbours.
    func isSeeking(now: Instant) -> Bool { seekAt.map { $0 <= now } ?? false }

    /// Looks for neighbours at the next wake.
    mutating func seekSoon(now: Instant) {
        seekAt = now
    }

    // MARK: - Time

    /// Looks for neighbours and shuffles, if either is due.
    mutating func wake(
        now: Instant,
        surroundings: Surroundings,
        random: inout any RandomNumberGenerator & Sendable
    ) -> [Action] {
        nodeCount = surroundings.nodeCount
        var actions: [Action] = []
        if isSeeking(now: now) { seek(now: now, surroundings, &random, into: &actions) }
        if let shuffleAt {
            if shuffleAt <= now {
                self.shuffleAt = now + jittered(settings.shuffleInterval, &random)
                shuffle(now: now, &random, into: &actions)
            }
        } else {
            shuffleAt = now + jittered(settings.shuffleInterval, &random)
        }
        return actions
    }

    private func jittered(_ time: Milliseconds, _ random: inout any RandomNumberGenerator & Sendable) -> Milliseconds {
        Milliseconds(time.count / 2 + UInt64.random(in: 0...max(1, time.count), using: &random))
    }

    /// Asks as many nodes as neighbours are lacking: first those of the passive view, which were alive a while ago,
    /// then any.
    private mutating func seek(
        now: Instant,
        _ surroundings: Surroundings,
        _ random: inout any RandomNumberGenerator & Sendable,
        into actions: inout [Action]
    ) {
        asked = asked.filter { $0.value > now }
        reluctant = reluctant.filter { $0.value > now }
        walks = walks.filter { $0.value.until > now }
        while let surplus = surplus(&random) { evict(surplus, into: &actions) }
        var lacking = wanted - active.count - asked.count - sought.count
        let isSearching = wanted > active.count
        seekAt = isSearching ? now + settings.seekInterval : nil
        guard lacking > 0 else { return }
        func isFree(_ node: NodeKey) -> Bool {
            !active.contains(node) && asked[node] == nil && reluctant[node] == nil && !sought.contains(node)
        }
        // Nodes that are connected for another reason need no dial.
        for node in surroundings.open where lacking > 0 && isFree(node) && hasRoom(for: node) {
            ask(node, now: now, into: &actions)
            lacking -= 1
        }
        guard lacking > 0 else { return }
        var candidates = surroundings.dialable.filter(isFree)
        if isMesh {
            for node in candidates.sorted() {
                sought.insert(node)
                actions.append(.dial(node))
            }
            return
        }
        let known = Set(passive)
        candidates.sort()
        candidates.shuffle(using: &random)
        let preferred =
            takingTurns(candidates.filter(known.contains)) + takingTurns(candidates.filter { !known.contains($0) })
        for node in preferred where lacking > 0 && hasRoom(for: node) {
            sought.insert(node)
            actions.append(.dial(node))
            lacking -= 1
        }
    }

    /// The same nodes in an order in which organizations take turns.
    private func takingTurns(_ nodes: [NodeKey]) -> [NodeKey] {
        var turns: [OrganizationID: Int] = [:]
        var keyed: [(turn: Int, node: NodeKey)] = []
        for node in nodes {
            guard let organization = organizations[node] else { continue }
            let turn = turns[organization] ?? 0
            turns[organization] = turn + 1
            keyed.append((turn, node))
        }
        // Stable: within a turn the order is the one given.
        return keyed.enumerated().sorted { ($0.element.turn, $0.offset) < ($1.element.turn, $1.offset) }
            .map(\.element.node)
    }

    /// True if the node's organization may have one more neighbour; nodes that are being asked count too.
    private func hasRoom(for node: NodeKey) -> Bool {
        let organization = organizations[node]
        let taken =
            count(organization, in: active) + count(organization, in: asked.keys) + count(organization, in: sought)
        return taken < share(of: organization)
    }

    /// A neighbour beyond a bound: its organization's share, or the size of the view.
    private func surplus(_ random: inout any RandomNumberGenerator & Sendable) -> NodeKey? {
        let crowded = active.filter { node in
            let organization = organizations[node]
            return count(organization, in: active) > share(of: organization)
        }
        if let node = crowded.sorted().randomElement(using: &random) { return node }
        return active.count > activeMax ? active.sorted().randomElement(using: &random) : nil
    }

    private mutating func evict(_ node: NodeKey, into actions: inout [Action]) {
        actions.append(.leave(node))
        drop(node, into: &actions)
        keepPassive(node)
    }

    private mutating func ask(_ node: NodeKey, now: Instant, into actions: inout [Action]) {
        asked[node] = now + settings.answerDeadline
        actions.append(.ask(node, isUrgent: active.isEmpty))
    }

    // MARK: - Links

    /// Notes an open session. The node is asked to be a neighbour if it was dialled for that.
    mutating func opened(_ node: NodeKey, now: Instant) -> [Action] {
        var actions: [Action] = []
        guard sought.remove(node) != nil, !active.contains(node) else { return [] }
        ask(node, now: now, into: &actions)
        return actions
    }

    /// Notes that a dial of the node failed, or that its last link is gone.
    mutating func closed(_ node: NodeKey, now: Instant) -> [Action] {
        var actions: [Action] = []
        sought.remove(node)
        asked[node] = nil
        guard active.contains(node) else { return [] }
        drop(node, into: &actions)
        seekAt = now
        return actions
    }

    /// Drops a neighbour that has been silent for too long. Another node may replace it, or itself over a new
    /// connection.
    mutating func suspect(_ node: NodeKey, now: Instant) -> [Action] {
        passive.removeAll { $0 == node }
        return closed(node, now: now)
    }

    /// Forgets a node that is no longer a member.
    mutating func forget(_ node: NodeKey) {
        passive.removeAll { $0 == node }
        reluctant[node] = nil
    }

    private mutating func drop(_ node: NodeKey, into actions: inout [Action]) {
        guard active.remove(node) != nil else { return }
        actions.append(.down(node))
    }

    private mutating func take(_ node: NodeKey, into actions: inout [Action]) {
        asked[node] = nil
        reluctant[node] = nil
        passive.removeAll { $0 == node }
        guard active.insert(node).inserted else { return }
        actions.append(.up(node))
    }

    // MARK: - Messages

    /// Answers a node that asks to be a neighbour. A node without neighbours is accepted at the cost of another
    /// neighbour (the paper's priority). The evicted one is of its own organization, if that already has its share.
    mutating func receivedAsk(
        _ peer: NodeKey,
        isUrgent: Bool,
        now: Instant,
        random: inout any RandomNumberGenerator & Sendable
    ) -> [Action] {
        var actions: [Action] = []
        let organization = organizations[peer]
        let kin = active.filter { organizations[$0] == organization }
        let isCrowded = kin.count >= share(of: organization)
        let isAccepted = active.contains(peer) || (active.count < activeMax && !isCrowded) || isUrgent
        if isAccepted {
            if !active.contains(peer), isCrowded || active.count >= activeMax,
                let evicted = (isCrowded ? kin : active).sorted().randomElement(using: &random)
            {
                evict(evicted, into: &actions)
            }
            take(peer, into: &actions)
        } else {
            keepPassive(peer)
        }
        actions.append(.answer(peer, isAccepted: isAccepted))
        return actions
    }

    mutating func receivedAnswer(_ peer: NodeKey, isAccepted: Bool, now: Instant) -> [Action] {
        var actions: [Action] = []
        guard asked.removeValue(forKey: peer) != nil else {
            // It accepted after the deadline of the answer, so it must learn that this node no longer wants it.
            if isAccepted, !active.contains(peer) { actions.append(.leave(peer)) }
            return actions
        }
        let isFull =
            active.count >= activeMax || count(organizations[peer], in: active) >= share(of: organizations[peer])
        if isAccepted, !isFull || active.contains(peer) {
            take(peer, into: &actions)
        } else if isAccepted {
            // Other neighbours have come meanwhile.
            actions.append(.leave(peer))
            keepPassive(peer)
        } else {
            reluctant[peer] = now + settings.reluctance
            keepPassive(peer)
            seekAt = now
        }
        return actions
    }

    mutating func receivedLeave(_ peer: NodeKey, now: Instant) -> [Action] {
        var actions: [Action] = []
        guard active.contains(peer) else { return [] }
        drop(peer, into: &actions)
        // If it were asked at once, it would have to evict another neighbour.
        reluctant[peer] = now + settings.reluctance
        keepPassive(peer)
        seekAt = now
        return actions
    }

    // MARK: - Shuffling

    /// Keeps the passive view fresh (the paper's section 4.4). A sample of both views goes on a random walk, and the
    /// node at its end sends back one of its own views. The reply goes back along the walk, so no connection is opened
    /// for it.
    private mutating func shuffle(
        now: Instant,
        _ random: inout any RandomNumberGenerator & Sendable,
        into actions: inout [Action]
    ) {
        guard !isMesh, let first = active.sorted().randomElement(using: &random) else { return }
        let token = random.next()
        let sent =
            [node] + sample(of: active.subtracting([first]).sorted(), settings.shuffleActive, &random)
            + sample(of: passive, settings.shufflePassive, &random)
        walks[token] = Walk(from: nil, sent: sent, until: now + settings.walkDeadline)
        actions.append(.shuffle(first, token: token, hops: settings.walkHops, nodes: sent))
    }

    private func sample(
        of nodes: [NodeKey],
        _ count: Int,
        _ random: inout any RandomNumberGenerator & Sendable
    ) -> [NodeKey] {
        Array(nodes.shuffled(using: &random).prefix(count))
    }

    /// - Parameter isMember: True for an enrolled node; keys of other nodes are dropped.
    mutating func receivedShuffle(
        from peer: NodeKey,
        token: UInt64,
        hops: UInt32,
        nodes: [NodeKey],
        now: Instant,
        isMember: (NodeKey) -> Bool,
        random: inout any RandomNumberGenerator & Sendable
    ) -> [Action] {
        guard walks[token] == nil, walks.count < settings.walksMax, active.contains(peer) else { return [] }
        let others = active.subtracting([peer]).subtracting(nodes.prefix(1)).sorted()
        if hops > 1, let next = others.randomElement(using: &random) {
            walks[token] = Walk(from: peer, sent: [], until: now + settings.walkDeadline)
            let hops = min(hops - 1, settings.walkHops)
            return [.shuffle(next, token: token, hops: hops, nodes: nodes)]
        }
        let reply = sample(of: passive + active.sorted(), nodes.count, &random)
        takeIn(nodes, insteadOf: reply, isMember: isMember)
        return [.shuffleReply(peer, token: token, nodes: reply)]
    }

    mutating func receivedShuffleReply(
        from peer: NodeKey,
        token: UInt64,
        nodes: [NodeKey],
        isMember: (NodeKey) -> Bool
    ) -> [Action] {
        guard let walk = walks.removeValue(forKey: token) else { return [] }
        if let origin = walk.from { return [.shuffleReply(origin, token: token, nodes: nodes)] }
        takeIn(nodes, insteadOf: walk.sent, isMember: isMember)
        return []
    }

    /// Adds nodes to the passive view. If it is full, nodes that were sent to the other side are removed first.
    private mutating func takeIn(_ nodes: [NodeKey], insteadOf sent: [NodeKey], isMember: (NodeKey) -> Bool) {
        var given = sent
        for fresh in nodes where fresh != node && !active.contains(fresh) && isMember(fresh) {
            guard !passive.contains(fresh), hasPassiveRoom(for: fresh) else { continue }
            if passive.count >= settings.passiveMax {
                let place = passive.firstIndex { given.contains($0) }
                if let place { given.removeAll { $0 == passive[place] } }
                passive.remove(at: place ?? 0)
            }
            passive.append(fresh)
        }
    }

    /// False if the node's organization already has a third of the passive view.
    private func hasPassiveRoom(for node: NodeKey) -> Bool {
        guard let organization = organizations[node], sizes.count > 2 else { return true }
        return count(organization, in: passive) < max(1, settings.passiveMax / settings.organizationParts)
    }

    private mutating func keepPassive(_ peer: NodeKey) {
        passive.removeAll { $0 == peer }
        passive.append(peer)
        if passive.count > settings.passiveMax { passive.removeFirst() }
    }
}
