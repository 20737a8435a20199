import Catalog
import DeltaLog
import Governance

// Which log is asked of which peer: planned for the logs whose situation has changed, never by a pass over all.

extension Engine {
    /// Plans the logs that were marked since the last step, and those that were put off where there is room again.
    ///
    /// - Complexity: For each marked log, linear in the links.
    mutating func planWants(now: Instant) {
        if !unplanned.isEmpty {
            let logs = unplanned.count == 1 ? Array(unplanned) : unplanned.sorted()
            unplanned.removeAll(keepingCapacity: unplanned.count < 1024)
            // Authors over their budget come last.
            for log in logs where pullOnly[log.author] == nil { plan(log, now: now) }
            for log in logs where pullOnly[log.author] != nil { plan(log, now: now) }
        }
        for link in links.values where !link.backlog.isEmpty || link.hasMoreAhead {
            while isFree(link), let log = link.takePostponed() { plan(log, now: now) }
            if link.hasMoreAhead, link.ahead.isEmpty, link.isOpen {
                link.hasMoreAhead = false
                compare(link.id, now: now)
            }
        }
    }

    private func isFree(_ link: Link) -> Bool { link.wants.count < settings.wantsPerLinkMax }

    /// Asks for a log that a peer holds further than this node, where nobody is asked for it: of those that have it, the
    /// one that kept its promises best and has least to do.
    private mutating func plan(_ log: LogID, now: Instant) {
        counters.logsPlanned += 1
        let held = accepted(log)?.sequence ?? 0
        let limit = limit(of: log)
        guard limit > held, !isResting(log, now: now) else { return }
        // While one peer is late another organization's may be asked too, for little.
        var late: Link?
        for link in links.values {
            guard let want = link.wants[log] else { continue }
            guard want.isLate, late == nil else { return }
            late = link
        }
        var best: (link: Link, target: UInt64)?
        var full: [Link] = []
        for link in links.values where !link.ahead.isEmpty {
            guard let theirs = link.ahead[log], link.isOpen, !link.isSuspect, link.backingOff[log] == nil else {
                continue
            }
            let target = min(theirs, limit)
            guard target > held else { continue }
            if let late, target - held > settings.lateDeltasMax || areKin(late, link) { continue }
            guard isFree(link) else {
                full.append(link)
                continue
            }
            if let best, (best.link.brokenPromises, best.link.wants.count) <= (link.brokenPromises, link.wants.count) {
                continue
            }
            best = (link, target)
        }
        guard let best else {
            for link in full { link.postpone(log) }
            return
        }
        let range = LogRange(log: log, from: held + 1, to: best.target)
        let patience = best.link.brokenPromises > 0 ? settings.graftDeadline : settings.wantDeadline
        want(range, of: best.link.id, patience: patience, now: now)
    }

    /// True if both peers are of one organization.
    private func areKin(_ one: Link, _ other: Link) -> Bool {
        roster.organization(of: one.node) == roster.organization(of: other.node)
    }

    /// Marks all logs that a peer told of, where what can be asked of it has changed.
    mutating func replanAll(of link: Link) {
        unplanned.formUnion(link.ahead.keys)
        unplanned.formUnion(link.wants.keys)
    }

    /// Asks a peer for a stretch of a log.
    ///
    /// - Parameters:
    ///   - isGraft: Whether it is one that the broadcast has missed.
    ///   - isMending: Whether the link becomes eager by that.
    mutating func want(
        _ range: LogRange,
        of id: LinkID,
        isGraft: Bool = false,
        isMending: Bool = false,
        patience: Milliseconds,
        now: Instant
    ) {
        guard let link = links[id] else { return }
        let deadline = now + patience
        link.wants[range.log] = Want(
            from: range.from,
            to: range.to,
            isGraft: isGraft,
            begunAt: now,
            movedAt: now,
            deadline: deadline,
            patience: patience,
            order: link.nextOrder
        )
        link.nextOrder += 1
        let check = min(link.wantsCheckAt ?? deadline, deadline, now + settings.wantLateAfter)
        link.wantsCheckAt = check
        due(check)
        link.lastUsed = now
        let credit = takeCredit(id)
        send(id, isMending ? .graft(range, credit: credit) : .want(range, credit: credit))
    }

