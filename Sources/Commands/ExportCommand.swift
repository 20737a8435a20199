import Catalog
import Foundation
import Interchange
import Replica
import Store
import Synchronization

/// Finds the columns that an export of a kind as CSV has, and keeps them for its pages.
package struct ExportColumnsCommand: Command {
    package static let name = "export-columns"
    package let kind: String
    package let owner: String?

    package init(kind: String, owner: String?) {
        self.kind = kind
        self.owner = owner
    }

    package struct Output: Codable, Sendable {
        /// Names the columns to ``ExportPageCommand``.
        package let layout: String
        package let records: Int
    }

    package func run(in context: CommandContext) async throws -> Output {
        try CatalogChecks.check(RecordIdentity(kind: kind, localID: "-"))
        let replica = context.replica
        let owner = try owner.map { try replica.member($0) }
        return try await CancellationFlag.during { flag in
            try await replica.read { [kind] reading in
                var counts = ColumnCounts()
                try reading.forEachRecord(kind: kind, owner: owner) { record in
                    try flag.check()
                    counts.add(record.fields.lazy.map(\.path))
                }
                let (paths, hasMore) = counts.columns(kind: kind)
                let layout = CSVLayout(paths: paths, hasMore: hasMore, kinds: [kind])
                return Output(layout: replica.exports.keep(layout), records: counts.recordCount)
            }
        }
    }
}

/// One page of an export, as text ready to be written out.
package struct ExportPageCommand: Command {
    package static let name = "export-page"
    package let kind: String
    package let owner: String?
    /// What ``ExportColumnsCommand`` gave, for CSV; nil for JSON lines.
    package let layout: String?
    /// Where the page before ended; nil for the first, which has the header.
    package let cursor: String?
    /// True for a file that a spreadsheet will open: it begins with a byte order mark, and what a spreadsheet would compute
    /// is made harmless.
    package let isForSpreadsheet: Bool

    /// A page ends with the record that brings it to one of these.
    private static let recordsPerPage = 1000
    private static let bytesPerPage = 4 * 1024 * 1024
    /// Records read at a time: each may be large.
    private static let recordsAtOnce = 250

    package init(kind: String, owner: String?, layout: String?, cursor: String?, isForSpreadsheet: Bool) {
        self.kind = kind
        self.owner = owner
        self.layout = layout
        self.cursor = cursor
        self.isForSpreadsheet = isForSpreadsheet
    }

    package struct Output: Codable, Sendable {
        package let text: String
        package let cursor: String?
    }

    package func run(in context: CommandContext) async throws -> Output {
        try CatalogChecks.check(RecordIdentity(kind: kind, localID: "-"))
        let replica = context.replica
        let owner = try owner.map { try replica.member($0) }
        let start = try cursor.map { text in
            guard let cursor = ReadTransaction.ListCursor(text: text) else {
                throw Failure(.badCursor, "the export's cursor is damaged; begin the export anew")
            }
            return cursor
        }
        let begun = try begunWriter(in: replica)
        return try await CancellationFlag.during { flag in
            try await replica.read { reading in
                var writer = begun
                var bytes = writer.drain()
                var cursor = start
                var count = 0
                repeat {
                    try flag.check()
                    let page = try reading.records(
                        kind: kind,
                        owner: owner,
                        after: cursor,
                        limit: Self.recordsAtOnce
                    )
                    for case let record? in page.records.map({ self.record($0, in: replica) }) {
                        writer.write(record)
                    }
                    bytes += writer.drain()
                    count += page.records.count
                    cursor = page.next
                } while cursor != nil && count < Self.recordsPerPage && bytes.count < Self.bytesPerPage
                return Output(text: String(decoding: bytes, as: UTF8.self), cursor: cursor?.text)
            }
        }
    }

    private func record(_ view: RecordView, in replica: Replica) -> ExportRecord? {
        guard let identity = view.identity else { return nil }
        return ExportRecord(
            kind: identity.kind,
            owner: replica.name(of: view.owner),
            localID: identity.localID,
            fields: view.fields.map { field in
                (path: field.path, values: field.isSet ? field.elements : field.winner.map { [$0] } ?? [])
            }
        )
    }

    /// The writer of the format asked for; it has written the header where the page is the first.
    private func begunWriter(in replica: Replica) throws -> any RecordWriter {
        guard let layout else { return JSONLinesWriter() }
        var writer = CSVWriter(try replica.exports.layout(layout), guardsFormulas: isForSpreadsheet)
        if cursor == nil { writer.writeHeader(writesMark: isForSpreadsheet) }
        return writer
    }
}
