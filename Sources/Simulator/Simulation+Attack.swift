import Catalog
import DeltaLog
import Gossip
import Governance

// The messages of an adversary, by its role.

extension Simulation {
    /// The next messages to an honest node; empty if there are none now.
    func attackMessages(from attacker: VirtualNode, to victim: VirtualNode) -> [PeerMessage] {
        switch attacker.role {
        case .extremeNumbers: [extremeMessage(from: attacker)]
        case .headFlooder: [promises(by: attacker)]
        case .addressFlooder: adversary?.shared ?? []
        case .pathFlooder: pushes(to: victim)
        case .unpricedQuestions: [question(from: attacker)]
        default: []
        }
    }

    /// Prepares the messages of this move that all links receive.
    func prepareMove() {
        switch adversary?.role {
        case .addressFlooder:
            let message = deadAddresses()
            adversary?.shared = [message]
        case .pathFlooder: writePaths()
        default: break
        }
    }

    private func draw(_ count: Int) -> Int { Int.random(in: 0..<count, using: &attackRandom) }

    /// A log of an honest node; nil if none is found.
    private func honestLog() -> LogID? {
        for _ in 0..<8 {
            guard let log = pool.logs.randomElement(using: &attackRandom) else { return nil }
            if nodes.contains(where: { $0.role == nil && $0.key == log.author }) { return log }
        }
        return nil
    }

    // MARK: - Extreme numbers

    private func extremeMessage(from attacker: VirtualNode) -> PeerMessage {
        let own = LogID(author: attacker.key, incarnation: ExtremeNumbers.wide(using: &attackRandom))
        let log = draw(2) == 0 ? honestLog() ?? own : own
        let hash = alliance.cryptography.hash([3])
        let head = LogHead(log: log, head: Head(sequence: 1, hash: hash))
        let range = LogRange(log: log, from: 1, to: 1)
        let state = StateSummary(frontier: hash, digest: CatalogDigest(), records: 0, wallMilliseconds: 0)
        let message: PeerMessage
        switch draw(19) {
        case 0: message = .want(range, credit: 0)
        case 1: message = .ack(head, credit: 0)
        case 2: message = .have([head, head])
        case 3: message = .state(state, question: 1, answered: 1)
        case 4: message = .deltaRefused(log: log, sequence: 1, code: 1, reason: "")
        case 5: message = .headersWanted(range)
        case 6: message = .headers(log: log, from: 1, [])
        case 7: message = .diffQuestion(draw(2) == 0 ? .sums(token: 1) : .records(token: 1, bucket: 255, after: nil))
        case 8: message = .diffAnswer(PeerMessage.DiffAnswer(token: 1, frontier: hash, digest: CatalogDigest()))
        case 9: message = .shuffle(token: 1, hops: 1, nodes: [attacker.key])
        case 10: message = .shuffleReply(token: 1, nodes: [attacker.key])
        case 11: message = .iHave([HopHead(head: head, hops: 1)])
        case 12: message = .graft(range, credit: 0)
        case 13: message = .ranges([FrontierRange(upper: .end, content: .entries([FrontierEntry(head)], answer: true))])
        case 14:
            let version: UInt64 = [0, 1, 1 << 31, 1 << 32, 1 << 48 - 1][draw(5)]
            message = .announcements([
                alliance.announcement(of: attacker.number, addresses: [], version: version).encoded
            ])
        case 15:
            let sequence: UInt64 = [1, 2, 1 << 31, 1 << 32, 1 << 63 - 1][draw(5)]
            let incarnation = ExtremeNumbers.wide(using: &attackRandom)
            let proof = alliance.forkProof(by: attacker.number, incarnation: incarnation, sequence: sequence)
            message = .governance(known: [], statements: [proof], answer: false)
        case 16: message = .deltas([extremeDelta(by: attacker)])
        case 17: message = .push([extremeDelta(by: attacker)], hops: 1)
        default:
            // A delta that no node has, so that it is stored and forwarded with its hops.
            let delta = write(by: attacker) { [self.plainDraft()] }
            message = .push([delta.encoded()], hops: 1)
        }
        return message.withExtremeNumbers(using: &attackRandom)
    }

