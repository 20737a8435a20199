import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator

/// Creates messages of every kind as a hostile member may send them, based on its knowledge of the receiver.
struct MessageMaker {
    let alliance: VirtualAlliance
    let pool: HostilePool
    /// The sender's key.
    let sender: NodeKey
    /// The receiving node.
    let node: HonestNode
    /// The maximum number of headers in one request.
    let headersMax: UInt64

    private var hasher: SimulatedCryptography { alliance.cryptography }

    func message(_ kind: PeerMessage.Kind, using random: inout SplitMix64) -> PeerMessage {
        switch kind {
        case .hello: .hello(hello(using: &random))
        case .refusal: .refusal(SessionRefusal(code: random.extreme32(), reason: random.text()))
        case .governance: governance(using: &random)
        case .announcements: .announcements(some(of: pool.announcements, using: &random))
        case .ranges: .ranges(ranges(using: &random))
        case .want: .want(range(using: &random), credit: random.extreme())
        case .deltas: .deltas(deltas(using: &random))
        case .ack: .ack(head(using: &random), credit: random.extreme())
        case .have: .have(heads(using: &random))
        case .state:
            .state(
                state(using: &random),
                question: random.extreme(),
                answered: random.isOne(in: 2) ? random.extreme() : 0
            )
        case .deltaRefused: deltaRefused(using: &random)
        case .headersWanted: .headersWanted(headerRange(using: &random))
        case .headers: headers(range(using: &random), using: &random)
        case .diffQuestion: .diffQuestion(question(using: &random))
        case .diffAnswer: .diffAnswer(answer(random.extreme(), using: &random))
        case .neighbour: .neighbour(isUrgent: Bool.random(using: &random))
        case .neighbourAnswer: .neighbourAnswer(isAccepted: Bool.random(using: &random))
        case .leave: .leave
        case .shuffle:
            .shuffle(token: random.extreme(), hops: random.extreme32(), nodes: keys(using: &random))
        case .shuffleReply: .shuffleReply(token: random.extreme(), nodes: keys(using: &random))
        case .push: .push(deltas(using: &random), hops: hops(using: &random))
        case .iHave: .iHave(heads(using: &random).map { HopHead(head: $0, hops: hops(using: &random)) })
        case .graft: .graft(random.isOne(in: 3) ? nil : range(using: &random), credit: random.extreme())
        case .prune: .prune
        }
    }

    // MARK: - Sessions

    /// A Hello that is usually accepted.
    func hello(using random: inout SplitMix64) -> PeerMessage.Hello {
        PeerMessage.Hello(
            alliance: random.isOne(in: 60) ? AllianceID(.zero) : alliance.id,
            formatMin: random.isOne(in: 60) ? random.extreme32() : 0,
            formatMax: random.isOne(in: 3) ? random.extreme32() : 0,
            program: random.text(),
            governance: Hash256(random.extreme(), 0, 0, 0),
            announcements: Hash256(random.extreme(), 0, 0, 0),
            state: state(using: &random)
        )
    }

    func state(using random: inout SplitMix64) -> StateSummary {
        StateSummary(
            frontier: random.isOne(in: 3) ? node.box.engine.fingerprint : Hash256(random.next(), 0, 0, 0),
            digest: CatalogDigest(sum: Hash256(random.extreme(), random.extreme(), 0, .max)),
            records: random.extreme(),
            wallMilliseconds: random.isOne(in: 2) ? random.extreme() : 1_700_000_000_000
        )
    }

    // MARK: - Membership

    private func governance(using random: inout SplitMix64) -> PeerMessage {
        var known: [Hash256] = []
        if random.isOne(in: 2) {
            known = some(of: pool.statementIDs + alliance.enrolments.map(\.id), using: &random)
        }
        if random.isOne(in: 30) {
            known += (0..<random.small(below: 2_000)).map { _ in Hash256(random.next(), 0, 0, 0) }
        }
        // Also sends statements that all nodes have.
        var statements = random.isOne(in: 2) ? some(of: pool.statements, using: &random) : []
        if random.isOne(in: 4) { statements += alliance.enrolments.map(\.encoded) }
        return .governance(known: known, statements: statements, answer: random.isOne(in: 3))
    }

    // MARK: - Logs

