import Catalog
import DeltaLog
import Gossip

// What engines ask for, carried out, and their contract checked.

extension VirtualCluster {
    /// The longest frame of the protocol.
    private static let frameBytesMax = 4 * 1024 * 1024

    mutating func perform(_ action: EngineAction, at number: Int) {
        let epoch = nodes[number].epoch
        switch action {
        case .send(let link, let message): send(message, on: link, from: number)
        case .disconnect(let link, let refusal): disconnect(link, refusal, at: number)
        case .dial(let node, _):
            let target = nodes.firstIndex { VirtualAlliance.node($0.number) == node }
            guard let target else {
                schedule(afterMilliseconds: 1, .input(node: number, epoch: epoch, .dialFailed(node)))
                return
            }
            let deadline = now + settings.dialTimeout * 1_000_000
            schedule(
                afterMilliseconds: delay(),
                .dial(from: number, epoch: epoch, to: target, deadline: deadline)
            )
        case .store(let token, let deltas, _):
            schedule(afterMilliseconds: diskTime(number), .store(node: number, epoch: epoch, token: token, deltas))
        case .storeStatement(let statement, let replaced):
            schedule(
                afterMilliseconds: diskTime(number),
                .keep(node: number, epoch: epoch, statement, replaced: replaced)
            )
        case .storeAnnouncement(let announcement):
            schedule(afterMilliseconds: diskTime(number), .announce(node: number, epoch: epoch, announcement))
        case .read(let range, let link, let bytesMax):
            let deltas = read(range, bytesMax: bytesMax, at: number)
            let event = Event.input(node: number, epoch: epoch, .deltasRead(link, range, deltas))
            if nodes[number].isStalling {
                nodes[number].stalledReads.append(event)
            } else {
                schedule(afterMilliseconds: UInt64.random(in: 0...3, using: &random), event)
            }
        case .readHeaders(let range, let purpose):
            let headers = (nodes[number].storage.deltas[range.log] ?? [])
                .filter { (range.from...range.to).contains($0.header.sequence) }
                .map { SignedHeader(header: $0.headerBytes, signature: $0.signature) }
            schedule(
                afterMilliseconds: UInt64.random(in: 0...3, using: &random),
                .input(node: number, epoch: epoch, .headersRead(range, purpose: purpose, headers))
            )
        case .answerDiff(let question, let link):
            guard let engine = nodes[number].engine else { return }
            let token =
                switch question {
                case .sums(let token), .records(let token, _, _): token
                }
            let answer = PeerMessage.DiffAnswer(
                token: token,
                frontier: engine.fingerprint,
                digest: nodes[number].storage.digest
            )
            schedule(afterMilliseconds: 1, .input(node: number, epoch: epoch, .diffAnswered(link, answer)))
        case .deliverDiff: break
        case .rosterChanged: nodes[number].notes.rosters += 1
        case .noteRefusal(_, _, let refusal, _): nodes[number].notes.refusals.append(refusal)
        case .noteRefused(_, _, _, let reason, _): nodes[number].notes.refused.append(reason)
        case .noteOverBudget: break
        case .noteSession: nodes[number].notes.sessions += 1
        case .noteViolation(_, let what): nodes[number].notes.violations.append(what)
        case .setTimer(let instant):
            nodes[number].timerAt = instant
            events.add(.timer(node: number, epoch: epoch, instant), at: max(now, instant.nanoseconds))
        }
    }

    func check(_ condition: Bool, _ what: @autoclosure () -> String) -> [String] { condition ? [] : [what()] }

    mutating func delay() -> UInt64 { UInt64.random(in: settings.delay, using: &random) }

    /// When the disk will have done one thing more, from now.
    private mutating func diskTime(_ number: Int) -> UInt64 {
        let time = UInt64.random(in: nodes[number].storing ?? settings.storing, using: &random)
        let done = max(nodes[number].diskFreeAt, now) + time * 1_000_000
        nodes[number].diskFreeAt = done
        return (done - now) / 1_000_000
    }

    // MARK: - Messages

    private mutating func send(_ message: PeerMessage, on link: LinkID, from number: Int) {
        let frame = message.encoded()
        let decoded = try? PeerMessage(decoding: frame)
        violations += check(frame.count <= Self.frameBytesMax, "\(number): a frame of \(frame.count) bytes")
        violations += check(decoded == message, "\(number): a message that reads otherwise: \(message)")
        checkPromises(message, from: number)
        nodes[number].notes.messagesSent += 1
        nodes[number].notes.bytesSent += frame.count
        switch message {
        case .deltas, .push: nodes[number].notes.deltaBytesSent += frame.count
        default: break
        }
        guard let end = nodes[number].ends[link] else { return }
        deliver(frame, connection: end.connection, side: 1 - end.side)
    }

