import Foundation
import GRDBSQLite
import Simulator

/// The raw cost of an import: the same rows put into SQLite by the C interface, with nothing around it.
struct PlainSQLite {
    struct Row {
        let bytes: [UInt8]
        let names: [String]
    }

    struct Outcome {
        let rowsPerSecond: Double
        let diskBytes: Int
    }

    static let rowsPerTransaction = 5_000
    let rows: [Row]

    /// SQLite shall copy what it is given.
    private static var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

    /// Inserts every row: its bytes, a unique key of 16 bytes, and its names into a contentless full-text index.
    func run(in folder: String) throws -> Outcome {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var opened: OpaquePointer?
        guard sqlite3_open(folder + "/plain.sqlite", &opened) == SQLITE_OK, let database = opened else {
            throw BenchFailure("SQLite cannot make a database in \(folder)")
        }
        for text in [
            "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
            "CREATE TABLE row(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL)",
            "CREATE VIRTUAL TABLE words USING fts5(name, other, content='')",
        ] { try execute(text, database) }
        let insert = try prepared("INSERT INTO row(id, key, bytes) VALUES(?1, ?2, ?3)", database)
        let index = try prepared("INSERT INTO words(rowid, name, other) VALUES(?1, ?2, ?3)", database)
        var random = SplitMix64(seed: 1)
        let keys = rows.map { _ in random.bytes(16) }

        let begin = ContinuousClock.now
        for start in stride(from: 0, to: rows.count, by: Self.rowsPerTransaction) {
            try execute("BEGIN IMMEDIATE", database)
            for position in start..<min(rows.count, start + Self.rowsPerTransaction) {
                let row = rows[position]
                sqlite3_bind_int64(insert, 1, Int64(position + 1))
                sqlite3_bind_blob(insert, 2, keys[position], 16, Self.transient)
                sqlite3_bind_blob(insert, 3, row.bytes, Int32(row.bytes.count), Self.transient)
                try step(insert, database)
                sqlite3_bind_int64(index, 1, Int64(position + 1))
                for (column, name) in row.names.enumerated() {
                    sqlite3_bind_text(index, Int32(column + 2), name, -1, Self.transient)
                }
                try step(index, database)
            }
            try execute("COMMIT", database)
        }
        let seconds = begin.duration(to: .now) / .seconds(1)
        sqlite3_finalize(insert)
        sqlite3_finalize(index)
        sqlite3_close(database)
        return Outcome(rowsPerSecond: Double(rows.count) / seconds, diskBytes: Facts.bytes(in: folder))
    }

    private func execute(_ text: String, _ database: OpaquePointer) throws {
        guard sqlite3_exec(database, text, nil, nil, nil) == SQLITE_OK else { throw failure(database) }
    }

    private func prepared(_ text: String, _ database: OpaquePointer) throws -> OpaquePointer {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(database, text, -1, &statement, nil) == SQLITE_OK, let statement else {
            throw failure(database)
        }
        return statement
    }

    private func step(_ statement: OpaquePointer, _ database: OpaquePointer) throws {
        guard sqlite3_step(statement) == SQLITE_DONE else { throw failure(database) }
        sqlite3_reset(statement)
    }

    private func failure(_ database: OpaquePointer) -> BenchFailure {
        BenchFailure("SQLite: " + String(cString: sqlite3_errmsg(database)))
    }
}
