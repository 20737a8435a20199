import Catalog
import DeltaLog

// Logs: comparing frontiers, fetching, serving, pushing, and acknowledging what is durable.

extension Engine {
    // MARK: - Frontiers

    mutating func sendFrontier(_ id: LinkID, answer: Bool) {
        let heads = durable.sorted.map { LogHead(log: $0.log, head: $0.head) }
        var start = 0
        repeat {
            let end = min(start + settings.headsPerMessage, heads.count)
            let more = end < heads.count
            send(id, .frontier(heads: Array(heads[start..<end]), more: more, answer: answer && !more))
            start = end
        } while start < heads.count
    }

    mutating func receivedFrontier(_ heads: [LogHead], more: Bool, answer: Bool, on id: LinkID, now: Instant) {
        guard var link = links[id] else { return }
        guard link.partialHeads.count + heads.count <= settings.headsMax else {
            violate(id, "a frontier of too many logs", now: now)
            return
        }
        for head in heads { link.partialHeads[head.log] = head.head }
        if more {
            links[id] = link
            return
        }
        let whole = link.partialHeads
        link.heads = whole
        link.partialHeads = [:]
        links[id] = link
        if answer { sendFrontier(id, answer: false) }
        compareHeads(whole.map { LogHead(log: $0.key, head: $0.value) }.sorted { $0.log < $1.log }, on: id)
        planWants(now: now)
    }

    /// Two different heads with one sequence betray a fork.
    mutating func compareHeads(_ heads: [LogHead], on id: LinkID) {
        for entry in heads {
            guard let own = durable[entry.log], own.sequence == entry.head.sequence, own.hash != entry.head.hash,
                forks[entry.log] == nil
            else { continue }
            inquire(entry.log, upTo: own.sequence, on: id)
        }
    }

    // MARK: - Fetching

    /// The highest sequence that this node takes of a log: none of a stranger's, and of a forked one only what lies
    /// before the fork.
    private func limit(of log: LogID) -> UInt64 {
        guard roster.organization(of: log.author) != nil else { return 0 }
        return forks[log].map { $0 - 1 } ?? UInt64.max
    }

    /// Asks for every log that a peer holds further than this node, each of one peer.
    mutating func planWants(now: Instant) {
        var asked: Set<LogID> = []
        for link in links.values { asked.formUnion(link.wants.keys) }
        for id in openLinks {
            guard let link = links[id], let heads = link.heads else { continue }
            for (log, head) in heads.sorted(by: { $0.key < $1.key }) {
                guard (links[id]?.wants.count ?? 0) < settings.wantsPerLinkMax else { break }
                let target = min(head.sequence, limit(of: log))
                let held = accepted[log]?.sequence ?? 0
                guard target > held, !asked.contains(log), link.distrusted[log] == nil else { continue }
                asked.insert(log)
                want(LogRange(log: log, from: held + 1, to: target), of: id, now: now)
            }
        }
    }

    private mutating func want(_ range: LogRange, of id: LinkID, now: Instant) {
        guard var link = links[id] else { return }
        link.wants[range.log] = (range.to, now + settings.wantDeadline)
        let credit = takeCredit(&link)
        links[id] = link
        send(id, .want(range, credit: credit))
    }

    /// What the peer may be given on top of what it has.
    private func takeCredit(_ link: inout Link) -> UInt64 {
        let used = link.creditGiven + link.bytesPending
        guard settings.creditBytes > used else { return 0 }
        let credit = settings.creditBytes - used
        link.creditGiven += credit
        return credit
    }

    /// Stretches that make no progress are asked of another peer; the one that let them lie is asked again later.
    mutating func dropStalledWants(now: Instant) {
        var isChanged = false
        for id in links.keys.sorted() {
            for (log, until) in links[id]?.distrusted ?? [:] where until <= now {
                links[id]?.distrusted[log] = nil
                isChanged = true
            }
            for (log, want) in links[id]?.wants ?? [:] where want.deadline <= now {
                links[id]?.wants[log] = nil
                let until = now + settings.wantDeadline
                links[id]?.distrusted[log] = until
                isChanged = true
            }
        }
        if isChanged { planWants(now: now) }
    }

