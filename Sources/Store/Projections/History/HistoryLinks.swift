import Catalog

/// The operations about each record that its state does not name: table `touch`, by the record's row and the
/// operation's location. Only operations that count and are within their log's bound have links. Such an operation has
/// one if it is not live, or if its delta has several about the record.
///
/// Its positions are locations of operations. During its rebuild it holds the links of the operations up to its cursor.
/// A relimit needs all links, so it waits for the rebuild.
struct HistoryLinks: Projection {
    static let name = ProjectionName.history
    static let version = 1
    static let tables = [
        Table(
            "touch",
            "(record INTEGER, operation INTEGER, PRIMARY KEY(record, operation)) WITHOUT ROWID",
            order: "record, operation"
        )
    ]

    var cursor = wholeCursor

    /// Links the operations that the change has superseded.
    mutating func update(_ change: RecordChange, _ session: Session) throws {
        try change.before?.state.forEachOperation(missingIn: change.after.state) {
            try link(change.row, $0.location, session)
        }
    }

    /// Operations are entered delta by delta (``WriteTransaction/linkOperations(after:hasher:)``), never by record.
    mutating func enter(_ change: RecordChange, _ session: Session) {}

    /// Links an operation to a record's row if the operation is not after the cursor.
    func link(_ row: Int64, _ location: Int64, _ session: Session) throws {
        if holds(location) { try enter(row, location, session) }
    }

    /// Links an operation to a record's row.
    func enter(_ row: Int64, _ location: Int64, _ session: Session) throws {
        try session("INSERT OR IGNORE INTO touch(record, operation) VALUES(?, ?)").bind(1, row).bind(2, location)
            .run()
    }

    /// Removes all links of a record's row.
    func unlink(_ row: Int64, _ session: Session) throws {
        try session("DELETE FROM touch WHERE record = ?").bind(1, row).run()
    }
}
