import Catalog
import DeltaLog

// New deltas on their way along the tree: pushing, telling of heads, grafting and pruning.

extension Engine {
    // MARK: - Own deltas

    mutating func committed(_ deltas: [VerifiedDelta], summary: StoredSummary, now: Instant) {
        self.summary = summary
        var logs: [LogID] = []
        for delta in deltas where delta.header.sequence > durable[delta.log]?.sequence ?? 0 {
            advance(delta.log, to: delta.head)
            inFlight[delta.log] = nil
            logs.append(delta.log)
        }
        advertise(logs.unique, now: now)
        push(deltas, hops: 1, except: nil, now: now)
    }

    // MARK: - Pushing

    /// Sends deltas that are on disk to the eager neighbours; lazy ones are told of them with the next announcement.
    ///
    /// - Parameter hops: Links that they will have passed when they arrive.
    mutating func push(_ deltas: [VerifiedDelta], hops: UInt32, except source: LinkID?, now: Instant) {
        // What has come this far is only told of.
        guard hops <= PeerMessage.hopsMax else { return }
        let size = deltas.reduce(0) { $0 + $1.byteCount }
        let shown = deltas.filter { delta in (frontier[delta.log]?.sequence ?? 0) >= delta.header.sequence }
        guard !shown.isEmpty, shown.count == deltas.count, size <= settings.pushBytesMax,
            isWithinBudget(deltas, now: now)
        else { return }
        for delta in deltas {
            pushedHops[delta.log] = (delta.header.sequence, hops)
            if source == nil { broadcast.seen(delta.log, from: nil, now: now) }
        }
        var message: PeerMessage?
        for link in openLinks where link.isNeighbour && link.id != source {
            guard broadcast.eager.contains(link.node), fits(deltas, size: size, on: link) else { continue }
            for delta in deltas {
                let bytes = link.pushed[delta.log]?.bytes ?? 0
                link.pushed[delta.log] = (delta.header.sequence, bytes + delta.byteCount)
            }
            link.pushOutstanding += size
            counters.pushesSent += UInt64(deltas.count)
            let encoded = message ?? .push(deltas.map { $0.encoded() }, hops: hops)
            message = encoded
            send(link.id, encoded)
        }
    }

    /// True if the peer, by all that is known, lacks these deltas and has just what comes before them, and keeps up with
    /// pushes.
    private func fits(_ deltas: [VerifiedDelta], size: Int, on link: Link) -> Bool {
        guard link.isSynced, !link.isSuspect, link.pushOutstanding + size <= settings.pushWindow else { return false }
        var next: [LogID: UInt64] = [:]
        for delta in deltas {
            guard let behind = link.behind[delta.log], link.ahead[delta.log] == nil else { return false }
            let known = next[delta.log] ?? max(behind, link.pushed[delta.log]?.sequence ?? 0)
            guard known + 1 >= delta.header.sequence, !link.served.contains(where: { $0.log == delta.log }) else {
                return false
            }
            next[delta.log] = delta.header.sequence
        }
        return true
    }

    /// The peer has confirmed that it holds a log up to there.
    func confirm(_ log: LogID, _ sequence: UInt64, on link: Link) {
        guard let place = link.pushed.index(forKey: log) else { return }
        let pushed = link.pushed[place].value
        guard pushed.sequence <= sequence else { return }
        link.pushed.remove(at: place)
        link.pushOutstanding -= pushed.bytes
    }

    /// False for deltas of authors who have used up their share of pushing: they are only told of, so that who has room
    /// fetches them.
    private mutating func isWithinBudget(_ deltas: [VerifiedDelta], now: Instant) -> Bool {
        var isWithin = true
        for delta in deltas {
            let author = delta.log.author
            if let until = pullOnly[author] {
                guard until <= now else {
                    isWithin = false
                    continue
                }
                pullOnly[author] = nil
            }
            let budget = settings.budget
            var bucket =
                authorBudgets[author]
                ?? TokenBucket(perSecond: budget.authorBytesPerSecond, burst: budget.authorBytesBurst, now: now)
            if !bucket.take(UInt64(delta.byteCount), now: now) {
                isWithin = false
                pullOnly[author] = now + budget.authorPause
                actions.append(.noteOverBudget(author))
            }
            authorBudgets[author] = bucket
        }
        return isWithin
    }

    // MARK: - Telling

    /// Peers are to know of new heads: at once where it is the first for a while, else together with what follows.
    mutating func tell(_ logs: [LogID], now: Instant) {
        guard !logs.isEmpty else { return }
        unannounced.formUnion(logs)
        if announceAt == nil { announceAt = now + settings.announceDelay }
        // In a full mesh the verdict is to be there at once. Elsewhere a state a change would cost more than the change:
        // the heartbeat will do.
        if stateChangedAt == nil, overlay.isMesh {
            stateChangedAt = now + Milliseconds(settings.announceDelay.count * 2)
        }
    }

