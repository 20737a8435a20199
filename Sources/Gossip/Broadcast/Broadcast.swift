import Catalog
import DeltaLog

/// Which neighbours new deltas are pushed to, and which announced deltas have not come: Plumtree (Leitão, Pereira, Rodrigues
/// 2007, "Epidemic Broadcast Trees"), as a pure value.
///
/// Neighbours are **eager**, and get new deltas at once, or **lazy**, and get their heads announced (I-have). A node that
/// gets a delta that it has makes the link lazy (prune). A node that misses an announced one makes the link eager and asks
/// for it (graft). So the eager links become a tree, and the lazy ones repair it. The differences from the paper:
///
/// - An I-have names heads of logs, so a single one stands for all that comes before it.
/// - A graft carries no message id: what is missing is asked for as in catch-up, by a range of the log, within credit.
/// - One tree for all authors, as in the paper; it is repaired towards short ways by its section 3.8.
/// - Of the deltas that are under way at once one alone gives the tree its shape (``seen(_:from:now:)``), so that the tree
///   stays whole while many write.
/// - A node waits for an announced delta for a while drawn at random: of those that a lost push cuts off one asks first,
///   and gives it to the others.
struct Broadcast: Sendable {
    private let settings: BroadcastSettings

    private(set) var eager: Set<NodeKey> = []
    private(set) var lazy: Set<NodeKey> = []
    /// Heads that neighbours have announced, and whose deltas have not come.
    private var missing: [LogID: Missing] = [:]
    /// How many of them each neighbour announced first.
    private var announcedFirst: [NodeKey: Int] = [:]
    /// A lower bound of the deadlines in ``missing``.
    private(set) var deadline: Instant?
    /// Per log, how the last delta came.
    private var arrivals: [LogID: Arrival] = [:]
    /// What gives the tree its shape.
    private var shape: Shape?
    /// When a link was last grafted for something overdue.
    private var repairedAt: Instant?
    /// The hops that deltas asked for by a graft would have come by.
    private var grafted: [LogID: UInt32] = [:]

    private struct Missing: Sendable {
        var head: Head
        var deadline: Instant
        /// Who announced it first, whose share it counts against.
        let first: NodeKey
        /// Who announced it, in order, with the hops that it would have come by.
        var announcers: [(node: NodeKey, hops: UInt32)]
    }

    /// The way of one delta, which nothing that is under way at the same time may cut.
    private struct Shape: Sendable {
        let log: LogID
        let at: Instant
        /// Who brought it; nil where nobody did.
        var parent: NodeKey?
        /// The neighbours that it came by or went to.
        var links: Set<NodeKey>
    }

    private struct Arrival: Sendable {
        let sequence: UInt64
        let hops: UInt32
        let from: NodeKey
    }

    /// A delta to be asked of a neighbour.
    struct Graft: Hashable, Sendable {
        let head: LogHead
        let node: NodeKey
        /// Whether the link is to become eager.
        let isRepairing: Bool
    }

    init(settings: BroadcastSettings) {
        self.settings = settings
    }

    // MARK: - Neighbours

    /// New neighbours are eager: the next duplicate tells whether they need be.
    mutating func up(_ node: NodeKey) {
        eager.insert(node)
        lazy.remove(node)
    }

    /// A neighbour is gone. Where its link was eager another one has to take its place: what it stood for is cut off.
    ///
    /// - Returns: The neighbour to graft.
    mutating func down(_ node: NodeKey, random: inout any RandomNumberGenerator & Sendable) -> NodeKey? {
        lazy.remove(node)
        shape?.links.remove(node)
        guard eager.remove(node) != nil else { return nil }
        return lazy.sorted().randomElement(using: &random)
    }

    /// A delta of a log is on its way. Of all that are under way at once the one of the least log gives the tree its
    /// shape: the link that brought it stays. Were all to cut whatever link they need not, the nodes of a circle would each
    /// cut another one, and fall apart. Everybody sees the same deltas, so all agree on the log without a word.
    ///
    /// - Parameter node: Who brought it; nil where nobody did.
    mutating func seen(_ log: LogID, from node: NodeKey?, now: Instant) {
        if let shape, shape.log < log, now < shape.at + settings.shapeHold { return }
        shape = Shape(log: log, at: now, parent: node, links: eager)
    }

