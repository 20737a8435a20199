import Catalog

/// Which nodes this one keeps links with: HyParView (Leitão, Pereira, Rodrigues 2007, "HyParView: a membership protocol
/// for reliable gossip-based broadcast"), as a pure value.
///
/// The **active view** holds the neighbours, with whom a link is open and who agree to be neighbours; the **passive
/// view** holds nodes to turn to when one is lost. What differs from the paper, and why:
///
/// - Everybody knows all members and their signed addresses, so a newcomer picks whom it asks by itself, at random
///   among all. That replaces the paper's Join and its forwarded random walks, which serve to make such a choice where
///   nobody knows everybody.
/// - Views hold keys of nodes, never addresses: nobody can point others to false places.
/// - In an alliance of at most ``OverlaySettings/meshNodesMax`` nodes the active view holds everybody: a full mesh.
/// - Two sizes instead of one: a node looks for ``OverlaySettings/neighboursWanted`` neighbours, and takes in up to
///   ``OverlaySettings/neighboursMax``. So most requests find room, and fewer neighbours are evicted.
struct Overlay: Sendable {
    /// What the overlay asks for, in this order.
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

    /// What an overlay has to know of the rest of the engine when it looks for neighbours.
    struct Surroundings {
        /// Enrolled nodes other than this one, whether they can be dialled or not.
        let nodeCount: Int
        /// Nodes with an open link on which something was heard lately, ascending.
        let open: [NodeKey]
        /// Nodes that may be dialled now: with an address, not linked, not being dialled, and whose pause is over. Only
        /// needed where ``isSeeking(now:)``.
        let dialable: [NodeKey]
    }

    private let node: NodeKey
    private let settings: OverlaySettings

    /// The neighbours.
    private(set) var active: Set<NodeKey> = []
    /// Nodes heard of, the latest last.
    private(set) var passive: [NodeKey] = []
    /// Nodes that were asked to be neighbours, and until when an answer counts.
    private var asked: [NodeKey: Instant] = [:]
    /// Nodes that refused to be neighbours, and until when they are not asked again.
    private var reluctant: [NodeKey: Instant] = [:]
    /// Nodes dialled in order to be asked.
    private(set) var sought: Set<NodeKey> = []
    /// Shuffles under way: from whom they came, nil for own ones, and the nodes told.
    private var walks: [UInt64: Walk] = [:]
    /// Enrolled nodes beside this one.
    private(set) var nodeCount = 0

    /// When to look for neighbours, and when to shuffle. No neighbour is lacking where there is no time for it.
    private var seekAt: Instant? = Instant(nanoseconds: 0)
    private var shuffleAt: Instant?

    private struct Walk {
        let from: NodeKey?
        let told: [NodeKey]
        let until: Instant
    }

    init(node: NodeKey, settings: OverlaySettings) {
        self.node = node
        self.settings = settings
    }

    /// True where every node is to be a neighbour of every other.
    var isMesh: Bool { nodeCount + 1 <= settings.meshNodesMax }

    /// How many neighbours this node looks for.
    var wanted: Int { isMesh ? nodeCount : settings.neighboursWanted }

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

    /// Looks for neighbours and shuffles, where it is time to.
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

    /// Asks as many nodes as neighbours are lacking: those of the passive view first, since they were alive a while ago,
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
        while active.count > activeMax, let surplus = active.sorted().randomElement(using: &random) {
            actions.append(.leave(surplus))
            drop(surplus, into: &actions)
            keepPassive(surplus)
        }
        var lacking = wanted - active.count - asked.count - sought.count
        let isSearching = wanted > active.count
        seekAt = isSearching ? now + settings.seekInterval : nil
        guard lacking > 0 else { return }
        func isFree(_ node: NodeKey) -> Bool {
            !active.contains(node) && asked[node] == nil && reluctant[node] == nil && !sought.contains(node)
        }
        // Those that are connected for another reason need no dialling.
        for node in surroundings.open where lacking > 0 && isFree(node) {
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
        let preferred = candidates.filter(known.contains) + candidates.filter { !known.contains($0) }
        for node in preferred.prefix(lacking) {
            sought.insert(node)
            actions.append(.dial(node))
        }
    }

    private mutating func ask(_ node: NodeKey, now: Instant, into actions: inout [Action]) {
        asked[node] = now + settings.answerDeadline
        actions.append(.ask(node, isUrgent: active.isEmpty))
    }

