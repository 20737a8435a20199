import Foundation
import GRDBSQLite
import Simulator
import Store

/// The raw cost: a database with the minimum work of any store for such records, through SQLite's C interface. It has
/// one row with the record's bytes, a unique random key of 16 bytes, and a contentless full-text index of the terms
/// from the node's own tokenizer. It uses a write-ahead log, `synchronous=FULL`, 5,000 rows per transaction, and the
/// node's own limits of page cache and log size. It has no history, no hashes and no signatures.
final class PlainSQLite {
    static let rowsPerTransaction = 5_000
    private static var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

    private let folder: String
    private let database: OpaquePointer
    private let insert: OpaquePointer
    private let index: OpaquePointer
    private var random = SplitMix64(seed: 1)
    private var terms: [UInt8] = []
    private var inTransaction = 0
    private(set) var rows = 0

    init(in folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        self.folder = folder
        var opened: OpaquePointer?
        guard sqlite3_open(folder + "/plain.sqlite", &opened) == SQLITE_OK, let database = opened else {
            throw BenchFailure("SQLite cannot make a database in \(folder)")
        }
        self.database = database
        let configuration = Store.Configuration()
        for text in [
            "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
            "PRAGMA cache_size=-\(configuration.writerCacheKiB)",
            "PRAGMA wal_autocheckpoint=\(configuration.checkpointPages)",
            "CREATE TABLE row(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL)",
            "CREATE VIRTUAL TABLE words USING fts5(name, description, tags, content='', tokenize='ascii')",
        ] { try Self.execute(text, database) }
        insert = try Self.prepared("INSERT INTO row(id, key, bytes) VALUES(?1, ?2, ?3)", database)
        index = try Self.prepared(
            "INSERT INTO words(rowid, name, description, tags) VALUES(?1, ?2, ?3, ?4)",
            database
        )
    }

    deinit {
        sqlite3_finalize(insert)
        sqlite3_finalize(index)
        sqlite3_close(database)
    }

    /// The size of the database and its log in bytes.
    var diskBytes: Int { Facts.bytes(in: folder) }

    /// Adds a record.
    func add(_ bytes: ArraySlice<UInt8>, texts: [String]) throws {
        if inTransaction == 0 { try Self.execute("BEGIN IMMEDIATE", database) }
        rows += 1
        let key = random.bytes(16)
        sqlite3_bind_int64(insert, 1, Int64(rows))
        sqlite3_bind_blob(insert, 2, key, 16, Self.transient)
        bytes.withUnsafeBytes { _ = sqlite3_bind_blob(insert, 3, $0.baseAddress, Int32($0.count), Self.transient) }
        try step(insert)
        sqlite3_bind_int64(index, 1, Int64(rows))
        for (column, text) in texts.prefix(3).enumerated() {
            terms.removeAll(keepingCapacity: true)
            SearchText.append(text, to: &terms)
            terms.withUnsafeBytes { bytes in
                let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
                sqlite3_bind_text(index, Int32(column + 2), start, Int32(bytes.count), Self.transient)
            }
        }
        try step(index)
        inTransaction += 1
        if inTransaction == Self.rowsPerTransaction { try commit() }
    }

    /// Commits the current transaction.
    func commit() throws {
        guard inTransaction > 0 else { return }
        try Self.execute("COMMIT", database)
        inTransaction = 0
    }

    // MARK: - Complete runs

    /// The results of a run.
    struct Outcome {
        let rowsPerSecond: Double
        let diskBytes: Int
        let seconds: Double
    }

    /// Adds prepared records; only the time in SQLite and the tokenizer counts.
    static func run(
        in folder: String,
        count: Int,
        record: (Int) throws -> (line: [UInt8], texts: [String])
    ) throws -> Outcome {
        let plain = try PlainSQLite(in: folder)
        var elapsed = Duration.zero
        for start in stride(from: 0, to: count, by: rowsPerTransaction) {
            let records = try (start..<min(count, start + rowsPerTransaction)).map(record)
            let begin = ContinuousClock.now
            for record in records { try plain.add(record.line[...], texts: record.texts) }
            try plain.commit()
            elapsed += begin.duration(to: .now)
        }
        let seconds = elapsed / .seconds(1)
        return Outcome(rowsPerSecond: Double(count) / seconds, diskBytes: plain.diskBytes, seconds: seconds)
    }

    // MARK: - Calls

    private static func execute(_ text: String, _ database: OpaquePointer) throws {
        guard sqlite3_exec(database, text, nil, nil, nil) == SQLITE_OK else { throw failure(database) }
    }

    private static func prepared(_ text: String, _ database: OpaquePointer) throws -> OpaquePointer {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(database, text, -1, &statement, nil) == SQLITE_OK, let statement else {
            throw failure(database)
        }
        return statement
    }

    private func step(_ statement: OpaquePointer) throws {
        guard sqlite3_step(statement) == SQLITE_DONE else { throw Self.failure(database) }
        sqlite3_reset(statement)
    }

    private static func failure(_ database: OpaquePointer) -> BenchFailure {
        BenchFailure("SQLite: " + String(cString: sqlite3_errmsg(database)))
    }
}
