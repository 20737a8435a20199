import Catalog
import Governance

/// The engine's state of one connection. It never leaves the engine that made it.
final class Link {
    let id: LinkID
    let node: NodeKey
    /// The record of the peer's node.
    let peerRecord: PeerRecord
    let dialled: Bool
    /// When something was last received, and when something must be received.
    var liveness: Liveness
    /// True if the peer is in the overlay's active view.
    var isNeighbour = false
    var roundTrip = RoundTrip()
    /// How the peer's frontier differs from this node's.
    var frontier = PeerFrontier()
    /// The deltas that this node pushed to the peer.
    var pushing = Pushing()
    /// The requests of this node to the peer.
    var fetching = Fetching()
    /// The requests of the peer to this node.
    var serving = Serving()
    /// Searches for the position at which a log forks.
    var inquiries: [LogID: Inquiry] = [:]
    /// Statements that have no standing yet: their signer is unknown to the roster so far.
    var orphans: [Statement] = []
    /// The work done for the peer.
    var account = Account()

    /// True once this node's own Hello was answered by the peer's.
    var isOpen: Bool { liveness.helloDeadline == nil }
    /// True once the peer has been silent for so long that another neighbour was sought.
    var isSuspect: Bool { liveness.isSuspect }

    /// True while this node needs something from the peer, or the peer from this node.
    var isBusy: Bool {
        !fetching.wants.isEmpty || !serving.ranges.isEmpty || serving.isReading || account.lookups > 0
            || !inquiries.isEmpty || fetching.bytesPending > 0
    }

    init(id: LinkID, node: NodeKey, peerRecord: PeerRecord, dialled: Bool, now: Instant, settings: EngineSettings) {
        self.id = id
        self.node = node
        self.peerRecord = peerRecord
        self.dialled = dialled
        liveness = Liveness(now: now, settings: settings)
    }

    /// The moment at which the connection needs a check, if nothing is received before.
    func deadline(_ settings: EngineSettings) -> Instant {
        liveness.deadline(isNeighbour: isNeighbour, settings: settings)
    }
}

/// When something was last received on a link, and when something must be received.
struct Liveness {
    /// The deadline of the first message; nil once it was received.
    private(set) var helloDeadline: Instant?
    /// When the first message was received.
    private(set) var openedAt: Instant?
    /// When anything was last received.
    private(set) var lastHeard: Instant
    /// The end of a pause in reading from the peer, whose organization has overdrawn its account; nil without a pause.
    var heldUntil: Instant?
    /// When this link last had a purpose, if its node is no neighbour.
    var lastUsed: Instant
    /// True once the peer has been silent for so long that another neighbour was sought.
    var isSuspect = false

    /// The state of a link before its first message.
    init(now: Instant, settings: EngineSettings) {
        helloDeadline = now + settings.helloDeadline
        lastHeard = now
        lastUsed = now
    }

    /// The start of a silence: while nothing is read from the peer, it cannot be heard.
    var listenedSince: Instant { max(lastHeard, heldUntil ?? lastHeard) }

    /// Notes that the first message has come.
    mutating func opened(now: Instant) {
        helloDeadline = nil
        openedAt = now
        lastUsed = now
    }

    /// Notes that something has come.
    ///
    /// - Returns: True if the peer was suspected: it was only slow.
    mutating func heard(now: Instant) -> Bool {
        lastHeard = now
        guard isSuspect else { return false }
        isSuspect = false
        lastUsed = now
        return true
    }

    /// The moment at which the connection needs a check, if nothing is received before.
    func deadline(isNeighbour: Bool, settings: EngineSettings) -> Instant {
        if let helloDeadline { return helloDeadline }
        if isSuspect { return listenedSince + settings.silenceMax }
        if isNeighbour { return listenedSince + settings.suspectAfter }
        return min(lastUsed + settings.idleMax, listenedSince + settings.silenceMax)
    }
}

/// The time that a peer takes to answer.
struct RoundTrip {
    /// A question for the peer's state without an answer so far, and its time.
    private var asked: (question: UInt64, at: Instant)?
    /// The last measurement; nil before the first.
    private(set) var microseconds: UInt64?

    /// Notes that the peer is asked. An earlier question without an answer is given up.
    mutating func ask(_ question: UInt64, now: Instant) { asked = (question, now) }

    /// Notes that an answer has come.
    mutating func answered(_ question: UInt64, now: Instant) {
        guard question != 0, let asked, asked.question == question else { return }
        microseconds = (now > asked.at ? now.nanoseconds - asked.at.nanoseconds : 0) / 1000
        self.asked = nil
    }
}

extension Link {
    /// The work done for a peer in one session.
    struct Account {
        /// Work charged for its messages so far, in microseconds.
        var charged: UInt64 = 0
        /// The number of its questions that wait for a lookup, or are being looked up.
        var lookups = 0
        /// The number of this node's deltas that the peer refused, as noted.
        var refusedByPeer = 0
        /// When this node last sent the peer all ids of statements, because it asked.
        var governanceAnswered: Instant?
    }
}

/// The links of one engine, ascending by their ids. They are few, and nearly every step looks one up.
struct LinkTable {
    /// Ascending.
    private(set) var values: [Link] = []
    /// Links on which both sides have said Hello, ascending.
    private(set) var open: [Link] = []
    /// A lower bound of the deadlines of all links. A deadline that moves to a later moment need not be noted.
    private(set) var dueAt: Instant?

    /// Ascending.
    var keys: [LinkID] { values.map(\.id) }

    /// The open links with neighbours, ascending.
    var neighbours: [Link] { open.filter(\.isNeighbour) }

    /// Logarithmic time.
    subscript(id: LinkID) -> Link? {
        let index = index(of: id)
        return index < values.count && values[index].id == id ? values[index] : nil
    }

    mutating func insert(_ link: Link) { values.insert(link, at: index(of: link.id)) }

    mutating func remove(_ id: LinkID) -> Link? {
        let index = index(of: id)
        guard index < values.count, values[index].id == id else { return nil }
        open.removeAll { $0.id == id }
        return values.remove(at: index)
    }

    /// Notes that both sides of a link have said Hello.
    mutating func opened(_ link: Link) {
        open.append(link)
        open.sort { $0.id < $1.id }
    }

    /// The open link with a node; of several, the newest.
    func open(to node: NodeKey) -> Link? { open.last { $0.node == node } }

    /// Notes that a link needs a check at that moment.
    mutating func due(_ instant: Instant) {
        if dueAt.map({ instant < $0 }) ?? true { dueAt = instant }
    }

    /// True if a deadline of a link may have come. It resets the bound: ``due(_:)`` sets the next one.
    mutating func takeDue(now: Instant) -> Bool {
        guard let dueAt, dueAt <= now else { return false }
        self.dueAt = nil
        return true
    }

    /// The index of a link, or the index at which it would be inserted.
    private func index(of id: LinkID) -> Int {
        var range = 0..<values.count
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            range = values[middle].id < id ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }
}

/// A search for the first headers of a log that differ.
struct Inquiry {
    /// The range that the peer was asked for.
    var asked: LogRange
    /// True while its answer is compared with the headers held here.
    var isComparing = false
    /// The lowest headers found to differ so far.
    var suspects: (own: SignedHeader, theirs: SignedHeader)?
}
