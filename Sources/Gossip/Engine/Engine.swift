package import Catalog
package import DeltaLog
package import Governance

/// The gossip engine of one node. A step takes an input and the present moment, and returns actions. Equal histories
/// give equal actions in equal order. The engine has no clock, socket, database or randomness of its own.
///
/// The engine is composed of inner machines, each of which keeps its state and invariants to itself:
/// - the ``Membership``: the signed sets, which peers make equal first;
/// - the ``Overlay``: the neighbours;
/// - the ``Broadcast``: the tree along which new deltas travel;
/// - the ``FrontierState``: the logs held and advertised;
/// - the ``Transfer``: missing deltas, within byte credits;
/// - the ``Dialling`` and the ``Accounts``.
///
/// The engine passes inputs to the machines and turns their decisions into actions. From time to time it asks a random
/// peer whether both hold the same deltas (anti-entropy: Demers et al. 1987). ``RangeReconciliation`` then finds the
/// differences.
package struct Engine: ~Copyable {
    package let settings: EngineSettings
    let identity: Identity
    /// The statements and announcements held, and the membership that follows from them.
    var membership: Membership
    /// The heads on disk, on their way there, and advertised.
    var frontier: FrontierState
    var overlay: Overlay
    var broadcast: Broadcast
    /// The heads that wait to be announced.
    var announcing = Announcing()
    var links = LinkTable()
    /// The deltas that are fetched, stored and read, over all links.
    var transfer = Transfer()
    /// The token buckets of organizations and authors.
    var accounts = Accounts()
    /// The state of dialling, and the record of each node.
    var dialling = Dialling()
    var timers = Timers()
    /// The counts of deltas sent, received and delivered since this engine was made.
    package internal(set) var counters = GossipCounters()
    var random: any RandomNumberGenerator & Sendable
    /// The actions of the present step.
    var actions: [EngineAction] = []

    /// The identity of the node that owns the engine.
    struct Identity: Sendable {
        let node: NodeKey
        let alliance: AllianceID
        /// The program's name and version, as sent to peers.
        let program: String
        let cryptography: any Cryptography
    }

    /// - Parameters:
    ///   - governance: All statements held, verified.
    ///   - frontier: The frontier on disk; `summary` belongs to it.
    ///   - contacts: The nodes with which this node had sessions before it was started.
    ///   - random: Seeded by the owner; used for jitter, the choice of peers and the shape of trees.
    package init(
        settings: EngineSettings = EngineSettings(),
        charter: Charter,
        node: NodeKey,
        program: String,
        governance: GovernanceSet,
        announcements: AnnouncementSet,
        frontier: Frontier,
        summary: StoredSummary,
        contacts: [KnownContact] = [],
        cryptography: any Cryptography,
        random: any RandomNumberGenerator & Sendable
    ) {
        var random = random
        self.settings = settings
        identity = Identity(
            node: node,
            alliance: charter.alliance(cryptography),
            program: program,
            cryptography: cryptography
        )
        membership = Membership(
            charter: charter,
            statements: governance,
            announcements: announcements,
            hasher: cryptography
        )
        self.frontier = FrontierState(
            durable: frontier,
            summary: summary,
            seed: random.next(),
            forks: membership.forks.keys
        )
        self.random = random
        overlay = Overlay(node: node, settings: settings.overlay)
        broadcast = Broadcast(settings: settings.broadcast)
        overlay.adopt(roster.organizations)
        for contact in contacts.sorted(by: { $0.time < $1.time }) where roster.organization(of: contact.node) != nil {
            let record = dialling.record(of: contact.node)
            record.dial.isProven = true
            record.dial.address = contact.address
            if contact.node != node { overlay.remember(contact.node) }
        }
        self.frontier.advertiseAll(by: membership, hasher: cryptography)
    }

    // MARK: - Queries

    package var node: NodeKey { identity.node }
    var cryptography: any Cryptography { identity.cryptography }
    package var alliance: AllianceID { identity.alliance }
    package var governance: GovernanceSet { membership.statements.held }
    package var announcements: AnnouncementSet { membership.announcements.held }
    package var roster: Roster { membership.roster }
    /// Logs that are proven to be forked, with the lowest sequence proven.
    package var forks: [LogID: UInt64] { membership.forks }
    /// The frontier on disk.
    package var durable: Frontier { frontier.durable }
    /// The result of storing: the counts and digest of the directory.
    package var summary: StoredSummary { frontier.summary }
    /// The fingerprint of ``advertised``.
    package var fingerprint: Hash256 { frontier.fingerprint }
    /// Deltas that could not be taken, with the reason for people.
    package var parked: [LogID: ParkedDelta] { transfer.parked }
    /// Authors over their budget, each with the moment until which their deltas are only announced.
    package var pullOnly: [NodeKey: Instant] { accounts.pullOnly }

    /// The frontier that is announced to peers: of the durable logs, the part that counts. Linear in the number of
    /// logs.
    package var advertised: Frontier {
        Frontier(Dictionary(uniqueKeysWithValues: frontier.advertised.sorted.map { ($0.log, $0.head) }))
    }

    // MARK: - Stepping

    /// Takes one input.
    ///
    /// - Parameters:
    ///   - now: The present moment; never earlier than in the previous call.
    ///   - wallMilliseconds: The wall clock; it is only sent to peers and compared with theirs.
    /// - Returns: The actions, to be carried out in this order.
    package mutating func step(_ input: EngineInput, now: Instant, wallMilliseconds: UInt64) -> [EngineAction] {
        timers.wallMilliseconds = wallMilliseconds
        actions.reserveCapacity(4)
        dialling.start(now: now, settings: settings)
        switch input {
        case .linkUp(let link, let node, let dialled, let address):
            linkUp(link, node: node, dialled: dialled, address: address, now: now)
        case .linkDown(let link): linkDown(link, now: now)
        case .dialFailed(let node, let reason): dialFailed(node, reason: reason, now: now)
        case .contact(let node): contact(node, now: now)
        case .message(let link, let message): received(message, on: link, now: now)
        case .deltas(let link, let deltas, let arrival): receivedDeltas(deltas, arrival, on: link, now: now)
        case .unaskedDeltas(let link, let byteCount): receivedUnasked(byteCount: byteCount, on: link, now: now)
        case .malformed(let link, let what): violate(link, what, now: now)
        case .committed(let deltas, let summary): committed(deltas, summary: summary, now: now)
        case .stored(let token, let outcomes, let summary, let excess):
            stored(token, outcomes, summary: summary, excess: excess, now: now)
        case .deltasRead(let link, let range, let deltas): deltasRead(link, range, deltas, now: now)
        case .headersRead(let range, let purpose, let headers): headersRead(range, purpose, headers, now: now)
        case .diffAnswered(let link, let answer):
            lookedUp(for: link)
            send(link, .diffAnswer(answer))
        case .askDiff(let link, let question): send(link, .diffQuestion(question))
        case .stated(let statements): adopt(statements, except: nil, store: false, now: now)
        case .announced(let announcement): adopt([announcement], except: nil, store: false, now: now)
        case .timer: timers.fired(now: now)
        }
        for range in frontier.takeCuts(forks: forks) { actions.append(.readHeaders(range, purpose: .cut)) }
        planWants(now: now)
        if earliestDeadline(now: now) <= now { runTimers(now: now) }
        planWants(now: now)
        setTimer(now: now)
        defer { actions.removeAll() }
        return actions
    }

    // MARK: - Sending

    mutating func send(_ link: LinkID, _ message: PeerMessage) {
        guard links[link] != nil else { return }
        actions.append(.send(link, message))
    }

    var ownState: StateSummary {
        StateSummary(
            frontier: frontier.fingerprint,
            digest: frontier.summary.digest,
            records: frontier.summary.records,
            wallMilliseconds: timers.wallMilliseconds
        )
    }

    /// Ends a session after a violation by the peer. The violation is sent to the peer, counted and shown. The peer is
    /// banned for a while; other sessions are not affected.
    mutating func violate(_ id: LinkID, _ what: String, refusal: SessionRefusal? = nil, now: Instant) {
        guard let link = links[id] else { return }
        actions.append(.noteViolation(link.node, what))
        ban(link.node, now: now)
        close(id, refusal ?? .violation(what), now: now)
    }

    mutating func close(_ id: LinkID, _ refusal: SessionRefusal?, now: Instant) {
        guard links[id] != nil else { return }
        actions.append(.disconnect(id, refusal))
        linkDown(id, now: now)
    }

    // MARK: - Timers

    private mutating func runTimers(now: Instant) {
        if links.takeDue(now: now) {
            for id in links.keys { checkLink(id, now: now) }
            dropStalledWants(now: now)
            for link in links.values {
                links.due(link.deadline(settings))
                if let deadline = link.fetching.deadline { links.due(deadline) }
            }
        }
        transfer.endRests(now: now)
        relayWaiting(now: now)
        graftOverdue(now: now)
        if overlay.deadline.map({ $0 <= now }) ?? false { wakeOverlay(now: now) }
        if announcing.isDue(now: now) { announce(now: now) }
        if timers.isDue(timers.stateChangedAt, now: now) { sendStates(now: now) }
        if timers.heartbeatAt == nil { timers.heartbeatAt = now + jittered(settings.heartbeat) }
        if timers.isDue(timers.heartbeatAt, now: now) { sendStates(now: now) }
        if timers.antiEntropyAt == nil { timers.antiEntropyAt = now + jittered(settings.antiEntropy) }
        if timers.isDue(timers.antiEntropyAt, now: now) {
            timers.antiEntropyAt = now + jittered(settings.antiEntropy)
            if let link = links.neighbours.randomElement(using: &random) { askState(link.id, now: now) }
        }
        if timers.nonNeighbourAt == nil { timers.nonNeighbourAt = now + jittered(settings.nonNeighbour) }
        if timers.isDue(timers.nonNeighbourAt, now: now) {
            timers.nonNeighbourAt = now + jittered(settings.nonNeighbour)
            contactNonNeighbour(now: now)
        }
    }

    /// Ends a link that has exceeded a limit: a session without a first message, a silent one, or one without a
    /// purpose.
    private mutating func checkLink(_ id: LinkID, now: Instant) {
        guard let link = links[id], link.deadline(settings) <= now else { return }
        if let hello = link.liveness.helloDeadline {
            if hello <= now { close(id, .silent, now: now) }
        } else if link.liveness.listenedSince + settings.silenceMax <= now {
            close(id, .silent, now: now)
        } else if link.isNeighbour {
            suspect(id, now: now)
        } else if link.isBusy, !link.isSuspect {
            link.liveness.lastUsed = now
        } else if link.liveness.lastUsed + settings.idleMax <= now, !link.isSuspect {
            close(id, .idle, now: now)
        }
    }

    private func earliestDeadline(now: Instant) -> Instant {
        guard var earliest = timers.earliest else { return now }
        func consider(_ deadline: Instant?) {
            if let deadline, deadline < earliest { earliest = deadline }
        }
        consider(announcing.at)
        consider(overlay.deadline)
        consider(broadcast.deadline)
        consider(links.dueAt)
        consider(transfer.restingUntil)
        return earliest
    }

    /// Sets the timer. An earlier timer that is already set does no harm: when it fires, the engine only checks the
    /// deadlines.
    private mutating func setTimer(now: Instant) {
        if let next = timers.set(to: earliestDeadline(now: now), now: now) { actions.append(.setTimer(next)) }
    }

    /// A random length of time, from half to one and a half times the given one.
    mutating func jittered(_ time: Milliseconds) -> Milliseconds { time.jittered(using: &random) }

    private mutating func sendStates(now: Instant) {
        timers.stateChangedAt = nil
        timers.heartbeatAt = now + settings.heartbeat
        for link in links.neighbours { send(link.id, .state(ownState, question: 0, answered: 0)) }
    }

    /// Asks a peer for its state, and measures how long it takes to answer.
    mutating func askState(_ id: LinkID, now: Instant) {
        let question = UInt64.random(in: 1...UInt64(UInt32.max), using: &random)
        links[id]?.roundTrip.ask(question, now: now)
        send(id, .state(ownState, question: question, answered: 0))
    }
}