    /// True if a link that brought this delta once more may leave the tree: it is not the one that gives the tree its
    /// shape, and the first copy came by a link that is in the tree still.
    ///
    /// - Parameter isOwn: Whether the log is this node's own, which no link brings.
    func isDispensable(_ node: NodeKey, _ log: LogID, _ sequence: UInt64, isOwn: Bool) -> Bool {
        if let shape {
            guard shape.parent != node, shape.log == log || !shape.links.contains(node) else { return false }
        }
        if isOwn { return true }
        guard let arrival = arrivals[log], arrival.sequence >= sequence else { return false }
        return eager.contains(arrival.from)
    }

    /// True if that neighbour's link brought the delta that gives the tree its shape.
    func isParent(_ node: NodeKey) -> Bool { shape?.parent == node }

    /// The neighbour wants no pushes, or sent one that was not needed.
    ///
    /// - Returns: True if the link was eager.
    @discardableResult
    mutating func prune(_ node: NodeKey) -> Bool {
        shape?.links.remove(node)
        guard eager.remove(node) != nil else { return false }
        lazy.insert(node)
        return true
    }

    /// The neighbour wants pushes, or is wanted to push.
    ///
    /// - Returns: True if the link was lazy.
    @discardableResult
    mutating func graft(_ node: NodeKey) -> Bool {
        guard lazy.remove(node) != nil else { return false }
        eager.insert(node)
        return true
    }

    // MARK: - Deltas

    /// A delta has come, by a push after so many hops, or because it was asked for (nil).
    ///
    /// - Returns: Its hops; nil where it was not the broadcast that brought it.
    mutating func arrived(
        _ log: LogID,
        _ sequence: UInt64,
        hops pushed: UInt32?,
        from node: NodeKey,
        now: Instant
    ) -> UInt32? {
        if pushed != nil { seen(log, from: node, now: now) }
        if let entry = missing[log], entry.head.sequence <= sequence { forget(log) }
        let asked = grafted.removeValue(forKey: log)
        guard let hops = pushed ?? asked else {
            arrivals[log] = nil
            return nil
        }
        // What is forgotten only costs a chance to shorten the tree.
        if arrivals.count >= settings.arrivalsMax { arrivals.removeAll(keepingCapacity: true) }
        arrivals[log] = Arrival(sequence: sequence, hops: hops, from: node)
        return hops
    }

    /// An announced delta comes because two frontiers were compared, before it was missed for long: the tree did not bring
    /// it, and would not bring the next one either.
    ///
    /// - Returns: The neighbour to graft: the one that announced it by the shortest way.
    func unbrought(_ log: LogID, _ sequence: UInt64, now: Instant) -> NodeKey? {
        // A push may be on its way still, unless the time to a graft is nearly over.
        guard let entry = missing[log], entry.head.sequence <= sequence, grafted[log] == nil,
            entry.deadline <= now + Milliseconds(settings.graftDelay.count / 2)
        else { return nil }
        return entry.announcers.filter { lazy.contains($0.node) }.min { $0.hops < $1.hops }?.node
    }

    /// The log is no longer waited for: it was stored by other ways, or does not count.
    mutating func settle(_ log: LogID) {
        forget(log)
        grafted[log] = nil
    }

    private mutating func forget(_ log: LogID) {
        guard let entry = missing.removeValue(forKey: log), let count = announcedFirst[entry.first] else { return }
        announcedFirst[entry.first] = count > 1 ? count - 1 : nil
    }

    /// A neighbour announces a head that is not here, and should come from somebody else.
    mutating func announced(
        _ head: LogHead,
        hops: UInt32,
        by node: NodeKey,
        now: Instant,
        random: inout any RandomNumberGenerator & Sendable
    ) {
        if var entry = missing[head.log] {
            if entry.head.sequence < head.head.sequence { entry.head = head.head }
            entry.announcers.removeAll { $0.node == node }
            if entry.announcers.count < settings.announcersMax { entry.announcers.append((node, hops)) }
            missing[head.log] = entry
            return
        }
        guard missing.count < settings.missingMax, announcedFirst[node, default: 0] < settings.missingPerAnnouncerMax
        else {
            return
        }
        announcedFirst[node, default: 0] += 1
        // In steps, so that however much is missing is looked at a few times a second.
        let jitter = UInt64.random(in: 0...settings.graftDelay.count, using: &random)
        let step = settings.graftStep.count * 1_000_000
        let exact = now + Milliseconds(settings.graftDelay.count + jitter)
        let due = Instant(nanoseconds: (exact.nanoseconds + step - 1) / step * step)
        missing[head.log] = Missing(head: head.head, deadline: due, first: node, announcers: [(node, hops)])
        deadline = min(deadline ?? due, due)
    }

