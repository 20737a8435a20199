import Catalog
import Governance

/// What the engine knows of one connection. Only the engine that made it has it.
final class Link {
    let id: LinkID
    let node: NodeKey
    /// What is remembered of that node.
    let peerRecord: PeerRecord
    let dialled: Bool
    /// When something came last, and until when something must come.
    var liveness: Liveness
    /// Whether its node is in the overlay's active view.
    var isNeighbour = false
    var roundTrip = RoundTrip()
    /// How the peer's frontier differs from this node's.
    var frontier = PeerFrontier()
    /// What this node pushed to the peer.
    var pushing = Pushing()
    /// What this node asks of the peer.
    var fetching = Fetching()
    /// What the peer asks of this node.
    var serving = Serving()
    /// Searches for the position at which a log forks.
    var inquiries: [LogID: Inquiry] = [:]
    /// Statements that have no standing before others have come: by somebody whom the roster does not know yet.
    var orphans: [Statement] = []
    /// What was done for the peer.
    var account = Account()

    /// True once this node's own Hello was answered by the peer's.
    var isOpen: Bool { liveness.helloDeadline == nil }
    /// True once the peer has been silent for so long that another neighbour was looked for.
    var isSuspect: Bool { liveness.isSuspect }

    /// True while something is to be had from the peer, or given to it.
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

    /// When something is to be done about the connection unless something comes before.
    func deadline(_ settings: EngineSettings) -> Instant {
        liveness.deadline(isNeighbour: isNeighbour, settings: settings)
    }
}

/// When something last came on a link, and when it must have come.
struct Liveness {
    /// When the first message must have come; nil once it has.
    private(set) var helloDeadline: Instant?
    /// When the first message came.
    private(set) var openedAt: Instant?
    /// When anything last came.
    private(set) var lastHeard: Instant
    /// Until when nothing more is read from the peer, since its organization has overdrawn its account.
    var heldUntil: Instant?
    /// When this link last had a purpose, where its node is no neighbour.
    var lastUsed: Instant
    /// True once the peer has been silent for so long that another neighbour was looked for.
    var isSuspect = false

    /// Nothing has come yet.
    init(now: Instant, settings: EngineSettings) {
        helloDeadline = now + settings.helloDeadline
        lastHeard = now
        lastUsed = now
    }

    /// From when on the peer may be called silent: while nothing is read from it, it cannot be heard.
    var listenedSince: Instant { max(lastHeard, heldUntil ?? lastHeard) }

    /// Notes that the first message has come.
    mutating func opened(now: Instant) {
        helloDeadline = nil
        openedAt = now
        lastUsed = now
    }

    /// Notes that something has come.
    ///
    /// - Returns: True where the peer was under suspicion: it was only slow.
    mutating func heard(now: Instant) -> Bool {
        lastHeard = now
        guard isSuspect else { return false }
        isSuspect = false
        lastUsed = now
        return true
    }

    /// When something is to be done about the connection unless something comes before.
    func deadline(isNeighbour: Bool, settings: EngineSettings) -> Instant {
        if let helloDeadline { return helloDeadline }
        if isSuspect { return listenedSince + settings.silenceMax }
        if isNeighbour { return listenedSince + settings.suspectAfter }
        return min(lastUsed + settings.idleMax, listenedSince + settings.silenceMax)
    }
}

/// How long a peer takes to answer.
struct RoundTrip {
    /// A question for the peer's state that waits for its answer, and since when.
    private var asked: (question: UInt64, at: Instant)?
    /// The last measurement; nil before the first.
    private(set) var microseconds: UInt64?

    /// Notes that the peer is asked. A question before it is given up.
    mutating func ask(_ question: UInt64, now: Instant) { asked = (question, now) }

    /// Notes that an answer has come.
    mutating func answered(_ question: UInt64, now: Instant) {
        guard question != 0, let asked, asked.question == question else { return }
        microseconds = (now > asked.at ? now.nanoseconds - asked.at.nanoseconds : 0) / 1000
        self.asked = nil
    }
}

extension Link {
    /// What was done for a peer in one session.
    struct Account {
        /// Work charged for its messages so far, in microseconds.
        var charged: UInt64 = 0
        /// Its questions that wait to be looked up, or are being looked up.
        var lookups = 0
        /// Deltas of this node that the peer refused, noted.
        var refusedByPeer = 0
        /// When the peer was last sent all ids of statements, because it asked.
        var governanceAnswered: Instant?
    }
}

/// The links of one engine, ascending by their ids. There are few of them, and they are looked up all the time.
struct LinkTable {
    /// Ascending.
    private(set) var values: [Link] = []
    /// Links on which both sides have said Hello, ascending.
    private(set) var open: [Link] = []
    /// A lower bound of all deadlines that links have. A deadline that is put off need not be noted.
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

    /// The open link with a node, the newest of several.
    func open(to node: NodeKey) -> Link? { open.last { $0.node == node } }

    /// Something about a link is due at that moment.
    mutating func due(_ instant: Instant) {
        if dueAt.map({ instant < $0 }) ?? true { dueAt = instant }
    }

    /// True if a deadline of a link may have come. From then on ``due(_:)`` starts again.
    mutating func takeDue(now: Instant) -> Bool {
        guard let dueAt, dueAt <= now else { return false }
        self.dueAt = nil
        return true
    }

    /// Where a link is, or would be.
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
    /// What the peer was asked for.
    var asked: LogRange
    /// True while its answer is compared with what is held here.
    var isComparing = false
    /// The lowest headers found to differ so far.
    var suspects: (own: SignedHeader, theirs: SignedHeader)?
}
