import Catalog
import DeltaLog

/// The writer's cache between transactions: numbers of fields, logs, organizations and kinds, and the heads of logs. It
/// mirrors tables; after a failed transaction it is discarded and read again.
///
/// All parts are bounded, because peers choose the number of entries.
final class WriterCache {
    /// A log's row.
    struct Log {
        let number: Int64
        /// Nil for a log that so far is only cited.
        var head: Head?
        /// The last sequence that counts; nil for all.
        var bound: UInt64?
        /// The number of first bytes, and the last bytes, that its headers share (see ``DatabaseSchema/log``).
        var start = 0
        var finish: [UInt8] = []
    }

    /// The source of numbers for new rows.
    enum Numbering {
        /// The next free numbers.
        case own
        /// The numbers of the same field, kind, organization or record in the attached database `source`, so that both
        /// can be compared row by row. A row that `source` lacks gets a number that `source` does not use.
        case source
    }

    /// The maximum entries of one map; a full map is emptied.
    static let entriesMax = 16384
    /// Bytes of names of kinds in one generation.
    static let kindBytesMax = 256 * 1024
    /// The canonical hash of a record with at least this number of live operations is cached.
    private static let hashedOperationsMin = 64
    /// The state of a record with this number of live operations is cached: at most some 9 MiB.
    private static let wideOperations = 1024...65_536

    let numbering: Numbering
    let projections: Projections
    let fields = FieldNames()
    /// The work of the transactions so far, for tests.
    var work = StoreWork()
    private var logs: [LogID: Log?] = [:]
    private var logIDs: [Int64: LogID] = [:]
    private var organizations: [OrganizationID: Int64] = [:]
    private var organizationIDs: [Int64: OrganizationID] = [:]
    private var kinds = BoundedCache<ByteText, Int64>(weightMax: kindBytesMax)
    private var shapes = ShapeNumbers()
    /// Canonical hashes of records with many live operations, as last saved.
    private var hashes = BoundedCache<RecordID, Hash256>(weightMax: entriesMax)
    /// The last saved state with many operations, and its size in bytes. So a wide record that changes often is not
    /// decoded for each change.
    private var wide: (id: RecordID, state: RecordState, byteCount: Int)?
    /// During a rebuild, the heads of the logs as merged so far; else nil.
    var mergedHeads: [LogID: Head]?
    /// Finds rows of `source` by their records' ids.
    private let sourceRows = RowsInTurn(
        following: "SELECT id, short, rest FROM source.record WHERE id > ? ORDER BY id",
        read: { (row: $0.int(0), id: try RecordRow.id(short: $0.int(1), rest: $0, column: 2)) },
        number: { $0.row }
    )
    /// The last number given to a record that `source` lacks.
    private var lastSurplusRow: Int64?

    init(_ session: Session, numbering: Numbering = .own) throws {
        self.numbering = numbering
        projections = numbering == .own ? try Projections(session) : Projections()
        try shapes.load(session)
    }

    // MARK: - Shapes

    /// The number of an envelope's shape, assigned now if it had none; 0 if the envelope must be stored whole.
    func shapeNumber(_ operation: VerifiedOperation, _ session: Session) throws -> Int64 {
        try shapes.number(of: operation, session)
    }

    // MARK: - Fields and kinds

    func number(of path: FieldPath, _ session: Session) throws -> FieldNumber {
        if let known = try fields.number(of: path, session) { return known }
        let bytes = Array(path.text.utf8)
        var given: Int64?
        if numbering == .source {
            given =
                try session("SELECT number FROM source.field WHERE path = ?").bind(1, bytes).first { $0.int(0) }
                ?? surplus(session("SELECT max(number) FROM source.field"), session("SELECT max(number) FROM field"))
        }
        let number = try FieldNames.number(
            given
                ?? max(
                    Int64(FieldNumber.identity.rawValue),
                    session("SELECT max(number) FROM field").first { $0.int(0) } ?? 0
                ) &+ 1
        )
        try session("INSERT INTO field(number, path) VALUES(?, ?)").bind(1, Int64(number.rawValue)).bind(2, bytes)
            .run()
        fields.keep(number, for: path)
        return number
    }