    /// A neighbour announces a head that has come already. Where its way would have been much shorter, its link takes the
    /// place of the one that the delta came by (the paper's section 3.8); where that gives the tree its shape, only a delta
    /// of the same log moves it.
    ///
    /// - Returns: The neighbour to graft, and the one to prune.
    mutating func shortcut(
        _ log: LogID,
        _ sequence: UInt64,
        hops: UInt32,
        by node: NodeKey
    ) -> (graft: NodeKey, prune: NodeKey)? {
        guard let arrival = arrivals[log], arrival.sequence == sequence, arrival.from != node, lazy.contains(node),
            eager.contains(arrival.from), arrival.hops >= hops, arrival.hops - hops >= settings.shortcutHops
        else { return nil }
        if let shape, shape.links.contains(arrival.from) {
            guard shape.log == log else { return nil }
            self.shape?.parent = node
            self.shape?.links.insert(node)
        }
        return (node, arrival.from)
    }

    /// The deltas that were waited for long enough. Each is asked of the neighbour that announced it by the shortest way.
    /// The next announcer has its turn later.
    ///
    /// - Parameters:
    ///   - isComing: Whether a log is being fetched: then it is waited for a while longer.
    ///   - mayAsk: Whether a node can be asked for a log.
    mutating func overdue(
        now: Instant,
        isComing: (LogID) -> Bool,
        mayAsk: (NodeKey, LogID) -> Bool
    ) -> [Graft] {
        guard let deadline, deadline <= now else { return [] }
        self.deadline = nil
        var grafts: [Graft] = []
        for log in missing.filter({ $0.value.deadline <= now }).keys.sorted() {
            guard var entry = missing[log] else { continue }
            if isComing(log) {
                entry.deadline = now + settings.graftRetry
                missing[log] = entry
                continue
            }
            entry.announcers.removeAll { !mayAsk($0.node, log) }
            guard let next = entry.announcers.indices.min(by: { entry.announcers[$0].hops < entry.announcers[$1].hops })
            else {
                // Nobody is left to ask; comparing frontiers finds it.
                settle(log)
                continue
            }
            let announcer = entry.announcers.remove(at: next)
            // One link at a time: while it is not known whether that repairs the tree, others would only bring duplicates.
            let isRepairing = eager.isEmpty || repairedAt.map { $0 + settings.graftRetry <= now } ?? true
            if isRepairing { repairedAt = now }
            grafts.append(
                Graft(head: LogHead(log: log, head: entry.head), node: announcer.node, isRepairing: isRepairing)
            )
            grafted[log] = announcer.hops
            entry.deadline = now + settings.graftRetry
            missing[log] = entry
        }
        self.deadline = missing.values.map(\.deadline).min()
        return grafts
    }

    /// How many heads are waited for.
    var missingCount: Int { missing.count }
}

/// The broadcast's bounds and delays.
package struct BroadcastSettings: Hashable, Sendable {
    /// How long a delta that a lazy neighbour has announced may take to come by the tree: this, and up to as much again by
    /// chance. Shorter repairs sooner; too short asks for what is on its way. A guess: two round trips to the far side of the
    /// earth.
    package var graftDelay: Milliseconds = 500
    /// How exactly that is kept.
    package var graftStep: Milliseconds = 50
    /// How long until the next neighbour is asked, where the first does not give it, and until another link is grafted.
    package var graftRetry: Milliseconds = 1_000
    /// How long after a delta of the least log those of greater ones leave the tree as it is. Longer costs duplicates where
    /// few write; shorter lets deltas that are under way at once cut it. As long as a delta takes through a large alliance.
    package var shapeHold: Milliseconds = 1_000
    /// How many hops shorter another way must be for the tree to be changed. The paper's optimization threshold, which
    /// leaves its value open; 3 keeps the tree from swinging between ways of like length.
    package var shortcutHops: UInt32 = 3
    /// Logs waited for at a time; of more a comparison of frontiers tells.
    package var missingMax = 4096
    /// Of them, logs that one neighbour announced first: no neighbour keeps others from being heard.
    package var missingPerAnnouncerMax = 512
    /// Neighbours remembered for each of them.
    package var announcersMax = 8
    /// Logs whose last delta's way is remembered.
    package var arrivalsMax = 4096

    package init() {}
}
