package import Catalog
package import DeltaLog
import Governance

// Frontiers: what this node shows of its own, what it knows of its peers', and comparing both.

extension Engine {
    // MARK: - The own frontier

    /// The highest sequence that this node takes and shows of a log: none of a stranger's, and of a forked one only
    /// what lies before the fork.
    func limit(of log: LogID) -> UInt64 {
        guard roster.organization(of: log.author) != nil else { return 0 }
        return forks[log].map { $0 - min($0, 1) } ?? UInt64.max
    }

    private func advertisedHead(of log: LogID) -> Head? {
        guard let head = durable[log] else { return nil }
        let limit = limit(of: log)
        if head.sequence <= limit { return head }
        return cutHeads[log].flatMap { $0.sequence == limit ? $0 : nil }
    }

    /// Derives the shown frontier anew. Linear in the number of logs, and their logarithm.
    mutating func advertiseAll() {
        for log in durable.heads.keys.sorted() {
            if let head = advertisedHead(of: log) { frontier.set(head, of: log, hasher: cryptography) }
        }
        refreshFingerprint()
    }

    private mutating func refreshFingerprint() {
        fingerprint = Frontier.fingerprint(sum: frontier.sum, count: frontier.count, hasher: cryptography)
    }

    /// Takes into the shown frontier what is new on disk, and tells peers of it.
    ///
    /// - Parameter logs: Ascending, each once.
    /// - Complexity: A logarithm for each log.
    mutating func advertise(_ logs: [LogID], now: Instant) {
        var changed: [LogID] = []
        for log in logs {
            let before = frontier[log]
            let head = advertisedHead(of: log)
            guard before != head else { continue }
            frontier.set(head, of: log, hasher: cryptography)
            changed.append(log)
            if let head { noteAdvance(of: log, from: before?.sequence ?? 0, to: head.sequence) }
        }
        guard !changed.isEmpty else { return }
        refreshFingerprint()
        tell(changed, now: now)
    }

    /// This node shows more of a log: who was in step is behind by that until it says otherwise.
    private func noteAdvance(of log: LogID, from before: UInt64, to sequence: UInt64) {
        for link in links.values {
            if let theirs = link.ahead[log] {
                guard theirs <= sequence else { continue }
                link.removeAhead(log)
                if theirs < sequence { link.behind[log] = theirs }
            } else if link.isSynced {
                link.behind.keep(before, for: log)
            }
        }
    }

    /// Reads the header at each fork that this node holds more than: it names the head before it.
    mutating func readCuts() {
        guard !uncut.isEmpty else { return }
        for log in uncut.sorted() {
            guard let fork = forks[log], fork > 1, cutReads[log] != fork, (durable[log]?.sequence ?? 0) >= fork else {
                continue
            }
            cutReads[log] = fork
            actions.append(.readHeaders(LogRange(log: log, from: fork, to: fork), purpose: .cut))
        }
        uncut.removeAll()
    }

    mutating func cutRead(_ range: LogRange, _ headers: [SignedHeader], now: Instant) {
        guard let bytes = headers.first?.header, let header = try? Header(decoding: bytes[...]),
            header.sequence == range.from, range.from == forks[range.log], let previous = header.previous
        else { return }
        cutHeads[range.log] = Head(sequence: range.from - 1, hash: previous)
        advertise([range.log], now: now)
    }

    // MARK: - Peers' frontiers

    /// The head of a log that is on disk or on its way there.
    package func accepted(_ log: LogID) -> Head? { inFlight[log] ?? durable[log] }

    /// True if a delta of a log is held already, so that checking its signature would be work in vain.
    package func holds(_ log: LogID, _ head: Head) -> Bool {
        guard let held = accepted(log) else { return false }
        return head.sequence < held.sequence || head == held
    }

    /// Takes in that the peer holds a log up to there.
    mutating func learn(_ log: LogID, _ sequence: UInt64, on id: LinkID) {
        guard let link = links[id] else { return }
        learn(log, sequence, held: accepted(log)?.sequence ?? 0, on: link)
    }

    /// - Parameter held: What is on disk here or on its way there.
    mutating func learn(_ log: LogID, _ sequence: UInt64, held: UInt64, on link: Link) {
        guard (1...Header.sequenceMax).contains(sequence) else { return }
        confirm(log, sequence, on: link)
        if let place = link.behind.index(forKey: log) {
            if sequence >= frontier[log]?.sequence ?? 0 {
                link.behind.remove(at: place)
            } else if link.behind.values[place] < sequence {
                link.behind.values[place] = sequence
            }
        }
        guard sequence > held else { return }
        guard let organization = roster.organization(of: log.author) else {
            // Not kept: anybody can make any number of them. When the author is enrolled, frontiers are compared.
            link.hasUnknownAuthors = true
            return
        }
        if link.setAhead(log, sequence, of: organization, settings: settings) { unplanned.insert(log) }
    }

