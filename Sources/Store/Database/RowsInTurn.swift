/// Finds rows by whatever names them, for those who look for many in the order in which they came, as a file's that is loaded
/// again. After two that are neighbours the next ones are read by going on, which costs a fraction of looking each up.
final class RowsInTurn<Row> {
    /// Gives the rows behind a number, ascending.
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

    /// The row that is wanted; nil where there is none.
    ///
    /// - Parameter lookUp: Finds it wherever it is.
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