    func kindNumber(_ name: String, _ session: Session) throws -> Int64 {
        let key = ByteText(name)
        if let known = kinds.find(key) { return known }
        let bytes = Array(name.utf8)
        let number: Int64
        if let found = try session("SELECT number FROM kind WHERE name = ?").bind(1, bytes).first({ $0.int(0) }) {
            number = found
        } else {
            var given: Int64?
            if numbering == .source {
                given =
                    try session("SELECT number FROM source.kind WHERE name = ?").bind(1, bytes).first { $0.int(0) }
                    ?? surplus(session("SELECT max(number) FROM source.kind"), session("SELECT max(number) FROM kind"))
            }
            try session("INSERT INTO kind(number, name) VALUES(?, ?)").bind(1, given).bind(2, bytes).run()
            number = session.lastInsertedRow
        }
        kinds.insert(number, for: key, weight: bytes.count + 64)
        return number
    }

    /// A number that neither database uses.
    private func surplus(_ maxima: SQL...) throws -> Int64 {
        try maxima.reduce(0) { try max($0, $1.first { $0.int(0) } ?? 0) } &+ 1
    }

    // MARK: - Logs

    /// The log's row; nil if it has none.
    func log(_ id: LogID, _ session: Session) throws -> Log? {
        if let known = logs[id] { return known }
        let row = try session(
            "SELECT id, sequence, hash, length(start), finish, bound FROM log WHERE author = ? AND incarnation = ?"
        )
        .bind(1, id.author.hash).bind(2, Int64(bitPattern: id.incarnation))
        .first { row in
            let sequence = UInt64(bitPattern: row.int(1))
            let head = sequence == 0 ? nil : Head(sequence: sequence, hash: try row.hash(2))
            let bound = row.isNull(5) ? nil : UInt64(bitPattern: row.int(5))
            return Log(number: row.int(0), head: head, bound: bound, start: Int(row.int(3)), finish: row.bytes(4))
        }
        if logs.count >= Self.entriesMax { logs = [:] }
        logs[id] = .some(row)
        return row
    }

    /// The log's number, assigned now if it had none.
    func logNumber(_ id: LogID, _ session: Session) throws -> Int64 {
        if let known = try log(id, session) { return known.number }
        try session("INSERT INTO log(author, incarnation, sequence) VALUES(?, ?, 0)")
            .bind(1, id.author.hash).bind(2, Int64(bitPattern: id.incarnation)).run()
        let number = session.lastInsertedRow
        logs[id] = Log(number: number, head: nil)
        return number
    }

    func setHead(_ head: Head, of id: LogID, _ session: Session) throws {
        let number = try logNumber(id, session)
        try session("UPDATE log SET sequence = ?, hash = ? WHERE id = ?")
            .bind(1, Int64(bitPattern: head.sequence)).bind(2, head.hash).bind(3, number).run()
        var log = logs[id] ?? nil
        log?.head = head
        logs[id] = log
    }

    func setBound(_ bound: UInt64?, of id: LogID, _ session: Session) throws {
        let number = try logNumber(id, session)
        try session("UPDATE log SET bound = ? WHERE id = ?").bind(1, bound.map { Int64(bitPattern: $0) })
            .bind(2, number).run()
        var log = logs[id] ?? nil
        log?.bound = bound
        logs[id] = log
    }

    /// The part of a delta's header that its log's row does not hold, and whether the end was cut off. The log's first
    /// delta sets the shared bytes in the row.
    func rest(ofHeader delta: VerifiedDelta, _ session: Session) throws -> (bytes: [UInt8], isCut: Bool) {
        guard var log = try log(delta.log, session) else { return (delta.headerBytes, false) }
        if log.head == nil {
            log.start = delta.header.startByteCount
            log.finish = delta.header.organizationField
            try session("UPDATE log SET start = ?, finish = ? WHERE id = ?")
                .bind(1, Array(delta.headerBytes.prefix(log.start))).bind(2, log.finish).bind(3, log.number).run()
            logs[delta.log] = log
        }
        let rest = delta.headerBytes.dropFirst(log.start)
        let isCut =
            !log.finish.isEmpty && rest.count > log.finish.count && rest.suffix(log.finish.count) == log.finish[...]
        return (Array(isCut ? rest.dropLast(log.finish.count) : rest), isCut)
    }

    func logID(_ number: Int64, _ session: Session) throws -> LogID {
        if let known = logIDs[number] { return known }
        let id = try Lookup.log(number, session)
        if logIDs.count >= Self.entriesMax { logIDs = [:] }
        logIDs[number] = id
        return id
    }

    // MARK: - Organizations

