import Catalog
import DeltaLog

// New deltas along the tree: pushes, announcements, grafts and prunes.

extension Engine {
    // MARK: - Own deltas

    mutating func committed(_ deltas: [VerifiedDelta], summary: StoredSummary, now: Instant) {
        frontier.summary = summary
        let new = deltas.filter { frontier.stored($0, isOwn: true, isForked: membership.forks[$0.log] != nil) }
        let logs = new.map(\.log)
        advertise(logs.unique, now: now)
        push(deltas, hops: 1, except: nil, now: now)
    }

    // MARK: - Pushing

    /// Pushes durable deltas to the eager neighbours; the next announcement names them to the lazy ones.
    ///
    /// - Parameter hops: The number of links that they will have passed on arrival.
    mutating func push(_ deltas: [VerifiedDelta], hops: UInt32, except source: LinkID?, now: Instant) {
        // A delta that has come this far is only announced.
        guard hops <= PeerMessage.hopsMax else { return }
        let size = deltas.reduce(0) { $0 + $1.byteCount }
        guard !deltas.isEmpty,
            deltas.allSatisfy({ (frontier.advertised[$0.log]?.sequence ?? 0) >= $0.header.sequence }),
            size <= settings.pushBytesMax, isWithinBudget(deltas, now: now)
        else { return }
        for delta in deltas {
            announcing.notePushed(delta.log, delta.header.sequence, hops: hops)
            if source == nil { broadcast.seen(delta.log, from: nil, now: now) }
        }
        var message: PeerMessage?
        for link in links.open where link.isNeighbour && link.id != source {
            guard broadcast.eager.contains(link.node), fits(deltas, size: size, on: link) else { continue }
            for delta in deltas {
                link.pushing.push(delta.log, delta.header.sequence, byteCount: delta.byteCount)
            }
            counters.pushesSent += UInt64(deltas.count)
            let encoded = message ?? .push(deltas.map { $0.encoded() }, hops: hops)
            message = encoded
            send(link.id, encoded)
        }
    }

    /// True if the peer is known to lack these deltas, to hold the deltas directly before them, and to keep up with
    /// pushes.
    private func fits(_ deltas: [VerifiedDelta], size: Int, on link: Link) -> Bool {
        guard link.frontier.isSynced, !link.isSuspect, link.pushing.hasRoom(for: size, settings: settings) else {
            return false
        }
        var next: [LogID: UInt64] = [:]
        for delta in deltas {
            guard let behind = link.frontier.behind[delta.log], link.frontier.ahead[delta.log] == nil else {
                return false
            }
            let known = next[delta.log] ?? max(behind, link.pushing.pushed[delta.log]?.sequence ?? 0)
            guard known + 1 >= delta.header.sequence, !link.serving.isWaiting(for: delta.log) else { return false }
            next[delta.log] = delta.header.sequence
        }
        return true
    }

    /// False for deltas of authors that have used up their budget for pushes. They are only announced, and a peer that
    /// has room fetches them.
    private mutating func isWithinBudget(_ deltas: [VerifiedDelta], now: Instant) -> Bool {
        var isWithin = true
        for delta in deltas {
            let author = delta.log.author
            switch accounts.takePush(of: author, byteCount: delta.byteCount, now: now, settings: settings.budget) {
            case .isWithinBudget: continue
            case .isOverBudget: break
            case .hasOverdrawn: actions.append(.noteOverBudget(author))
            }
            isWithin = false
        }
        return isWithin
    }

    // MARK: - Announcing

    /// Schedules the announcement of new heads to peers: heads that follow soon are announced together.
    mutating func tell(_ logs: [LogID], now: Instant) {
        guard !logs.isEmpty else { return }
        announcing.add(logs)
        announcing.schedule(at: now + settings.announceDelay)
        // In a full mesh a changed state is sent soon. In a large alliance the states would cost more than the
        // changes, and the heartbeat is enough.
        if timers.stateChangedAt == nil, overlay.isMesh {
            timers.stateChangedAt = now + Milliseconds(settings.announceDelay.count * 2)
        }
    }

