internal import Catalog

/// Finds keys that repeat in a file, and keys that look alike (``KeyFold``), in bounded memory.
///
/// Holds 64 bits of a keyed hash (SipHash, Swift's own, whose seed changes with each process) of the form that keys which
/// look alike share, 32 bits of another one of the key as it is, and the line; not the key itself. Two of a million different
/// keys collide with a probability of some 10⁻⁸, and would be taken for keys that look alike. In memory an entry takes 16 bytes at a load of 80 % at most, so 20 to 40 bytes a key; of more keys than memory is given for, sorted
/// runs are kept in a file (``KeyRuns``), and repetitions between them are found at the end.
struct KeyIndex {
    /// A key's hashes, and the line on which it stands.
    struct Entry {
        /// Of what it looks like.
        var high: UInt64 = 0
        /// Of its bytes.
        var low: UInt32 = 0
        /// 0 marks a free slot; lines beyond 2³² − 1 are shown as that.
        var line: UInt32 = 0

        func looksLike(_ other: Entry) -> Bool { high == other.high }

        static func precedes(_ left: Entry, _ right: Entry) -> Bool {
            (left.high, left.low, left.line) < (right.high, right.low, right.line)
        }
    }

    /// How a key stands to one before it.
    enum Finding: Equatable {
        /// It stood on that line already.
        case `repeated`(line: Int)
        /// One that looks like it stood on that line; nil where its text is not known any more.
        case alike(line: Int, key: String?)
    }

    static func text(repeating first: Int, on line: Int) -> String {
        "the key of line \(first) again on line \(line); keys must be unique in a file"
    }

    /// - Parameter key: Nil where it is not known any more.
    static func text(_ key: String?, like other: String?, of first: Int, on line: Int) -> String {
        func shown(_ key: String?) -> String { key.map { " '\(VisibleText.distinct($0))'" } ?? "" }
        return "the key\(shown(key)) looks like\(shown(other)) of line \(first) and is another one; "
            + "give both rows the same key, or keys that differ visibly"
    }

    private var slots = [Entry](repeating: Entry(), count: 1024)
    private var count = 0
    /// Keys in memory beyond which a run is written.
    private let countMax: Int
    /// Where runs are kept; nil to keep all keys in memory.
    private let folder: String?
    private var runs: KeyRuns?
    /// True once the file is read again: its keys are known.
    private var isAgain = false
    /// Keys that are not the form they share with others, by what they look like: they are few, and shown where they are
    /// refused.
    private var unusual: [UInt64: String] = [:]
    private var unusualBytes = 0
    /// Bytes of such keys that are kept. 1 MiB: some ten thousand.
    private static let unusualBytesMax = 1 << 20
    /// What went wrong with the file of runs.
    private(set) var failure: InterchangeError?

    init(countMax: Int, folder: String?) {
        self.countMax = max(1, countMax)
        self.folder = folder
    }

    /// The file is read once more from its beginning: now a key is one that repeats unless it stands on the line on which it
    /// stood the first time. Of keys that were in runs nothing is said any more.
    mutating func beginAgain() {
        isAgain = true
        if runs != nil { slots = [] }
    }

    /// Notes that a key stands on `line`; where it, or one that looks like it, stood before, as far as that is known
    /// already.
    mutating func insert(kind: String, key: String, line: Int) -> Finding? {
        guard !slots.isEmpty else { return nil }
        let folded = KeyFold.folded(key)
        var one = Hasher()
        one.combine(bytesOf: kind)
        one.combine(bytesOf: folded ?? key)
        let new = Entry(
            high: UInt64(bitPattern: Int64(one.finalize())),
            low: Self.hash(of: key),
            line: UInt32(clamping: max(1, line))
        )
        if count * 5 >= slots.count * 4 { grow() }
        let position = Self.position(of: new, in: slots)
        let found = slots[position]
        if found.line != 0 {
            if isAgain, found.line == new.line { return nil }
            if found.low == new.low { return .repeated(line: Int(found.line)) }
            // A key that is its own form is the one that both share.
            let shared = folded.flatMap { Self.hash(of: $0) == found.low ? $0 : nil }
            return .alike(line: Int(found.line), key: unusual[found.high] ?? shared)
        }
        if folded != nil, unusualBytes + key.utf8.count <= Self.unusualBytesMax {
            unusual[new.high] = key
            unusualBytes += key.utf8.count
        }
        slots[position] = new
        count += 1
        if count >= countMax, folder != nil { spill() }
        return nil
    }

    /// FNV-1a (Fowler, Noll, Vo).
    private static func hash(of key: String) -> UInt32 {
        var hash: UInt32 = 2_166_136_261
        for byte in key.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return hash
    }

    /// Puts all keys in memory into a run.
    private mutating func spill() {
        guard failure == nil, let folder else { return }
        do throws(InterchangeError) {
            if runs == nil { runs = try KeyRuns(in: folder) }
            // In the memory that there is: free slots go to the end, what is before them is sorted.
            let end = slots.partition { $0.line == 0 }
            slots[..<end].sort(by: Entry.precedes)
            try runs?.append(slots[..<end])
            for position in slots.indices { slots[position] = Entry() }
            count = 0
        } catch {
            failure = error
        }
    }

    /// Keys that stand in more than one run, and those that look like ones of other runs, in no order of lines. Nil where all
    /// keys are in memory, and were told by ``insert(kind:key:line:)``.
    mutating func repetitions() throws(InterchangeError) -> Repetitions? {
        guard let runs, !isAgain else { return nil }
        if count > 0 { spill() }
        if let failure { throw failure }
        return Repetitions(try runs.merged())
    }

    struct Repetitions {
        private var merge: KeyRuns.Merge
        private var first: Entry?

        fileprivate init(_ merge: KeyRuns.Merge) { self.merge = merge }

        /// The next one: the line of the first such key, its own, and whether they only look alike.
        mutating func next() throws(InterchangeError) -> (first: Int, line: Int, isAlike: Bool)? {
            while let entry = try merge.next() {
                guard let first, first.looksLike(entry) else {
                    first = entry
                    continue
                }
                let isAlike = first.low != entry.low
                // Of keys that look alike the lines are in no order.
                let lines = [Int(first.line), Int(entry.line)].sorted()
                if isAlike { self.first = entry }
                return (lines[0], lines[1], isAlike)
            }
            return nil
        }
    }

    private static func position(of entry: Entry, in slots: [Entry]) -> Int {
        // The number of slots is a power of two.
        let mask = slots.count - 1
        var position = Int(truncatingIfNeeded: entry.high) & mask
        while slots[position].line != 0, !slots[position].looksLike(entry) {
            position = (position + 1) & mask
        }
        return position
    }

    private mutating func grow() {
        var larger = [Entry](repeating: Entry(), count: slots.count * 2)
        for slot in slots where slot.line != 0 {
            larger[Self.position(of: slot, in: larger)] = slot
        }
        slots = larger
    }
}
