package import Catalog
package import DeltaLog
package import Governance

/// The gossip engine of one node. Inputs and the present moment go in, actions come out, in one order
/// for one history; it has no clock, socket, database or randomness of its own.
///
/// It composes three machines: the ``Overlay`` decides with whom links are kept, the ``Broadcast`` along which of them new
/// deltas go, and ``RangeReconciliation`` finds where two frontiers differ. The engine itself makes governance equal
/// first, fetches what is lacking with byte credits, and asks a random peer now and then whether both still hold the
/// same (anti-entropy: Demers et al. 1987).
package struct Engine: ~Copyable {
    package let settings: EngineSettings
    package let alliance: AllianceID
    package let charter: Charter
    package let node: NodeKey
    let cryptography: any Cryptography
    let program: String

    package internal(set) var governance: GovernanceSet
    package internal(set) var announcements: AnnouncementSet
    package internal(set) var roster: Roster
    /// Fingerprints of ``governance`` and ``announcements``; nil where they have changed since they were last needed.
    var governanceFingerprint: Hash256?
    var announcementsFingerprint: Hash256?
    /// Logs that are proven to be forked, with the lowest sequence proven.
    package internal(set) var forks: [LogID: UInt64]

    /// What is on disk.
    package internal(set) var durable: Frontier
    /// Heads on their way to the disk, beyond ``durable``.
    var inFlight: [LogID: Head] = [:]
    /// What peers are told: of ``durable`` the logs of enrolled nodes, forked ones up to before the fork.
    var frontier: FrontierTree
    package internal(set) var summary: StoredSummary
    /// The fingerprint of ``advertised``.
    package internal(set) var fingerprint: Hash256
    /// The last delta before the fork of logs that are held beyond it, as read from the disk.
    var cutHeads: [LogID: Head] = [:]
    /// The forks whose heads are being read.
    var cutReads: [LogID: UInt64] = [:]
    /// Forked logs of which it is to be seen whether they are held beyond the fork.
    var uncut: Set<LogID> = []

    var overlay: Overlay
    var broadcast: Broadcast
    var links = LinkTable()
    /// Links on which both sides have said Hello, ascending.
    var openLinks: [Link] = []
    /// Logs for which it is to be planned anew whom they are asked of, before the step ends.
    var unplanned: Set<LogID> = []
    /// The logs of ``durable`` by author.
    var incarnations: [NodeKey: [UInt64]] = [:]
    /// Deltas held, of all logs together.
    var heldDeltas: UInt64 = 0
    /// What each organization's nodes may have this node do.
    var accounts: [OrganizationID: TokenBucket] = [:]
    /// Organizations whose deltas cost more to store than they may: until when no more of theirs are taken, and their logs
    /// that are to be planned then.
    var resting: [OrganizationID: (until: Instant, logs: Set<LogID>)] = [:]
    var restingUntil: Instant?
    /// Statements and announcements that wait to be passed on.
    var relays = Relays()
    /// Questions of peers that wait to be looked up, and those that are, with their organizations.
    var waitingLookups: [(link: LinkID, action: EngineAction)] = []
    var runningLookups: [LinkID: OrganizationID] = [:]
    /// Links that wait to be served, since others of their organization are.
    var waitingReads: [LinkID] = []
    /// The statements and announcements held, as they are encoded.
    var heldStatements: Set<[UInt8]> = []
    var heldAnnouncements: Set<[UInt8]> = []
    /// ``governance`` in order; nil where it has changed since it was last needed.
    var statementsInOrder: [Statement]?
    /// Nodes that are being dialled.
    var dialling: Set<NodeKey> = []
    /// Of organizations of which a node that never answered was dialled in vain: how long the next such dial waits.
    var unprovenPauses: [OrganizationID: (pause: Milliseconds, until: Instant)] = [:]
    /// A lower bound of all deadlines that links have. Those that are put off need not be told.
    var linksDueAt: Instant?
    var peerRecords: [NodeKey: PeerRecord] = [:]
    /// Deltas handed over to be stored, by token, with where they came from.
    var storing: [UInt64: StoringBatch] = [:]
    var nextToken: UInt64 = 1
    /// Bytes of deltas that are being stored.
    var storingBytes: UInt64 = 0
    /// Deltas that could not be taken, with the reason, as they are shown to people.
    package internal(set) var parked: [LogID: ParkedDelta] = [:]
    /// How much of each author's deltas was pushed on, and who is pull-only until when.
    var authorBudgets: [NodeKey: TokenBucket] = [:]
    package internal(set) var pullOnly: [NodeKey: Instant] = [:]

    /// Logs whose heads peers are to be told of.
    var unannounced: Set<LogID> = []
    /// Of those, the last deltas that were pushed, with the links that they will have passed on arrival.
    var pushedHops: [LogID: (sequence: UInt64, hops: UInt32)] = [:]
    var announceAt: Instant?
    var stateChangedAt: Instant?
    var heartbeatAt: Instant?
    var antiEntropyAt: Instant?
    var nonNeighbourAt: Instant?
    /// In a full mesh, nodes with lesser keys are not dialled before.
    var courtesyUntil = Instant(nanoseconds: .max)
    var timerSetTo: Instant?
    /// What was sent, received and delivered since this engine was made.
    package internal(set) var counters = GossipCounters()

    var random: any RandomNumberGenerator & Sendable
    var actions: [EngineAction] = []
    var wallMilliseconds: UInt64 = 0

    /// - Parameters:
    ///   - governance: All statements held, verified.
    ///   - frontier: What is on disk, with its summary.
    ///   - contacts: The nodes that this node had sessions with before it was started.
    ///   - random: Seeded by whoever runs the engine; used for jitter, the choice of peers and the shape of trees.
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
        self.charter = charter
        alliance = charter.alliance(cryptography)
        self.node = node
        self.program = program
        self.governance = governance
        self.announcements = announcements
        self.cryptography = cryptography
        self.summary = summary
        durable = frontier
        self.frontier = FrontierTree(seed: random.next())
        self.random = random
        fingerprint = .zero
        overlay = Overlay(node: node, settings: settings.overlay)
        broadcast = Broadcast(settings: settings.broadcast)
        roster = Roster(charter: charter, statements: governance, hasher: cryptography)
        forks = governance.forks
        heldStatements = Set(governance.statements.values.map(\.encoded))
        heldAnnouncements = Set(announcements.latest.values.map(\.encoded))
        for (log, head) in frontier.heads {
            incarnations[log.author, default: []].append(log.incarnation)
            heldDeltas &+= head.sequence
        }
        uncut = Set(forks.keys)
        overlay.adopt(roster.organizations)
        for contact in contacts.sorted(by: { $0.time < $1.time }) where roster.organization(of: contact.node) != nil {
            let peerRecord = peerRecord(contact.node)
            peerRecord.isProven = true
            peerRecord.address = contact.address
            if contact.node != node { overlay.remember(contact.node) }
        }
        advertiseAll()
    }

    /// Notes that a log is durable up to there.
    mutating func advance(_ log: LogID, to head: Head) {
        let before = durable[log]
        if before == nil { incarnations[log.author, default: []].append(log.incarnation) }
        let sequence = before?.sequence ?? 0
        heldDeltas &+= head.sequence > sequence ? head.sequence - sequence : 0
        if forks[log] != nil { uncut.insert(log) }
        durable[log] = head
    }

    /// What peers are told of what is on disk. Linear in the number of logs.
    package var advertised: Frontier {
        Frontier(Dictionary(uniqueKeysWithValues: frontier.sorted.map { ($0.log, $0.head) }))
    }

    /// Takes one input.
    ///
    /// - Parameters:
    ///   - now: Never earlier than at the call before.
    ///   - wallMilliseconds: The wall clock; only told to peers and compared with theirs.
    /// - Returns: What to do, in this order.
    package mutating func step(_ input: EngineInput, now: Instant, wallMilliseconds: UInt64) -> [EngineAction] {
        self.wallMilliseconds = wallMilliseconds
        actions.reserveCapacity(4)
        if courtesyUntil == Instant(nanoseconds: .max) { courtesyUntil = now + settings.dialCourtesy }
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
        case .timer: if timerSetTo.map({ $0 <= now }) ?? false { timerSetTo = nil }
        }
        readCuts()
        planWants(now: now)
        if earliestDeadline(now: now) <= now { runTimers(now: now) }
        planWants(now: now)
        setTimer(now: now)
        defer { actions.removeAll() }
        return actions
    }

    /// What is remembered of a node, from now on.
    mutating func peerRecord(_ peer: NodeKey) -> PeerRecord {
        if let known = peerRecords[peer] { return known }
        let new = PeerRecord()
        peerRecords[peer] = new
        return new
    }

    // MARK: - Sending

    mutating func send(_ link: LinkID, _ message: PeerMessage) {
        guard links[link] != nil else { return }
        actions.append(.send(link, message))
    }

    /// The open links with neighbours, ascending.
    var neighbourLinks: [Link] { openLinks.filter(\.isNeighbour) }

    var ownState: StateSummary {
        StateSummary(
            frontier: fingerprint,
            digest: summary.digest,
            records: summary.records,
            wallMilliseconds: wallMilliseconds
        )
    }

    /// Ends a session: a peer's violation is told, counted and shown, and disturbs nobody else. The peer is banned for
    /// a while.
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
        if let linksDueAt, linksDueAt <= now {
            self.linksDueAt = nil
            for id in links.keys { checkLink(id, now: now) }
            dropStalledWants(now: now)
            for link in links.values {
                due(deadline(of: link))
                if let check = link.wantsCheckAt { due(check) }
                if let check = link.backOffCheckAt { due(check) }
            }
        }
        endRests(now: now)
        relayWaiting(now: now)
        graftOverdue(now: now)
        if overlay.deadline.map({ $0 <= now }) ?? false { wakeOverlay(now: now) }
        if let announceAt, announceAt <= now { announce(now: now) }
        if let stateChangedAt, stateChangedAt <= now { sendStates(now: now) }
        if heartbeatAt == nil { heartbeatAt = now + jittered(settings.heartbeat) }
        if let heartbeatAt, heartbeatAt <= now { sendStates(now: now) }
        if antiEntropyAt == nil { antiEntropyAt = now + jittered(settings.antiEntropy) }
        if let antiEntropyAt, antiEntropyAt <= now {
            self.antiEntropyAt = now + jittered(settings.antiEntropy)
            if let link = neighbourLinks.randomElement(using: &random) { askState(link.id, now: now) }
        }
        if nonNeighbourAt == nil { nonNeighbourAt = now + jittered(settings.nonNeighbour) }
        if let nonNeighbourAt, nonNeighbourAt <= now {
            self.nonNeighbourAt = now + jittered(settings.nonNeighbour)
            contactNonNeighbour(now: now)
        }
    }

    /// Ends what has lasted too long: sessions without a first message, silent ones, and those without a purpose.
    private mutating func checkLink(_ id: LinkID, now: Instant) {
        guard let link = links[id], deadline(of: link) <= now else { return }
        if let hello = link.helloDeadline {
            if hello <= now { close(id, .silent, now: now) }
        } else if link.listenedSince + settings.silenceMax <= now {
            close(id, .silent, now: now)
        } else if link.isNeighbour {
            suspect(id, now: now)
        } else if link.isBusy, !link.isSuspect {
            links[id]?.lastUsed = now
        } else if link.lastUsed + settings.idleMax <= now, !link.isSuspect {
            close(id, .idle, now: now)
        }
    }

    /// Something about a link is due at that moment.
    mutating func due(_ instant: Instant) {
        if linksDueAt.map({ instant < $0 }) ?? true { linksDueAt = instant }
    }

    /// When something is to be done about a link unless something comes before.
    func deadline(of link: Link) -> Instant {
        if let hello = link.helloDeadline { return hello }
        if link.isSuspect { return link.listenedSince + settings.silenceMax }
        if link.isNeighbour { return link.listenedSince + settings.suspectAfter }
        return min(link.lastUsed + settings.idleMax, link.listenedSince + settings.silenceMax)
    }

    private func earliestDeadline(now: Instant) -> Instant {
        guard let heartbeatAt, let antiEntropyAt, let nonNeighbourAt else { return now }
        var earliest = min(heartbeatAt, antiEntropyAt, nonNeighbourAt)
        func consider(_ deadline: Instant?) {
            if let deadline, deadline < earliest { earliest = deadline }
        }
        consider(announceAt)
        consider(stateChangedAt)
        consider(overlay.deadline)
        consider(broadcast.deadline)
        consider(linksDueAt)
        consider(restingUntil)
        consider(relays.deadline)
        return earliest
    }

    /// A timer that is set already and comes earlier does no harm: it only looks.
    private mutating func setTimer(now: Instant) {
        let next = earliestDeadline(now: now)
        if let timerSetTo, timerSetTo > now, timerSetTo <= next { return }
        timerSetTo = next
        actions.append(.setTimer(next))
    }

    /// Half to one and a half times as long.
    mutating func jittered(_ time: Milliseconds) -> Milliseconds {
        Milliseconds(time.count / 2 + UInt64.random(in: 0...max(1, time.count), using: &random))
    }

    private mutating func sendStates(now: Instant) {
        stateChangedAt = nil
        heartbeatAt = now + settings.heartbeat
        for link in neighbourLinks { send(link.id, .state(ownState, question: 0, answered: 0)) }
    }

    /// Asks a peer for its state, and measures how long it takes to answer.
    mutating func askState(_ id: LinkID, now: Instant) {
        let question = UInt64.random(in: 1...UInt64(UInt32.max), using: &random)
        links[id]?.stateAsked = (question, now)
        send(id, .state(ownState, question: question, answered: 0))
    }
}

/// Deltas handed over to be stored.
struct StoringBatch: Sendable {
    let link: LinkID
    let deltas: [VerifiedDelta]
    /// True where they came by a push, else they were asked for.
    let isPushed: Bool
    /// Links passed since the author; nil where it was not the broadcast that brought them.
    let hops: UInt32?
}

/// A delta that could not be taken, and is not asked for again for a while.
package struct ParkedDelta: Hashable, Sendable {
    package let sequence: UInt64
    package let refusal: DeltaRefusal
    package let from: NodeKey
    package let since: Instant
}
