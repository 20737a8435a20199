import Catalog
import DeltaLog

/// What the engine knows of one connection.
struct Link {
    let id: LinkID
    let node: NodeKey
    let dialled: Bool
    /// When the first message must have come; nil once it has.
    var helloDeadline: Instant?
    /// True once this node's own Hello was answered by the peer's.
    var isOpen: Bool { helloDeadline == nil }

    /// The peer's frontier as far as it is known; nil until it has sent it whole.
    var heads: [LogID: Head]?
    /// A frontier of which more parts are to come.
    var partialHeads: [LogID: Head] = [:]
    var state: StateSummary?
    /// Heads that this node has pushed to the peer and that it need not be told of again.
    var pushed: [LogID: UInt64] = [:]
    /// When a frontier was last asked for, so that it is not asked for in a loop.
    var frontierAsked: Instant?

    // What this node asks of the peer.
    /// Stretches asked for, by log, with the last sequence and the moment by which something must come.
    var wants: [LogID: (to: UInt64, deadline: Instant)] = [:]
    /// Bytes that the peer may still send, as far as it was told.
    var creditGiven: UInt64 = 0
    /// Bytes received from it that are not durable yet.
    var bytesPending: UInt64 = 0
    /// Logs that are not asked of the peer until then: it sent something refused, or nothing.
    var distrusted: [LogID: Instant] = [:]
    var refusals = 0

    // What the peer asks of this node.
    /// Stretches that the peer waits for, the one being served first.
    var served: [LogRange] = []
    /// Bytes that may be sent to the peer.
    var credit: UInt64 = 0
    /// True while a read for it is under way.
    var isReading = false

    /// A search for the place where a log forks; nil where none is under way.
    var inquiries: Set<LogID> = []

    init(id: LinkID, node: NodeKey, dialled: Bool, helloDeadline: Instant) {
        self.id = id
        self.node = node
        self.dialled = dialled
        self.helloDeadline = helloDeadline
    }

    /// Takes in that the peer holds a log up to there.
    mutating func learn(_ head: LogHead) {
        guard heads != nil else { return }
        if let known = heads?[head.log], known.sequence > head.head.sequence { return }
        heads?[head.log] = head.head
    }
}

/// What is remembered of a node beyond its connections.
struct Acquaintance {
    var heads: [LogID: Head]?
    var state: StateSummary?
    var lastContact: Instant?
    /// The peer's clock less this node's when it was last told, in milliseconds.
    var clockAheadMilliseconds: Int64?
    var program: String?
    var hasFailed = false
    // Dialling.
    var nextDial: Instant?
    var pause: Milliseconds?
    var isDialling = false
}
