package import Catalog
import DeltaLog

/// A range of logs, as one side of a comparison sees it. It begins where the one before it in its message ends.
package struct FrontierRange: Hashable, Sendable {
    /// What is said of the range.
    package enum Content: Hashable, Sendable {
        /// Nothing: both sides are known to hold the same, or it is of no interest.
        case skip
        /// The first 16 bytes of the range's fingerprint. The receiver compares it.
        case fingerprint(RangeFingerprint)
        /// Entries of the range: where `answer` is set all that there are, and the receiver tells those of its own that
        /// differ; else those that differ from what the receiver has told.
        case entries([FrontierEntry], answer: Bool)
    }

    /// Where the range ends; not included.
    package let upper: RangeBound
    package let content: Content

    package init(upper: RangeBound, content: Content) {
        self.upper = upper
        self.content = content
    }
}

/// A log with its head's sequence and the first 8 bytes of its hash: enough to see whether two heads are the same.
package struct FrontierEntry: Hashable, Sendable {
    package let log: LogID
    package let sequence: UInt64
    package let prefix: UInt64

    package init(log: LogID, sequence: UInt64, prefix: UInt64) {
        self.log = log
        self.sequence = sequence
        self.prefix = prefix
    }

    package init(_ head: LogHead) {
        self.init(log: head.log, sequence: head.head.sequence, prefix: head.head.hash.prefix)
    }
}

/// The first 16 bytes of a range's fingerprint.
package struct RangeFingerprint: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    /// SHA-256 of "hansa/range\0", the sum and the number of a range's entries, cut to 16 bytes.
    package init(sum: HashSum, count: Int, hasher: some CatalogHasher) {
        var fields = TaggedFields("hansa/range")
        fields.append(sum.sum)
        fields.append(UInt64(count))
        let hash = hasher.hash(fields.bytes)
        high = hash.word0
        low = hash.word1
    }

    package static let byteCount = 16

    /// Takes exactly 16 bytes; nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    package var bytes: [UInt8] {
        withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { Array($0) }
    }
}

