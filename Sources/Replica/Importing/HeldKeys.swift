import Catalog
import Interchange
import Store

/// Compares the keys of a file with the own ids that this organization's records of the same kind have, and finds those that
/// only look alike (``KeyFold``): `EQ-001` and `EQ-001` with a blank behind it are two records, and people see one.
///
/// Nearly all ids are their own form. So only the others are noted beforehand: a key that is its own form can look like none
/// but these; for a key that is not, the record with that form's id is looked up.
final class HeldKeys {
    /// A row of a file whose key is to be compared.
    struct Candidate {
        let line: Int
        let key: String
        /// Nil where the key is its own form.
        let folded: String?
    }

    /// A key that looks like one that is held.
    struct Clash {
        let line: Int
        let key: String
        let held: String
    }

    private let replica: Replica
    private let kind: String
    /// The rows of records whose ids are not their own form, by a hash of that form.
    private let reading: Pending<Result<[Int: Int64], any Error>>
    private let isEnded: CancellationFlag
    /// The same, once it has been taken.
    private var unusual: [Int: Int64]?
    /// Keys that came while the ids were read, in their order.
    private var early: [(key: String, line: Int)] = []
    private var waiting: [Candidate] = []

    /// Candidates that are looked up in one transaction.
    private static let waitingMax = 500
    /// Keys that are kept until all ids have been read; a further one waits for that.
    private static let earlyMax = 65_536

    /// Begins to read the ids held, beside the caller, who ends it with ``end()``. Linear in the records of the kind; 8 to 40
    /// bytes of memory for each id that is not its own form.
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

    /// Waits until no id is read any more.
    func end() {
        isEnded.set()
        _ = reading.value()
    }

    private static func hash(of text: String) -> Int {
        var hasher = Hasher()
        hasher.combine(bytesOf: text)
        return hasher.finalize()
    }

    /// Takes the key of a row; clashes of this one and others before it, as far as they were looked up now.
    func add(_ key: String, line: Int) throws -> [Clash] {
        if unusual == nil, !reading.isDone, early.count < Self.earlyMax {
            early.append((key, line))
            return []
        }
        return try takeEarly() + compare(key, line: line)
    }

    /// The clashes that are left.
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
        // A row of a record that is there creates none.
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