    // MARK: - Comparing

    /// Begins to compare frontiers with a peer: constant bytes where they are equal, logarithmic where they are not.
    mutating func compare(_ id: LinkID, now: Instant) {
        links[id]?.comparedAt = now
        sendRanges(RangeReconciliation.opening(frontier, hasher: cryptography), to: id)
    }

    private mutating func sendRanges(_ ranges: [FrontierRange], to id: LinkID) {
        counters.rangeMessagesSent += 1
        send(id, .ranges(ranges))
    }

    mutating func receivedRanges(_ ranges: [FrontierRange], on id: LinkID, now: Instant) {
        let outcome: RangeReconciliation.Outcome
        do throws(RangeReconciliation.Nonsense) {
            outcome = try RangeReconciliation.compare(ranges, with: frontier, hasher: cryptography)
        } catch {
            violate(id, "ranges that overlap or do not hold their heads", now: now)
            return
        }
        guard let link = links[id] else { return }
        link.lastUsed = now
        for entry in outcome.theirs { learn(entry.log, entry.sequence, on: id) }
        for (log, sequence) in outcome.lacking where link.behind.count < settings.headsMax {
            link.behind[log] = sequence
            if let pushed = link.pushed.removeValue(forKey: log) { link.pushOutstanding -= pushed.bytes }
        }
        if outcome.isFinished { link.isSynced = true }
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

    /// True if what the peer asks for is due again: honest peers ask once a session, or at least a second apart.
    func isAllowed(_ last: Instant?, now: Instant) -> Bool {
        last.map { now.milliseconds(since: $0) >= 250 } ?? true
    }

    mutating func receivedHeads(_ heads: [LogHead], on id: LinkID, now: Instant) {
        for entry in heads { learn(entry.log, entry.head.sequence, on: id) }
        compareHeads(heads.map(FrontierEntry.init), on: id)
    }

    /// Two different heads with one sequence betray a fork.
    private func isFork(_ entry: FrontierEntry) -> Bool {
        guard let own = frontier[entry.log] else { return false }
        return own.sequence == entry.sequence && own.hash.prefix != entry.prefix
    }

    mutating func compareHeads(_ heads: [FrontierEntry], on id: LinkID) {
        for entry in heads where isFork(entry) && !isBackingOff(entry.log, on: id) {
            inquire(entry.log, upTo: entry.sequence, on: id)
        }
    }

    // MARK: - States

    mutating func receivedAnswer(_ answered: UInt64, on id: LinkID, now: Instant) {
        guard answered != 0, let link = links[id], let asked = link.stateAsked, asked.question == answered else {
            return
        }
        let elapsed = now > asked.at ? now.nanoseconds - asked.at.nanoseconds : 0
        link.roundTripMicroseconds = elapsed / 1000
        link.stateAsked = nil
    }

    mutating func receivedState(_ state: StateSummary, question: UInt64, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        link.state = state
        link.peerRecord.state = state
        let ahead = Int64(clamping: state.wallMilliseconds) - Int64(clamping: wallMilliseconds)
        link.peerRecord.clockAheadMilliseconds = ahead
        if question != 0 { send(id, .state(ownState, question: 0, answered: question)) }
        if state.frontier == fingerprint {
            link.isSynced = true
            link.clearAhead()
            link.behind = [:]
            link.pushed = [:]
            link.pushOutstanding = 0
            link.comparePause = nil
            return
        }
        // Different frontiers are nothing unusual while deltas are under way: what is pushed or asked for comes. But for
        // ever busy is no reason never to compare. Where comparing does not make both equal the pauses grow.
        let isBusy = !storing.isEmpty || !link.wants.isEmpty || !unannounced.isEmpty || broadcast.missingCount > 0
        let pause = max(link.comparePause ?? settings.comparePauseMin, isBusy ? settings.antiEntropy : 0)
        if let compared = link.comparedAt, now.milliseconds(since: compared) < pause.count { return }
        let longer = min(Milliseconds(max(pause.count, 1) * 2), settings.comparePauseMax)
        link.comparePause = longer
        compare(id, now: now)
    }
}

extension [LogID] {
    /// Ascending, each once.
    var unique: [LogID] { count < 2 ? self : Set(self).sorted() }
}

extension Dictionary {
    /// Sets the value of a key that has none.
    fileprivate mutating func keep(_ value: Value, for key: Key) {
        func touch(_: inout Value) {}
        touch(&self[key, default: value])
    }
}
