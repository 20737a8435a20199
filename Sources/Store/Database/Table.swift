import GRDB

/// A table of the database, declared once: creation, rebuild, verification and migration read the same declaration.
struct Table: Sendable {
    let name: String
    /// The columns and constraints, in parentheses, with the table's options.
    let definition: String
    let indexes: [TableIndex]
    /// The columns that order the rows for a comparison row by row.
    let order: String
    /// A condition on the rows that a comparison includes, on both sides; empty for all rows.
    let compared: String

    init(_ name: String, _ definition: String, indexes: [TableIndex] = [], order: String = "", compared: String = "") {
        self.name = name
        self.definition = definition
        self.indexes = indexes
        self.order = order
        self.compared = compared
    }

    /// Creates the table and its indexes if they are missing.
    func create(in database: Database) throws {
        try database.execute(sql: "CREATE TABLE IF NOT EXISTS \(name)\(definition)")
        for index in indexes { try index.create(on: name, in: database) }
    }

    /// Deletes all rows.
    func empty(_ session: Session) throws { try session.dynamic("DELETE FROM \(name)").run() }
}

/// An index of a table.
struct TableIndex: Sendable {
    let name: String
    /// The indexed columns, with the condition of a partial index.
    let definition: String
    /// A condition that holds for exactly the rows in the index, and that lets SQLite use the index.
    let covering: String
    /// A column of the table whose sum over the index tells whether the index has the table's rows.
    let key: String

    func create(on table: String, in database: Database) throws {
        try database.execute(sql: "CREATE INDEX IF NOT EXISTS \(name) ON \(table)\(definition)")
    }
}
