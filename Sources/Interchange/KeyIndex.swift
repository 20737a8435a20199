internal import Catalog

/// Finds keys that repeat in a file, in bounded memory.
///
/// Holds 64 bits of a keyed hash (SipHash, Swift's own, whose seed changes with each process), 32 bits of a second one,
/// and the line; not the key itself. Two of a million different keys collide with a probability of some 10⁻¹⁷. In memory an
/// entry takes 16 bytes at a load of 80 % at most, so 20 to 40 bytes a key; of more keys than memory is given for, sorted
/// runs are kept in a file (``KeyRuns``), and repetitions between them are found at the end.
struct KeyIndex {
    /// A key's hashes, and the line on which it stands.
    struct Entry {
        var high: UInt64 = 0
        var low: UInt32 = 0
        /// 0 marks a free slot; lines beyond 2³² − 1 are shown as that.
        var line: UInt32 = 0

        func isSameKey(as other: Entry) -> Bool { high == other.high && low == other.low }

        static func precedes(_ left: Entry, _ right: Entry) -> Bool {
            (left.high, left.low, left.line) < (right.high, right.low, right.line)
        }
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

    /// Notes that a key stands on `line`; the line on which it stood before, if it did and that is known already.
    mutating func insert(kind: String, key: String, line: Int) -> Int? {
        guard !slots.isEmpty else { return nil }
        var one = Hasher()
        one.combine(bytesOf: kind)
        one.combine(bytesOf: key)
        // FNV-1a (Fowler, Noll, Vo) over the key; SipHash alone would do for all but millions of keys.
        var low: UInt32 = 2_166_136_261
        for byte in key.utf8 { low = (low ^ UInt32(byte)) &* 16_777_619 }
        let new = Entry(
            high: UInt64(bitPattern: Int64(one.finalize())),
            low: low,
            line: UInt32(clamping: max(1, line))
        )
        if count * 5 >= slots.count * 4 { grow() }
        let position = Self.position(of: new, in: slots)
        if slots[position].line != 0 {
            return isAgain && slots[position].line == new.line ? nil : Int(slots[position].line)
        }
        slots[position] = new
        count += 1
        if count >= countMax, folder != nil { spill() }
        return nil
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

    /// Keys that stand in more than one run, in no order of lines: for each further line the first one, and it. Nil where all
    /// keys are in memory, and repetitions were told by ``insert(kind:key:line:)``.
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

        mutating func next() throws(InterchangeError) -> (first: Int, line: Int)? {
            while let entry = try merge.next() {
                if let first, first.isSameKey(as: entry) { return (Int(first.line), Int(entry.line)) }
                first = entry
            }
            return nil
        }
    }

    private static func position(of entry: Entry, in slots: [Entry]) -> Int {
        // The number of slots is a power of two.
        let mask = slots.count - 1
        var position = Int(truncatingIfNeeded: entry.high) & mask
        while slots[position].line != 0, !slots[position].isSameKey(as: entry) {
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
