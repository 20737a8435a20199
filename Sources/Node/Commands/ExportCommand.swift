import Catalog
import Foundation
import Interchange
import Store

/// The columns that an export of a kind has: the union of its records' fields.
package struct ExportColumnsCommand: Command {
    package static let name = "export-columns"
    package let kind: String
    package let owner: String?

    package init(kind: String, owner: String?) {
        self.kind = kind
        self.owner = owner
    }

    package struct Output: Codable, Sendable {
        /// Field paths, ascending.
        package let paths: [String]
        package let records: Int
    }

    package func run(in context: CommandContext) async throws -> Output {
        try CatalogChecks.check(RecordIdentity(kind: kind, localID: "-"))
        let directory = context.directory
        let owner = try owner.map { try directory.member($0) }
        let kind = kind
        return try await directory.read { reading in
            var paths: Set<FieldPath> = []
            var count = 0
            try reading.forEachRecord(kind: kind, owner: owner) { record in
                count += 1
                for field in record.fields { paths.insert(field.path) }
            }
            return Output(paths: paths.sorted().map(\.text), records: count)
        }
    }
}

/// One page of an export, as text ready to be written out.
package struct ExportPageCommand: Command {
    package static let name = "export-page"
    package let kind: String
    package let owner: String?
    /// `csv` or `jsonl`.
    package let format: String
    /// What ``ExportColumnsCommand`` gave; only for CSV.
    package let paths: [String]
    /// Where the page before ended; nil for the first, which has the header.
    package let cursor: String?
    /// True to begin CSV with a byte order mark, which Excel needs.
    package let writesMark: Bool

    static let recordsPerPage = 1000

    package init(kind: String, owner: String?, format: String, paths: [String], cursor: String?, writesMark: Bool) {
        self.kind = kind
        self.owner = owner
        self.format = format
        self.paths = paths
        self.cursor = cursor
        self.writesMark = writesMark
    }

    package struct Output: Codable, Sendable {
        package let text: String
        package let cursor: String?
    }

    package func run(in context: CommandContext) async throws -> Output {
        let directory = context.directory
        let owner = try owner.map { try directory.member($0) }
        let start = try cursor.map { text in
            guard let cursor = ReadTransaction.ListCursor(text: text) else {
                throw HansaError(.usage, "the export's cursor is damaged; begin the export anew")
            }
            return cursor
        }
        let kind = kind
        let page = try await directory.read { reading in
            try reading.records(kind: kind, owner: owner, after: start, limit: Self.recordsPerPage)
        }
        let records = page.records.compactMap { view in
            view.identity.map { identity in
                ExportRecord(
                    kind: identity.kind,
                    owner: directory.name(of: view.owner),
                    localID: identity.localID,
                    fields: view.fields.map { field in
                        (path: field.path, values: field.isSet ? field.elements : field.winner.map { [$0] } ?? [])
                    }
                )
            }
        }
        return Output(text: text(of: records), cursor: page.next?.text)
    }

    private func text(of records: [ExportRecord]) -> String {
        guard format == "csv" else {
            var writer = JSONLinesWriter()
            for record in records { writer.write(record) }
            return String(decoding: writer.drain(), as: UTF8.self)
        }
        var writer = CSVWriter(
            paths: paths.map { FieldPath(unchecked: $0) },
            kinds: [kind],
            writesMark: writesMark
        )
        if cursor != nil { _ = writer.drain() }
        for record in records { writer.write(record) }
        return String(decoding: writer.drain(), as: UTF8.self)
    }
}
