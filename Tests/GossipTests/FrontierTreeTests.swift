import Catalog
import DeltaLog
import Gossip
import Simulator
import TestSupport
import Testing

/// The ordered frontier compared with a plain list, and the comparison of two frontiers.
struct FrontierTreeTests {
    private static let hasher = KeyedHashCryptography()

    private static func randomLog(_ random: inout SplitMix64, authors: UInt64) -> LogID {
        let author = random.next() % authors
        return LogID(author: NodeKey(Hash256(author << 60, author, 0, author)), incarnation: random.next() % 4)
    }

    private static func randomHead(_ random: inout SplitMix64) -> Head {
        Head(sequence: random.next() % 50 + 1, hash: .random(using: &random))
    }

    private static func tree(_ frontier: Frontier, seed: UInt64) -> FrontierTree {
        var tree = FrontierTree(seed: seed)
        for (log, head) in frontier.sorted { tree.set(head, of: log, hasher: hasher) }
        return tree
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `sums, counts and order equal those of a plain list after any changes`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var tree = FrontierTree(seed: seed)
        var model = Frontier()
        for _ in 0..<300 {
            let log = Self.randomLog(&random, authors: 40)
            let head = Int.random(in: 0..<4, using: &random) == 0 ? nil : Self.randomHead(&random)
            tree.set(head, of: log, hasher: Self.hasher)
            model[log] = head
        }
        let sorted = model.sorted.map { LogHead(log: $0.log, head: $0.head) }
        #expect(tree.sorted == sorted)
        #expect(tree.count == sorted.count)
        let fingerprint = Frontier.fingerprint(sum: tree.sum, count: tree.count, hasher: Self.hasher)
        #expect(fingerprint == model.fingerprint(hasher: Self.hasher))
        for (rank, entry) in sorted.enumerated() {
            #expect(tree[entry.log] == entry.head)
            #expect(tree.entry(at: rank) == entry)
        }
        #expect(tree.entry(at: sorted.count) == nil && tree.entry(at: -1) == nil)
        for _ in 0..<50 {
            let bounds = (0..<2).map { _ in Self.bound(&random, among: sorted) }
            let (lower, upper) = bounds[0].isAfter(bounds[1]) ? (bounds[1], bounds[0]) : (bounds[0], bounds[1])
            let inside = sorted.filter { !lower.isAfter($0.log) && upper.isAfter($0.log) }
            let summary = tree.summary(from: lower, to: upper)
            var sum = HashSum()
            for entry in inside { sum.add(entry.head.fingerprint(of: entry.log, hasher: Self.hasher)) }
            #expect(summary.count == inside.count && summary.sum == sum)
        }
    }

