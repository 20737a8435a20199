import Catalog
import DeltaLog
import Governance

// Wants: which peer is asked for which log. Only logs whose situation has changed are planned; no pass visits all.

extension Engine {
    /// Plans the logs that were marked since the last step, and the postponed ones if there is room again.
    ///
    /// - Complexity: For each marked log, linear in the links.
    mutating func planWants(now: Instant) {
        let logs = transfer.takeUnplanned()
        // Authors over their budget come last.
        for log in logs where accounts.pullOnly[log.author] == nil { plan(log, now: now) }
        for log in logs where accounts.pullOnly[log.author] != nil { plan(log, now: now) }
        for link in links.values where !link.frontier.backlog.isEmpty || link.frontier.hasMoreAhead {
            while link.fetching.isFree(settings), let log = link.frontier.takePostponed() { plan(log, now: now) }
            if link.isOpen, link.frontier.takeMoreAhead() { compare(link.id, now: now) }
        }
    }

    /// Asks for a log of which a peer holds more, unless a peer is already asked for it. Of the peers that hold it, it
    /// prefers the one with the fewest broken promises, and then the one with the fewest wants.
    private mutating func plan(_ log: LogID, now: Instant) {
        counters.logsPlanned += 1
        let held = frontier.accepted(log)?.sequence ?? 0
        let limit = membership.limit(of: log)
        guard limit > held, !isResting(log, now: now) else { return }
        // While one peer is late, a peer of another organization may be asked too, for a small range.
        var late: Link?
        for link in links.values {
            guard let want = link.fetching.wants[log] else { continue }
            guard want.isLate, late == nil else { return }
            late = link
        }
        var best: (link: Link, target: UInt64)?
        var full: [Link] = []
        for link in links.values where !link.frontier.ahead.isEmpty {
            guard let theirs = link.frontier.ahead[log], link.isOpen, !link.isSuspect, !link.fetching.isBackingOff(log)
            else { continue }
            let target = min(theirs, limit)
            guard target > held else { continue }
            if let late, target - held > settings.lateDeltasMax || areKin(late, link) { continue }
            guard link.fetching.isFree(settings) else {
                full.append(link)
                continue
            }
            let burden = (link.fetching.brokenPromises, link.fetching.wants.count)
            if let best, (best.link.fetching.brokenPromises, best.link.fetching.wants.count) <= burden { continue }
            best = (link, target)
        }
        guard let best else {
            for link in full { link.frontier.postpone(log) }
            return
        }
        let range = LogRange(log: log, from: held + 1, to: best.target)
        let patience = best.link.fetching.brokenPromises > 0 ? settings.graftDeadline : settings.wantDeadline
        want(range, of: best.link.id, patience: patience, now: now)
    }

    /// True if both peers are of one organization.
    private func areKin(_ one: Link, _ other: Link) -> Bool {
        roster.organization(of: one.node) == roster.organization(of: other.node)
    }

    /// Marks all logs of which a peer holds more, or for which it was asked, after the peer has become more or less
    /// able to answer.
    mutating func replanAll(of link: Link) {
        transfer.replan(link.frontier.ahead.keys)
        transfer.replan(link.fetching.wants.keys)
    }

    /// Asks a peer for a range of a log.
    ///
    /// - Parameters:
    ///   - isGraft: True if the broadcast has missed the range.
    ///   - isRepairing: True if the request also makes the link eager.
    mutating func want(
        _ range: LogRange,
        of id: LinkID,
        isGraft: Bool = false,
        isRepairing: Bool = false,
        patience: Milliseconds,
        now: Instant
    ) {
        guard let link = links[id] else { return }
        links.due(link.fetching.begin(range, isGraft: isGraft, patience: patience, now: now, settings: settings))
        link.liveness.lastUsed = now
        let credit = link.fetching.takeCredit(settings)
        send(id, isRepairing ? .graft(range, credit: credit) : .want(range, credit: credit))
    }

    /// Gives the peer all free credit, if it still has something to send.
    mutating func grant(_ id: LinkID) {
        guard let link = links[id], let log = link.fetching.wants.keys.min() else { return }
        let credit = link.fetching.takeCredit(settings)
        guard credit > 0 else { return }
        let head = frontier.durable[log] ?? Head(sequence: 0, hash: .zero)
        send(id, .ack(LogHead(log: log, head: head), credit: credit))
    }

    /// Drops ranges that make no progress, so that another peer is asked for them. The peer that did not send them is
    /// asked again later.
    mutating func dropStalledWants(now: Instant) {
        for link in links.values {
            transfer.replan(link.fetching.endBackOffs(now: now, settings: settings))
            let (late, overdue) = link.fetching.expire(now: now, settings: settings)
            transfer.replan(late)
            for (log, want) in overdue {
                transfer.replan(log)
                guard frontier.accepted(log)?.sequence ?? 0 < want.to else { continue }
                if !want.hasMoved { link.fetching.notePromiseBroken() }
                backOff(log, on: link.id, for: settings.wantDeadline, now: now)
            }
        }
    }

    /// Stops asking a peer for a log for a while.
    mutating func backOff(_ log: LogID, on id: LinkID, for time: Milliseconds, now: Instant) {
        guard let link = links[id] else { return }
        if let check = link.fetching.backOff(log, until: now + time, now: now, settings: settings) { links.due(check) }
        if link.fetching.backingOff.count > settings.headsMax {
            violate(id, "sends refused deltas of too many logs", now: now)
        }
    }

    /// Notes that a requested log has come up to a sequence.
    mutating func progress(_ log: LogID, _ sequence: UInt64, on id: LinkID, now: Instant) {
        guard let link = links[id],
            let progress = link.fetching.progress(log, sequence, now: now, settings: settings)
        else { return }
        if let due = progress.due { links.due(due) }
        if progress.isComplete { transfer.replan(log) }
    }
}
