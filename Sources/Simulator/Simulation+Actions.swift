import Catalog
import DeltaLog
import Gossip

// Carries out the engines' actions and checks their contract.

extension Simulation {
    /// The maximum size of a frame of the protocol in bytes.
    private static let frameBytesMax = 4 * 1024 * 1024

    func perform(_ action: EngineAction, at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        switch action {
        case .send(let link, let message): send(message, on: link, from: nodeIndex)
        case .disconnect(let link, let refusal): disconnect(link, refusal, at: nodeIndex)
        case .dial(let key, let addresses): dial(key, addresses: addresses, from: nodeIndex)
        case .store(let token, let deltas, let link):
            checkStore(deltas, at: nodeIndex)
            for delta in deltas { node.storingBytes += delta.byteCount }
            if settings.plant == .ackBeforeStoring {
                let outcomes = deltas.map { _ in StoreOutcome.applied }
                answer(.stored(token: token, outcomes, summary: node.summary), at: nodeIndex)
            }
            begin(.store(token: token, deltas, from: link), at: nodeIndex)
        case .storeStatement(let statement, let replaced):
            begin(.statement(statement, replaced: replaced), at: nodeIndex)
        case .storeAnnouncement(let announcement): begin(.announcement(announcement), at: nodeIndex)
        case .read(let range, let link, let bytesMax):
            let deltas = read(range, bytesMax: bytesMax, at: nodeIndex)
            if let costs = settings.costs {
                charge(costs.reading + UInt64(deltas.reduce(0) { $0 + $1.bytes.count }) * costs.readByte, to: node)
            }
            let event = Event.input(node: nodeIndex, epoch: node.epoch, .deltasRead(link, range, deltas))
            if node.isStalling {
                node.stalledReads.append(event)
            } else {
                schedule(after: UInt64.random(in: 0...3_000_000, using: &diskRandom), event)
            }
        case .readHeaders(let range, let purpose):
            let headers = readHeaders(range, at: nodeIndex)
            if let costs = settings.costs { charge(costs.reading + UInt64(headers.count) * costs.element, to: node) }
            schedule(
                after: UInt64.random(in: 0...3_000_000, using: &diskRandom),
                .input(node: nodeIndex, epoch: node.epoch, .headersRead(range, purpose: purpose, headers))
            )
        case .answerDiff(let question, let link): answerDiff(question, on: link, at: nodeIndex)
        case .deliverDiff: break
        case .rosterChanged: node.notes.rosters += 1
        case .noteRefusal(_, let sequence, let refusal, let peer):
            node.notes.refusals.append(refusal)
            note(sequence, "node \(nodeIndex) refuses a delta of \(self.nodeIndex(of: peer)): \(refusal.reason)")
            if refusal.isForgery, isHonest(peer) {
                violate("node \(nodeIndex) got a forged delta from an honest node: \(refusal.reason)")
            }
        case .noteRefused(_, _, _, let reason, _): node.notes.refused.append(reason)
        case .noteOverBudget: node.notes.overBudget += 1
        case .noteSession(let peer, _):
            node.notes.sessions += 1
            if settings.costs != nil { node.contacts[peer] = contact(peer) }
        case .noteViolation(let peer, let what):
            node.notes.violations.append(what)
            note(1, "node \(nodeIndex) says that \(self.nodeIndex(of: peer)) breaks the protocol: \(what)")
            if isHonest(peer), node.role == nil, !node.ignoresBroadcast {
                violate("node \(nodeIndex) says that an honest one breaks the protocol: \(what)")
            }
        case .hold(let link, let until): hold(link, until: until, at: nodeIndex)
        case .setTimer(let instant):
            node.timerAt = instant
            events.add(.timer(node: nodeIndex, epoch: node.epoch, instant), at: max(now, instant.nanoseconds))
        }
    }

