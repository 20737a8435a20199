import Catalog
import Governance

/// What the engine knows of one connection. Only the engine that made it has it.
final class Link {
    let id: LinkID
    let node: NodeKey
    /// What is remembered of that node.
    let peerRecord: PeerRecord
    let dialled: Bool
    /// When the first message must have come; nil once it has.
    var helloDeadline: Instant?
    /// When the first message came.
    var openedAt: Instant?
    /// When anything last came.
    var lastHeard: Instant
    /// Until when nothing more is read from the peer, since its organization has overdrawn its account.
    var heldUntil: Instant?
    /// From when on the peer may be called silent: while nothing is read from it, it cannot be heard.
    var listenedSince: Instant { max(lastHeard, heldUntil ?? lastHeard) }
    /// When this link last had a purpose, where its node is no neighbour.
    var lastUsed: Instant
    /// True once this node's own Hello was answered by the peer's.
    var isOpen: Bool { helloDeadline == nil }
    /// True once the peer has been silent for so long that another neighbour was looked for.
    var isSuspect = false
    /// Whether its node is in the overlay's active view.
    var isNeighbour = false

    /// True once both frontiers were found equal, or all that differs is in `ahead` and `behind`.
    var isSynced = false
    /// Logs of which the peer holds more than this node has accepted, and how far.
    private(set) var ahead: [LogID: UInt64] = [:]
    /// How many of them each author has, with the organization that they count for.
    private var aheadAuthors: [NodeKey: (count: Int, organization: OrganizationID)] = [:]
    /// How many of them count for each organization.
    private var aheadTotals: [OrganizationID: Int] = [:]
    /// True once the peer told of logs for which ``ahead`` had no room: a comparison brings them again.
    var hasMoreAhead = false
    /// True once the peer told of logs whose authors this node does not know.
    var hasUnknownAuthors = false
    /// Logs that are to be asked of the peer as soon as it is asked for fewer others.
    private(set) var backlog = Backlog()
    /// Work charged for its messages so far, in microseconds.
    var charged: UInt64 = 0
    /// How often the peer was asked for what it told of and gave nothing, less how often it gave something.
    var brokenPromises = 0
    /// Logs of which the peer is not known to hold all that is shown here, and what it holds.
    var behind: [LogID: UInt64] = [:]
    var state: StateSummary?
    /// A question for the peer's state that waits for its answer, and since when.
    var stateAsked: (question: UInt64, at: Instant)?
    var roundTripMicroseconds: UInt64?
    /// When frontiers were last compared on this node's initiative, and how long to wait before the next time; so they
    /// are not compared in a loop.
    var comparedAt: Instant?
    var comparePause: Milliseconds?
    /// When the peer was last sent all ids of statements, because it asked.
    var governanceAnswered: Instant?
    /// Statements that say nothing before others have come: by somebody whom the roster does not know yet.
    var orphans: [Statement] = []

    // What this node pushed to the peer.
    /// The last delta of each log pushed and not confirmed, with the bytes pushed of the log.
    var pushed: [LogID: (sequence: UInt64, bytes: Int)] = [:]
    /// Bytes pushed and not confirmed.
    var pushOutstanding = 0
    /// Logs that the peer pushed or gave, and is to be told are stored.
    var unconfirmed: Set<LogID> = []

    // What this node asks of the peer.
    var wants: [LogID: Want] = [:]
    /// When something that was asked for last came.
    var movedAt: Instant?
    /// A lower bound of the wants' deadlines.
    var wantsCheckAt: Instant?
    /// The number of the next want.
    var nextOrder: UInt64 = 0
    /// Bytes that the peer may still send, as far as it was told. Every Deltas message counts by the bytes of its frame,
    /// so both sides reckon alike whatever crosses on the way.
    var creditGiven: Int64 = 0
    /// Bytes received from it that are not durable yet.
    var bytesPending: UInt64 = 0
    /// Logs that are not asked of the peer until then: it sent something refused, or nothing.
    var backingOff: [LogID: Instant] = [:]
    var backOffCheckAt: Instant?
    /// Refused deltas for which the peer itself is to blame: it passed on what no honest node does.
    var faults = 0
    /// Deltas of this node that the peer refused, noted.
    var refusedByPeer = 0

    // What the peer asks of this node.
    /// Stretches that the peer waits for, the one being served first.
    var served: [LogRange] = []
    /// Bytes that may be sent to the peer; the mirror of its `creditGiven`.
    var credit: Int64 = 0
    /// True while a read for it is under way.
    var isReading = false
    /// Questions of the peer that are being looked up.
    var lookups = 0

    /// Searches for the place where a log forks.
    var inquiries: [LogID: Inquiry] = [:]

    /// True while something is to be had from the peer, or given to it.
    var isBusy: Bool {
        !wants.isEmpty || !served.isEmpty || isReading || lookups > 0 || !inquiries.isEmpty || bytesPending > 0
    }

    init(
        id: LinkID,
        node: NodeKey,
        peerRecord: PeerRecord,
        dialled: Bool,
        now: Instant,
        settings: EngineSettings
    ) {
        self.id = id
        self.node = node
        self.peerRecord = peerRecord
        self.dialled = dialled
        helloDeadline = now + settings.helloDeadline
        lastHeard = now
        lastUsed = now
    }