    private static func bound(_ random: inout SplitMix64, among sorted: [LogHead]) -> RangeBound {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return .start
        case 1: return .end
        default:
            let rank = Int.random(in: 1..<sorted.count, using: &random)
            return RangeBound(between: sorted[rank - 1].log, and: sorted[rank].log)
        }
    }

    @Test
    func `a bound separates two logs, and has one encoding`() {
        var random = SplitMix64(seed: 9)
        for _ in 0..<500 {
            let logs = (0..<2).map { _ in Self.randomLog(&random, authors: 3) }.sorted()
            guard logs[0] != logs[1] else { continue }
            let bound = RangeBound(between: logs[0], and: logs[1])
            #expect(bound.isAfter(logs[0]) && !bound.isAfter(logs[1]))
            #expect(bound.bytes.flatMap { RangeBound(bytes: $0) } == bound)
            #expect(RangeBound.end.isAfter(bound) && bound.isAfter(.start) && !bound.isAfter(bound))
        }
        #expect(RangeBound(bytes: [1, 0]) == nil)
        #expect(RangeBound(bytes: Array(repeating: 1, count: 41)) == nil)
    }

    // MARK: - Comparing

    /// The result of an exchange for both sides, and its cost.
    private struct Exchange {
        var messages = 0
        var bytes = 0
        /// By side: heads of which the other side has more, and logs of which it has less.
        var theirs: [[LogID: FrontierEntry]] = [[:], [:]]
        var lacking: [[LogID: UInt64]] = [[:], [:]]
        var isFinished = [false, false]
    }

    private static func exchange(_ one: FrontierTree, _ two: FrontierTree) throws -> Exchange {
        let trees = [one, two]
        var exchange = Exchange()
        var message = RangeReconciliation.opening(one, hasher: hasher)
        var receiver = 1
        while true {
            exchange.messages += 1
            exchange.bytes += PeerMessage.ranges(message).encoded().count + 4
            #expect(try PeerMessage(decoding: PeerMessage.ranges(message).encoded()) == .ranges(message))
            let outcome = try RangeReconciliation.compare(message, with: trees[receiver], hasher: hasher)
            for entry in outcome.theirs { exchange.theirs[receiver][entry.log] = entry }
            for (log, sequence) in outcome.lacking { exchange.lacking[receiver][log] = sequence }
            if outcome.isFinished { exchange.isFinished[receiver] = true }
            let isQuestion = message.contains { range in
                switch range.content {
                case .fingerprint: true
                case .entries(_, let answer): answer
                case .skip: false
                }
            }
            guard !outcome.answer.isEmpty || isQuestion else { return exchange }
            message = outcome.answer
            receiver = 1 - receiver
        }
    }

    private static func entry(_ log: LogID, _ head: Head) -> FrontierEntry {
        FrontierEntry(LogHead(log: log, head: head))
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `both sides find exactly the differences`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var frontiers = [Frontier(), Frontier()]
        let count = [0, 1, 5, 9, 40, 300, 1200][Int(seed % 7)]
        for _ in 0..<count {
            let log = LogID.random(using: &random)
            let head = Self.randomHead(&random)
            frontiers[0][log] = head
            frontiers[1][log] = head
        }
        for _ in 0..<Int.random(in: 0...(seed % 3 == 0 ? 200 : 3), using: &random) {
            let side = Int.random(in: 0...1, using: &random)
            let log = frontiers[0].heads.keys.sorted().randomElement(using: &random) ?? .random(using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: frontiers[side][.random(using: &random)] = Self.randomHead(&random)
            case 1: frontiers[side][log] = nil
            default: frontiers[side][log] = Self.randomHead(&random)
            }
        }
        let exchange = try Self.exchange(Self.tree(frontiers[0], seed: 1), Self.tree(frontiers[1], seed: 2))
        for side in 0...1 {
            let (own, other) = (frontiers[side], frontiers[1 - side])
            let theirs = other.heads.filter { log, head in
                own[log].map { $0 != head && $0.sequence <= head.sequence } ?? true
            }
            let entries = theirs.reduce(into: [:]) { $0[$1.key] = Self.entry($1.key, $1.value) }
            #expect(exchange.theirs[side] == entries, "seed \(seed), side \(side)")
            // If one side lacks a log altogether, only that side learns of it, and asks for it.
            for (log, sequence) in exchange.lacking[side] {
                #expect(own[log]?.sequence ?? 0 > sequence && sequence == other[log]?.sequence ?? 0)
            }
            #expect(exchange.isFinished[side], "seed \(seed), side \(side)")
        }
    }

    @Test
    func `one difference among a thousand logs takes three round trips and some kilobytes`() throws {
        var random = SplitMix64(seed: 4)
        for _ in 0..<20 {
            var whole = Frontier()
            for _ in 0..<1000 { whole[.random(using: &random)] = Self.randomHead(&random) }
            var lacking = whole
            let log = whole.heads.keys.sorted().randomElement(using: &random)!
            lacking[log] = nil
            let exchange = try Self.exchange(Self.tree(lacking, seed: 1), Self.tree(whole, seed: 2))
            #expect(exchange.messages <= 4)
            #expect(exchange.bytes <= 3_200, "\(exchange.bytes)")
            #expect(exchange.theirs[0] == [log: Self.entry(log, whole[log]!)])
        }
    }

    @Test
    func `a large difference is sent in parts, and no part is wrong`() throws {
        var random = SplitMix64(seed: 5)
        var whole = Frontier()
        for _ in 0..<25_000 { whole[.random(using: &random)] = Self.randomHead(&random) }
        let full = Self.tree(whole, seed: 2)
        var held = Frontier()
        var rounds = 0
        while held.heads.count < whole.heads.count, rounds < 10 {
            rounds += 1
            let exchange = try Self.exchange(Self.tree(held, seed: 1), full)
            for (log, entry) in exchange.theirs[0] {
                #expect(whole[log].map { Self.entry(log, $0) } == entry)
                held[log] = whole[log]
            }
        }
        #expect(held == whole)
        #expect(rounds <= 4)
    }

    @Test
    func `ranges that run backwards or do not hold their heads are nonsense`() {
        let tree = Self.tree(Frontier(), seed: 1)
        let log = LogID(author: NodeKey(Hash256(5 << 56, 0, 0, 0)), incarnation: 1)
        let entry = FrontierEntry(log: log, sequence: 1, prefix: 0)
        let (low, high) = (RangeBound(bytes: [2])!, RangeBound(bytes: [9])!)
        for ranges: [FrontierRange] in [
            [FrontierRange(upper: high, content: .skip), FrontierRange(upper: low, content: .skip)],
            [FrontierRange(upper: low, content: .skip), FrontierRange(upper: low, content: .skip)],
            [FrontierRange(upper: .end, content: .skip), FrontierRange(upper: .end, content: .skip)],
            [FrontierRange(upper: low, content: .entries([entry], answer: true))],
            [FrontierRange(upper: high, content: .entries([entry, entry], answer: false))],
        ] {
            #expect(throws: RangeReconciliation.Nonsense.self) {
                try RangeReconciliation.compare(ranges, with: tree, hasher: Self.hasher)
            }
        }
    }
}
