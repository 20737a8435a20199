/// Finds rows by any key. It is fast for many lookups in the order of the rows' numbers, as when a file is imported
/// again. After two adjacent rows, a cursor reads the next ones, which costs a fraction of a lookup each.
final class RowsInTurn<Row> {
    /// The statement that gives the rows after a number, ascending.
    private let following: StaticString
    private let read: (SQL) throws -> Row
    private let number: (Row) -> Int64
    private var cursor: SQL?
    /// The row at the cursor.
    private var next: Row?
    private var last: Int64?

    init(following: StaticString, read: @escaping (SQL) throws -> Row, number: @escaping (Row) -> Int64) {
        self.following = following
        self.read = read
        self.number = number
    }

    deinit { cursor?.reset() }

    /// The requested row; nil if there is none.
    ///
    /// - Parameter lookUp: Finds the row by its key.
    func find(_ session: Session, isWanted: (Row) -> Bool, lookUp: () throws -> Row?) throws -> Row? {
        if let cursor, next == nil {
            if try cursor.step() { next = try read(cursor) } else { self.cursor = nil }
        }
        if let row = next, isWanted(row) {
            next = nil
            last = number(row)
            return row
        }
        guard let row = try lookUp() else { return nil }
        let found = number(row)
        if let last, found == last + 1 {
            cursor?.reset()
            next = nil
            cursor = try session(following).bind(1, found)
        }
        last = found
        return row
    }
}
