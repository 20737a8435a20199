internal import Catalog

/// Finds repeated keys and keys that look alike (``KeyFold``) in a file, in bounded memory.
///
/// An entry holds no key text. It holds 64 bits of a keyed hash of the key's folded form, 32 bits of another hash of
/// the key itself, and the line. The keyed hash is SipHash from Swift's `Hasher`, whose seed changes with each process.
/// Among a million different keys, two collide with a probability of about 10⁻⁸; they would be reported as keys that
/// look alike.
///
/// An entry takes 16 bytes at a load of at most 80 %, so a key takes 20 to 40 bytes. If the keys exceed the memory
/// limit, sorted runs are kept in a file (``KeyRuns``), and repetitions between them are found at the end.
struct KeyIndex {
    /// A key's hashes, and the line on which it occurs.
    struct Entry {
        /// The hash of the folded form.
        var high: UInt64 = 0
        /// The hash of the key's bytes.
        var low: UInt32 = 0
        /// 0 marks a free slot; lines beyond 2³² − 1 are clamped to that number.
        var line: UInt32 = 0

        func looksLike(_ other: Entry) -> Bool { high == other.high }

        static func precedes(_ left: Entry, _ right: Entry) -> Bool {
            (left.high, left.low, left.line) < (right.high, right.low, right.line)
        }
    }

    /// The relation of a key to an earlier one.
    enum Finding: Equatable {
        /// The same key occurred on that line.
        case `repeated`(line: Int)
        /// A key that looks alike occurred on that line; nil if its text is no longer known.
        case alike(line: Int, key: String?)
    }

    static func text(repeating first: Int, on line: Int) -> String {
        "the key of line \(first) again on line \(line); keys must be unique in a file"
    }

    /// - Parameter key: nil if it is no longer known.
    static func text(_ key: String?, like other: String?, of first: Int, on line: Int) -> String {
        func shown(_ key: String?) -> String { key.map { " '\(VisibleText.distinct($0))'" } ?? "" }
        return "the key\(shown(key)) looks like\(shown(other)) of line \(first) and is another one; "
            + "give both rows the same key, or keys that differ visibly"
    }

    private var slots = [Entry](repeating: Entry(), count: 1024)
    private var count = 0
    /// The number of keys in memory at which a run is written.
    private let countMax: Int
    /// The folder for runs; nil to keep all keys in memory.
    private let folder: String?
    private var runs: KeyRuns?
    /// True in the second pass over the file: its keys are known.
    private var isAgain = false
    /// Keys that differ from their folded form, by its hash. There are few of them; messages about refused rows show
    /// them.
    private var unusual: [UInt64: String] = [:]
    private var unusualBytes = 0
    /// The maximum total size of these keys in bytes. 1 MiB: some ten thousand keys.
    private static let unusualBytesMax = 1 << 20
    /// The error of the file of runs, if one occurred.
    private(set) var failure: InterchangeError?

    init(countMax: Int, folder: String?) {
        self.countMax = max(1, countMax)
        self.folder = folder
    }

    /// Starts a second pass over the file. A key now repeats unless it is on the line of its first occurrence. Keys in
    /// runs are no longer checked.
    mutating func beginAgain() {
        isAgain = true
        if runs != nil { slots = [] }
    }

    /// Records a key on `line`. Returns an earlier occurrence of the key, or of one that looks alike, if it is already
    /// known.
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
            // A key that equals its folded form is the form that both share.
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

    /// Moves all keys in memory into a run.
    private mutating func spill() {
        guard failure == nil, let folder else { return }
        do throws(InterchangeError) {
            if runs == nil { runs = try KeyRuns(in: folder) }
            // In place: free slots move to the end, and the entries before them are sorted.
            let end = slots.partition { $0.line == 0 }
            slots[..<end].sort(by: Entry.precedes)
            try runs?.append(slots[..<end])
            for position in slots.indices { slots[position] = Entry() }
            count = 0
        } catch {
            failure = error
        }
    }

    /// The keys that occur in more than one run, and those that look like keys of other runs, in no order of lines. Nil
    /// if all keys are in memory; then ``insert(kind:key:line:)`` has reported them.
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

        /// The next repetition: the line of the first such key, its own line, and whether they only look alike.
        mutating func next() throws(InterchangeError) -> (first: Int, line: Int, isAlike: Bool)? {
            while let entry = try merge.next() {
                guard let first, first.looksLike(entry) else {
                    first = entry
                    continue
                }
                let isAlike = first.low != entry.low
                // The merge does not order keys that look alike by their lines.
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