    func organizationNumber(_ id: OrganizationID, _ session: Session) throws -> Int64 {
        if let known = organizations[id] { return known }
        let number: Int64
        let found = try session("SELECT number FROM organization WHERE id = ?").bind(1, id.hash).first { $0.int(0) }
        if let found {
            number = found
        } else {
            var given: Int64?
            if numbering == .source {
                given =
                    try session("SELECT number FROM source.organization WHERE id = ?").bind(1, id.hash)
                    .first { $0.int(0) }
                    ?? surplus(
                        session("SELECT max(number) FROM source.organization"),
                        session("SELECT max(number) FROM organization")
                    )
            }
            try session("INSERT INTO organization(number, id) VALUES(?, ?)").bind(1, given).bind(2, id.hash).run()
            number = session.lastInsertedRow
        }
        if organizations.count >= Self.entriesMax { organizations = [:] }
        organizations[id] = number
        return number
    }

    func organizationID(_ number: Int64, _ session: Session) throws -> OrganizationID {
        if let known = organizationIDs[number] { return known }
        let id = try Lookup.organization(number, session)
        if organizationIDs.count >= Self.entriesMax { organizationIDs = [:] }
        organizationIDs[number] = id
        return id
    }

    // MARK: - Records

    /// The number of a new record's row; nil for the next one.
    func rowNumber(of id: RecordID, _ session: Session) throws -> Int64? {
        guard numbering == .source else { return nil }
        let found = try sourceRows.find(session, isWanted: { $0.id == id }) {
            let sql = try session("SELECT id, short, rest FROM source.record WHERE short = ?")
            sql.bind(1, RecordRow.short(of: id))
            defer { sql.reset() }
            while try sql.step() {
                let row = (row: sql.int(0), id: try RecordRow.id(short: sql.int(1), rest: sql, column: 2))
                if row.id == id { return row }
            }
            return nil
        }
        if let found { return found.row }
        let last = try lastSurplusRow ?? session("SELECT max(id) FROM source.record").first { $0.int(0) } ?? 0
        lastSurplusRow = last &+ 1
        return lastSurplusRow
    }

    /// Caches the state of a record that was just saved, if it has many operations.
    func noteSaved(_ state: RecordState, of id: RecordID, byteCount: Int) {
        if Self.wideOperations.contains(state.operations.count) {
            wide = (id, state, byteCount)
        } else if wide?.id == id {
            wide = nil
        }
    }

    /// The last saved state of a record, if it is cached and has this number of bytes.
    func savedState(of id: RecordID, byteCount: Int) -> RecordState? {
        guard let wide, wide.id == id, wide.byteCount == byteCount else { return nil }
        return wide.state
    }

    /// The canonical hash of a record's state. Linear in its live writes, unless the hash of the saved state is cached.
    func canonicalHash(of id: RecordID, _ state: RecordState, isSaved: Bool, _ hasher: some CatalogHasher) -> Hash256? {
        guard state.operations.count >= Self.hashedOperationsMin else {
            if !isSaved, hashes.count > 0 { hashes.remove(id) }
            return state.canonicalHash(of: id, hasher: hasher)
        }
        if isSaved, let known = hashes.find(id) { return known }
        let hash = state.canonicalHash(of: id, hasher: hasher)
        if !isSaved, let hash { hashes.insert(hash, for: id, weight: 1) }
        return hash
    }
}

/// The work of transactions, for tests that assert its amount.
package struct StoreWork: Hashable, Sendable {
    /// Operations read from the database to merge others.
    package internal(set) var operationsRead = 0
    /// Bytes of records' states written.
    package internal(set) var stateBytesWritten = 0
    /// Bytes of terms added to the search index or removed from it.
    package internal(set) var termBytesWritten = 0
    /// The number of saved records.
    package internal(set) var recordsSaved = 0
}

/// Lookups of the values of numbers.
enum Lookup {
    static func log(_ number: Int64, _ session: Session) throws -> LogID {
        let id = try session("SELECT author, incarnation FROM log WHERE id = ?").bind(1, number).first {
            LogID(author: NodeKey(try $0.hash(0)), incarnation: UInt64(bitPattern: $0.int(1)))
        }
        guard let id else { throw StoreError.damaged("table log") }
        return id
    }

    static func organization(_ number: Int64, _ session: Session) throws -> OrganizationID {
        let id = try session("SELECT id FROM organization WHERE number = ?").bind(1, number)
            .first { OrganizationID(try $0.hash(0)) }
        guard let id else { throw StoreError.damaged("table organization") }
        return id
    }

    static func kind(_ number: Int64, _ session: Session) throws -> String {
        guard let name = try session("SELECT name FROM kind WHERE number = ?").bind(1, number).first({ $0.text(0) })
        else { throw StoreError.damaged("table kind") }
        return name
    }
}
