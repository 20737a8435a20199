package import Catalog
import DeltaLog

extension ReadTransaction {
    /// Calls `body` with the local id and the row number of each visible record of a kind and an owner. The order is
    /// that of arrival at this node. Records whose local id is no longer held are left out.
    ///
    /// - Complexity: Linear in those records; no other value of them is read.
    package func forEachLocalID(
        kind: String,
        owner: OrganizationID,
        _ body: (_ localID: String, _ row: Int64) throws -> Void
    ) throws {
        try require(.listing)
        let numbers = (
            kind: try session("SELECT number FROM kind WHERE name = ?").bind(1, Array(kind.utf8)).first { $0.int(0) },
            owner: try session("SELECT number FROM organization WHERE id = ?").bind(1, owner.bytes).first { $0.int(0) }
        )
        guard let kind = numbers.kind, let owner = numbers.owner else { return }
        let sql = try session(
            """
            SELECT id, short, rest, owner, kind, shown, trouble, state, key FROM record
            WHERE shown = 1 AND kind = ? AND owner = ? ORDER BY id
            """
        )
        sql.bind(1, kind).bind(2, owner)
        defer { sql.reset() }
        while try sql.step() {
            let row = try RecordRow(sql)
            if let localID = try localID(row) { try body(localID, row.row) }
        }
    }

    /// The local id of the visible record in a row; nil if there is none.
    package func localID(ofVisibleRow row: Int64) throws -> String? {
        guard let found = try RecordRow.at(row, session), try isVisible(found) else { return nil }
        return try localID(found)
    }

    /// True if the record exists and is visible.
    package func isVisible(_ id: RecordID) throws -> Bool {
        try RecordRow.find(id, session).map { try isVisible($0) } ?? false
    }

    private func localID(_ row: RecordRow) throws -> String? {
        for live in try state(row).operations {
            guard let write = live.writes.first(where: { $0.field == .identity }) else { continue }
            if write.number == 0 {
                // The value of the first write is the first of the content. In nearly all records this write is the
                // identity, so their envelopes need not be read.
                let found = try names.contents.find(session, isWanted: { $0.location == live.location }) {
                    (live.location, try OperationRow.existing(at: live.location, session).content)
                }
                if let content = found?.content, let first = Self.firstValue(of: content),
                    let identity = Value.identity(encoded: first)
                {
                    return identity.localID
                }
            }
            let values = try OperationBytes(OperationRow.existing(at: live.location, session)).values(of: [write])
            if case .identity(let identity)? = values[write.number] { return identity.localID }
        }
        return nil
    }

    private static func firstValue(of content: [UInt8]) -> ArraySlice<UInt8>? {
        content.withUnsafeBytes { bytes -> Range<Int>? in
            guard var reader = try? ContentReader(bytes) else { return nil }
            return (try? reader.next()) ?? nil
        }.map { content[$0] }
    }
}
