import Catalog
import DeltaLog
import GRDB

extension WriteTransaction {
    /// Fewer bytes of state are those of at most two operations, which together are within ``RecordReach``.
    private static let wideStateBytesMin: Int64 = 138

    /// Derives wide records anew. Formats before 3 indexed all their live operations and compared all their values.
    ///
    /// - Complexity: Reads the lengths of the live operations of every record that has three or more.
    static func deriveWideRecordsAnew(_ database: Database) throws {
        let session = try Session(database)
        let transaction = WriteTransaction(session: session, cache: try WriterCache(session), ahead: TermsAhead())
        let rows = try session("SELECT id FROM record WHERE length(state) >= ?").bind(1, wideStateBytesMin)
            .all { $0.int(0) }
        for number in rows {
            guard let row = try RecordRow.at(number, session) else { continue }
            let state = try transaction.reading.state(row)
            let isWide = try state.isWide { try operationBytes(at: $0.location, session) }
            if isWide { try transaction.deriveWideRecordAnew(row, state) }
        }
    }

    /// The bytes of an operation's envelope and content, told without reading them.
    private static func operationBytes(at location: Int64, _ session: Session) throws -> Int {
        let count = try session(
            """
            SELECT length(content) + CASE shape WHEN 0 THEN length(envelope)
                ELSE ? + (SELECT length(bytes) FROM shape WHERE number = operation.shape) END
            FROM operation WHERE id = ?
            """
        ).bind(1, Int64(Envelope.keyEnd)).bind(2, location).first { Int(clamping: $0.int(0)) }
        guard let count else { throw StoreError.damaged("table operation") }
        return count
    }
}