    mutating func receivedDeltas(_ deltas: [ReceivedDelta], _ byteCount: Int, on id: LinkID, now: Instant) {
        guard let node = links[id]?.node else { return }
        acquaintances[node, default: Acquaintance()].lastContact = now
        guard links[id]?.isOpen == true else {
            violate(id, "a first message that is not Hello", now: now)
            return
        }
        let bytes = UInt64(byteCount)
        let wants = links[id]?.wants ?? [:]
        let isAsked = deltas.contains { delta in
            switch delta {
            case .verified(let delta): wants[delta.log] != nil
            case .refused(let log, _, _): log.map { wants[$0] != nil } ?? false
            }
        }
        if isAsked {
            let given = links[id]?.creditGiven ?? 0
            links[id]?.creditGiven = given - min(given, bytes)
        } else if storingBytes + bytes > settings.storingBytesMax {
            // Too much at once; anti-entropy brings it when there is room.
            return
        }
        var batch: [VerifiedDelta] = []
        for delta in deltas {
            switch delta {
            case .refused(let log, let sequence, let refusal):
                refuse(log, sequence, refusal, from: id, now: now)
                if links[id] == nil { return }
            case .verified(let delta):
                if accept(delta, from: id, now: now) { batch.append(delta) }
            }
        }
        guard !batch.isEmpty else {
            if isAsked { grant(id) }
            return
        }
        let size = batch.reduce(0) { $0 + UInt64($1.byteCount) }
        links[id]?.bytesPending += size
        storingBytes += size
        let token = nextToken
        nextToken += 1
        storing[token] = (id, batch)
        actions.append(.store(token: token, batch, from: id))
    }

    /// True if the delta continues its log here.
    private mutating func accept(_ delta: VerifiedDelta, from id: LinkID, now: Instant) -> Bool {
        let log = delta.log
        let sequence = delta.header.sequence
        guard roster.organization(of: log.author) != nil else {
            refuse(log, sequence, .unknownAuthor, from: id, now: now)
            return false
        }
        links[id]?.learn(LogHead(log: log, head: delta.head))
        guard sequence <= limit(of: log) else {
            refuse(log, sequence, .fork, from: id, now: now)
            return false
        }
        let held = accepted[log]
        let heldSequence = held?.sequence ?? 0
        if sequence <= heldSequence {
            if sequence == heldSequence, delta.hash != held?.hash {
                refuse(log, sequence, .fork, from: id, now: now)
                inquire(log, upTo: sequence, on: id)
            }
            return false
        }
        guard sequence == heldSequence + 1 else {
            // A gap: something pushed before it was lost.
            if links[id]?.wants[log] == nil { planWants(now: now) }
            return false
        }
        guard delta.header.previous == held?.hash else {
            refuse(log, sequence, .wrongChain, from: id, now: now)
            if heldSequence > 0 { inquire(log, upTo: heldSequence, on: id) }
            return false
        }
        accepted[log] = delta.head
        if let want = links[id]?.wants[log] {
            let deadline = now + settings.wantDeadline
            links[id]?.wants[log] = sequence >= want.to ? nil : (want.to, deadline)
        }
        return true
    }

    private mutating func refuse(
        _ log: LogID?,
        _ sequence: UInt64,
        _ refusal: DeltaRefusal,
        from id: LinkID,
        now: Instant
    ) {
        guard let node = links[id]?.node else { return }
        actions.append(.noteRefusal(log: log, sequence: sequence, refusal, from: node))
        if let log {
            links[id]?.wants[log] = nil
            let until = now + settings.distrust
            links[id]?.distrusted[log] = until
            send(id, .deltaRefused(log: log, sequence: sequence, code: refusal.code, reason: refusal.reason))
        }
        links[id]?.refusals += 1
        if (links[id]?.refusals ?? 0) > settings.refusalsMax { close(id, .tooManyRefusals, now: now) }
    }

    // MARK: - Storing

    mutating func stored(_ token: UInt64, _ outcomes: [StoreOutcome], summary: StoredSummary, now: Instant) {
        guard let (id, deltas) = storing.removeValue(forKey: token) else { return }
        let size = deltas.reduce(0) { $0 + UInt64($1.byteCount) }
        storingBytes -= min(storingBytes, size)
        let pending = links[id]?.bytesPending ?? 0
        links[id]?.bytesPending = pending - min(pending, size)
        var advanced: Set<LogID> = []
        for (delta, outcome) in zip(deltas, outcomes) {
            switch outcome {
            case .applied:
                durable[delta.log] = delta.head
                advanced.insert(delta.log)
            case .skipped:
                accepted[delta.log] = durable[delta.log]
            case .refused(let refusal):
                accepted[delta.log] = durable[delta.log]
                refuse(delta.log, delta.header.sequence, refusal, from: id, now: now)
            }
        }
        self.summary = summary
        fingerprint = durable.fingerprint(hasher: cryptography)
        let logs = advanced.sorted()
        for (position, log) in logs.enumerated() {
            guard let head = durable[log] else { continue }
            var credit: UInt64 = 0
            if position == logs.count - 1, links[id]?.wants.isEmpty == false, var link = links[id] {
                credit = takeCredit(&link)
                links[id] = link
            }
            send(id, .ack(LogHead(log: log, head: head), credit: credit))
        }
        tell(advanced, now: now)
        planWants(now: now)
    }

