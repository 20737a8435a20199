import Catalog
import DeltaLog
import Governance

// Received deltas: judgement and storage.

extension Engine {
    // MARK: - Arrivals

    mutating func receivedDeltas(_ deltas: [ReceivedDelta], _ arrival: DeltaArrival, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        heard(link, now: now)
        guard link.isOpen else {
            violate(id, "a first message that is not Hello", now: now)
            return
        }
        link.liveness.lastUsed = now
        let room: Bool
        switch arrival {
        case .asked(let byteCount):
            let size = UInt64(max(0, byteCount))
            link.fetching.noteFrame(byteCount: size)
            // Deltas beyond the room are not stored. This node now knows that they exist, and asks for them when there
            // is room.
            room = link.fetching.hasRoom(for: size, isPushed: false, settings: settings)
        case .pushed:
            let size = deltas.reduce(0) { $0 + $1.byteCount }
            room =
                transfer.hasRoom(forPushed: size, settings: settings)
                && link.fetching.hasRoom(for: size, isPushed: true, settings: settings)
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
        var redundant: UInt64 = 0
        for delta in deltas {
            switch delta {
            case .known(let log, let sequence):
                redundant += Price.knownDelta
                duplicates += 1
                progress(log, sequence, on: id, now: now)
                learn(log, sequence, on: id)
            case .refused(let log, let sequence, let refusal):
                redundant += Price.signature
                refuse(log, sequence, refusal, from: id, now: now)
            case .verified(let delta):
                if delta.header.sequence <= frontier.accepted(delta.log)?.sequence ?? 0 { duplicates += 1 }
                guard accept(delta, hasRoom: hasRoom, from: id, now: now) else {
                    redundant += Price.signature + Price.bytes(delta.byteCount)
                    break
                }
                batch.append(delta)
                if arrival.hops == nil, let announcer = broadcast.unbrought(delta.log, delta.header.sequence, now: now)
                {
                    graft(announcer)
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
        // New deltas are bounded by credit and by the room for pushes; redundant work is charged.
        charge(redundant, to: id, now: now)
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

    /// Stores deltas, those of each organization in a batch of their own, so that no organization waits for another.
    private mutating func store(_ batch: [VerifiedDelta], _ arrival: DeltaArrival, hops: UInt32?, from id: LinkID) {
        var rest = batch[...]
        while let first = rest.first {
            let organization = first.header.organization
            let isOne = rest.allSatisfy { $0.header.organization == organization }
            let deltas = isOne ? Array(rest) : rest.filter { $0.header.organization == organization }
            rest = isOne ? [] : rest.filter { $0.header.organization != organization }[...]
            let batch = StoringBatch(link: id, deltas: deltas, isPushed: arrival.hops != nil, hops: hops)
            links[id]?.fetching.beginStoring(byteCount: batch.byteCount)
            let token = transfer.begin(batch)
            actions.append(.store(token: token, deltas, from: id))
        }
    }

    /// True if a peer's Deltas message is worth a check: the peer has credit for it, or was asked for deltas. If it is
    /// not, the owner passes ``EngineInput/unaskedDeltas(_:byteCount:)`` instead.
    package func expectsDeltas(on id: LinkID) -> Bool {
        links[id]?.fetching.expectsDeltas ?? false
    }

    /// Charges deltas that this node did not ask for, without a look at them.
    mutating func receivedUnasked(byteCount: Int, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        heard(link, now: now)
        link.fetching.noteFrame(byteCount: UInt64(max(0, byteCount)))
        charge(Price.message + Price.bytes(byteCount), to: id, now: now)
    }

    /// True if the delta continues its log here and should be stored.
    private mutating func accept(_ delta: VerifiedDelta, hasRoom: Bool, from id: LinkID, now: Instant) -> Bool {
        let log = delta.log
        let sequence = delta.header.sequence
        guard roster.organization(of: log.author) == delta.header.organization else {
            refuse(log, sequence, .unknownAuthor, from: id, now: now)
            return false
        }
        learn(log, sequence, on: id)
        guard sequence <= membership.limit(of: log) else {
            refuse(log, sequence, .fork, from: id, now: now)
            return false
        }
        let held = frontier.accepted(log)
        let heldSequence = held?.sequence ?? 0
        if sequence <= heldSequence {
            progress(log, sequence, on: id, now: now)
            if sequence == heldSequence, delta.hash != held?.hash {
                refuse(log, sequence, .fork, from: id, now: now)
                inquire(log, upTo: sequence, on: id)
            }
            return false
        }
        // A gap: an earlier push was lost or dropped. Wants fill it.
        guard sequence == heldSequence + 1, hasRoom, !isResting(log, now: now) else { return false }
        guard delta.header.previous == held?.hash else {
            refuse(log, sequence, .wrongChain, from: id, now: now)
            if heldSequence > 0 { inquire(log, upTo: heldSequence, on: id) }
            return false
        }
        frontier.take(delta)
        progress(log, sequence, on: id, now: now)
        transfer.unpark(log)
        return true
    }

    /// Refuses a delta. The peer is told the reason, and is not asked for that log for a while.
    ///
    /// A refusal that is the peer's fault counts, and too many end the session. A fork or a wrong chain is the fault of
    /// its author, not of a node that passes it on. Two honest nodes must not part over it. The same holds for an
    /// unknown author, since the two nodes may hold different statements. The node sends the peer the reason once only.
    mutating func refuse(
        _ log: LogID?,
        _ sequence: UInt64,
        _ refusal: DeltaRefusal,
        from id: LinkID,
        now: Instant
    ) {
        guard let link = links[id] else { return }
        let node = link.node
        let isKnown = log.map(link.fetching.isBackingOff) ?? false
        let isSendersFault = refusal.isSendersFault
        if isSendersFault { link.fetching.noteFault() }
        if isSendersFault || !isKnown {
            actions.append(.noteRefusal(log: log, sequence: sequence, refusal, from: node))
        }
        if let log {
            link.fetching.drop(log)
            transfer.replan(log)
            if !isKnown {
                send(id, .deltaRefused(log: log, sequence: sequence, code: refusal.code, reason: refusal.reason))
            }
            // A log that only waits for a statement is requested as soon as that has come.
            if isSendersFault || !isKnown { backOff(log, on: id, for: settings.backOffTime, now: now) }
            broadcast.settle(log)
            if !isSendersFault {
                let parked = ParkedDelta(sequence: sequence, refusal: refusal, from: node, since: now)
                transfer.park(log, parked, settings: settings)
            }
        }
        if link.fetching.faults > settings.refusalsMax, links[id] != nil {
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
        guard let batch = transfer.end(token) else { return }
        if let organization = batch.deltas.first?.header.organization {
            chargeStoring(excess, of: organization, now: now)
        }
        let id = batch.link
        links[id]?.fetching.endStoring(byteCount: batch.byteCount)
        frontier.summary = summary
        var advanced: [LogID] = []
        var failed: Set<LogID> = []
        for (delta, outcome) in zip(batch.deltas, outcomes) {
            switch outcome {
            case .applied:
                // Answers may overtake each other; the durable frontier never goes back.
                if frontier.stored(delta, isOwn: false, isForked: membership.forks[delta.log] != nil) {
                    advanced.append(delta.log)
                }
            case .skipped:
                failed.insert(delta.log)
                if delta.header.sequence > frontier.durable[delta.log]?.sequence ?? 0 {
                    // The disk expects another delta next. The pause prevents a loop of requests.
                    backOff(delta.log, on: id, for: settings.wantDeadline, now: now)
                }
            case .refused(let refusal):
                failed.insert(delta.log)
                refuse(delta.log, delta.header.sequence, refusal, from: id, now: now)
                if refusal == .fork || refusal == .wrongChain, let held = frontier.durable[delta.log] {
                    inquire(delta.log, upTo: held.sequence, on: id)
                }
            }
        }
        for log in failed { frontier.resetInFlight(log, to: transfer.head(of: log, after: frontier.durable[log])) }
        transfer.replan(failed)
        advanced = advanced.unique
        advertise(advanced, now: now)
        if batch.isPushed {
            links[id]?.pushing.stored(advanced)
            announcing.schedule(at: now + settings.announceDelay)
        } else {
            for log in advanced {
                guard let link = links[id], let head = frontier.durable[log] else { continue }
                let isLast = log == advanced.last && !link.fetching.wants.isEmpty
                let credit = isLast ? link.fetching.takeCredit(settings) : 0
                send(id, .ack(LogHead(log: log, head: head), credit: credit))
            }
        }
        if let hops = batch.hops {
            let fresh = zip(batch.deltas, outcomes).filter { $0.1 == .applied }.map(\.0)
            push(fresh, hops: min(hops, PeerMessage.hopsMax) + 1, except: id, now: now)
        }
        grant(id)
    }
}

extension DeltaArrival {
    /// The links that a push has passed since the author.
    var hops: UInt32? {
        if case .pushed(let hops) = self { hops } else { nil }
    }
}

extension ReceivedDelta {
    /// The bytes of a delta to be stored; 0 for other deltas.
    var byteCount: UInt64 {
        if case .verified(let delta) = self { UInt64(delta.byteCount) } else { 0 }
    }
}

extension DeltaRefusal {
    /// True for a violation that no honest node passes on, since the delta alone shows it.
    var isSendersFault: Bool {
        switch self {
        case .malformed, .tooLarge, .foreignAlliance, .badSignature, .badRoot, .badCount: true
        case .wrongChain, .fork, .newerFormat, .unknownAuthor: false
        }
    }
}