    /// Tells neighbours of heads that they are not known to have: lazy ones of what was pushed (I-have), all of what was
    /// not; and confirms what a neighbour pushed.
    mutating func announce(now: Instant) {
        announceAt = nil
        let logs = unannounced.sorted()
        unannounced.removeAll()
        let pushed = pushedHops
        pushedHops.removeAll()
        let heads = logs.map { frontier[$0] }
        for link in openLinks {
            var have: [LogHead] = []
            var iHave: [HopHead] = []
            let confirmed = link.unconfirmed
            link.unconfirmed = []
            for log in confirmed.sorted() {
                if let head = frontier[log] { have.append(LogHead(log: log, head: head)) }
            }
            let isLazy = link.isNeighbour && broadcast.lazy.contains(link.node)
            for (log, head) in zip(logs, heads) where link.isNeighbour && !confirmed.contains(log) {
                guard let head, link.behind[log] != nil || !link.isSynced,
                    link.pushed[log].map({ $0.sequence < head.sequence }) ?? true
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
        let isVain = deltas.contains { delta in
            switch delta {
            case .known(let log, let sequence): isDispensable(peer, log, sequence)
            case .verified(let delta): isDispensable(peer, delta.log, delta.header.sequence)
            case .refused: false
            }
        }
        if duplicates == deltas.count, isVain {
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
            let held = accepted(head.log)
            if held != head.head { others.append(FrontierEntry(head)) }
            if let held, held.sequence >= head.head.sequence {
                let sequence = head.head.sequence
                learn(head.log, sequence, held: held.sequence, on: link)
                guard let swap = broadcast.shortcut(head.log, sequence, hops: entry.hops, by: peer) else { continue }
                graft(swap.graft)
                broadcast.prune(swap.prune)
                counters.prunesSent += 1
                if let other = openLink(to: swap.prune) { send(other, .prune) }
            } else if head.head.sequence <= limit(of: head.log), !isBackingOff(head.log, on: id) {
                broadcast.told(head, hops: entry.hops, by: peer, now: now, random: &random)
            }
        }
        compareHeads(others, on: id)
    }

    /// Takes the link with a neighbour into the tree.
    mutating func graft(_ peer: NodeKey) {
        guard let id = openLink(to: peer) else { return }
        broadcast.graft(peer)
        counters.graftsSent += 1
        send(id, .graft(nil, credit: 0))
    }

    /// Asks for what neighbours have told of and the tree did not bring.
    mutating func graftOverdue(now: Instant) {
        guard broadcast.deadline.map({ $0 <= now }) ?? false else { return }
        let open = Dictionary(
            links.values.filter { $0.isOpen && !$0.isSuspect }.map { ($0.node, $0.backingOff) },
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
            guard let id = openLink(to: graft.node) else { continue }
            learn(log, graft.head.head.sequence, on: id)
            let held = accepted(log)?.sequence ?? 0
            guard graft.head.head.sequence > held, links[id]?.backingOff[log] == nil else {
                broadcast.settle(log)
                continue
            }
            dropGraft(of: log, now: now)
            if graft.isMending {
                broadcast.graft(graft.node)
                counters.graftsSent += 1
            }
            let range = LogRange(log: log, from: held + 1, to: graft.head.head.sequence)
            want(range, of: id, isGraft: true, isMending: graft.isMending, patience: settings.graftDeadline, now: now)
        }
    }

    /// Logs that are being fetched: those asked of peers that lately gave something, or were asked a moment ago. What is
    /// late does not count, where nothing of it has come and it is little enough to be asked twice.
    private func logsComing(now: Instant) -> Set<LogID> {
        var coming: Set<LogID> = []
        for link in links.values {
            for (log, want) in link.wants
            where !want.isLate || want.hasMoved || want.to - want.from >= settings.lateDeltasMax {
                let patience = want.isGraft ? settings.broadcast.graftRetry : settings.graftDeadline
                if now < max(want.begunAt, link.movedAt ?? want.begunAt) + patience { coming.insert(log) }
            }
        }
        return coming
    }

    /// Whoever was asked for a log that it had told of, and does not give it, is not asked for it again for a while, however
    /// often it tells.
    private mutating func dropGraft(of log: LogID, now: Instant) {
        for id in links.keys {
            guard let link = links[id], let want = link.wants.removeValue(forKey: log) else { continue }
            unplanned.insert(log)
            backOff(log, on: id, for: settings.wantDeadline, now: now)
            if !want.hasMoved { charge(Price.vainGraft, to: id, now: now) }
        }
    }

    mutating func receivedGraft(_ range: LogRange?, credit: UInt64, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        if isNeighbour(link) { broadcast.graft(link.node) }
        if let range { receivedWant(range, credit: credit, on: id, now: now) }
    }
}
