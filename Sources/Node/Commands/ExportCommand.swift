import Catalog
import Foundation
import Interchange
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
        let directory = context.directory
        let owner = try owner.map { try directory.member($0) }
        return try await CancellationFlag.during { flag in
            try await directory.read { [kind] reading in
                var counts = ColumnCounts()
                try reading.forEachRecord(kind: kind, owner: owner) { record in
                    try flag.check()
                    counts.add(record.fields.lazy.map(\.path))
                }
                let (paths, hasMore) = counts.columns(kind: kind)
                let layout = CSVLayout(paths: paths, hasMore: hasMore, kinds: [kind])
                return Output(layout: directory.exports.keep(layout), records: counts.recordCount)
            }
        }
    }
}

/// The columns of exports that are under way: peers choose how many paths there are, so they stay where the records are
/// instead of being sent with each page.
final class ExportLayouts: Sendable {
    /// Exports at a time; of more, the one that asked last the longest ago has to begin anew. A guess.
    private static let countMax = 8

    private let kept = Mutex<[(id: String, layout: CSVLayout)]>([])

    /// Keeps a layout, and gives the id by which it is found again.
    func keep(_ layout: CSVLayout) -> String {
        let id = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        kept.withLock { kept in
            if kept.count >= Self.countMax { kept.removeFirst() }
            kept.append((id, layout))
        }
        return id
    }

    /// - Throws: ``HansaError`` where it is not kept any more.
    func layout(_ id: String) throws -> CSVLayout {
        let found = kept.withLock { kept -> CSVLayout? in
            guard let position = kept.firstIndex(where: { $0.id == id }) else { return nil }
            let entry = kept.remove(at: position)
            kept.append(entry)
            return entry.layout
        }
        guard let found else {
            throw HansaError(
                .unreachable,
                "the node does not know of this export any more (it was started again, or there were "
                    + "\(Self.countMax) others since); begin it again"
            )
        }
        return found
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
        let directory = context.directory
        let owner = try owner.map { try directory.member($0) }
        let start = try cursor.map { text in
            guard let cursor = ReadTransaction.ListCursor(text: text) else {
                throw HansaError(.usage, "the export's cursor is damaged; begin the export anew")
            }
            return cursor
        }
        let begun = try begunWriter(in: directory)
        return try await CancellationFlag.during { flag in
            try await directory.read { reading in
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
                    for case let record? in page.records.map({ self.record($0, in: directory) }) {
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

    private func record(_ view: RecordView, in directory: Directory) -> ExportRecord? {
        guard let identity = view.identity else { return nil }
        return ExportRecord(
            kind: identity.kind,
            owner: directory.name(of: view.owner),
            localID: identity.localID,
            fields: view.fields.map { field in
                (path: field.path, values: field.isSet ? field.elements : field.winner.map { [$0] } ?? [])
            }
        )
    }

    /// The writer of the format asked for; it has written the header where the page is the first.
    private func begunWriter(in directory: Directory) throws -> any RecordWriter {
        guard let layout else { return JSONLinesWriter() }
        var writer = CSVWriter(try directory.exports.layout(layout), guardsFormulas: isForSpreadsheet)
        if cursor == nil { writer.writeHeader(writesMark: isForSpreadsheet) }
        return writer
    }
}
