import Catalog
import DeltaLog

/// The neighbours to which new deltas are pushed, and the announced deltas that have not come: Plumtree (Leitão,
/// Pereira, Rodrigues 2007, "Epidemic Broadcast Trees"), as a pure value.
///
/// Neighbours are **eager** and get new deltas at once, or **lazy** and get their heads announced (I-have). A node that
/// receives a duplicate makes the link lazy (prune). A node that misses an announced delta makes the link eager and
/// asks for the delta (graft). So the eager links become a tree, and the lazy links repair it. The differences from the
/// paper:
///
/// - An I-have names heads of logs, so a single one stands for all deltas before it.
/// - A graft carries no message id: it asks for a range of the log within credit, as catch-up does.
/// - One tree serves all authors, as in the paper. The rule of its section 3.8 shortens the tree's ways.
/// - Among deltas in flight, only one is the reference that shapes the tree (``seen(_:from:now:)``). So the tree stays
///   connected while many authors write.
/// - A node waits for an announced delta for a random time. Of the nodes that a lost push cuts off, one asks first and
///   passes the delta on to the others.
struct Broadcast: Sendable {
    private let settings: BroadcastSettings

    private(set) var eager: Set<NodeKey> = []
    private(set) var lazy: Set<NodeKey> = []
    /// Heads that neighbours have announced and whose deltas have not come.
    private var missing: [LogID: Missing] = [:]
    /// The number of those that each neighbour announced first.
    private var announcedFirst: [NodeKey: Int] = [:]
    /// A lower bound of the deadlines in ``missing``.
    private(set) var deadline: Instant?
    /// For each log, the way of its last delta.
    private var arrivals: [LogID: Arrival] = [:]
    /// The way of the reference delta.
    private var shape: Shape?
    /// When a link was last grafted for an overdue delta.
    private var repairedAt: Instant?
    /// The hops of the announced ways of deltas that were requested by a graft.
    private var grafted: [LogID: UInt32] = [:]

    private struct Missing: Sendable {
        var head: Head
        var deadline: Instant
        /// The neighbour that announced it first; it counts against that neighbour's share.
        let first: NodeKey
        /// The neighbours that announced it, in order, with the hops that it would have come by.
        var announcers: [(node: NodeKey, hops: UInt32)]
    }

    /// The way of the reference delta. No other delta in flight may prune its links.
    private struct Shape: Sendable {
        let log: LogID
        let at: Instant
        /// The neighbour that brought it; nil if none did.
        var parent: NodeKey?
        /// The neighbours that it came from or went to.
        var links: Set<NodeKey>
    }

    private struct Arrival: Sendable {
        let sequence: UInt64
        let hops: UInt32
        let from: NodeKey
    }

    /// A delta to be requested from a neighbour.
    struct Graft: Hashable, Sendable {
        let head: LogHead
        let node: NodeKey
        /// True if the link should become eager.
        let isRepairing: Bool
    }

    init(settings: BroadcastSettings) {
        self.settings = settings
    }

    // MARK: - Neighbours

    /// Adds a neighbour. It starts as eager; the next duplicate shows whether the tree needs the link.
    mutating func up(_ node: NodeKey) {
        eager.insert(node)
        lazy.remove(node)
    }

    /// Removes a neighbour. If its link was eager, another link must replace it, since its part of the tree is cut off.
    ///
    /// - Returns: The neighbour to graft; nil if none is needed, or none is lazy.
    mutating func down(_ node: NodeKey, random: inout any RandomNumberGenerator & Sendable) -> NodeKey? {
        lazy.remove(node)
        shape?.links.remove(node)
        guard eager.remove(node) != nil else { return nil }
        return lazy.sorted().randomElement(using: &random)
    }

    /// Notes a delta in flight. Among deltas in flight, the one with the lowest log id is the reference: the link that
    /// brought it stays in the tree. If every delta could prune links, the nodes of a cycle would each prune another
    /// link and disconnect the cycle. All nodes see the same deltas, so they agree on the log without a message.
    ///
    /// - Parameter node: The neighbour that brought it; nil if none did.
    mutating func seen(_ log: LogID, from node: NodeKey?, now: Instant) {
        if let shape, shape.log < log, now < shape.at + settings.shapeHold { return }
        shape = Shape(log: log, at: now, parent: node, links: eager)
    }

    /// True if a link that brought a duplicate of this delta may leave the tree. The reference delta protects its links
    /// from other logs' duplicates, and the link that brought it from all. The first copy must have come by a link that
    /// is still in the tree.
    ///
    /// - Parameter isOwn: True if the log is this node's own, which no link brings.
    func isDispensable(_ node: NodeKey, _ log: LogID, _ sequence: UInt64, isOwn: Bool) -> Bool {
        if let shape {
            guard shape.parent != node, shape.log == log || !shape.links.contains(node) else { return false }
        }
        if isOwn { return true }
        guard let arrival = arrivals[log], arrival.sequence >= sequence else { return false }
        return eager.contains(arrival.from)
    }

    /// True if the neighbour's link brought the reference delta.
    func isParent(_ node: NodeKey) -> Bool { shape?.parent == node }

