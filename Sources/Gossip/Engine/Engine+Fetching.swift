import Catalog
import DeltaLog

// Fetching what is lacking: wants, credit, and judging what arrives.

extension Engine {
    // MARK: - Wants

    /// Asks for every log that a peer holds further than this node, each of one peer: of those that have it, the one
    /// that has least to do. Authors over their budget come last.
    mutating func planWants(now: Instant) {
        guard !withAhead.isEmpty else { return }
        for id in withAhead where links[id]?.ahead.isEmpty ?? true { withAhead.remove(id) }
        var free = withAhead.sorted().filter {
            guard let link = links[$0] else { return false }
            return link.isOpen && !link.isSuspect && link.wants.count < settings.wantsPerLinkMax
        }
        guard !free.isEmpty else { return }
        var logs: Set<LogID> = []
        for id in free {
            for (log, theirs) in links[id]?.ahead ?? [:] where theirs > accepted(log)?.sequence ?? 0 {
                logs.insert(log)
            }
        }
        guard !logs.isEmpty else { return }
        for link in links.values { logs.subtract(link.wants.keys) }
        let order = logs.sorted()
        let over = pullOnly
        let planned =
            over.isEmpty
            ? order : order.filter { over[$0.author] == nil } + order.filter { over[$0.author] != nil }
        for log in planned {
            let held = accepted(log)?.sequence ?? 0
            let limit = limit(of: log)
            var best: (id: LinkID, load: Int, target: UInt64)?
            for id in free {
                guard let link = links[id], let theirs = link.ahead[log] else { continue }
                let target = min(theirs, limit)
                guard target > held, link.distrusted[log] == nil, link.wants.count < best?.load ?? Int.max else {
                    continue
                }
                best = (id, link.wants.count, target)
            }
            guard let best else { continue }
            let range = LogRange(log: log, from: held + 1, to: best.target)
            want(range, of: best.id, patience: settings.wantDeadline, now: now)
            if best.load + 1 >= settings.wantsPerLinkMax { free.removeAll { $0 == best.id } }
            if free.isEmpty { return }
        }
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
            deadline: deadline,
            patience: patience,
            order: link.nextOrder
        )
        link.nextOrder += 1
        let check = min(link.wantsCheckAt ?? deadline, deadline)
        link.wantsCheckAt = check
        due(check)
        link.lastUsed = now
        let credit = takeCredit(id)
        send(id, isMending ? .graft(range, credit: credit) : .want(range, credit: credit))
    }

    /// What the peer may be given on top of what it has.
    private mutating func takeCredit(_ id: LinkID) -> UInt64 {
        guard let link = links[id] else { return 0 }
        let free = Int64(clamping: settings.creditBytes) - link.creditGiven - Int64(clamping: link.bytesPending)
        guard free > 0 else { return 0 }
        link.creditGiven += free
        return UInt64(free)
    }

    /// Gives the peer the credit that is free, where it still has something to send.
    private mutating func grant(_ id: LinkID) {
        guard let log = links[id]?.wants.keys.min() else { return }
        let credit = takeCredit(id)
        guard credit > 0 else { return }
        send(id, .ack(LogHead(log: log, head: durable[log] ?? Head(sequence: 0, hash: .zero)), credit: credit))
    }

    /// Stretches that make no progress are asked of another peer; the one that let them lie is asked again later.
    mutating func dropStalledWants(now: Instant) {
        var isChanged = false
        for id in links.keys {
            guard let link = links[id] else { continue }
            if let check = link.distrustCheckAt, check <= now {
                let rest = link.distrusted.filter { $0.value > now }
                if rest.count < link.distrusted.count { isChanged = true }
                link.distrusted = rest
                link.distrustCheckAt = rest.isEmpty ? nil : now + settings.distrustCheck
            }
            guard let check = link.wantsCheckAt, check <= now else { continue }
            for (log, want) in link.wants where want.deadline <= now {
                if link.creditGiven <= 0 {
                    // It is this node's own disk that holds everything up.
                    link.wants[log]?.deadline = now + want.patience
                    continue
                }
                isChanged = true
                link.wants[log] = nil
                if accepted(log)?.sequence ?? 0 < want.to {
                    distrust(log, on: id, for: settings.wantDeadline, now: now)
                }
            }
            link.wantsCheckAt = link.wants.values.map(\.deadline).min()
        }
        if isChanged { planWants(now: now) }
    }

    func isDistrusted(_ log: LogID, on id: LinkID) -> Bool { links[id]?.distrusted[log] != nil }

    mutating func distrust(_ log: LogID, on id: LinkID, for time: Milliseconds, now: Instant) {
        guard let link = links[id] else { return }
        link.distrusted[log] = now + time
        if link.distrustCheckAt == nil {
            let check = now + settings.distrustCheck
            link.distrustCheckAt = check
            due(check)
        }
    }

    /// What was asked for has come up to there.
    private mutating func progress(_ log: LogID, _ sequence: UInt64, on id: LinkID, now: Instant) {
        guard let link = links[id], let want = link.wants[log], (want.from...want.to).contains(sequence) else { return }
        link.wants[log]?.from = sequence + 1
        link.wants[log]?.hasMoved = true
        link.movedAt = now
        for (other, later) in link.wants where later.order >= want.order {
            link.wants[other]?.deadline = max(later.deadline, now + later.patience)
        }
        if sequence == want.to { link.wants[log] = nil }
    }

    // MARK: - Arrivals

    mutating func receivedDeltas(_ deltas: [ReceivedDelta], _ arrival: DeltaArrival, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        heard(link, now: now)
        guard link.isOpen else {
            violate(id, "a first message that is not Hello", now: now)
            return
        }
        link.lastUsed = now
        let size: UInt64
        let room: Bool
        switch arrival {
        case .asked(let byteCount):
            size = UInt64(max(0, byteCount))
            link.creditGiven -= Int64(clamping: size)
            // A peer may send what it has credit for and the rest of a delta. What is too much is not stored: that it
            // exists is known now, so it is asked for when there is room.
            room = link.bytesPending + size <= 2 * settings.creditBytes + UInt64(CatalogRules.Limits.deltaBytesMax)
        case .pushed:
            size = deltas.reduce(0) { $0 + $1.byteCount }
            room =
                storingBytes + size <= settings.storingBytesMax
                && link.bytesPending + size <= settings.creditBytes
        }
        take(deltas, arrival, hasRoom: room, from: id, now: now)
    }

    private mutating func take(
        _ deltas: [ReceivedDelta],
        _ arrival: DeltaArrival,
        hasRoom: Bool,
        from id: LinkID,
        now: Instant
    ) {
        guard let peer = links[id]?.node else { return }
        var batch: [VerifiedDelta] = []
        var duplicates = 0
        var hops: UInt32?
        for delta in deltas {
            switch delta {
            case .known(let log, let sequence):
                duplicates += 1
                progress(log, sequence, on: id, now: now)
                learn(log, sequence, on: id)
            case .refused(let log, let sequence, let refusal):
                refuse(log, sequence, refusal, from: id, now: now)
            case .verified(let delta):
                if delta.header.sequence <= accepted(delta.log)?.sequence ?? 0 { duplicates += 1 }
                guard accept(delta, hasRoom: hasRoom, from: id, now: now) else { break }
                batch.append(delta)
                if arrival.hops == nil, let teller = broadcast.unbrought(delta.log, delta.header.sequence, now: now) {
                    graft(teller)
                }
                let passed = broadcast.arrived(
                    delta.log,
                    delta.header.sequence,
                    hops: arrival.hops,
                    from: peer,
                    now: now
                )
                hops = [hops, passed].compactMap { $0 }.max()
            }
            if links[id] == nil { break }
        }
        if let hops = arrival.hops {
            notePushes(deltas, duplicates: duplicates, delivered: batch.count, hops: hops, from: id, now: now)
        } else {
            counters.fetched += UInt64(batch.count)
        }
        if batch.isEmpty {
            grant(id)
        } else {
            let size = batch.reduce(0) { $0 + UInt64($1.byteCount) }
            links[id]?.bytesPending += size
            storingBytes += size
            let token = nextToken
            nextToken += 1
            storing[token] = StoringBatch(link: id, deltas: batch, isPushed: arrival.hops != nil, hops: hops)
            actions.append(.store(token: token, batch, from: id))
        }
        planWants(now: now)
    }

    /// True if the delta continues its log here, and is to be stored.
    private mutating func accept(_ delta: VerifiedDelta, hasRoom: Bool, from id: LinkID, now: Instant) -> Bool {
        let log = delta.log
        let sequence = delta.header.sequence
        guard roster.organization(of: log.author) == delta.header.organization else {
            refuse(log, sequence, .unknownAuthor, from: id, now: now)
            return false
        }
        learn(log, sequence, on: id)
        guard sequence <= limit(of: log) else {
            refuse(log, sequence, .fork, from: id, now: now)
            return false
        }
        let held = accepted(log)
        let heldSequence = held?.sequence ?? 0
        if sequence <= heldSequence {
            progress(log, sequence, on: id, now: now)
            if sequence == heldSequence, delta.hash != held?.hash {
                refuse(log, sequence, .fork, from: id, now: now)
                inquire(log, upTo: sequence, on: id)
            }
            return false
        }
        // A gap: something pushed before it was lost, or dropped. Wants fill it.
        guard sequence == heldSequence + 1, hasRoom else { return false }
        guard delta.header.previous == held?.hash else {
            refuse(log, sequence, .wrongChain, from: id, now: now)
            if heldSequence > 0 { inquire(log, upTo: heldSequence, on: id) }
            return false
        }
        inFlight[log] = delta.head
        progress(log, sequence, on: id, now: now)
        parked[log] = nil
        return true
    }

    /// Does not take a delta: the peer is told the reason, and not asked for that log for a while.
    ///
    /// Where the peer is to blame it counts, and too many end the session. A fork or a wrong chain is its author's
    /// doing, whoever passes it on: two honest nodes must not fall out over it. Nor over a delta for an organization that
    /// had its author enrolled, and that the roster no longer counts. It is told once, not each time.
    mutating func refuse(
        _ log: LogID?,
        _ sequence: UInt64,
        _ refusal: DeltaRefusal,
        from id: LinkID,
        now: Instant
    ) {
        guard let node = links[id]?.node else { return }
        let isKnown = log.map { isDistrusted($0, on: id) } ?? false
        let isEnrolled = log.map { roster.organization(of: $0.author) != nil } ?? false
        let isSendersFault = refusal.isSendersFault && !(refusal == .unknownAuthor && isEnrolled)
        if isSendersFault { links[id]?.faults += 1 }
        if isSendersFault || !isKnown {
            actions.append(.noteRefusal(log: log, sequence: sequence, refusal, from: node))
        }
        if let log {
            links[id]?.wants[log] = nil
            if !isKnown {
                send(id, .deltaRefused(log: log, sequence: sequence, code: refusal.code, reason: refusal.reason))
            }
            // What only waits for a statement is asked for as soon as that has come.
            if isSendersFault || !isKnown { distrust(log, on: id, for: settings.distrust, now: now) }
            broadcast.settle(log)
            if !isSendersFault, parked[log] != nil || parked.count < settings.parkedMax {
                parked[log] = ParkedDelta(sequence: sequence, refusal: refusal, from: node, since: now)
            }
        }
        if links[id]?.faults ?? 0 > settings.refusalsMax {
            shun(node, now: now)
            close(id, .tooManyRefusals, now: now)
        }
    }

    // MARK: - Storing

    mutating func stored(_ token: UInt64, _ outcomes: [StoreOutcome], summary: StoredSummary, now: Instant) {
        guard let batch = storing.removeValue(forKey: token) else { return }
        let id = batch.link
        let size = batch.deltas.reduce(0) { $0 + UInt64($1.byteCount) }
        storingBytes -= min(storingBytes, size)
        if let link = links[id] { link.bytesPending -= min(link.bytesPending, size) }
        self.summary = summary
        var advanced: [LogID] = []
        var failed: Set<LogID> = []
        for (delta, outcome) in zip(batch.deltas, outcomes) {
            switch outcome {
            case .applied:
                // Answers may overtake each other; what is on disk never gets less.
                guard delta.header.sequence > durable[delta.log]?.sequence ?? 0 else { continue }
                durable[delta.log] = delta.head
                if inFlight[delta.log] == delta.head { inFlight[delta.log] = nil }
                advanced.append(delta.log)
            case .skipped:
                failed.insert(delta.log)
                if delta.header.sequence > durable[delta.log]?.sequence ?? 0 {
                    // Not what the disk thinks comes next: not to be asked for in a loop.
                    distrust(delta.log, on: id, for: settings.wantDeadline, now: now)
                }
            case .refused(let refusal):
                failed.insert(delta.log)
                refuse(delta.log, delta.header.sequence, refusal, from: id, now: now)
                if refusal == .fork || refusal == .wrongChain, let held = durable[delta.log] {
                    inquire(delta.log, upTo: held.sequence, on: id)
                }
            }
        }
        for log in failed { resetAccepted(log) }
        advanced = advanced.unique
        show(advanced, now: now)
        if batch.isPushed {
            links[id]?.unconfirmed.formUnion(advanced)
            if announceAt == nil { announceAt = now + settings.announceDelay }
        } else {
            for log in advanced {
                guard let head = durable[log] else { continue }
                let isLast = log == advanced.last && links[id]?.wants.isEmpty == false
                send(id, .ack(LogHead(log: log, head: head), credit: isLast ? takeCredit(id) : 0))
            }
        }
        if let hops = batch.hops {
            let fresh = zip(batch.deltas, outcomes).filter { $0.1 == .applied }.map(\.0)
            push(fresh, hops: min(hops, PeerMessage.hopsMax) + 1, except: id, now: now)
        }
        grant(id)
        planWants(now: now)
    }

    /// After a delta was not stored: accepted is what is on disk, and what on its way there continues it.
    private mutating func resetAccepted(_ log: LogID) {
        var head = durable[log]
        for token in storing.keys.sorted() {
            for delta in storing[token]?.deltas ?? [] where delta.log == log {
                if delta.header.sequence == (head?.sequence ?? 0) + 1, delta.header.previous == head?.hash {
                    head = delta.head
                }
            }
        }
        inFlight[log] = head == durable[log] ? nil : head
    }
}

extension DeltaArrival {
    /// Links passed since the author, of a push.
    var hops: UInt32? {
        if case .pushed(let hops) = self { hops } else { nil }
    }
}

extension ReceivedDelta {
    /// The bytes of a delta that is to be stored.
    var byteCount: UInt64 {
        if case .verified(let delta) = self { UInt64(delta.byteCount) } else { 0 }
    }
}

extension DeltaRefusal {
    /// True for what no honest node passes on, since it can be judged from the delta alone, or from its author's being a
    /// stranger.
    var isSendersFault: Bool {
        switch self {
        case .malformed, .tooLarge, .foreignAlliance, .badSignature, .badRoot, .badCount, .unknownAuthor: true
        case .wrongChain, .fork, .newerFormat: false
        }
    }
}
