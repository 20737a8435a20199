import Catalog
import DeltaLog

/// A record's row with its undecoded state.
struct RecordRow {
    let row: Int64
    let id: RecordID
    let owner: Int64
    let kind: Int64
    let isVisible: Bool
    let conflictFlags: ConflictFlags
    let state: [UInt8]
    /// Nil if a live operation holds the key.
    let key: RecordKey?

    /// The conflicts that users have to resolve.
    struct ConflictFlags: OptionSet {
        let rawValue: Int64
        /// A register has different live values.
        static let conflict = ConflictFlags(rawValue: 1)
        static let editedWhileDeleted = ConflictFlags(rawValue: 2)
    }

    /// The columns in the order in which ``init(_:)`` reads them.
    static let bySelectingID: StaticString = """
        SELECT id, short, rest, owner, kind, shown, trouble, state, key FROM record WHERE short = ?
        """
    static let bySelectingRow: StaticString = """
        SELECT id, short, rest, owner, kind, shown, trouble, state, key FROM record WHERE id = ?
        """
    static let byFollowing: StaticString = """
        SELECT id, short, rest, owner, kind, shown, trouble, state, key FROM record WHERE id > ? ORDER BY id
        """

    init(_ sql: SQL) throws {
        row = sql.int(0)
        id = try Self.id(short: sql.int(1), rest: sql, column: 2)
        owner = sql.int(3)
        kind = sql.int(4)
        isVisible = sql.int(5) != 0
        conflictFlags = ConflictFlags(rawValue: sql.int(6))
        state = sql.bytes(7)
        key = sql.isNull(8) ? nil : RecordKey(try sql.hash(8))
    }

    /// The row of a record; nil if it has none.
    static func find(_ id: RecordID, _ session: Session) throws -> RecordRow? {
        let sql = try session(bySelectingID)
        sql.bind(1, short(of: id))
        defer { sql.reset() }
        while try sql.step() {
            let found = try self.id(short: sql.int(1), rest: sql, column: 2)
            if found == id { return try RecordRow(sql) }
        }
        return nil
    }

    static func at(_ row: Int64, _ session: Session) throws -> RecordRow? {
        try session(bySelectingRow).bind(1, row).first { try RecordRow($0) }
    }

    /// The first 4 bytes of an id as the number in column `short`. Numbers have the order of the bytes.
    static func short(of id: RecordID) -> Int64 {
        Int64(id.hash.word0 >> 32)
    }

    /// The other 28 bytes.
    static func rest(of id: RecordID) -> [UInt8] { Array(id.bytes.dropFirst(4)) }

    static func id(short: Int64, rest sql: SQL, column: Int32) throws -> RecordID {
        guard let short = UInt32(exactly: short) else { throw StoreError.damaged("table record") }
        return try sql.withBytes(column) { rest in
            guard rest.count == 28 else { throw StoreError.damaged("table record") }
            var hash = Hash256.zero
            hash.withUnsafeMutableBytes { bytes in
                bytes.storeBytes(of: short.bigEndian, as: UInt32.self)
                UnsafeMutableRawBufferPointer(rebasing: bytes[4...]).copyMemory(from: rest)
            }
            return RecordID(hash)
        }
    }
}

/// An operation's row.
struct OperationRow {
    let envelope: [UInt8]
    let content: [UInt8]

    init?(at location: Int64, _ session: Session) throws {
        let row = try session("SELECT shape, envelope, content FROM operation WHERE id = ?").bind(1, location)
            .first { try OperationRow($0, session) }
        guard let row else { return nil }
        self = row
    }

    /// Reads `shape`, `envelope` and `content`, which must be the first columns of the statement.
    init(_ sql: SQL, _ session: Session) throws {
        let shape = sql.int(0)
        if shape == 0 {
            envelope = sql.bytes(1)
        } else {
            let bytes = try session.shape(shape)
            envelope = sql.withBytes(1) { Shapes.envelope(key: $0, shape: bytes) }
        }
        content = sql.bytes(2)
    }

    /// The row of an operation that a record's state names.
    static func existing(at location: Int64, _ session: Session) throws -> OperationRow {
        guard let row = try OperationRow(at: location, session) else { throw StoreError.damaged("table operation") }
        return row
    }

}

/// The bytes of an operation, from the database or from a delta in memory.
struct OperationBytes {
    let envelope: ArraySlice<UInt8>
    let content: ArraySlice<UInt8>

    init(_ row: OperationRow) {
        envelope = row.envelope[...]
        content = row.content[...]
    }

    /// Shares the bytes of the operation's delta.
    init(_ operation: VerifiedOperation) {
        envelope = operation.envelopeBytes
        content = operation.contentBytes
    }

    /// Of envelope and content.
    var byteCount: Int { envelope.count + content.count }

    var layout: OperationLayout { get throws { try OperationLayout(envelope, content) } }

    /// The record's key.
    var key: RecordKey {
        get throws {
            guard let key = RecordKey(bytes: envelope.bytes(in: try layout.key)) else {
                throw StoreError.damaged("table operation")
            }
            return key
        }
    }

    /// The bytes of a write's value; nil if it has none.
    func value(of number: UInt32, _ layout: OperationLayout) -> ArraySlice<UInt8>? {
        layout.value(of: number).map { content.bytes(in: $0) }
    }

    /// As above, for a single write.
    func value(of number: UInt32) throws -> ArraySlice<UInt8>? { value(of: number, try layout) }

    /// The values of these writes, by their numbers.
    func values(of writes: some Sequence<LiveWrite>) throws -> [UInt32: Value] {
        let layout = try layout
        var values: [UInt32: Value] = [:]
        for write in writes {
            guard let value = value(of: write.number, layout) else { continue }
            values[write.number] = Value(decoding: value)
        }
        return values
    }
}

extension ArraySlice<UInt8> {
    /// The bytes in a range of offsets from the slice's beginning.
    fileprivate func bytes(in range: Range<Int>) -> ArraySlice<UInt8> {
        self[startIndex + range.lowerBound..<startIndex + range.upperBound]
    }
}
