package import Catalog
package import DeltaLog
import Governance

// Frontiers: the own one, the peers' ones as far as they are known, and their comparison.

extension Engine {
    // MARK: - The own frontier

    /// Advertises new durable deltas, and announces them to peers.
    ///
    /// - Parameter logs: Ascending, each once.
    /// - Complexity: Logarithmic for each log.
    mutating func advertise(_ logs: [LogID], now: Instant) {
        let changes = frontier.advertise(logs, by: membership, hasher: cryptography)
        for change in changes {
            guard let head = change.after else { continue }
            for link in links.values {
                link.frontier.advertised(change.log, from: change.before?.sequence ?? 0, to: head.sequence)
            }
        }
        tell(changes.map(\.log), now: now)
    }

    /// Takes the header at a fork, which names the head before it.
    mutating func cutRead(_ range: LogRange, _ headers: [SignedHeader], now: Instant) {
        guard let bytes = headers.first?.header, let header = try? Header(decoding: bytes[...]),
            header.sequence == range.from, range.from == forks[range.log], let previous = header.previous
        else { return }
        frontier.cut(range.log, at: Head(sequence: range.from - 1, hash: previous))
        advertise([range.log], now: now)
    }

    // MARK: - Peers' frontiers

    /// The head of a log that is on disk or on its way there.
    package func accepted(_ log: LogID) -> Head? { frontier.accepted(log) }

    /// True if a delta of a log is held already, so that checking its signature would be redundant.
    package func holds(_ log: LogID, _ head: Head) -> Bool {
        guard let held = accepted(log) else { return false }
        return head.sequence < held.sequence || head == held
    }

    /// Notes that the peer holds a log up to a sequence.
    mutating func learn(_ log: LogID, _ sequence: UInt64, on id: LinkID) {
        guard let link = links[id] else { return }
        learn(log, sequence, held: accepted(log)?.sequence ?? 0, on: link)
    }

    /// - Parameter held: The sequence up to which the log is on disk here or on its way there.
    mutating func learn(_ log: LogID, _ sequence: UInt64, held: UInt64, on link: Link) {
        guard (1...Header.sequenceMax).contains(sequence) else { return }
        link.pushing.confirm(log, sequence)
        if link.frontier.behind[log] != nil {
            link.frontier.reached(log, sequence, own: frontier.advertised[log]?.sequence ?? 0)
        }
        guard sequence > held else { return }
        guard let organization = membership.roster.organization(of: log.author) else {
            // Not kept: anybody can make any number of such authors. Frontiers are compared once the author is
            // enrolled.
            link.frontier.hasUnknownAuthors = true
            return
        }
        if link.frontier.setAhead(log, sequence, of: organization, settings: settings) { transfer.replan(log) }
    }

    // MARK: - Comparing

    /// Begins to compare frontiers with a peer: constant bytes if they are equal, logarithmic bytes otherwise.
    mutating func compare(_ id: LinkID, now: Instant) {
        links[id]?.frontier.comparedAt = now
        sendRanges(RangeReconciliation.opening(frontier.advertised, hasher: cryptography), to: id)
    }

    private mutating func sendRanges(_ ranges: [FrontierRange], to id: LinkID) {
        counters.rangeMessagesSent += 1
        send(id, .ranges(ranges))
    }

    mutating func receivedRanges(_ ranges: [FrontierRange], on id: LinkID, now: Instant) {
        let outcome: RangeReconciliation.Outcome
        do throws(RangeReconciliation.Nonsense) {
            outcome = try RangeReconciliation.compare(ranges, with: frontier.advertised, hasher: cryptography)
        } catch {
            violate(id, "ranges that overlap or do not hold their heads", now: now)
            return
        }
        guard let link = links[id] else { return }
        link.liveness.lastUsed = now
        for entry in outcome.theirs { learn(entry.log, entry.sequence, on: id) }
        for (log, sequence) in outcome.lacking where link.frontier.behind.count < settings.headsMax {
            link.frontier.setBehind(log, sequence)
            link.pushing.forget(log)
        }
        if outcome.isFinished { link.frontier.isSynced = true }
        let isQuestion = ranges.contains { range in
            switch range.content {
            case .fingerprint: true
            case .entries(_, let answer): answer
            case .skip: false
            }
        }
        if !outcome.answer.isEmpty || isQuestion {
            charge(Price.price(of: outcome.answer), to: id, now: now)
            sendRanges(outcome.answer, to: id)
        }
        compareHeads(outcome.theirs, on: id)
    }

    /// True if a repeated request of the peer is due: honest peers ask once a session, or at least a second apart.
    func isAllowed(_ last: Instant?, now: Instant) -> Bool {
        last.map { now.milliseconds(since: $0) >= 250 } ?? true
    }

    mutating func receivedHeads(_ heads: [LogHead], on id: LinkID, now: Instant) {
        for entry in heads { learn(entry.log, entry.head.sequence, on: id) }
        compareHeads(heads.map(FrontierEntry.init), on: id)
    }

    /// True if the entry shows a fork: another head than the one held, at the same sequence.
    private func isFork(_ entry: FrontierEntry) -> Bool {
        guard let own = frontier.advertised[entry.log] else { return false }
        return own.sequence == entry.sequence && own.hash.prefix != entry.prefix
    }

    mutating func compareHeads(_ heads: [FrontierEntry], on id: LinkID) {
        for entry in heads where isFork(entry) && links[id]?.fetching.isBackingOff(entry.log) != true {
            inquire(entry.log, upTo: entry.sequence, on: id)
        }
    }

    // MARK: - States

    mutating func receivedState(_ state: StateSummary, question: UInt64, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        link.frontier.state = state
        link.peerRecord.state = state
        let ahead = Int64(clamping: state.wallMilliseconds) - Int64(clamping: timers.wallMilliseconds)
        link.peerRecord.clockAheadMilliseconds = ahead
        if question != 0 { send(id, .state(ownState, question: 0, answered: question)) }
        if state.frontier == frontier.fingerprint {
            link.frontier.becameEqual()
            link.pushing.confirmAll()
            return
        }
        let isBusy =
            !transfer.storing.isEmpty || !link.fetching.wants.isEmpty || !announcing.logs.isEmpty
            || broadcast.missingCount > 0
        if link.frontier.mayCompare(isBusy: isBusy, now: now, settings: settings) { compare(id, now: now) }
    }
}

extension [LogID] {
    /// Ascending, each once.
    var unique: [LogID] { count < 2 ? self : Set(self).sorted() }
}