    /// A node's contact data of a node with a session.
    private func contact(_ peer: NodeKey) -> KnownContact {
        let address = nodes.first { $0.key == peer }.map { VirtualAlliance.address(of: $0.nodeIndex) }
        return KnownContact(node: peer, time: now, address: address)
    }

    /// The first index with this key, for people.
    private func nodeIndex(of key: NodeKey) -> Int { nodes.firstIndex { $0.key == key } ?? -1 }

    /// A short name of a log for traces: its author's index and the end of its number.
    func name(of log: LogID) -> String { "\(nodeIndex(of: log.author))/\(String(log.incarnation & 0xFFFF, radix: 16))" }

    /// True if no node with this key has ever misbehaved.
    private func isHonest(_ key: NodeKey) -> Bool { nodes.allSatisfy { $0.key != key || $0.role == nil } }

    /// Answers with a node's frontier and digest only, without details of records.
    private func answerDiff(_ question: PeerMessage.DiffQuestion, on link: LinkID, at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard let box = node.box else { return }
        let token =
            switch question {
            case .sums(let token), .records(let token, _, _): token
            }
        let answer = PeerMessage.DiffAnswer(token: token, frontier: box.engine.fingerprint, digest: node.disk.digest)
        if let costs = settings.costs {
            charge(costs.reading + UInt64(node.disk.visibleCount) * costs.record, to: node)
        }
        schedule(after: 1_000_000, .input(node: nodeIndex, epoch: node.epoch, .diffAnswered(link, answer)))
    }

    // MARK: - Messages

    func send(_ original: PeerMessage, on link: LinkID, from nodeIndex: Int) {
        let node = nodes[nodeIndex]
        let message =
            node.role.map { altered(original, by: $0, on: link, at: nodeIndex) } ?? translated(original, at: nodeIndex)
        let byteCount = note(message)
        if settings.eventsKept > 0 {
            let to = network.connections[Network.connection(of: link)][1 - Network.side(of: link)].node
            note(UInt64(byteCount), "node \(nodeIndex) sends \(to) \(message.kindName), \(byteCount) bytes")
        } else {
            note(UInt64(byteCount))
        }
        if byteCount > Self.frameBytesMax { violate("node \(nodeIndex) sends a frame of \(byteCount) bytes") }
        let isSampled = settings.roundTripEvery == 1 || sampleRandom.next() % settings.roundTripEvery == 0
        // A message with extreme numbers may not decode.
        if isSampled, node.role != .extremeNumbers { checkRoundTrip(message, byteCount: byteCount, at: nodeIndex) }
        if node.role == nil { checkPromises(message, at: nodeIndex) }
        node.notes.messagesSent += 1
        node.notes.firstSentAt = node.notes.firstSentAt ?? now
        node.notes.bytesSent += byteCount
        if let costs = settings.costs { charge(costs.sending + UInt64(byteCount) * costs.sendingByte, to: node) }
        if !message.carriedDeltas.isEmpty { node.notes.deltaBytesSent += byteCount }
        if isForgotten(message) { return }
        let connection = Network.connection(of: link)
        guard network.connections[connection][Network.side(of: link)].isUp else { return }
        let side = 1 - Network.side(of: link)
        transmit(Parcel(message: message, byteCount: byteCount), connection: connection, to: side)
        if let role = node.role, role.floodsBesideItsEngine, !isRefusal(message), mayFlood(link, at: nodeIndex) {
            for flood in floods(by: role, at: nodeIndex) {
                transmit(Parcel(message: flood, byteCount: note(flood)), connection: connection, to: side)
            }
        }
    }

    private func isRefusal(_ message: PeerMessage) -> Bool {
        if case .refusal = message { true } else { false }
    }

    /// The message as a node of another version sends it.
    private func translated(_ message: PeerMessage, at nodeIndex: Int) -> PeerMessage {
        guard let format = nodes[nodeIndex].format, case .hello(var hello) = message else { return message }
        hello.formatMin = format
        hello.formatMax = format
        return .hello(hello)
    }

