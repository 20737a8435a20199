package import Catalog
import DeltaLog

/// A range of logs in a comparison, as one side sees it. It begins at the end of the range before it in its message.
package struct FrontierRange: Hashable, Sendable {
    /// The statement about the range.
    package enum Content: Hashable, Sendable {
        /// Nothing: both sides are known to hold the same, or the range does not matter.
        case skip
        /// The first 16 bytes of the range's fingerprint. The receiver compares it.
        case fingerprint(RangeFingerprint)
        /// Entries of the range. If `answer` is true, they are all entries, and the receiver answers with those of its
        /// own that differ. If it is false, they are the entries that differ from those that the receiver sent.
        case entries([FrontierEntry], answer: Bool)
    }

    /// The end of the range, not included.
    package let upper: RangeBound
    package let content: Content

    package init(upper: RangeBound, content: Content) {
        self.upper = upper
        self.content = content
    }
}

/// A log with its head's sequence and the first 8 bytes of its hash, enough to compare two heads.
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

/// The search for the differences of two frontiers, by comparing fingerprints of ever smaller ranges (Meyer 2022,
/// "Range-Based Set Reconciliation", section 3).
///
/// Neither side keeps state between messages: each message contains everything that the answer needs. The receiver
/// splits a range whose fingerprints differ into ``branching`` ranges with similar numbers of its own entries. If it
/// holds few entries, it answers with them. So the number of messages is logarithmic in the frontier's size. The bytes
/// are in proportion to the differences times that logarithm.
package struct RangeReconciliation: Sendable {
    /// The number of ranges into which a range is split, and the most entries of a range that is sent whole. A larger
    /// value means fewer messages and more bytes. With 32, the second message finds a difference among a thousand logs.
    package static let branching = 32
    /// The most ranges in one message. If more differ, the rest is left to the next comparison.
    package static let rangesMax = 4096
    /// The most entries in one message.
    package static let entriesMax = 10_000

    /// The result of a message.
    package struct Outcome: Sendable {
        /// The ranges to answer. Empty if nothing differs; this is sent too if the message asked for an answer.
        package var answer: [FrontierRange] = []
        /// Entries of the peer beyond those held here, or different from them at the same sequence.
        package var theirs: [FrontierEntry] = []
        /// Logs of which this side holds more, with the sequences that the peer has.
        package var lacking: [(log: LogID, sequence: UInt64)] = []
        /// True if nothing remains to be compared: one side or the other has sent everything that differs.
        package var isFinished = true

        /// Adds a range to the answer; two adjacent empty ones become one.
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

    /// A message that makes no sense.
    package struct Nonsense: Error {}

    /// The first message: the fingerprints of the whole frontier's parts.
    package static func opening(_ tree: FrontierTree, hasher: some CatalogHasher) -> [FrontierRange] {
        split(tree, from: .start, to: .end, hasher: hasher)
    }

    /// Compares the peer's ranges with the frontier held here.
    ///
    /// - Throws: ``Nonsense`` if ranges overlap or run backwards, or entries are outside their range.
    /// - Complexity: Logarithmic for each range, and linear in the entries sent.
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
        // Empty ranges at the end are left out.
        while case .skip? = outcome.answer.last?.content { outcome.answer.removeLast() }
        return outcome
    }

    /// The parts of a range: its entries if they are few, otherwise fingerprints of parts with similar numbers of
    /// entries.
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

    /// Notes how an entry of the peer compares with the own head.
    private static func judge(_ entry: FrontierEntry, own: Head?, into outcome: inout Outcome) {
        guard own?.sequence != entry.sequence || own?.hash.prefix != entry.prefix else { return }
        if entry.sequence >= own?.sequence ?? 0 {
            outcome.theirs.append(entry)
        } else {
            outcome.lacking.append((entry.log, entry.sequence))
        }
    }

    /// Answers all entries of the peer in a range with the own entries that differ.
    ///
    /// - Returns: The number of entries sent.
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