    /// A signed delta whose header is valid except for extreme numbers.
    private func extremeDelta(by attacker: VirtualNode) -> [UInt8] {
        let good = write(by: attacker, isKept: false) { [self.plainDraft()] }
        let sequence: UInt64 = [1, 2, 1 << 32, 1 << 63 - 1, 1 << 63][draw(5)]
        let header = Header(
            alliance: alliance.id,
            log: LogID(author: attacker.key, incarnation: ExtremeNumbers.wide(using: &attackRandom)),
            sequence: sequence,
            previous: sequence > 1 ? alliance.cryptography.hash([1]) : nil,
            root: good.header.root,
            count: draw(2) == 0 ? 1 : ExtremeNumbers.narrow(using: &attackRandom),
            stamp: Stamp(rawValue: ExtremeNumbers.wide(using: &attackRandom)),
            format: draw(2) == 0 ? formatVersion : ExtremeNumbers.narrow(using: &attackRandom),
            organization: good.header.organization,
            fields: good.header.fields
        ).encoded()
        // Signing in memory never fails.
        let signature = try! alliance.signer(attacker.number).sign(SignatureTag.header.message(header))
        var raw = try! RawDelta(decoding: good.encoded()[...])
        raw.header = header[...]
        raw.signature = signature[...]
        return raw.encoded()
    }

    // MARK: - Heads

    private static let headsAtOnce = 1_000

    private func promises(by attacker: VirtualNode) -> PeerMessage {
        let kind = draw(3)
        let heads = (0..<Self.headsAtOnce).map { _ -> LogHead in
            let log: LogID
            switch kind {
            case 0:
                let author = NodeKey(
                    Hash256(attackRandom.next(), attackRandom.next(), attackRandom.next(), attackRandom.next())
                )
                log = LogID(author: author, incarnation: attackRandom.next())
            case 1:
                let puppet = adversary?.puppets.randomElement(using: &attackRandom) ?? attacker.nodeIndex
                log = LogID(author: nodes[puppet].key, incarnation: attackRandom.next())
            default: log = honestLog() ?? LogID(author: attacker.key, incarnation: attackRandom.next())
            }
            let sequence = 1 + attackRandom.next() % (kind == 2 ? 1 << 40 : 1_000)
            return LogHead(log: log, head: Head(sequence: sequence, hash: alliance.cryptography.hash([2])))
        }
        switch draw(3) {
        case 0: return .iHave(heads.map { HopHead(head: $0, hops: 1) })
        case 1:
            let entries = heads.sorted { $0.log < $1.log }.map { FrontierEntry($0) }
            var distinct: [FrontierEntry] = []
            for entry in entries where distinct.last?.log != entry.log { distinct.append(entry) }
            return .ranges([FrontierRange(upper: .end, content: .entries(distinct, answer: false))])
        default: return .have(heads)
        }
    }

    // MARK: - Addresses

    private static let addressesAtOnce = 20

    /// Announcements in new versions for the next keys in turn.
    private func deadAddresses() -> PeerMessage {
        let keys = keys
        let first = Int(adversary?.counter ?? 0)
        adversary?.counter += UInt64(Self.addressesAtOnce)
        return .announcements(
            (first..<first + min(Self.addressesAtOnce, keys.count)).map { number in
                alliance.announcement(
                    of: nodes[keys[number % keys.count]].number,
                    addresses: (0..<Announcement.addressesMax).map { "dead\(number)-\($0):1" },
                    version: UInt64(2 + number / keys.count)
                ).encoded
            }
        )
    }

    /// The indices of the nodes whose keys sign the adversary's data.
    private var keys: [Int] { adversary.map { $0.puppets.isEmpty ? $0.nodes : $0.puppets } ?? [] }

    // MARK: - Own logs

    /// The maximum number of logs in use, one for each key.
    private static let logsMax = 8

    private func writePaths() {
        let keys = keys.prefix(Self.logsMax)
        for _ in 0..<Self.deltasPerMove {
            let number = Int(adversary?.counter ?? 0)
            adversary?.counter += 1
            _ = write(by: nodes[keys[number % keys.count]]) { self.pathFlood() }
        }
    }

    /// Pushes deltas of the adversary's logs that a node lacks, each delta once.
    private func pushes(to victim: VirtualNode) -> [PeerMessage] {
        for log in adversary?.logs ?? [] {
            let held = Int(clamping: victim.box?.engine.accepted(log.log)?.sequence ?? 0)
            let count = log.deltas.count
            guard held < count, victim.memory.pushed[log.log] != UInt64(count) else { continue }
            victim.memory.pushed[log.log] = UInt64(count)
            return [.push(log.deltas[held...].prefix(16).map { $0.encoded() }, hops: 1)]
        }
        return []
    }

    private static let deltasPerMove = 1

