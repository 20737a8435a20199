import Catalog
import DeltaLog

/// What the writer keeps in memory between transactions: numbers of fields, logs, organizations and kinds, and the
/// heads of logs. It mirrors tables; after a transaction that fails it is thrown away and read anew.
final class WriterCache {
    /// A log's row.
    struct Log {
        let number: Int64
        /// Nil for a log that was only cited so far.
        var head: Head?
        /// How many first bytes of its headers, and which last ones, are kept once (see ``Schema/headerEnds``).
        var start = 0
        var finish: [UInt8] = []
    }

    /// Entries of one map; beyond that it is emptied, so that no peer can fill the memory with names of logs or kinds.
    static let entriesMax = 16384

    private(set) var fields = FieldTable()
    /// For a field, the one that was written after it the last time.
    private var followers: [FieldNumber: (path: FieldPath, number: FieldNumber, isASCII: Bool)] = [:]
    private var last = FieldNumber.mark
    /// By number of the field: true where its values are names.
    private var namingFields: [Bool] = []
    private var logs: [LogID: Log?] = [:]
    private var logIDs: [Int64: LogID] = [:]
    private var organizations: [OrganizationID: Int64] = [:]
    private var organizationIDs: [Int64: OrganizationID] = [:]
    private var kinds: [String: Int64] = [:]
    private var shapes: [ArraySlice<UInt8>: Int64] = [:]
    private var lastShape: (bytes: [UInt8], number: Int64)?
    /// Heads of the logs as merged so far, while what is derived is made anew; else nil.
    var mergedHeads: [LogID: Head]?
    /// Where entries of the index for search are only added up, to be compared; else nil.
    var termSums: TermSums?

    init(_ session: Session) throws {
        let rows = try session("SELECT number, path FROM field ORDER BY number").all { ($0.int(0), $0.text(1)) }
        for (number, text) in rows {
            let path = FieldPath(unchecked: text)
            guard Int64(fields.number(of: path).rawValue) == number else { throw StoreError.damaged("table field") }
        }
        for (number, bytes) in try session("SELECT number, bytes FROM shape").all({ ($0.int(0), $0.bytes(1)) }) {
            shapes[bytes[...]] = number
        }
    }

    /// The number of an envelope's shape, given now if it had none; 0 where the envelope is to be stored whole.
    func shapeNumber(_ operation: VerifiedOperation, _ session: Session) throws -> Int64 {
        guard let shape = Shapes.shape(of: operation) else { return 0 }
        // Most operations have the shape of the one before.
        if let lastShape, lastShape.bytes[...] == shape { return lastShape.number }
        if let known = shapes[shape] {
            lastShape = (Array(shape), known)
            return known
        }
        guard shapes.count < Shapes.countMax else { return 0 }
        let bytes = Array(shape)
        try session("INSERT INTO shape(bytes) VALUES(?)").bind(1, bytes).run()
        shapes[bytes[...]] = session.lastInsertedRow
        return session.lastInsertedRow
    }

    func number(of path: FieldPath, _ session: Session) throws -> FieldNumber {
        // Operations of an import write the same fields in the same order, so the field that followed the last time is
        // looked at before the table is: comparing two short texts costs far less than hashing one. Texts that Swift
        // calls equal may differ in their bytes; if one is ASCII, the other's are at least as many, and the same only
        // if it has as many.
        if let guess = followers[last], guess.isASCII, guess.path.text.utf8.count == path.text.utf8.count,
            guess.path.text == path.text
        {
            last = guess.number
            return guess.number
        }
        let count = fields.count
        let number = fields.number(of: path)
        followers[last] = (path, number, path.text.utf8.allSatisfy { $0 < 0x80 })
        last = number
        if fields.count > count {
            try session("INSERT INTO field(number, path) VALUES(?, ?)").bind(1, Int64(number.rawValue))
                .bind(2, Array(path.text.utf8)).run()
        }
        return number
    }

    /// True where values of the field belong in the index's column of names.
    func isNaming(_ number: FieldNumber) -> Bool {
        let position = Int(number.rawValue)
        while namingFields.count <= position {
            let path = fields.path(of: FieldNumber(rawValue: Int32(namingFields.count)))
            namingFields.append(path.map(Self.isNaming) ?? false)
        }
        return namingFields[position]
    }

    /// The fields whose values are names: what a search looks at first.
    static func isNaming(_ path: FieldPath) -> Bool {
        switch path.base {
        case "name", "title", "labels", "altNames": true
        default: false
        }
    }

    /// The log's row; nil where it has none.
    func log(_ id: LogID, _ session: Session) throws -> Log? {
        if let known = logs[id] { return known }
        let row = try session(
            "SELECT id, sequence, hash, length(start), finish FROM log WHERE author = ? AND incarnation = ?"
        )
        .bind(1, id.author.hash).bind(2, Int64(bitPattern: id.incarnation))
        .first { row in
            let sequence = UInt64(bitPattern: row.int(1))
            let head = sequence == 0 ? nil : Head(sequence: sequence, hash: try row.hash(2))
            return Log(number: row.int(0), head: head, start: Int(row.int(3)), finish: row.bytes(4))
        }
        if logs.count >= Self.entriesMax { logs = [:] }
        logs[id] = .some(row)
        return row
    }

    /// The log's number, given now if it had none.
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

    /// The part of a delta's header that its log's row does not hold, and whether its end was cut off. What the row holds is
    /// entered there with the log's first delta.
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

    func organizationNumber(_ id: OrganizationID, _ session: Session) throws -> Int64 {
        if let known = organizations[id] { return known }
        let number = try Self.number(
            of: id.bytes,
            find: session("SELECT number FROM organization WHERE id = ?"),
            insert: session("INSERT INTO organization(id) VALUES(?)"),
            session
        )
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

    func kindNumber(_ name: String, _ session: Session) throws -> Int64 {
        if let known = kinds[name] { return known }
        let number = try Self.number(
            of: Array(name.utf8),
            find: session("SELECT number FROM kind WHERE name = ?"),
            insert: session("INSERT INTO kind(name) VALUES(?)"),
            session
        )
        // Strings that are equal to Swift and differ in their bytes would share an entry.
        guard name.utf8.allSatisfy({ $0 < 0x80 }) else { return number }
        if kinds.count >= Self.entriesMax { kinds = [:] }
        kinds[name] = number
        return number
    }

    private static func number(of bytes: [UInt8], find: SQL, insert: SQL, _ session: Session) throws -> Int64 {
        if let number = try find.bind(1, bytes).first({ $0.int(0) }) { return number }
        try insert.bind(1, bytes).run()
        return session.lastInsertedRow
    }
}

/// What numbers stand for.
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

    static func field(_ number: FieldNumber, _ session: Session) throws -> FieldPath {
        if number == .mark { return .mark }
        if number == .identity { return .identity }
        let path = try session("SELECT path FROM field WHERE number = ?").bind(1, Int64(number.rawValue))
            .first { FieldPath(unchecked: $0.text(0)) }
        guard let path else { throw StoreError.damaged("table field") }
        return path
    }
}
