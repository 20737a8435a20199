package import Catalog
package import DeltaLog

/// The gossip engine of one node: a pure value. Inputs and the present moment go in, actions come out, in one order
/// for one history; it has no clock, socket, database or randomness of its own.
///
/// It keeps a connection with every node of the roster (full mesh), makes governance equal first, then compares whole
/// frontiers, fetches what it lacks with byte credits, pushes what is new, and asks a random peer now and then whether
/// both still hold the same (anti-entropy: Demers et al. 1987).
package struct Engine<Crypto: Cryptography>: Sendable {
    package let settings: EngineSettings
    package let alliance: AllianceID
    package let charter: Charter
    package let node: NodeKey
    let cryptography: Crypto
    let program: String

    package internal(set) var governance: GovernanceSet
    package internal(set) var announcements: AnnouncementSet
    package internal(set) var roster: Roster
    /// Logs that are proven to be forked, with the lowest sequence proven.
    package internal(set) var forks: [LogID: UInt64]

    /// What is on disk.
    package internal(set) var durable: Frontier
    /// What is on disk or on its way there.
    var accepted: Frontier
    /// What peers are told: of ``durable`` the logs of enrolled nodes, forked ones up to before the fork.
    package internal(set) var shown: Frontier
    package internal(set) var summary: StoredSummary
    /// The fingerprint of ``shown``.
    package internal(set) var fingerprint: Hash256
    /// The last delta before the fork of logs that are held beyond it, as read from the disk.
    var cutHeads: [LogID: Head] = [:]
    /// The forks whose heads are being read.
    var cutReads: [LogID: UInt64] = [:]

    var links: [LinkID: Link] = [:]
    var acquaintances: [NodeKey: Acquaintance] = [:]
    /// Deltas handed over to be stored, by token, with where they came from.
    var storing: [UInt64: (link: LinkID, deltas: [VerifiedDelta])] = [:]
    var nextToken: UInt64 = 1
    /// Bytes of deltas that are being stored.
    var storingBytes: UInt64 = 0

    /// Logs whose heads peers are to be told of.
    var unannounced: Set<LogID> = []
    var announceAt: Instant?
    var stateChangedAt: Instant?
    var heartbeatAt: Instant?
    var antiEntropyAt: Instant?
    var timerSetTo: Instant?

    /// What was sent, received and delivered since this engine was made.
    package internal(set) var counters = GossipCounters()

    var random: any RandomNumberGenerator & Sendable
    var actions: [EngineAction] = []
    var wallMilliseconds: UInt64 = 0

    /// - Parameters:
    ///   - governance: All statements held, verified.
    ///   - frontier: What is on disk, with its summary.
    ///   - random: Seeded by whoever runs the engine; only used for jitter and the choice of peers.
    package init(
        settings: EngineSettings = EngineSettings(),
        charter: Charter,
        node: NodeKey,
        program: String,
        governance: GovernanceSet,
        announcements: AnnouncementSet,
        frontier: Frontier,
        summary: StoredSummary,
        cryptography: Crypto,
        random: any RandomNumberGenerator & Sendable
    ) {
        self.settings = settings
        self.charter = charter
        alliance = charter.alliance(cryptography)
        self.node = node
        self.program = program
        self.governance = governance
        self.announcements = announcements
        self.cryptography = cryptography
        self.random = random
        self.summary = summary
        durable = frontier
        accepted = frontier
        shown = Frontier()
        fingerprint = .zero
        roster = Roster(charter: charter, statements: governance, hasher: cryptography)
        forks = governance.forks
        showAll()
    }

    /// Takes one input.
    ///
    /// - Parameters:
    ///   - now: Never earlier than at the call before.
    ///   - wallMilliseconds: The wall clock; only told to peers and compared with theirs.
    /// - Returns: What to do, in this order.
    package mutating func step(_ input: EngineInput, now: Instant, wallMilliseconds: UInt64) -> [EngineAction] {
        self.wallMilliseconds = wallMilliseconds
        switch input {
        case .linkUp(let link, let node, let dialled): linkUp(link, node: node, dialled: dialled, now: now)
        case .linkDown(let link): linkDown(link, now: now)
        case .dialFailed(let node): dialFailed(node, now: now)
        case .message(let link, let message): received(message, on: link, now: now)
        case .deltas(let link, let deltas, let byteCount): receivedDeltas(deltas, byteCount, on: link, now: now)
        case .malformed(let link, let what): violate(link, what, now: now)
        case .committed(let deltas, let summary): committed(deltas, summary: summary, now: now)
        case .stored(let token, let outcomes, let summary): stored(token, outcomes, summary: summary, now: now)
        case .deltasRead(let link, let range, let deltas): deltasRead(link, range, deltas)
        case .headersRead(let range, let purpose, let headers): headersRead(range, purpose, headers, now: now)
        case .diffAnswered(let link, let answer):
            lookedUp(for: link)
            send(link, .diffAnswer(answer))
        case .askDiff(let link, let question): send(link, .diffQuestion(question))
        case .stated(let statements): adopt(statements, except: nil, store: false, now: now)
        case .announced(let announcement): adopt([announcement], except: nil, store: false, now: now)
        case .timer: timerSetTo = nil
        }
        runTimers(now: now)
        readCuts()
        setTimer()
        defer { actions.removeAll() }
        return actions
    }

    // MARK: - Sending

    func link(_ id: LinkID) -> Link? { links[id] }

    mutating func send(_ link: LinkID, _ message: PeerMessage) {
        guard links[link] != nil else { return }
        actions.append(.send(link, message))
    }

    /// Open links, ascending.
    var openLinks: [LinkID] {
        links.values.filter(\.isOpen).map(\.id).sorted()
    }

    var ownState: StateSummary {
        StateSummary(
            frontier: fingerprint,
            digest: summary.digest,
            records: summary.records,
            wallMilliseconds: wallMilliseconds
        )
    }

    /// Ends a session: a peer's violation is told, counted and shown, and disturbs nobody else. The peer is shunned for
    /// a while.
    mutating func violate(_ id: LinkID, _ what: String, now: Instant) {
        guard let link = links[id] else { return }
        actions.append(.noteViolation(link.node, what))
        shun(link.node, now: now)
        close(id, .violation(what), now: now)
    }

    mutating func close(_ id: LinkID, _ refusal: SessionRefusal?, now: Instant) {
        guard links[id] != nil else { return }
        actions.append(.disconnect(id, refusal))
        linkDown(id, now: now)
    }

    // MARK: - Timers

    private mutating func runTimers(now: Instant) {
        for link in links.values.sorted(by: { $0.id < $1.id }) where deadline(of: link) <= now {
            close(link.id, .silent, now: now)
        }
        dropStalledWants(now: now)
        dialWhatIsDue(now: now)
        if let announceAt, announceAt <= now { announce(now: now) }
        if let stateChangedAt, stateChangedAt <= now { sendStates(now: now) }
        if heartbeatAt == nil { heartbeatAt = now + settings.heartbeat }
        if let heartbeatAt, heartbeatAt <= now { sendStates(now: now) }
        if antiEntropyAt == nil { antiEntropyAt = now + jittered(settings.antiEntropy) }
        if let antiEntropyAt, antiEntropyAt <= now {
            self.antiEntropyAt = now + jittered(settings.antiEntropy)
            if let peer = openLinks.randomElement(using: &random) { send(peer, .state(ownState, answer: true)) }
        }
    }

    /// When a link is closed unless something comes before.
    private func deadline(of link: Link) -> Instant {
        link.helloDeadline ?? link.lastHeard + settings.silenceMax
    }

    private mutating func setTimer() {
        var deadlines = [announceAt, stateChangedAt, heartbeatAt, antiEntropyAt].compactMap { $0 }
        for link in links.values {
            deadlines.append(deadline(of: link))
            deadlines.append(contentsOf: link.wants.values.map(\.deadline))
            if let check = link.distrustCheckAt { deadlines.append(check) }
        }
        deadlines.append(contentsOf: nextDials)
        guard let next = deadlines.min(), next != timerSetTo else { return }
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
        for id in openLinks { send(id, .state(ownState, answer: false)) }
    }
}
