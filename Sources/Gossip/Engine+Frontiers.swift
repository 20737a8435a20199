import Catalog
import DeltaLog

// Frontiers: what this node shows of its own, what it knows of its peers', and comparing both.

extension Engine {
    // MARK: - The own frontier

    /// The highest sequence that this node takes and shows of a log: none of a stranger's, and of a forked one only
    /// what lies before the fork.
    func limit(of log: LogID) -> UInt64 {
        guard roster.organization(of: log.author) != nil else { return 0 }
        return forks[log].map { $0 - min($0, 1) } ?? UInt64.max
    }

    private func shownHead(of log: LogID) -> Head? {
        guard let head = durable[log] else { return nil }
        let limit = limit(of: log)
        if head.sequence <= limit { return head }
        return cutHeads[log].flatMap { $0.sequence == limit ? $0 : nil }
    }

    /// Derives the shown frontier anew. Linear in the number of logs.
    mutating func showAll() {
        var heads: [LogID: Head] = [:]
        for log in durable.heads.keys { heads[log] = shownHead(of: log) }
        shown = Frontier(heads)
        fingerprint = shown.fingerprint(hasher: cryptography)
    }

    /// Takes into the shown frontier what is new on disk, and tells peers of it.
    mutating func show(_ logs: Set<LogID>, now: Instant) {
        let changed = logs.filter { shown[$0] != shownHead(of: $0) }
        guard !changed.isEmpty else { return }
        for log in changed { shown[log] = shownHead(of: log) }
        fingerprint = shown.fingerprint(hasher: cryptography)
        tell(changed, now: now)
    }

    /// Reads the header at each fork that this node holds more than: it names the head before it.
    mutating func readCuts() {
        for log in forks.keys.sorted() {
            guard let fork = forks[log], fork > 1, cutReads[log] != fork, (durable[log]?.sequence ?? 0) >= fork else {
                continue
            }
            cutReads[log] = fork
            actions.append(.readHeaders(LogRange(log: log, from: fork, to: fork), purpose: .cut))
        }
    }

    mutating func cutRead(_ range: LogRange, _ headers: [SignedHeader], now: Instant) {
        guard let bytes = headers.first?.header, let header = try? Header(decoding: bytes[...]),
            header.sequence == range.from, range.from == forks[range.log], let previous = header.previous
        else { return }
        cutHeads[range.log] = Head(sequence: range.from - 1, hash: previous)
        show([range.log], now: now)
    }

    // MARK: - Peers' frontiers

    /// Takes in that the peer holds a log up to there.
    mutating func learn(_ head: LogHead, on id: LinkID) {
        guard (1...Header.sequenceMax).contains(head.head.sequence), let link = links[id] else { return }
        if let known = link.heads[head.log] {
            guard known.sequence <= head.head.sequence else { return }
        } else {
            guard link.heads.count < settings.headsMax else { return }
        }
        links[id]?.heads[head.log] = head.head
        if isAhead(head) { links[id]?.candidates.insert(head.log) }
    }

    private func isAhead(_ head: LogHead) -> Bool {
        min(head.head.sequence, limit(of: head.log)) > accepted[head.log]?.sequence ?? 0
    }

    /// Looks anew for what each peer holds further than this node, after the roster or the forks have changed.
    mutating func refreshCandidates() {
        for id in links.keys { findCandidates(id) }
    }

    private mutating func findCandidates(_ id: LinkID) {
        let heads = links[id]?.heads ?? [:]
        let ahead = heads.filter { isAhead(LogHead(log: $0.key, head: $0.value)) }
        links[id]?.candidates = Set(ahead.keys)
    }

    mutating func sendFrontier(_ id: LinkID, answer: Bool) {
        let heads = shown.sorted.map { LogHead(log: $0.log, head: $0.head) }
        var start = 0
        repeat {
            let end = min(start + settings.headsPerMessage, heads.count)
            let more = end < heads.count
            send(id, .frontier(heads: Array(heads[start..<end]), more: more, answer: answer && !more))
            start = end
        } while start < heads.count
    }

    mutating func receivedFrontier(_ heads: [LogHead], more: Bool, answer: Bool, on id: LinkID, now: Instant) {
        guard let parts = links[id]?.partialHeads.count else { return }
        guard parts + heads.count <= settings.headsMax else {
            violate(id, "a frontier of too many logs", now: now)
            return
        }
        for head in heads where (1...Header.sequenceMax).contains(head.head.sequence) {
            links[id]?.partialHeads[head.log] = head.head
        }
        guard !more, let whole = links[id]?.partialHeads else { return }
        links[id]?.partialHeads = [:]
        links[id]?.heads = whole
        links[id]?.isWhole = true
        findCandidates(id)
        if answer, isAllowed(links[id]?.frontierAnswered, now: now) {
            links[id]?.frontierAnswered = now
            sendFrontier(id, answer: false)
        }
        compareHeads(whole.map { LogHead(log: $0.key, head: $0.value) }, on: id)
        planWants(now: now)
    }

    /// True if what the peer asks for is due again: honest peers ask once a session, or at least a second apart.
    func isAllowed(_ last: Instant?, now: Instant) -> Bool {
        last.map { now.milliseconds(since: $0) >= 250 } ?? true
    }

    mutating func receivedHeads(_ heads: [LogHead], on id: LinkID, now: Instant) {
        for head in heads { learn(head, on: id) }
        compareHeads(heads, on: id)
        planWants(now: now)
    }

    /// Two different heads with one sequence betray a fork.
    private mutating func compareHeads(_ heads: [LogHead], on id: LinkID) {
        let different = heads.filter { entry in
            guard let own = shown[entry.log] else { return false }
            return own.sequence == entry.head.sequence && own.hash != entry.head.hash
        }
        for entry in different.sorted(by: { $0.log < $1.log }) where links[id]?.distrusted[entry.log] == nil {
            inquire(entry.log, upTo: entry.head.sequence, on: id)
        }
    }

    mutating func receivedState(_ state: StateSummary, answer: Bool, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        links[id]?.state = state
        acquaintances[link.node, default: Acquaintance()].state = state
        let ahead = Int64(clamping: state.wallMilliseconds) - Int64(clamping: wallMilliseconds)
        acquaintances[link.node]?.clockAheadMilliseconds = ahead
        if answer { send(id, .state(ownState, answer: false)) }
        if state.frontier == fingerprint {
            let heads = shown.heads
            links[id]?.heads = heads
            links[id]?.isWhole = true
            links[id]?.candidates = []
            links[id]?.frontierPause = nil
            return
        }
        // Different frontiers are nothing unusual while deltas are under way: what is asked for comes. But for ever busy
        // is no reason never to ask. Where asking does not make both equal the pauses grow, since the whole frontier
        // goes to and fro each time.
        let isBusy = !storing.isEmpty || !link.wants.isEmpty || !unannounced.isEmpty
        let pause = max(link.frontierPause ?? settings.frontierPauseMin, isBusy ? settings.antiEntropy : 0)
        if let asked = link.frontierAsked, now.milliseconds(since: asked) < pause.count { return }
        links[id]?.frontierAsked = now
        let longer = min(Milliseconds(max(pause.count, 1) * 2), settings.frontierPauseMax)
        links[id]?.frontierPause = longer
        sendFrontier(id, answer: true)
    }
}
