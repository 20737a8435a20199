import Catalog
import Foundation
import GRDB
import GRDBSQLite

/// A prepared statement, driven through SQLite's own calls.
///
/// GRDB prepares, caches and finalizes it. GRDB's binding and row reading allocate an array and a value for each
/// column. This type avoids both, because several statements run for every operation.
final class SQL {
    private let statement: Statement
    private let handle: OpaquePointer
    private let connection: OpaquePointer
    /// True from the first step to the reset; a statement in use must not be bound again.
    private(set) var isRunning = false

    init(_ statement: Statement, connection: OpaquePointer) {
        self.statement = statement
        self.connection = connection
        handle = statement.sqliteStatement
    }

    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    private func fail(_ code: Int32) -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: sqlite3_extended_errcode(connection)),
            message: String(cString: sqlite3_errmsg(connection)) + " (\(code))",
            sql: statement.sql
        )
    }

    @discardableResult
    func bind(_ position: Int32, _ number: Int64) -> SQL {
        sqlite3_bind_int64(handle, position, number)
        return self
    }

    @discardableResult
    func bind(_ position: Int32, _ number: Int64?) -> SQL {
        if let number { sqlite3_bind_int64(handle, position, number) } else { sqlite3_bind_null(handle, position) }
        return self
    }

    @discardableResult
    func bind(_ position: Int32, _ bytes: UnsafeRawBufferPointer) -> SQL {
        // SQLite takes a null address as NULL, and an empty array may have a null address.
        if bytes.isEmpty {
            sqlite3_bind_zeroblob(handle, position, 0)
        } else {
            sqlite3_bind_blob64(handle, position, bytes.baseAddress, UInt64(bytes.count), Self.transient)
        }
        return self
    }

    @discardableResult
    func bind(_ position: Int32, _ bytes: [UInt8]) -> SQL {
        bytes.withUnsafeBytes { bind(position, $0) }
    }

    @discardableResult
    func bind(_ position: Int32, _ bytes: ArraySlice<UInt8>) -> SQL {
        bytes.withUnsafeBytes { bind(position, $0) }
    }

    @discardableResult
    func bind(_ position: Int32, _ bytes: [UInt8]?) -> SQL {
        if let bytes { return bind(position, bytes) }
        sqlite3_bind_null(handle, position)
        return self
    }

    @discardableResult
    func bind(_ position: Int32, _ hash: Hash256) -> SQL {
        hash.withUnsafeBytes { bind(position, $0) }
    }

    /// Binds UTF-8 bytes as text.
    @discardableResult
    func bind(_ position: Int32, text bytes: [UInt8]) -> SQL {
        _ = bytes.withUnsafeBytes { buffer in
            if let start = buffer.baseAddress, !buffer.isEmpty {
                sqlite3_bind_text64(
                    handle,
                    position,
                    start.assumingMemoryBound(to: CChar.self),
                    UInt64(buffer.count),
                    Self.transient,
                    UInt8(SQLITE_UTF8)
                )
            } else {
                sqlite3_bind_text(handle, position, "", 0, Self.transient)
            }
        }
        return self
    }

    @discardableResult
    func bind(_ position: Int32, text: String) -> SQL {
        bind(position, text: Array(text.utf8))
    }

    @discardableResult
    func bind(_ position: Int32, text: String?) -> SQL {
        if let text { return bind(position, text: text) }
        sqlite3_bind_null(handle, position)
        return self
    }

    /// Moves to the next row; false after the last.
    func step() throws -> Bool {
        isRunning = true
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            let error = fail(code)
            reset()
            throw error
        }
    }

    /// Makes the statement ready to be bound again.
    func reset() {
        sqlite3_reset(handle)
        isRunning = false
    }

    /// Runs a statement that gives no rows.
    func run() throws {
        defer { reset() }
        while try step() {}
    }

    /// The first row, read by `row`; nil if there is none.
    func first<Result>(_ row: (SQL) throws -> Result) throws -> Result? {
        defer { reset() }
        return try step() ? try row(self) : nil
    }

    /// Every row, read by `row`. For results that are known to be small.
    func all<Result>(_ row: (SQL) throws -> Result) throws -> [Result] {
        defer { reset() }
        var results: [Result] = []
        while try step() { results.append(try row(self)) }
        return results
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    func int(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// The bytes of a column; they are valid until the next step.
    func withBytes<Result>(_ column: Int32, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let start = sqlite3_column_blob(handle, column)
        return try body(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
    }

    /// True if the current rows of both have the same bytes in every column.
    func hasSameRow(as other: SQL) -> Bool {
        let count = sqlite3_column_count(handle)
        guard count == sqlite3_column_count(other.handle) else { return false }
        return (0..<count).allSatisfy { hasSameColumn($0, as: other) }
    }

    /// The columns, from 0, in which the current rows of both differ.
    func differingColumns(from other: SQL) -> [Int] {
        (0..<sqlite3_column_count(handle)).filter { !hasSameColumn($0, as: other) }.map(Int.init)
    }

    private func hasSameColumn(_ column: Int32, as other: SQL) -> Bool {
        let type = sqlite3_column_type(handle, column)
        guard type == sqlite3_column_type(other.handle, column) else { return false }
        // SQLite would convert a number to text to give its bytes.
        if type == SQLITE_INTEGER { return int(column) == other.int(column) }
        return withBytes(column) { bytes in other.withBytes(column) { bytes.hasSameBytes(as: $0) } }
    }

    func bytes(_ column: Int32) -> [UInt8] { withBytes(column) { Array($0) } }

    func text(_ column: Int32) -> String { withBytes(column) { String(decoding: $0, as: UTF8.self) } }

    /// A hash of 32 bytes; throws if the column holds anything else.
    func hash(_ column: Int32) throws -> Hash256 {
        guard let hash = withBytes(column, { Hash256($0) }) else { throw StoreError.damaged("a hash of 32 bytes") }
        return hash
    }
}

/// A connection with its prepared statements. Belongs to one transaction, or to the writer's queue, and is never used
/// by two threads at once.
final class Session {
    let database: Database
    private let connection: OpaquePointer
    /// By the address of their text. Each text is a literal, so this is cheaper than hashing it.
    private var statements: [UnsafePointer<UInt8>: SQL] = [:]
    /// Shapes read so far; the bytes of a number never change after their commit.
    private var shapes = BoundedCache<Int64, [UInt8]>(weightMax: Shapes.cacheBytesMax)

    init(_ database: Database) throws {
        self.database = database
        guard let connection = database.sqliteConnection else {
            throw StoreError(.closed, "the directory's database was closed")
        }
        self.connection = connection
    }

    /// A statement that is not in use elsewhere. It is prepared once per connection, unless it is nested.
    func callAsFunction(_ text: StaticString) throws -> SQL {
        if let statement = statements[text.utf8Start], !statement.isRunning { return statement }
        let isNested = statements[text.utf8Start] != nil
        let sql = text.withUTF8Buffer { String(decoding: $0, as: UTF8.self) }
        let prepared = isNested ? try database.makeStatement(sql: sql) : try database.cachedStatement(sql: sql)
        let statement = SQL(prepared, connection: connection)
        if !isNested { statements[text.utf8Start] = statement }
        return statement
    }

    /// The bytes of a shape.
    func shape(_ number: Int64) throws -> [UInt8] {
        if let known = shapes.find(number) { return known }
        let bytes = try Shapes.bytes(number, self)
        shapes.insert(bytes, for: number, weight: bytes.count + Shapes.entryBytes)
        return bytes
    }

    /// Forgets the shapes that a failed transaction may have read from its own writes.
    func forget() { shapes = BoundedCache(weightMax: Shapes.cacheBytesMax) }

    /// Makes SQLite read the schema again and recreate its virtual tables. Otherwise FTS5 keeps its table of pending
    /// terms at the size of the largest transaction, and scans all of it at each commit.
    ///
    /// SQLite has no call for this. A schema change that is rolled back has this effect and writes nothing.
    func forgetSchema() throws {
        let code = sqlite3_exec(connection, "BEGIN; CREATE TABLE unmade(x); ROLLBACK", nil, nil, nil)
        guard code == SQLITE_OK else {
            let message = String(cString: sqlite3_errmsg(connection))
            sqlite3_exec(connection, "ROLLBACK", nil, nil, nil)
            throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
        }
    }

    /// A statement whose text is built at run time; it is not cached.
    func dynamic(_ text: String) throws -> SQL {
        SQL(try database.makeStatement(sql: text), connection: connection)
    }

    /// The row id of the last insert.
    var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(connection) }
    /// Rows that all statements changed since the connection was opened.
    var totalChanges: Int { Int(sqlite3_total_changes(connection)) }
    /// Rows that the last statement changed.
    var changedRows: Int { Int(sqlite3_changes(connection)) }
}
