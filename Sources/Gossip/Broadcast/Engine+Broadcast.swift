import Catalog
import DeltaLog

// New deltas on their way along the tree: pushing, telling of heads, grafting and pruning.

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

    /// Sends deltas that are on disk to the eager neighbours; the next announcement names them to the lazy ones.
    ///
    /// - Parameter hops: Links that they will have passed when they arrive.
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

    /// True if the peer, by all that is known, lacks these deltas and has just what comes before them, and keeps up with
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

    /// False for deltas of authors who have used up their share of pushing. They are only announced: a peer that has room
    /// fetches them.
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

    // MARK: - Telling

    /// Peers are to know of new heads: at once where it is the first for a while, else together with what follows.
    mutating func tell(_ logs: [LogID], now: Instant) {
        guard !logs.isEmpty else { return }
        announcing.add(logs)
        announcing.schedule(at: now + settings.announceDelay)
        // In a full mesh the verdict is to be there at once. Elsewhere a state a change would cost more than the change:
        // the heartbeat will do.
        if timers.stateChangedAt == nil, overlay.isMesh {
            timers.stateChangedAt = now + Milliseconds(settings.announceDelay.count * 2)
        }
    }

    /// Tells neighbours of heads that they are not known to have: lazy ones of what was pushed (I-have), all of what was
    /// not; and confirms what a neighbour pushed.
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

    /// A push has come. One that brought nothing new takes its link out of the tree, unless that keeps it whole.
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

    /// The peer has had a duplicate from here. Where the link gives the tree its shape it is told to push on.
    mutating func receivedPrune(on id: LinkID) {
        guard let peer = links[id]?.node else { return }
        if broadcast.isParent(peer) { graft(peer) } else { broadcast.prune(peer) }
    }

    /// False for a peer that takes this node for a neighbour and is none: it is told so, and looks for another.
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

    /// Takes the link with a neighbour into the tree.
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

    /// Logs that are being fetched: those asked of peers that lately gave something, or were asked a moment ago. What is
    /// late does not count, where nothing of it has come and it is little enough to be asked twice.
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

    /// A peer that announced a log and does not give it is not asked for it again for a while, however
    /// often it tells.
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