    /// True if a planted bug drops the message.
    private func isForgotten(_ message: PeerMessage) -> Bool {
        switch settings.plant {
        case .dropGraft: message.kindName == "graft"
        case .forgetHave: ["have", "iHave"].contains(message.kindName)
        default: false
        }
    }

    func transmit(_ parcel: Parcel, connection: Int, to side: Int) {
        let link = network.connections[connection]
        guard !link.isBroken else { return }
        let receiver = link[side]
        let (first, again) = network.arrivals(of: parcel, on: link, side: side, now: now)
        if let first {
            receiver.outstandingBytes += parcel.byteCount
            events.add(.arrival(connection: connection, side: side, parcel), at: first)
        }
        if let again {
            receiver.outstandingBytes += parcel.byteCount
            events.add(.arrival(connection: connection, side: side, parcel), at: again)
        }
        guard receiver.outstandingBytes > Checkers.outstandingBytesMax else { return }
        let sender = link[1 - side].node
        if nodes[sender].role == nil {
            violate("node \(sender) has \(receiver.outstandingBytes) bytes under way to a peer")
        }
    }

    func arrive(_ parcel: Parcel, connection: Int, side: Int) {
        let link = network.connections[connection]
        guard !link.isBroken else { return }
        let receiver = link[side]
        let sender = link[1 - side].node
        if network.isBlocked(from: sender, to: receiver.node) || !receiver.held.isEmpty {
            receiver.held.append(parcel)
            return
        }
        let node = nodes[receiver.node]
        guard !node.isPaused else {
            node.backlog.append(.arrival(connection: connection, side: side, parcel))
            return
        }
        take(.arrival(connection: connection, side: side, parcel), on: connection, side: side)
    }

    /// Handles a message that a node has read.
    func hear(_ parcel: Parcel, connection: Int, side: Int) {
        let link = network.connections[connection]
        guard !link.isBroken else { return }
        let receiver = link[side]
        let sender = link[1 - side].node
        let node = nodes[receiver.node]
        receiver.outstandingBytes -= parcel.byteCount
        if node.isPuppet { return hearAsPuppet(parcel.message, on: Network.link(connection, side: side), at: node) }
        guard receiver.isUp, node.box != nil else { return }
        if node.ignoresBroadcast, parcel.message.isBroadcast { return }
        let from = nodes[sender]
        note(UInt64(parcel.byteCount), "node \(node.nodeIndex) hears \(parcel.message.kindName) from \(from.nodeIndex)")
        feed(input(parcel, on: Network.link(connection, side: side), from: from, at: node), to: node.nodeIndex)
    }

    /// A message as the engine's input; deltas are checked first.
    private func input(_ parcel: Parcel, on link: LinkID, from: VirtualNode, at node: VirtualNode) -> EngineInput {
        node.notes.signatureChecks += parcel.message.statementCount
        let bytes = parcel.message.carriedDeltas
        if let malformed = from.role?.malformation(of: parcel.message, using: &faultRandom) {
            return .malformed(link, malformed)
        }
        if case .deltas = parcel.message, settings.costs != nil, node.box?.engine.expectsDeltas(on: link) == false {
            return .unaskedDeltas(link, byteCount: parcel.byteCount)
        }
        if from.role == .extremeNumbers, let malformed = parcel.malformation { return .malformed(link, malformed) }
        let deltas = bytes.map { received($0, at: node) }
        if !deltas.isEmpty {
            node.notes.payloadsReceived += deltas.count
            node.notes.firstPayloadAt = node.notes.firstPayloadAt ?? now
            node.notes.signatureChecks += deltas.count { if case .known = $0 { false } else { true } }
        }
        for (delta, bytes) in zip(deltas, bytes) {
            guard case .verified = delta, let index = pool.index(of: bytes) else { continue }
            spread.received(index, at: node.nodeIndex, from: from.nodeIndex)
        }
        let message = settings.plant == .unknownHeads ? parcel.message.adopting(at: node) : parcel.message
        let byteCount = settings.plant == .uncountedFrames ? 0 : parcel.byteCount
        return message.input(on: link, checked: deltas, byteCount: byteCount)
    }