    /// Nothing is told, acknowledged or sent that is not on disk.
    private mutating func checkPromises(_ message: PeerMessage, from number: Int) {
        func isDurable(_ entry: LogHead) -> Bool {
            let deltas = nodes[number].storage.deltas[entry.log] ?? []
            let index = Int(clamping: entry.head.sequence) - 1
            return deltas.indices.contains(index) && deltas[index].hash == entry.head.hash
        }
        let promised: [LogHead]
        switch message {
        case .ack(let head, _): promised = head.head.sequence > 0 ? [head] : []
        case .have(let heads): promised = heads
        case .iHave(let heads): promised = heads.map(\.head)
        case .ranges(let ranges):
            promised = ranges.flatMap { range in
                if case .heads(let heads, _) = range.content { heads } else { [LogHead]() }
            }
        default: promised = []
        }
        for entry in promised where !isDurable(entry) {
            violations.append("\(number): promises \(entry) that is not on disk: \(message)")
        }
    }

    mutating func deliver(_ frame: [UInt8], connection: Int, side: Int) {
        guard !connections[connection].isBroken else { return }
        let time = max(connections[connection].arrivals[side], now + delay() * 1_000_000)
        connections[connection].arrivals[side] = time
        events.add(.arrival(connection: connection, side: side, frame: frame), at: time)
    }

    mutating func arrive(_ frame: [UInt8], connection: Int, side: Int) {
        let link = connections[connection]
        guard !link.isBroken else { return }
        if blocked.contains([link.nodes[1 - side], link.nodes[side]]) || !link.held[side].isEmpty {
            connections[connection].held[side].append(frame)
            return
        }
        hand(frame, connection: connection, side: side)
    }

    /// Gives a frame to the node at that side: decoded, and deltas checked, as a node does before its engine.
    mutating func hand(_ frame: [UInt8], connection: Int, side: Int) {
        let number = connections[connection].nodes[side]
        let link = connections[connection].links[side]
        guard nodes[number].ends[link] != nil else { return }
        note("frame \(number)", bytes: frame)
        feed(input(frame, on: link), to: number)
    }

    private func input(_ frame: [UInt8], on link: LinkID) -> EngineInput {
        do throws(MalformedMessage) {
            let message = try PeerMessage(decoding: frame)
            switch message {
            case .deltas(let deltas):
                let checked = deltas.map { ReceivedDelta(checking: $0, in: alliance) }
                return .deltas(link, checked, .asked(byteCount: frame.count))
            case .push(let deltas, let hops):
                return .deltas(link, deltas.map { ReceivedDelta(checking: $0, in: alliance) }, .pushed(hops: hops))
            default: return .message(link, message)
            }
        } catch {
            return .malformed(link, error.what)
        }
    }

    // MARK: - Disk

    private func read(_ range: LogRange, bytesMax: UInt64, at number: Int) -> [StoredDelta] {
        var size: UInt64 = 0
        var deltas: [StoredDelta] = []
        for delta in (nodes[number].storage.deltas[range.log] ?? []).dropFirst(Int(clamping: range.from) - 1) {
            guard deltas.isEmpty || size + UInt64(delta.byteCount) <= bytesMax else { break }
            size += UInt64(delta.byteCount)
            deltas.append(StoredDelta(sequence: delta.header.sequence, bytes: delta.encoded()))
        }
        return deltas
    }

    mutating func store(_ deltas: [VerifiedDelta], token: UInt64, at number: Int) {
        let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        var outcomes: [StoreOutcome] = []
        for delta in deltas {
            let organization = nodes[number].engine?.roster.organization(of: delta.log.author)
            guard organization == delta.header.organization else {
                outcomes.append(.refused(.unknownAuthor))
                continue
            }
            switch try! applier.apply(delta, to: &nodes[number].storage) {
            case .applied: outcomes.append(.applied)
            case .duplicate, .gap: outcomes.append(.skipped)
            case .refused(let refusal): outcomes.append(.refused(refusal))
            }
        }
        // A crash may come between the disk and the engine's hearing of it.
        schedule(
            afterMilliseconds: UInt64.random(in: 0...2, using: &random),
            .input(
                node: number,
                epoch: nodes[number].epoch,
                .stored(token: token, outcomes, summary: storedSummary(number))
            )
        )
    }

    func storedSummary(_ number: Int) -> StoredSummary {
        StoredSummary(digest: nodes[number].storage.digest, records: UInt64(nodes[number].storage.shownCount))
    }

    mutating func keep(_ statement: Statement, replaced: Hash256?, at number: Int) {
        var ignored: Hash256?
        _ = nodes[number].governance.insert(statement, replaced: &ignored)
    }
}

extension ReceivedDelta {
    /// Checks a delta's bytes, as a node does before it hands them to its engine.
    package init(checking bytes: [UInt8], in alliance: VirtualAlliance) {
        do throws(DeltaRefusal) {
            self = .verified(
                try VerifiedDelta(verifying: bytes[...], alliance: alliance.id, cryptography: alliance.cryptography)
            )
        } catch {
            let raw = try? RawDelta(decoding: bytes[...])
            let header = raw.flatMap { try? Header(decoding: $0.header) }
            self = .refused(log: header?.log, sequence: header?.sequence ?? 0, error)
        }
    }
}