    /// Announces heads that neighbours may lack: pushed ones to lazy neighbours (I-have), all others to every
    /// neighbour. It also confirms deltas that a neighbour pushed.
    mutating func announce(now: Instant) {
        let (logs, pushed) = announcing.take()
        let heads = logs.map { frontier.advertised[$0] }
        for link in links.open {
            var have: [LogHead] = []
            var iHave: [HopHead] = []
            let confirmed = link.pushing.takeUnconfirmed()
            for log in confirmed.sorted() {
                if let head = frontier.advertised[log] { have.append(LogHead(log: log, head: head)) }
            }
            let isLazy = link.isNeighbour && broadcast.lazy.contains(link.node)
            for (log, head) in zip(logs, heads) where link.isNeighbour && !confirmed.contains(log) {
                guard let head, link.frontier.behind[log] != nil || !link.frontier.isSynced,
                    link.pushing.pushed[log].map({ $0.sequence < head.sequence }) ?? true
                else { continue }
                let entry = LogHead(log: log, head: head)
                if isLazy, let (sequence, hops) = pushed[log], sequence == head.sequence {
                    iHave.append(HopHead(head: entry, hops: hops))
                } else {
                    have.append(entry)
                }
            }
            counters.headsAnnounced += UInt64(iHave.count)
            sendInParts(have, on: link.id) { .have($0) }
            sendInParts(iHave, on: link.id) { .iHave($0) }
        }
    }

    private mutating func sendInParts<Head>(_ heads: [Head], on id: LinkID, _ message: ([Head]) -> PeerMessage) {
        if (1...settings.headsPerMessage).contains(heads.count) {
            send(id, message(heads))
            return
        }
        for start in stride(from: 0, to: heads.count, by: settings.headsPerMessage) {
            send(id, message(Array(heads[start..<min(start + settings.headsPerMessage, heads.count)])))
        }
    }

    // MARK: - The tree

    /// Notes a received push. A push of redundant deltas prunes its link, unless the link keeps the tree connected.
    mutating func notePushes(
        _ deltas: [ReceivedDelta],
        duplicates: Int,
        delivered: Int,
        hops: UInt32,
        from id: LinkID,
        now: Instant
    ) {
        counters.pushesReceived += UInt64(deltas.count)
        counters.duplicates += UInt64(duplicates)
        counters.delivered += UInt64(delivered)
        if delivered > 0 { counters.hopsMax = max(counters.hopsMax, hops) }
        counters.hopsTotal += UInt64(hops) * UInt64(delivered)
        guard let link = links[id] else { return }
        let peer = link.node
        guard isNeighbour(link) else { return }
        let isRedundant = deltas.contains { delta in
            switch delta {
            case .known(let log, let sequence): isDispensable(peer, log, sequence)
            case .verified(let delta): isDispensable(peer, delta.log, delta.header.sequence)
            case .refused: false
            }
        }
        if duplicates == deltas.count, isRedundant {
            broadcast.prune(peer)
            counters.prunesSent += 1
            send(id, .prune)
        }
    }

    private func isDispensable(_ peer: NodeKey, _ log: LogID, _ sequence: UInt64) -> Bool {
        broadcast.isDispensable(peer, log, sequence, isOwn: log.author == node)
    }

    /// The peer received a duplicate from this node. If the link brought the reference delta, the peer is asked to push
    /// on.
    mutating func receivedPrune(on id: LinkID) {
        guard let peer = links[id]?.node else { return }
        if broadcast.isParent(peer) { graft(peer) } else { broadcast.prune(peer) }
    }

    /// False for a peer that wrongly takes this node for its neighbour. This node tells it, and the peer looks for
    /// another.
    private mutating func isNeighbour(_ link: Link) -> Bool {
        if link.isNeighbour { return true }
        send(link.id, .leave)
        return false
    }