    /// What the peer may be given on top of what it has.
    mutating func takeCredit(_ id: LinkID) -> UInt64 {
        guard let link = links[id] else { return 0 }
        let free = Int64(clamping: settings.creditBytes) - link.creditGiven - Int64(clamping: link.bytesPending)
        guard free > 0 else { return 0 }
        link.creditGiven += free
        return UInt64(free)
    }

    /// Gives the peer the credit that is free, where it still has something to send.
    mutating func grant(_ id: LinkID) {
        guard let log = links[id]?.wants.keys.min() else { return }
        let credit = takeCredit(id)
        guard credit > 0 else { return }
        send(id, .ack(LogHead(log: log, head: durable[log] ?? Head(sequence: 0, hash: .zero)), credit: credit))
    }

    /// Stretches that make no progress are asked of another peer; the one that let them lie is asked again later.
    mutating func dropStalledWants(now: Instant) {
        for link in links.values {
            if let check = link.backOffCheckAt, check <= now {
                let over = link.backingOff.filter { $0.value <= now }
                for log in over.keys {
                    link.backingOff[log] = nil
                    unplanned.insert(log)
                }
                link.backOffCheckAt = link.backingOff.isEmpty ? nil : now + settings.backOffCheck
            }
            guard let check = link.wantsCheckAt, check <= now else { continue }
            for (log, want) in link.wants where !want.isLate && want.movedAt + settings.wantLateAfter <= now {
                if link.creditGiven <= 0 {
                    // It is this node's own disk that holds everything up.
                    link.wants[log]?.movedAt = now
                } else {
                    link.wants[log]?.isLate = true
                    unplanned.insert(log)
                }
            }
            for (log, want) in link.wants where want.deadline <= now {
                if link.creditGiven <= 0 {
                    // It is this node's own disk that holds everything up.
                    link.wants[log]?.deadline = now + want.patience
                    continue
                }
                link.wants[log] = nil
                unplanned.insert(log)
                if accepted(log)?.sequence ?? 0 < want.to {
                    if !want.hasMoved { link.brokenPromises = min(link.brokenPromises + 1, 100) }
                    backOff(log, on: link.id, for: settings.wantDeadline, now: now)
                }
            }
            link.wantsCheckAt =
                link.wants.values.map { want in
                    want.isLate ? want.deadline : min(want.deadline, want.movedAt + settings.wantLateAfter)
                }.min()
        }
    }

    func isBackingOff(_ log: LogID, on id: LinkID) -> Bool { links[id]?.backingOff[log] != nil }

    mutating func backOff(_ log: LogID, on id: LinkID, for time: Milliseconds, now: Instant) {
        guard let link = links[id] else { return }
        link.backingOff[log] = now + time
        if link.backOffCheckAt == nil {
            let check = now + settings.backOffCheck
            link.backOffCheckAt = check
            due(check)
        }
        if link.backingOff.count > settings.headsMax { violate(id, "sends refused deltas of too many logs", now: now) }
    }

    /// What was asked for has come up to there.
    mutating func progress(_ log: LogID, _ sequence: UInt64, on id: LinkID, now: Instant) {
        guard let link = links[id], let want = link.wants[log], want.from <= sequence, sequence <= want.to
        else { return }
        link.wants[log]?.from = sequence + 1
        link.wants[log]?.hasMoved = true
        link.wants[log]?.movedAt = now
        if want.isLate {
            link.wants[log]?.isLate = false
            let check = now + settings.wantLateAfter
            link.wantsCheckAt = min(link.wantsCheckAt ?? check, check)
            due(check)
        }
        link.movedAt = now
        link.brokenPromises = max(0, link.brokenPromises - 1)
        for (other, later) in link.wants where later.order >= want.order {
            link.wants[other]?.deadline = max(later.deadline, now + later.patience)
        }
        if sequence == want.to {
            link.wants[log] = nil
            unplanned.insert(log)
        }
    }
}