/// Finding out where two frontiers differ, by comparing fingerprints of ever smaller ranges (Meyer 2022, "Range-Based Set
/// Reconciliation", section 3).
///
/// Neither side keeps anything between messages: each message says all that the answer needs. A range whose
/// fingerprints differ is split by the receiver into ``branching`` ranges of about as many of its own entries, or, where
/// it holds few, answered with them. So it takes a number of messages logarithmic in the frontier's size, and bytes
/// in proportion to the differences and that logarithm.
package struct RangeReconciliation: Sendable {
    /// Into how many ranges one that differs is split, and with how many entries or fewer it is told whole. Larger:
    /// fewer messages and more bytes. With 32 a difference among a thousand logs is found by the second message.
    package static let branching = 32
    /// Ranges in one message at most; where more differ, the rest is left to the next comparison.
    package static let rangesMax = 4096
    /// Entries in one message at most.
    package static let entriesMax = 10_000

    /// What a message comes to.
    package struct Outcome: Sendable {
        /// What to answer. None where nothing differs, which is said too where the message asked for an answer.
        package var answer: [FrontierRange] = []
        /// Entries of the peer that are beyond those held here, or differ from them at the same sequence.
        package var theirs: [FrontierEntry] = []
        /// Logs of which this side holds more, with what the peer has.
        package var lacking: [(log: LogID, sequence: UInt64)] = []
        /// True where nothing remains to be compared: all that differs was told, by one side or the other.
        package var isFinished = true

        /// Adds a range to the answer; two that say nothing become one.
        fileprivate mutating func add(_ content: FrontierRange.Content, to upper: RangeBound) {
            if content == .skip, answer.last?.content == .skip { answer.removeLast() }
            answer.append(FrontierRange(upper: upper, content: content))
        }

        /// Leaves a range to the next comparison.
        fileprivate mutating func leave(to upper: RangeBound) {
            isFinished = false
            add(.skip, to: upper)
        }
    }

    /// Why a message is no sensible one.
    package struct Nonsense: Error {}

    /// The first message: the fingerprints of the whole frontier's parts.
    package static func opening(_ tree: FrontierTree, hasher: some CatalogHasher) -> [FrontierRange] {
        split(tree, from: .start, to: .end, hasher: hasher)
    }

    /// Compares what the peer says with what is held here.
    ///
    /// - Throws: ``Nonsense`` where ranges overlap or run backwards, or entries lie outside their range.
    /// - Complexity: A logarithm for each range, and linear in the entries told.
    package static func compare(
        _ ranges: [FrontierRange],
        with tree: FrontierTree,
        hasher: some CatalogHasher
    ) throws(Nonsense) -> Outcome {
        var outcome = Outcome()
        var lower = RangeBound.start
        var listed = 0
        for range in ranges {
            guard range.upper.isAfter(lower) else { throw Nonsense() }
            let isFull = outcome.answer.count >= rangesMax || listed >= entriesMax
            switch range.content {
            case .skip: outcome.add(.skip, to: range.upper)
            case .fingerprint(let theirs):
                let own = tree.summary(from: lower, to: range.upper)
                if theirs == RangeFingerprint(sum: own.sum, count: own.count, hasher: hasher) {
                    outcome.add(.skip, to: range.upper)
                } else if isFull {
                    outcome.leave(to: range.upper)
                } else {
                    outcome.isFinished = false
                    for part in split(tree, from: lower, to: range.upper, hasher: hasher) {
                        outcome.add(part.content, to: part.upper)
                    }
                    listed += min(own.count, branching)
                }
            case .entries(let theirs, false):
                try check(theirs, from: lower, to: range.upper)
                for entry in theirs { judge(entry, own: tree[entry.log], into: &outcome) }
                outcome.add(.skip, to: range.upper)
            case .entries(let theirs, true):
                try check(theirs, from: lower, to: range.upper)
                if isFull {
                    outcome.leave(to: range.upper)
                } else {
                    listed += answer(theirs, of: tree, from: lower, to: range.upper, into: &outcome)
                }
            }
            lower = range.upper
        }
        // What says nothing at the end is left out.
        while case .skip? = outcome.answer.last?.content { outcome.answer.removeLast() }
        return outcome
    }

    /// The parts of a range: its entries where there are few, else fingerprints of parts with about as many each.
    private static func split(
        _ tree: FrontierTree,
        from lower: RangeBound,
        to upper: RangeBound,
        hasher: some CatalogHasher
    ) -> [FrontierRange] {
        let start = tree.rank(of: lower)
        let count = max(0, tree.rank(of: upper) - start)
        guard count > branching else {
            let entries = tree.entries(start..<start + count).map(FrontierEntry.init)
            return [FrontierRange(upper: upper, content: .entries(entries, answer: true))]
        }
        let parts = min(branching, (count + branching - 1) / branching)
        var ranges: [FrontierRange] = []
        var from = lower
        for part in 1...parts {
            var bound = upper
            if part < parts {
                let rank = start + count * part / parts
                guard let before = tree.entry(at: rank - 1), let next = tree.entry(at: rank) else { continue }
                bound = RangeBound(between: before.log, and: next.log)
            }
            let summary = tree.summary(from: from, to: bound)
            let fingerprint = RangeFingerprint(sum: summary.sum, count: summary.count, hasher: hasher)
            ranges.append(FrontierRange(upper: bound, content: .fingerprint(fingerprint)))
            from = bound
        }
        return ranges
    }

    private static func check(
        _ entries: [FrontierEntry],
        from lower: RangeBound,
        to upper: RangeBound
    ) throws(Nonsense) {
        var last: LogID?
        for entry in entries {
            guard !lower.isAfter(entry.log), upper.isAfter(entry.log), last.map({ $0 < entry.log }) ?? true else {
                throw Nonsense()
            }
            last = entry.log
        }
    }

    /// Takes note of how an entry of the peer stands against one's own.
    private static func judge(_ entry: FrontierEntry, own: Head?, into outcome: inout Outcome) {
        guard own?.sequence != entry.sequence || own?.hash.prefix != entry.prefix else { return }
        if entry.sequence >= own?.sequence ?? 0 {
            outcome.theirs.append(entry)
        } else {
            outcome.lacking.append((entry.log, entry.sequence))
        }
    }

    /// Answers all entries that the peer has in a range with those of one's own that differ.
    ///
    /// - Returns: How many were told.
    private static func answer(
        _ theirs: [FrontierEntry],
        of tree: FrontierTree,
        from lower: RangeBound,
        to upper: RangeBound,
        into outcome: inout Outcome
    ) -> Int {
        let start = tree.rank(of: lower)
        let end = max(start, tree.rank(of: upper))
        let own = tree.entries(start..<min(end, start + entriesMax))
        var rest: [LogID: FrontierEntry] = [:]
        for entry in theirs { rest[entry.log] = entry }
        var differing: [FrontierEntry] = []
        for head in own {
            let mine = FrontierEntry(head)
            let other = rest.removeValue(forKey: head.log)
            guard other != mine else { continue }
            differing.append(mine)
            if let other {
                judge(other, own: head.head, into: &outcome)
            } else {
                outcome.lacking.append((head.log, 0))
            }
        }
        for entry in theirs where rest[entry.log] != nil { judge(entry, own: tree[entry.log], into: &outcome) }
        if own.count < end - start, let last = own.last, let next = tree.entry(at: start + own.count) {
            outcome.add(.entries(differing, answer: false), to: RangeBound(between: last.log, and: next.log))
            outcome.leave(to: upper)
        } else {
            outcome.add(differing.isEmpty ? .skip : .entries(differing, answer: false), to: upper)
        }
        return differing.count
    }
}
