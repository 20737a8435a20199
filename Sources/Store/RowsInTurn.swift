import Catalog

// Who looks for many rows often looks for them in the order in which they came: those of a file that is loaded again, for
// one. After two that are neighbours the next ones are read by going on, which costs a fraction of looking each up.

/// Finds records by their ids.
final class RecordsInTurn {
    private var cursor: SQL?
    private var next: RecordRow?
    private var last: Int64?

    deinit { cursor?.reset() }

    /// The row of a record; nil where it has none.
    func find(_ id: RecordID, _ session: Session) throws -> RecordRow? {
        if let cursor {
            if next == nil, try cursor.step() { next = try RecordRow(cursor) }
            if let row = next, row.id == id {
                next = nil
                last = row.row
                return row
            }
        }
        guard let row = try RecordRow.find(id, session) else { return nil }
        if let last, row.row == last + 1 {
            cursor?.reset()
            next = nil
            let cursor = try session(
                """
                SELECT id, short, rest, owner, kind, shown, trouble, state, key FROM record WHERE id > ? ORDER BY id
                """
            )
            self.cursor = cursor.bind(1, row.row)
        }
        last = row.row
        return row
    }
}

/// Finds contents of operations by their locations.
final class ContentsInTurn {
    private var cursor: SQL?
    private var next: (location: Int64, content: [UInt8])?
    private var last: Int64?

    deinit { cursor?.reset() }

    func content(at location: Int64, _ session: Session) throws -> [UInt8] {
        if let cursor {
            if next == nil, try cursor.step() { next = (cursor.int(0), cursor.bytes(1)) }
            if let found = next, found.location == location {
                next = nil
                last = location
                return found.content
            }
        }
        let content = try OperationRow.existing(at: location, session).content
        if let last, location == last + 1 {
            cursor?.reset()
            next = nil
            cursor = try session("SELECT id, content FROM operation WHERE id > ? ORDER BY id").bind(1, location)
        }
        last = location
        return content
    }
}