    // MARK: - Links

    /// A session with the node is open. It is asked to be a neighbour where this node dialled it for that.
    mutating func opened(_ node: NodeKey, now: Instant) -> [Action] {
        var actions: [Action] = []
        guard sought.remove(node) != nil, !active.contains(node) else { return [] }
        ask(node, now: now, into: &actions)
        return actions
    }

    /// The node could not be dialled, or its last link is gone.
    mutating func closed(_ node: NodeKey, now: Instant) -> [Action] {
        var actions: [Action] = []
        sought.remove(node)
        asked[node] = nil
        guard active.contains(node) else { return [] }
        drop(node, into: &actions)
        seekAt = now
        return actions
    }

    /// A neighbour has been silent for too long: another one is to take its place.
    mutating func suspect(_ node: NodeKey, now: Instant) -> [Action] {
        reluctant[node] = now + settings.reluctance
        passive.removeAll { $0 == node }
        return closed(node, now: now)
    }

    /// The node is no longer a member.
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

    /// The node asks to be a neighbour. One that has none is let in at the cost of another (the paper's priority).
    mutating func receivedAsk(
        _ peer: NodeKey,
        isUrgent: Bool,
        now: Instant,
        random: inout any RandomNumberGenerator & Sendable
    ) -> [Action] {
        var actions: [Action] = []
        let isAccepted = active.contains(peer) || active.count < activeMax || isUrgent
        if isAccepted {
            if !active.contains(peer), active.count >= activeMax,
                let evicted = active.sorted().randomElement(using: &random)
            {
                actions.append(.leave(evicted))
                drop(evicted, into: &actions)
                keepPassive(evicted)
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
            // It took this node in after the time to answer was over: it has to know that this is no longer wanted.
            if isAccepted, !active.contains(peer) { actions.append(.leave(peer)) }
            return actions
        }
        if isAccepted, active.count < activeMax || active.contains(peer) {
            take(peer, into: &actions)
        } else if isAccepted {
            // Meanwhile others have come.
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
        // Asked at once it would have to evict somebody else.
        reluctant[peer] = now + settings.reluctance
        keepPassive(peer)
        seekAt = now
        return actions
    }

    // MARK: - Shuffling

    /// Keeps the passive view fresh: a sample of both views goes on a random walk, and whomever it ends at sends back one
    /// of its own (the paper's section 4.4). The reply goes back along the walk, so no connection is opened for it.
    private mutating func shuffle(
        now: Instant,
        _ random: inout any RandomNumberGenerator & Sendable,
        into actions: inout [Action]
    ) {
        guard !isMesh, let first = active.sorted().randomElement(using: &random) else { return }
        let token = random.next()
        let told =
            [node] + sample(of: active.subtracting([first]).sorted(), settings.shuffleActive, &random)
            + sample(of: passive, settings.shufflePassive, &random)
        walks[token] = Walk(from: nil, told: told, until: now + settings.walkDeadline)
        actions.append(.shuffle(first, token: token, hops: settings.walkHops, nodes: told))
    }

    private func sample(
        of nodes: [NodeKey],
        _ count: Int,
        _ random: inout any RandomNumberGenerator & Sendable
    ) -> [NodeKey] {
        Array(nodes.shuffled(using: &random).prefix(count))
    }

    /// - Parameter isMember: Whether a node is enrolled; keys of others are of no use.
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
            walks[token] = Walk(from: peer, told: [], until: now + settings.walkDeadline)
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
        takeIn(nodes, insteadOf: walk.told, isMember: isMember)
        return []
    }

    /// Takes nodes into the passive view. Where it is full, those that were told to the other side go first.
    private mutating func takeIn(_ nodes: [NodeKey], insteadOf told: [NodeKey], isMember: (NodeKey) -> Bool) {
        var given = told
        for fresh in nodes where fresh != node && !active.contains(fresh) && isMember(fresh) {
            guard !passive.contains(fresh) else { continue }
            if passive.count >= settings.passiveMax {
                let place = passive.firstIndex { given.contains($0) }
                if let place { given.removeAll { $0 == passive[place] } }
                passive.remove(at: place ?? 0)
            }
            passive.append(fresh)
        }
    }

    private mutating func keepPassive(_ peer: NodeKey) {
        passive.removeAll { $0 == peer }
        passive.append(peer)
        if passive.count > settings.passiveMax { passive.removeFirst() }
    }
}