    /// Checks a delta as a node does. With processor costs, the signature of a stored delta is not checked.
    private func received(_ bytes: [UInt8], at node: VirtualNode) -> ReceivedDelta {
        if settings.costs != nil, let index = pool.index(of: bytes) {
            let delta = pool.entries[Int(index)].delta
            if node.box?.engine.holds(delta.log, delta.head) == true {
                return .known(log: delta.log, sequence: delta.header.sequence)
            }
        }
        return pool.received(bytes)
    }

    // MARK: - Checks

    private func checkRoundTrip(_ message: PeerMessage, byteCount: Int, at nodeIndex: Int) {
        let frame = message.encoded()
        if frame.count != byteCount {
            violate("a frame of \(frame.count) bytes was measured as \(byteCount): \(message)")
        }
        let decoded = try? PeerMessage(decoding: frame)
        if decoded != message { violate("node \(nodeIndex) sends a message that decodes differently: \(message)") }
    }

    /// A node announces, acknowledges or sends only deltas on its disk, and forwards only checked deltas of others.
    private func checkPromises(_ message: PeerMessage, at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        message.forEachPromisedHead { entry in
            guard !node.disk.holds(entry.head, of: entry.log) else { return }
            violate(
                "node \(nodeIndex) promises \(name(of: entry.log)):\(entry.head.sequence), which is not on its disk, "
                    + "in \(message.kindName)"
            )
        }
        for entry in message.promisedEntries where !node.disk.holds(entry) {
            violate("node \(nodeIndex) promises \(name(of: entry.log)):\(entry.sequence), which is not on its disk")
        }
        for bytes in message.carriedDeltas {
            guard let index = pool.index(of: bytes) else {
                violate("node \(nodeIndex) sends a delta that nobody made")
                continue
            }
            let delta = pool.entries[Int(index)].delta
            if delta.log.author == node.key, !node.disk.holds(index) {
                violate("node \(nodeIndex) sends its own delta \(delta.header.sequence), which is not on its disk")
            }
        }
        if case .state(let state, _, _) = message { checkState(state, at: nodeIndex) }
    }

    /// A state must be the node's own. A sample of states is compared with the disk in full.
    private func checkState(_ state: StateSummary, at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        if state.frontier != node.box?.engine.fingerprint {
            violate("node \(nodeIndex) reports a state that is not its own")
        }
        guard sampleRandom.next() % (8 * settings.roundTripEvery) == 0 else { return }
        let missing = node.box?.engine.advertised.heads.count { !node.disk.holds($0.value, of: $0.key) } ?? 0
        if missing > 0 { violate("node \(nodeIndex) announces \(missing) heads that are not on its disk") }
    }

    /// Checks that only known deltas are handed to the disk, and no more at a time than the engine's bounds allow.
    private func checkStore(_ deltas: [VerifiedDelta], at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        let most = settings.engine.storingBytesMax + settings.engine.creditBytes * 2 * UInt64(max(1, nodes.count))
        if UInt64(node.storingBytes) > most + UInt64(FormatLimits.deltaBytesMax) {
            violate("node \(nodeIndex) has \(node.storingBytes) bytes waiting for its disk")
        }
        for delta in deltas where pool.index(ofHead: delta.hash) == nil {
            violate("node \(nodeIndex) stores a delta that nobody made")
        }
    }
}

extension DeltaRefusal {
    /// True if the delta's bytes alone show the fault, so that no honest node can have it to forward.
    fileprivate var isForgery: Bool {
        switch self {
        case .malformed, .tooLarge, .foreignAlliance, .badSignature, .badRoot, .badCount: true
        case .unknownAuthor, .wrongChain, .fork, .newerFormat: false
        }
    }
}