    /// Makes a link lazy: the neighbour wants no pushes, or sent a redundant one.
    ///
    /// - Returns: True if the link was eager.
    @discardableResult
    mutating func prune(_ node: NodeKey) -> Bool {
        shape?.links.remove(node)
        guard eager.remove(node) != nil else { return false }
        lazy.insert(node)
        return true
    }

    /// Makes a link eager: the neighbour wants pushes, or should push.
    ///
    /// - Returns: True if the link was lazy.
    @discardableResult
    mutating func graft(_ node: NodeKey) -> Bool {
        guard lazy.remove(node) != nil else { return false }
        eager.insert(node)
        return true
    }

    // MARK: - Deltas

    /// Notes a received delta: by a push after `hops` hops, or because this node asked for it (nil).
    ///
    /// - Returns: Its hops; nil if the broadcast did not bring it.
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
        // A forgotten arrival only costs a chance to shorten the tree.
        if arrivals.count >= settings.arrivalsMax { arrivals.removeAll(keepingCapacity: true) }
        arrivals[log] = Arrival(sequence: sequence, hops: hops, from: node)
        return hops
    }

    /// Checks an announced delta that came by a comparison of frontiers before it was overdue. The tree did not bring
    /// it, and would not bring the next one either.
    ///
    /// - Returns: The neighbour to graft: the one that announced it by the shortest way. Nil if the tree needs no
    ///   repair.
    func unbrought(_ log: LogID, _ sequence: UInt64, now: Instant) -> NodeKey? {
        // A push may still be on its way, unless the time to a graft is nearly over.
        guard let entry = missing[log], entry.head.sequence <= sequence, grafted[log] == nil,
            entry.deadline <= now + Milliseconds(settings.graftDelay.count / 2)
        else { return nil }
        return entry.announcers.filter { lazy.contains($0.node) }.min { $0.hops < $1.hops }?.node
    }

    /// Stops waiting for a log: it was stored in other ways, or does not count.
    mutating func settle(_ log: LogID) {
        forget(log)
        grafted[log] = nil
    }

    private mutating func forget(_ log: LogID) {
        guard let entry = missing.removeValue(forKey: log), let count = announcedFirst[entry.first] else { return }
        announcedFirst[entry.first] = count > 1 ? count - 1 : nil
    }

    /// Notes that a neighbour announced a head that is not here and should come from another neighbour.
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
        // The deadline is rounded to steps, so that the missing heads are checked only a few times a second.
        let jitter = UInt64.random(in: 0...settings.graftDelay.count, using: &random)
        let step = settings.graftStep.count * 1_000_000
        let exact = now + Milliseconds(settings.graftDelay.count + jitter)
        let due = Instant(nanoseconds: (exact.nanoseconds + step - 1) / step * step)
        missing[head.log] = Missing(head: head.head, deadline: due, first: node, announcers: [(node, hops)])
        deadline = min(deadline ?? due, due)
    }

    /// Checks a head that a neighbour announced and that has already come. If its way would have been much shorter, its
    /// link replaces the one that the delta came by (the paper's section 3.8). The reference's link is replaced only by
    /// a delta of the same log.
    ///
    /// - Returns: The neighbour to graft, and the one to prune; nil if the tree stays as it is.
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

    /// The overdue deltas. Each is requested from the neighbour that announced it by the shortest way; the next
    /// announcer follows later.
    ///
    /// - Parameters:
    ///   - isComing: True if a log is being fetched: this node then waits a while longer.
    ///   - mayAsk: True if a node can be asked for a log.
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
                // No neighbour is left to ask; a comparison of frontiers finds the delta.
                settle(log)
                continue
            }
            let announcer = entry.announcers.remove(at: next)
            // One link at a time: as long as the result of this repair is unknown, further links would only bring
            // duplicates.
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

    /// The number of missing heads.
    var missingCount: Int { missing.count }
}

/// The broadcast's bounds and delays.
package struct BroadcastSettings: Hashable, Sendable {
    /// How long a delta that a lazy neighbour has announced may take to come by the tree; a random time of the same
    /// length at most is added. A shorter time repairs sooner; too short a time requests deltas that are on their way.
    /// A guess: two round trips to the far side of the earth.
    package var graftDelay: Milliseconds = 500
    /// The precision with which that time is kept.
    package var graftStep: Milliseconds = 50
    /// How long until the next neighbour is asked if the first one does not send the delta, and until another link is
    /// grafted.
    package var graftRetry: Milliseconds = 1_000
    /// How long a reference delta protects the tree from prunes by deltas of higher logs. A longer time costs
    /// duplicates if few authors write; a shorter one lets deltas in flight cut the tree. The value is the time that a
    /// delta takes through a large alliance.
    package var shapeHold: Milliseconds = 1_000
    /// How many hops shorter another way must be to change the tree. The paper has this optimization threshold and
    /// leaves its value open; 3 prevents changes back and forth between ways of similar length.
    package var shortcutHops: UInt32 = 3
    /// The most missing heads at a time. A comparison of frontiers finds the rest.
    package var missingMax = 4096
    /// The most of these that one neighbour announced first, so that no neighbour displaces the others.
    package var missingPerAnnouncerMax = 512
    /// The most neighbours remembered for each missing head.
    package var announcersMax = 8
    /// The most logs for which the way of the last delta is remembered.
    package var arrivalsMax = 4096

    package init() {}
}
