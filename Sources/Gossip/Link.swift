import Catalog
import DeltaLog

/// What the engine knows of one connection.
struct Link {
    let id: LinkID
    let node: NodeKey
    let dialled: Bool
    /// When the first message must have come; nil once it has.
    var helloDeadline: Instant?
    /// When the first message came.
    var openedAt: Instant?
    /// When anything last came.
    var lastHeard: Instant
    /// True once this node's own Hello was answered by the peer's.
    var isOpen: Bool { helloDeadline == nil }

    /// The peer's frontier as far as it is known.
    var heads: [LogID: Head] = [:]
    /// True once the peer has sent its frontier whole, or told that it equals this node's.
    var isWhole = false
    /// Logs of which the peer may hold more than this node has accepted.
    var candidates: Set<LogID> = []
    /// A frontier of which more parts are to come.
    var partialHeads: [LogID: Head] = [:]
    var state: StateSummary?
    /// When a frontier was last asked for, and how long to wait before the next time; so none is asked for in a loop.
    var frontierAsked: Instant?
    var frontierPause: Milliseconds?
    /// When the peer was last sent a whole frontier, or all ids of statements, because it asked.
    var frontierAnswered: Instant?
    var governanceAnswered: Instant?
    /// Statements that say nothing before others have come: by somebody whom the roster does not know yet.
    var homeless: [Statement] = []

    // What this node pushed to the peer.
    /// Heads that the peer need not be told of again.
    var pushed: [LogID: UInt64] = [:]
    /// Bytes pushed since the peer last acknowledged a push.
    var pushOutstanding = 0

    // What this node asks of the peer.
    var wants: [LogID: Want] = [:]
    /// The number of the next want.
    var nextOrder: UInt64 = 0
    /// Bytes that the peer may still send, as far as it was told. Every Deltas message counts, pushed or asked for, by
    /// the bytes of its frame, so both sides reckon alike whatever crosses on the way. Pushes may bring it below 0.
    var creditGiven: Int64 = 0
    /// Bytes received from it that are not durable yet.
    var bytesPending: UInt64 = 0
    /// Logs that are not asked of the peer until then: it sent something refused, or nothing.
    var distrusted: [LogID: Instant] = [:]
    var distrustCheckAt: Instant?
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

    init(id: LinkID, node: NodeKey, dialled: Bool, now: Instant, helloDeadline: Instant) {
        self.id = id
        self.node = node
        self.dialled = dialled
        self.helloDeadline = helloDeadline
        lastHeard = now
    }
}

/// A stretch of a log that was asked for.
struct Want {
    /// The lowest sequence that has not come.
    var from: UInt64
    let to: UInt64
    /// When something must have come.
    var deadline: Instant
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

/// What is remembered of a node beyond its connections.
struct Acquaintance {
    var heads: [LogID: Head]?
    var state: StateSummary?
    var lastContact: Instant?
    /// The peer's clock less this node's when it was last told, in milliseconds.
    var clockAheadMilliseconds: Int64?
    var program: String?
    /// Why the peer ended or refused the last session, in its own words.
    var refusal: SessionRefusal?
    var hasFailed = false
    /// No session with it before then, since it broke the protocol.
    var shunnedUntil: Instant?
    // Dialling.
    var nextDial: Instant?
    var pause: Milliseconds?
    var isDialling = false
}
