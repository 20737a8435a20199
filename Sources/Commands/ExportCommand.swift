import Catalog
import Foundation
import Interchange
package import Replica
import Store

/// Exports all records of a kind, as text ready to be written to a file.
package struct ExportCommand: StreamingCommand {
    package static let endpoint = Endpoint("export", .reader, .stream)

    package enum Format: String, Codable, Sendable {
        case csv, jsonl
    }

    package let kind: String
    package let owner: String?
    package let format: Format
    /// True for a file that a spreadsheet will open: it begins with a byte order mark, and text that a spreadsheet
    /// would compute is neutralized.
    package let isForSpreadsheet: Bool

    /// A part of the text ends with the record that reaches one of these bounds.
    private static let recordsPerText = 1000
    private static let bytesPerText = 1024 * 1024
    /// The records read at a time; each may be large.
    private static let recordsAtOnce = 250

    package init(kind: String, owner: String?, format: Format, isForSpreadsheet: Bool) {
        self.kind = kind
        self.owner = owner
        self.format = format
        self.isForSpreadsheet = isForSpreadsheet
    }

    package struct Output: Codable, Sendable {
        /// The number of records exported.
        package let records: Int
    }

    package enum Element: Codable, Sendable {
        case progress(WorkProgress)
        /// The next part of the file.
        case text(String)
        /// The last element.
        case answer(Output)
    }

    package static func size(of element: Element) -> Int {
        if case .text(let text) = element { text.utf8.count } else { 0 }
    }

    package func run(in context: CommandContext, into stream: BoundedStream<Element>) async throws {
        try CatalogChecks.check(RecordIdentity(kind: kind, localID: "-"))
        let replica = context.replica
        let owner = try owner.map { try replica.member($0) }
        let progress = ProgressReporter { stream.offer(.progress($0)) }
        let count = try await CancellationFlag.during { flag in
            let (begun, total) = try await begunWriter(in: replica, owner: owner, flag: flag)
            var page = Page(writer: begun)
            repeat {
                let last = page
                page = try await replica.read { try self.nextPage(after: last, owner, $0, in: replica, flag: flag) }
                progress.report(.exporting, done: page.count, total: total)
                try await stream.send(.text(page.text))
            } while page.cursor != nil
            return page.count
        }
        try await stream.send(.answer(Output(records: count)))
    }

    /// The state of an export after a page. Each page has a snapshot of its own, so a slow reader of the output holds
    /// none open.
    private struct Page: Sendable {
        var writer: any RecordWriter & Sendable
        var text = ""
        var cursor: ReadTransaction.ListCursor?
        var count = 0
    }

    private func nextPage(
        after last: Page,
        _ owner: OrganizationID?,
        _ reading: ReadTransaction,
        in replica: Replica,
        flag: CancellationFlag
    ) throws -> Page {
        var page = last
        var bytes = page.writer.drain()
        var count = 0
        repeat {
            try flag.check()
            let records = try reading.records(kind: kind, owner: owner, after: page.cursor, limit: Self.recordsAtOnce)
            for case let record? in records.records.map({ self.record($0, in: replica) }) {
                page.writer.write(record)
                page.count += 1
            }
            bytes += page.writer.drain()
            count += records.records.count
            page.cursor = records.next
        } while page.cursor != nil && count < Self.recordsPerText && bytes.count < Self.bytesPerText
        page.text = String(decoding: bytes, as: UTF8.self)
        return page
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

    /// The writer of the format, which has already written the header, and the number of records if it is known
    /// beforehand.
    private func begunWriter(
        in replica: Replica,
        owner: OrganizationID?,
        flag: CancellationFlag
    ) async throws -> (writer: any RecordWriter & Sendable, total: Int?) {
        guard format == .csv else { return (JSONLinesWriter(), nil) }
        return try await replica.read { [kind, isForSpreadsheet] reading in
            var counts = ColumnCounts()
            try reading.forEachRecord(kind: kind, owner: owner) { record in
                try flag.check()
                counts.add(record.fields.lazy.map(\.path))
            }
            let (paths, hasMore) = counts.columns(kind: kind)
            var writer = CSVWriter(
                CSVLayout(paths: paths, hasMore: hasMore, kinds: [kind]),
                guardsFormulas: isForSpreadsheet
            )
            writer.writeHeader(writesTombstone: isForSpreadsheet)
            return (writer, counts.recordCount)
        }
    }
}