    /// Gives the peer the credit that is free, where it still has something to send.
    private mutating func grant(_ id: LinkID) {
        guard var link = links[id], let log = link.wants.keys.min() else { return }
        let credit = takeCredit(&link)
        links[id] = link
        guard credit > 0 else { return }
        let head = durable[log] ?? Head(sequence: 0, hash: .zero)
        send(id, .ack(LogHead(log: log, head: head), credit: credit))
    }

    // MARK: - Telling

    mutating func committed(_ deltas: [VerifiedDelta], summary: StoredSummary, now: Instant) {
        self.summary = summary
        var logs: Set<LogID> = []
        for delta in deltas {
            durable[delta.log] = delta.head
            accepted[delta.log] = delta.head
            logs.insert(delta.log)
        }
        fingerprint = durable.fingerprint(hasher: cryptography)
        let size = deltas.reduce(0) { $0 + $1.byteCount }
        if size <= settings.pushBytesMax {
            let encoded = deltas.map { $0.encoded() }
            for id in openLinks where fits(deltas, on: id) {
                for delta in deltas { links[id]?.pushed[delta.log] = delta.header.sequence }
                send(id, .deltas(encoded))
            }
        }
        tell(logs, now: now)
    }

    /// True if the peer, by all that is known, has just what comes before these deltas.
    private func fits(_ deltas: [VerifiedDelta], on id: LinkID) -> Bool {
        guard let link = links[id], let heads = link.heads else { return false }
        return deltas.allSatisfy { delta in
            let known = max(heads[delta.log]?.sequence ?? 0, link.pushed[delta.log] ?? 0)
            return known + UInt64(deltas.count) >= delta.header.sequence
                && !link.served.contains { $0.log == delta.log }
        }
    }

    /// Peers are to know of new heads: at once where it is the first for a while, else together with what follows.
    private mutating func tell(_ logs: Set<LogID>, now: Instant) {
        guard !logs.isEmpty else { return }
        unannounced.formUnion(logs)
        if announceAt == nil { announceAt = now + settings.announceDelay }
        if stateChangedAt == nil { stateChangedAt = now + Milliseconds(settings.announceDelay.count * 2) }
    }

    mutating func announce(now: Instant) {
        announceAt = nil
        let logs = unannounced.sorted()
        unannounced.removeAll()
        for id in openLinks {
            guard let link = links[id] else { continue }
            let heads = logs.compactMap { log -> LogHead? in
                guard let head = durable[log] else { return nil }
                if let known = link.heads?[log], known.sequence >= head.sequence { return nil }
                if let pushed = link.pushed[log], pushed >= head.sequence { return nil }
                return LogHead(log: log, head: head)
            }
            if !heads.isEmpty { send(id, .have(heads)) }
        }
    }

    // MARK: - Serving

    mutating func receivedWant(_ range: LogRange, credit: UInt64, on id: LinkID, now: Instant) {
        guard range.from > 0, range.from <= range.to else {
            violate(id, "a want of no deltas", now: now)
            return
        }
        guard var link = links[id] else { return }
        link.served.removeAll { $0.log == range.log }
        link.served.append(range)
        link.credit = min(link.credit &+ min(credit, UInt64(Int32.max)), UInt64(Int32.max))
        links[id] = link
        guard link.served.count <= settings.servedWantsMax else {
            violate(id, "too many wants", now: now)
            return
        }
        serve(id)
    }

    /// Reads the next stretch for a peer, if it waits for one and has credit.
    mutating func serve(_ id: LinkID) {
        guard let link = links[id], !link.isReading, link.credit > 0, let range = link.served.first else { return }
        links[id]?.isReading = true
        actions.append(.read(range, link: id, bytesMax: min(link.credit, settings.messageBytes)))
    }

    mutating func deltasRead(_ id: LinkID, _ range: LogRange, _ deltas: [StoredDelta]) {
        guard var link = links[id] else { return }
        link.isReading = false
        let wanted = deltas.filter { $0.sequence <= range.to }
        if let position = link.served.firstIndex(where: { $0.log == range.log }) {
            // A new want of the log may have come meanwhile; it goes on from what was read.
            let current = link.served.remove(at: position)
            let next = (wanted.last?.sequence ?? current.to) + 1
            if current.from == range.from, !wanted.isEmpty, next <= current.to {
                link.served.insert(LogRange(log: range.log, from: next, to: current.to), at: position)
            } else if current.from != range.from {
                link.served.insert(current, at: position)
            }
        }
        let size = wanted.reduce(0) { $0 + UInt64($1.bytes.count) }
        link.credit -= min(link.credit, size)
        links[id] = link
        if !wanted.isEmpty { send(id, .deltas(wanted.map(\.bytes))) }
        serve(id)
    }
}