    mutating func receivedIHave(_ heads: [HopHead], on id: LinkID, now: Instant) {
        guard let link = links[id], isNeighbour(link) else { return }
        let peer = link.node
        var others: [FrontierEntry] = []
        for entry in heads {
            let head = entry.head
            let held = frontier.accepted(head.log)
            if held != head.head { others.append(FrontierEntry(head)) }
            if let held, held.sequence >= head.head.sequence {
                let sequence = head.head.sequence
                learn(head.log, sequence, held: held.sequence, on: link)
                guard let swap = broadcast.shortcut(head.log, sequence, hops: entry.hops, by: peer) else { continue }
                graft(swap.graft)
                broadcast.prune(swap.prune)
                counters.prunesSent += 1
                if let other = links.open(to: swap.prune) { send(other.id, .prune) }
            } else if head.head.sequence <= membership.limit(of: head.log), !link.fetching.isBackingOff(head.log) {
                broadcast.announced(head, hops: entry.hops, by: peer, now: now, random: &random)
            }
        }
        compareHeads(others, on: id)
    }

    /// Adds the link with a neighbour to the tree.
    mutating func graft(_ peer: NodeKey) {
        guard let link = links.open(to: peer) else { return }
        broadcast.graft(peer)
        counters.graftsSent += 1
        send(link.id, .graft(nil, credit: 0))
    }

    /// Asks for deltas that neighbours have announced and the tree did not bring.
    mutating func graftOverdue(now: Instant) {
        guard broadcast.deadline.map({ $0 <= now }) ?? false else { return }
        let open = Dictionary(
            links.values.filter { $0.isOpen && !$0.isSuspect }.map { ($0.node, $0.fetching.backingOff) },
            uniquingKeysWith: { $1 }
        )
        let coming = logsComing(now: now)
        let grafts = broadcast.overdue(
            now: now,
            isComing: coming.contains,
            mayAsk: { node, log in open[node].map { $0[log] == nil } ?? false }
        )
        for graft in grafts {
            let log = graft.head.log
            guard let link = links.open(to: graft.node) else { continue }
            learn(log, graft.head.head.sequence, on: link.id)
            let held = frontier.accepted(log)?.sequence ?? 0
            // A log that is not grafted here is planned like any other, since the peer is known to be ahead.
            guard graft.head.head.sequence > held, !link.fetching.isBackingOff(log), link.fetching.mayGraft(settings)
            else {
                broadcast.settle(log)
                continue
            }
            dropGraft(of: log, now: now)
            if graft.isRepairing {
                broadcast.graft(graft.node)
                counters.graftsSent += 1
            }
            let range = LogRange(log: log, from: held + 1, to: graft.head.head.sequence)
            want(
                range,
                of: link.id,
                isGraft: true,
                isRepairing: graft.isRepairing,
                patience: settings.graftDeadline,
                now: now
            )
        }
    }

    /// Logs that are being fetched: their peers lately sent something, or were asked a moment ago. A late want does not
    /// count if nothing of it has come and its range is small enough to be requested twice.
    private func logsComing(now: Instant) -> Set<LogID> {
        var coming: Set<LogID> = []
        for link in links.values {
            for (log, want) in link.fetching.wants
            where !want.isLate || want.hasMoved || want.to - want.from >= settings.lateDeltasMax {
                let patience = want.isGraft ? settings.broadcast.graftRetry : settings.graftDeadline
                if now < max(want.begunAt, link.fetching.movedAt ?? want.begunAt) + patience { coming.insert(log) }
            }
        }
        return coming
    }

    /// Stops asking peers for a log that they announced and did not send. They are not asked for it again for a while,
    /// even if they announce it again.
    private mutating func dropGraft(of log: LogID, now: Instant) {
        for id in links.keys {
            guard let want = links[id]?.fetching.drop(log) else { continue }
            transfer.replan(log)
            backOff(log, on: id, for: settings.wantDeadline, now: now)
            if !want.hasMoved { charge(Price.unansweredGraft, to: id, now: now) }
        }
    }

    mutating func receivedGraft(_ range: LogRange?, credit: UInt64, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        if isNeighbour(link) { broadcast.graft(link.node) }
        if let range { receivedWant(range, credit: credit, on: id, now: now) }
    }
}