    /// Signs the next delta of this key's log.
    private func write(
        by author: VirtualNode,
        isKept: Bool = true,
        _ drafts: () -> [OperationDraft]
    ) -> VerifiedDelta {
        var position = adversary?.logs.firstIndex { $0.author == author.nodeIndex }
        if position == nil {
            let log = LogID(author: author.key, incarnation: attackRandom.next())
            adversary?.logs.append(AdversaryLog(author: author.nodeIndex, log: log))
            position = adversary.map { $0.logs.count - 1 }
        }
        let known = position.flatMap { adversary?.logs[$0] }
        let drafts = drafts()
        // These drafts are within the limits, so signing never fails.
        let delta = try! VerifiedDelta(
            signing: drafts,
            salts: drafts.map { _ in attackRandom.bytes(Content.saltByteCount) },
            as: VerifiedDelta.Authorship(
                alliance: alliance.id,
                organization: alliance.organization(author.organization),
                log: known?.log ?? LogID(author: author.key, incarnation: 1),
                head: known?.deltas.last?.head,
                stamp: Stamp(milliseconds: author.wallMilliseconds(at: now), counter: 0),
                importMark: nil
            ),
            signer: alliance.signer(author.number),
            hasher: alliance.cryptography
        )
        if isKept, let position {
            adversary?.logs[position].deltas.append(delta)
            _ = pool.add(delta)
        }
        return delta
    }

    private func plainDraft() -> OperationDraft {
        draft("e", [(FieldPath(unchecked: "name/und"), .set(.text("\(attackRandom.next())")))])
    }

    private func draft(_ localID: String, _ changes: [(FieldPath, FieldChange)]) -> OperationDraft {
        let identity = RecordIdentity(kind: "resource", localID: localID)
        // Changes are never empty here, so there is an operation.
        return Planner.upsert(
            identity,
            key: identity.key(alliance.cryptography),
            over: nil,
            changes: changes,
            settling: .settles
        )!
    }

    /// Four new records with a dozen new paths each, and one more live operation of a record that only grows.
    private func pathFlood() -> [OperationDraft] {
        (0..<4).map { _ in
            draft(
                "p\(attackRandom.next())",
                (0..<12).map { _ in
                    (FieldPath(unchecked: "ext/\(Hex.string(attackRandom.next()))"), .set(.text("x")))
                }
            )
        } + [draft("live", [(FieldPath(unchecked: "tags"), .add([.text("\(attackRandom.next())")]))])]
    }

    // MARK: - Questions

    private func question(from attacker: VirtualNode) -> PeerMessage {
        let log = honestLog() ?? LogID(author: attacker.key, incarnation: 1)
        let whole = LogRange(log: log, from: 1, to: .max)
        let fingerprint = RangeFingerprint(bytes: attackRandom.bytes(RangeFingerprint.byteCount))
        switch draw(12) {
        case 0, 1: return .deltas(gapDeltas(by: attacker))
        case 2: return .governance(known: [alliance.enrolments[0].id], statements: [], answer: false)
        case 3:
            let held = alliance.enrolments.prefix(8).map(\.encoded)
            return .governance(known: [], statements: Array(held), answer: false)
        case 4:
            adversary?.counter += 1
            let sequence = 1_000_000_000 - min(adversary?.counter ?? 0, 999_999_999)
            let proof = alliance.forkProof(by: attacker.number, incarnation: 1, sequence: sequence)
            return .governance(known: [], statements: [proof], answer: false)
        case 5:
            let token = attackRandom.next()
            return .diffQuestion(.records(token: token, bucket: UInt8(truncatingIfNeeded: token), after: nil))
        case 6: return .headersWanted(LogRange(log: log, from: 1, to: 256))
        case 7:
            let state = StateSummary(frontier: .zero, digest: CatalogDigest(), records: 0, wallMilliseconds: 0)
            return .state(state, question: attackRandom.next() | 1, answered: 0)
        case 8: return .ranges(fingerprint.map { [FrontierRange(upper: .end, content: .fingerprint($0))] } ?? [])
        case 9: return .graft(whole, credit: .max)
        case 10: return .want(whole, credit: .max)
        default: return .governance(known: [], statements: [], answer: true)
        }
    }

    private static let gapsMax = 200

    /// Valid deltas that continue no existing log.
    private func gapDeltas(by attacker: VirtualNode) -> [[UInt8]] {
        if let gaps = adversary?.gaps, !gaps.isEmpty { return gaps }
        let hash = alliance.cryptography.hash([4])
        let gaps = (0..<Self.gapsMax).map { number in
            alliance.delta(
                by: attacker.number,
                incarnation: 77,
                after: Head(sequence: UInt64(number) * 2 + 1_000, hash: hash),
                names: [("gap", "\(number)")]
            ).encoded()
        }
        adversary?.gaps = gaps
        return gaps
    }
}