    func log(using random: inout SplitMix64) -> LogID {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: LogID(author: NodeKey(Hash256(random.next(), 5, 5, 5)), incarnation: random.extreme())
        case 1, 2: LogID(author: sender, incarnation: random.extreme())
        case 3: LogID(author: node.key, incarnation: random.extreme())
        case 4, 5, 6, 7: node.log
        default: random.pick(pool.logs) ?? node.log
        }
    }

    private func held(_ log: LogID) -> UInt64 { node.box.engine.durable[log]?.sequence ?? 0 }

    private func range(using random: inout SplitMix64) -> LogRange {
        let log = log(using: &random)
        var from = random.number(near: held(log))
        let to = random.number(near: held(log))
        // An empty range ends the session, so it is rare.
        if !random.isOne(in: 100) { from = max(1, min(from, to)) }
        return LogRange(log: log, from: from, to: random.isOne(in: 100) ? to : max(1, to))
    }

    private func headerRange(using random: inout SplitMix64) -> LogRange {
        let range = range(using: &random)
        guard !random.isOne(in: 200) else { return range }
        let to = max(1, min(range.to, Header.sequenceMax))
        let from = to - min(to - 1, UInt64(random.small(below: Int(headersMax))))
        return LogRange(log: range.log, from: from, to: to)
    }

    func head(using random: inout SplitMix64) -> LogHead {
        let log = log(using: &random)
        let sequence = max(1, min(random.number(near: held(log)), random.isOne(in: 200) ? .max : Header.sequenceMax))
        let chain = pool.chains[log] ?? []
        let isTrue = sequence <= UInt64(chain.count) && !random.isOne(in: 8)
        let hash = isTrue ? chain[Int(sequence) - 1].head.hash : Hash256(random.next(), 3, 3, 3)
        return LogHead(log: log, head: Head(sequence: sequence, hash: hash))
    }

    private func heads(using random: inout SplitMix64) -> [LogHead] {
        let count = random.isOne(in: 300) ? 3_000 : random.small(below: 60)
        return (0..<count).map { _ in head(using: &random) }
    }

    private func hops(using random: inout SplitMix64) -> UInt32 {
        random.isOne(in: 2) ? UInt32(random.small(below: 8)) : random.extreme32()
    }

    private func keys(using random: inout SplitMix64) -> [NodeKey] {
        (0..<random.small(below: 64)).map { _ in
            random.isOne(in: 3) ? NodeKey(Hash256(random.next(), 6, 6, 6)) : log(using: &random).author
        }
    }

    func deltas(using random: inout SplitMix64) -> [[UInt8]] {
        var deltas: [[UInt8]] = []
        for _ in 0...random.small(below: 8) {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: if let delta = random.pick(pool.signed) { deltas.append(delta.bytes) }
            case 1: if let delta = random.pick(pool.twins) { deltas.append(delta.bytes) }
            default:
                let log = log(using: &random)
                let next = random.isOne(in: 4) ? random.number(near: held(log)) : held(log) + 1
                let to = next.addingReportingOverflow(UInt64(random.small(below: 10))).partialValue
                deltas += pool.slice(LogRange(log: log, from: next, to: to)).map(\.bytes)
            }
        }
        if random.isOne(in: 200) { deltas = (0..<random.small(below: 2_000)).map { _ in [] } }
        return altered(deltas, using: &random)
    }

    /// The deltas, mostly unchanged.
    func altered(_ deltas: [[UInt8]], using random: inout SplitMix64) -> [[UInt8]] {
        guard random.isOne(in: 20), let nodeIndex = deltas.indices.randomElement(using: &random) else { return deltas }
        var deltas = deltas
        deltas[nodeIndex] = random.mutated(deltas[nodeIndex])
        return deltas
    }

    private func deltaRefused(using random: inout SplitMix64) -> PeerMessage {
        let head = head(using: &random)
        return .deltaRefused(
            log: head.log,
            sequence: random.isOne(in: 3) ? random.extreme() : head.head.sequence,
            code: random.extreme32(),
            reason: random.text()
        )
    }

    /// The headers of a range: usually the requested ones, otherwise different, altered or missing ones.
    func headers(_ range: LogRange, using random: inout SplitMix64) -> PeerMessage {
        var headers = pool.slice(range).map(\.header)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: if let twin = random.pick(pool.twins), !headers.isEmpty { headers[0] = twin.header }
        case 1:
            if let nodeIndex = headers.indices.randomElement(using: &random) {
                let header = random.mutated(headers[nodeIndex].header)
                headers[nodeIndex] = SignedHeader(header: header, signature: headers[nodeIndex].signature)
            }
        case 2: headers = Array(headers.prefix(random.small(below: 3)))
        case 3:
            if random.isOne(in: 10) { headers += Array(repeating: SignedHeader(header: [], signature: []), count: 300) }
        default: break
        }
        return .headers(log: range.log, from: random.isOne(in: 20) ? random.extreme() : range.from, headers)
    }

    // MARK: - Frontiers

    /// The sender's claimed frontier: the node's advertised frontier with false entries.
    func frontier(using random: inout SplitMix64) -> FrontierTree {
        var tree = FrontierTree(seed: random.next())
        for entry in node.box.engine.advertised.sorted where !random.isOne(in: 10) {
            tree.set(entry.head, of: entry.log, hasher: hasher)
        }
        for _ in 0..<random.small(below: random.isOne(in: 50) ? 3_000 : 60) {
            let entry = head(using: &random)
            tree.set(entry.head, of: entry.log, hasher: hasher)
        }
        return tree
    }

    private func ranges(using random: inout SplitMix64) -> [FrontierRange] {
        var ranges = RangeReconciliation.opening(frontier(using: &random), hasher: hasher)
        guard random.isOne(in: 3) else { return ranges }
        if random.isOne(in: 4) { ranges = [] }
        for _ in 0..<random.small(below: 6) {
            var bound = Array(log(using: &random).bytes.prefix(random.small(below: 41)))
            while bound.last == 0 { bound.removeLast() }
            let upper = random.isOne(in: 3) ? RangeBound.end : RangeBound(bytes: bound) ?? .end
            let nodeIndex = Int.random(in: 0...ranges.count, using: &random)
            ranges.insert(FrontierRange(upper: upper, content: content(using: &random)), at: nodeIndex)
        }
        // Ranges in order are processed; others end the session.
        if !random.isOne(in: 20) {
            ranges.sort { $1.upper.isAfter($0.upper) }
            var last = RangeBound.start
            ranges = ranges.compactMap { range in
                guard range.upper.isAfter(last) else { return nil }
                defer { last = range.upper }
                guard case .entries(let entries, let answer) = range.content else { return range }
                let inside = entries.filter { !last.isAfter($0.log) && range.upper.isAfter($0.log) }
                return FrontierRange(upper: range.upper, content: .entries(inside, answer: answer))
            }
        }
        return ranges
    }

    private func content(using random: inout SplitMix64) -> FrontierRange.Content {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return .skip
        case 1:
            return RangeFingerprint(bytes: random.bytes(RangeFingerprint.byteCount)).map { .fingerprint($0) } ?? .skip
        default:
            var entries: [LogID: FrontierEntry] = [:]
            for _ in 0..<random.small(below: 30) {
                let entry = FrontierEntry(head(using: &random))
                entries[entry.log] = entry
            }
            return .entries(entries.values.sorted { $0.log < $1.log }, answer: Bool.random(using: &random))
        }
    }

    // MARK: - Records

    private func question(using random: inout SplitMix64) -> PeerMessage.DiffQuestion {
        if random.isOne(in: 3) { return .sums(token: random.extreme()) }
        return .records(
            token: random.extreme(),
            bucket: UInt8(truncatingIfNeeded: random.next()),
            after: random.isOne(in: 2) ? RecordID(Hash256(random.extreme(), random.extreme(), .max, .max)) : nil
        )
    }

    func answer(_ token: UInt64, using random: inout SplitMix64) -> PeerMessage.DiffAnswer {
        PeerMessage.DiffAnswer(
            token: token,
            sums: (0..<random.pick(of: 0, 1, 255, 256, 257)).map { _ in Hash256(random.extreme(), 0, 0, 0) },
            records: (0..<random.small(below: 300)).map { _ in
                PeerMessage.RecordHash(record: RecordID(Hash256(random.extreme(), 0, 0, 0)), hash: .zero)
            },
            more: Bool.random(using: &random),
            frontier: Hash256(random.extreme(), 0, 0, 0),
            digest: CatalogDigest(sum: Hash256(.max, .max, .max, random.extreme()))
        )
    }

    private func some<Element>(of elements: [Element], using random: inout SplitMix64) -> [Element] {
        guard !elements.isEmpty else { return [] }
        return (0...random.small(below: min(40, elements.count))).compactMap { _ in random.pick(elements) }
    }
}
