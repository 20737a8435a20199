import Catalog
import Interchange
import Store

/// Compares the keys of a file with the local ids of this organization's records of the same kind. It finds keys that
/// differ from an id but look like it (``KeyFold``): `EQ-001` with and without a trailing blank are two records, but
/// people see one.
///
/// Nearly all ids equal their folded form. So only the other ids are collected beforehand: a key in folded form can
/// look only like one of these. For other keys, the record whose id is the folded form is also looked up.
final class HeldKeys {
    /// A row of a file with a key to compare.
    struct Candidate {
        let line: Int
        let key: String
        /// Nil if the key equals its folded form.
        let folded: String?
    }

    /// A key that looks like a held id.
    struct Clash {
        let line: Int
        let key: String
        let held: String
    }

    private let replica: Replica
    private let kind: String
    /// The rows of records whose ids differ from their folded form, by a hash of that form.
    private let reading: Pending<Result<[Int: Int64], any Error>>
    private let isEnded: CancellationFlag
    /// The result of `reading`, after its first use.
    private var unusual: [Int: Int64]?
    /// Keys that were added while the ids were read, in their order.
    private var early: [(key: String, line: Int)] = []
    private var waiting: [Candidate] = []

    /// The number of candidates looked up in one snapshot.
    private static let waitingMax = 500
    /// The maximum number of keys kept until all ids are read; a further one blocks until then.
    private static let earlyMax = 65_536

    /// Starts to read the held ids on another thread; the caller must call ``end()``. Linear in the records of the
    /// kind. It takes 8 to 40 bytes of memory for each id that differs from its folded form.
    init(_ replica: Replica, kind: String, flag: CancellationFlag) {
        self.replica = replica
        self.kind = kind
        let isEnded = CancellationFlag()
        self.isEnded = isEnded
        reading = Pending {
            Result {
                try replica.snapshot { reading in
                    var unusual: [Int: Int64] = [:]
                    try reading.forEachLocalID(kind: kind, owner: replica.organization) { localID, row in
                        if row.isMultiple(of: 1024) {
                            try flag.check()
                            try isEnded.check()
                        }
                        if let folded = KeyFold.folded(localID) { unusual[Self.hash(of: folded)] = row }
                    }
                    return unusual
                }
            }
        }
    }

    /// Stops the reading of ids, and waits for its end.
    func end() {
        isEnded.set()
        _ = reading.value()
    }

    private static func hash(of text: String) -> Int {
        var hasher = Hasher()
        hasher.combine(bytesOf: text)
        return hasher.finalize()
    }

    /// Adds the key of a row. Returns the clashes of this key and earlier ones that were looked up now.
    func add(_ key: String, line: Int) throws -> [Clash] {
        if unusual == nil, !reading.isDone, early.count < Self.earlyMax {
            early.append((key, line))
            return []
        }
        return try takeEarly() + compare(key, line: line)
    }

    /// The remaining clashes.
    func finish() throws -> [Clash] { try takeEarly() + lookUp() }

    private func takeEarly() throws -> [Clash] {
        guard unusual == nil else { return [] }
        unusual = try reading.value().get()
        defer { early = [] }
        return try early.flatMap { try compare($0.key, line: $0.line) }
    }

    private func compare(_ key: String, line: Int) throws -> [Clash] {
        let folded = KeyFold.folded(key)
        guard folded != nil || row(ofForm: key) != nil else { return [] }
        waiting.append(Candidate(line: line, key: key, folded: folded))
        return waiting.count < Self.waitingMax ? [] : try lookUp()
    }

    private func row(ofForm form: String) -> Int64? {
        guard let unusual, !unusual.isEmpty else { return nil }
        return unusual[Self.hash(of: form)]
    }

    private func lookUp() throws -> [Clash] {
        guard !waiting.isEmpty else { return [] }
        defer { waiting = [] }
        return try replica.snapshot { reading in try waiting.compactMap { try clash($0, reading) } }
    }

    private func clash(_ candidate: Candidate, _ reading: ReadTransaction) throws -> Clash? {
        func isHeld(_ key: String) throws -> Bool {
            let identity = RecordIdentity(kind: kind, localID: key)
            return try reading.isVisible(replica.recordID(owner: replica.organization, identity))
        }
        // A row for an existing record creates no look-alike.
        if try isHeld(candidate.key) { return nil }
        let form = candidate.folded ?? candidate.key
        var held: String?
        if let row = row(ofForm: form), let localID = try reading.localID(ofVisibleRow: row),
            KeyFold.folded(localID)?.hasSameBytes(as: form) == true
        {
            held = localID
        } else if let folded = candidate.folded, try isHeld(folded) {
            held = folded
        }
        return held.map { Clash(line: candidate.line, key: candidate.key, held: $0) }
    }
}
