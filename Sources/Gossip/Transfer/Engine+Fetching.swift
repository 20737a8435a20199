import Catalog
import DeltaLog
import Governance

// Judging what arrives, and storing it.

extension Engine {
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
            room = link.bytesPending + size <= 2 * settings.creditBytes + UInt64(FormatLimits.deltaBytesMax)
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
        var wasted: UInt64 = 0
        for delta in deltas {
            switch delta {
            case .known(let log, let sequence):
                wasted += Price.knownDelta
                duplicates += 1
                progress(log, sequence, on: id, now: now)
                learn(log, sequence, on: id)
            case .refused(let log, let sequence, let refusal):
                wasted += Price.signature
                refuse(log, sequence, refusal, from: id, now: now)
            case .verified(let delta):
                if delta.header.sequence <= accepted(delta.log)?.sequence ?? 0 { duplicates += 1 }
                guard accept(delta, hasRoom: hasRoom, from: id, now: now) else {
                    wasted += Price.signature + Price.bytes(delta.byteCount)
                    break
                }
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
        // What brings something new is bounded by credit and by the room for pushes; the rest is paid for.
        charge(wasted, to: id, now: now)
        if let hops = arrival.hops {
            notePushes(deltas, duplicates: duplicates, delivered: batch.count, hops: hops, from: id, now: now)
        } else {
            counters.fetched += UInt64(batch.count)
        }
        if batch.isEmpty {
            grant(id)
        } else {
            store(batch, arrival, hops: hops, from: id)
        }
    }

    /// Has deltas stored, those of each organization by themselves: none waits for what another one's cost.
    private mutating func store(_ batch: [VerifiedDelta], _ arrival: DeltaArrival, hops: UInt32?, from id: LinkID) {
        var rest = batch[...]
        while let first = rest.first {
            let organization = first.header.organization
            let isOne = rest.allSatisfy { $0.header.organization == organization }
            let deltas = isOne ? Array(rest) : rest.filter { $0.header.organization == organization }
            rest = isOne ? [] : rest.filter { $0.header.organization != organization }[...]
            let size = deltas.reduce(0) { $0 + UInt64($1.byteCount) }
            links[id]?.bytesPending += size
            storingBytes += size
            let token = nextToken
            nextToken += 1
            storing[token] = StoringBatch(link: id, deltas: deltas, isPushed: arrival.hops != nil, hops: hops)
            actions.append(.store(token: token, deltas, from: id))
        }
    }

    /// True if a peer's Deltas message is worth checking: it was promised that so much would be received. Else it is told by
    /// ``EngineInput/unaskedDeltas(_:byteCount:)``.
    package func expectsDeltas(on id: LinkID) -> Bool {
        guard let link = links[id] else { return false }
        return link.creditGiven > 0 || !link.wants.isEmpty
    }

    /// Deltas that nobody asked for: they are not looked at.
    mutating func receivedUnasked(byteCount: Int, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        heard(link, now: now)
        link.creditGiven -= Int64(clamping: byteCount)
        charge(Price.message + Price.bytes(byteCount), to: id, now: now)
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
        guard sequence == heldSequence + 1, hasRoom, !isResting(log, now: now) else { return false }
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
    /// doing, whoever passes it on: two honest nodes must not fall out over it. Nor do they over an unknown author: the two
    /// may hold different statements. The peer is told once, not each time.
    mutating func refuse(
        _ log: LogID?,
        _ sequence: UInt64,
        _ refusal: DeltaRefusal,
        from id: LinkID,
        now: Instant
    ) {
        guard let node = links[id]?.node else { return }
        let isKnown = log.map { isBackingOff($0, on: id) } ?? false
        let isSendersFault = refusal.isSendersFault
        if isSendersFault { links[id]?.faults += 1 }
        if isSendersFault || !isKnown {
            actions.append(.noteRefusal(log: log, sequence: sequence, refusal, from: node))
        }
        if let log {
            links[id]?.wants[log] = nil
            unplanned.insert(log)
            if !isKnown {
                send(id, .deltaRefused(log: log, sequence: sequence, code: refusal.code, reason: refusal.reason))
            }
            // What only waits for a statement is asked for as soon as that has come.
            if isSendersFault || !isKnown { backOff(log, on: id, for: settings.backOffTime, now: now) }
            broadcast.settle(log)
            if !isSendersFault, parked[log] != nil || parked.count < settings.parkedMax {
                parked[log] = ParkedDelta(sequence: sequence, refusal: refusal, from: node, since: now)
            }
        }
        if links[id]?.faults ?? 0 > settings.refusalsMax {
            ban(node, now: now)
            close(id, .tooManyRefusals, now: now)
        }
    }

    // MARK: - Storing

    mutating func stored(
        _ token: UInt64,
        _ outcomes: [StoreOutcome],
        summary: StoredSummary,
        excess: UInt64,
        now: Instant
    ) {
        guard let batch = storing.removeValue(forKey: token) else { return }
        if let organization = batch.deltas.first?.header.organization {
            chargeStoring(excess, of: organization, now: now)
        }
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
                advance(delta.log, to: delta.head)
                if inFlight[delta.log] == delta.head { inFlight[delta.log] = nil }
                advanced.append(delta.log)
            case .skipped:
                failed.insert(delta.log)
                if delta.header.sequence > durable[delta.log]?.sequence ?? 0 {
                    // Not what the disk thinks comes next: not to be asked for in a loop.
                    backOff(delta.log, on: id, for: settings.wantDeadline, now: now)
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
        unplanned.formUnion(failed)
        advanced = advanced.unique
        advertise(advanced, now: now)
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
    /// True for what no honest node passes on, since it can be judged from the delta alone.
    var isSendersFault: Bool {
        switch self {
        case .malformed, .tooLarge, .foreignAlliance, .badSignature, .badRoot, .badCount: true
        case .wrongChain, .fork, .newerFormat, .unknownAuthor: false
        }
    }
}