    /// Notes how far the peer holds a log that it holds further than this node.
    ///
    /// - Parameter organization: The author's.
    /// - Returns: False where there is no room for it.
    func setAhead(
        _ log: LogID,
        _ sequence: UInt64,
        of organization: OrganizationID,
        settings: EngineSettings
    ) -> Bool {
        if let index = ahead.index(forKey: log) {
            ahead.values[index] = max(ahead.values[index], sequence)
            return true
        }
        let author = aheadAuthors[log.author] ?? (0, organization)
        let total = aheadTotals[author.organization] ?? 0
        guard ahead.count < settings.headsMax, author.count < settings.headsPerAuthorMax,
            total < settings.headsPerOrganizationMax
        else {
            hasMoreAhead = true
            return false
        }
        ahead[log] = sequence
        aheadAuthors[log.author] = (author.count + 1, author.organization)
        aheadTotals[author.organization] = total + 1
        return true
    }

    func removeAhead(_ log: LogID) {
        guard ahead.removeValue(forKey: log) != nil, let (count, organization) = aheadAuthors[log.author],
            let total = aheadTotals[organization]
        else { return }
        aheadAuthors[log.author] = count > 1 ? (count - 1, organization) : nil
        aheadTotals[organization] = total > 1 ? total - 1 : nil
    }

    func clearAhead() {
        ahead = [:]
        aheadAuthors = [:]
        aheadTotals = [:]
        backlog = Backlog()
        hasMoreAhead = false
    }

    /// Puts a log off until the peer is asked for fewer others.
    func postpone(_ log: LogID) { backlog.append(log) }

    /// The next log that was put off.
    func takePostponed() -> LogID? { backlog.popFirst() }
}

/// Logs in the order in which they were put off, each once.
struct Backlog {
    private var logs: [LogID] = []
    private var start = 0
    private var members: Set<LogID> = []

    var isEmpty: Bool { start == logs.count }

    mutating func append(_ log: LogID) {
        guard members.insert(log).inserted else { return }
        logs.append(log)
    }

    /// Constant time, on average.
    mutating func popFirst() -> LogID? {
        guard start < logs.count else { return nil }
        let log = logs[start]
        start += 1
        members.remove(log)
        if start > 64, start * 2 > logs.count {
            logs.removeFirst(start)
            start = 0
        }
        return log
    }
}

/// The links of one engine, ascending by their ids. There are few of them, and they are looked up all the time.
struct LinkTable {
    /// Ascending.
    private(set) var values: [Link] = []

    /// Ascending.
    var keys: [LinkID] { values.map(\.id) }

    /// Logarithmic time.
    subscript(id: LinkID) -> Link? {
        let place = place(of: id)
        return place < values.count && values[place].id == id ? values[place] : nil
    }

    mutating func insert(_ link: Link) { values.insert(link, at: place(of: link.id)) }

    mutating func remove(_ id: LinkID) -> Link? {
        let place = place(of: id)
        guard place < values.count, values[place].id == id else { return nil }
        return values.remove(at: place)
    }

    /// Where a link is, or would be.
    private func place(of id: LinkID) -> Int {
        var range = 0..<values.count
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            range = values[middle].id < id ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }
}

/// A stretch of a log that was asked for.
struct Want {
    /// The lowest sequence that has not come.
    var from: UInt64
    let to: UInt64
    /// True where the broadcast asks for what it did not bring.
    let isGraft: Bool
    let begunAt: Instant
    /// True once something of it has come.
    var hasMoved = false
    /// When something of it last came, or it was asked for.
    var movedAt: Instant
    /// True while nothing of it has come for so long that somebody else may be asked too.
    var isLate = false
    /// When something must have come.
    var deadline: Instant
    /// How long each further step may take.
    let patience: Milliseconds
    /// The number of the want on its link. Peers serve in the order in which they were asked, so progress of one want
    /// puts off the deadlines of those asked later, and of none asked before.
    let order: UInt64
}

/// A search for the first headers of a log that differ.
struct Inquiry {
    /// What the peer was asked for.
    var asked: LogRange
    /// True while its answer is compared with what is held here.
    var isComparing = false
    /// The lowest headers found to differ so far.
    var suspects: (own: SignedHeader, theirs: SignedHeader)?
}

/// What is remembered of a node beyond its connections. Only the engine that made it has it.
final class PeerRecord {
    var state: StateSummary?
    /// Deltas that it lacked, and had more, when the last session ended; compared with ``comparedFrontier``.
    var behindBy: UInt64?
    var aheadBy: UInt64?
    /// The fingerprint of this node's frontier then.
    var comparedFrontier: Hash256?
    var lastContact: Instant?
    /// The peer's clock less this node's when it was last told, in milliseconds.
    var clockAheadMilliseconds: Int64?
    var program: String?
    /// Why the peer ended or refused the last session, in its own words.
    var refusal: SessionRefusal?
    var hasFailed = false
    /// No session with it before then, since it broke the protocol.
    var bannedUntil: Instant?
    /// Deltas that were served to it.
    var served: UInt64 = 0
    // Dialling.
    /// True once a session with it was open, in this run of the node or, as far as the node remembers, in one before.
    var isProven = false
    /// The address that answered last.
    var address: String?
    /// When an announcement last cut a pause short.
    var hastenedAt: Instant?
    /// Why the last dial came to nothing; nil since a connection came up.
    var dialFailure: PeerStatus.DialFailure?
    var nextDial: Instant?
    var pause: Milliseconds?
}
