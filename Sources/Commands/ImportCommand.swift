import Catalog
import Foundation
import Interchange
package import Replica
import Schema

/// Imports a file of records: checks the whole file first, then writes the differences. The file comes with the
/// request.
package struct ImportCommand: StreamingCommand {
    package typealias Element = Report<Output>

    package static let endpoint = Endpoint("import", .editor, .upload)
    /// The file's name in messages. It does not refer to a file of the node's machine.
    package let displayName: String
    package let kind: String
    package let key: String
    /// Each is `FIELD=COLUMN`.
    package let columns: [String]
    package let isDryRun: Bool
    /// `csv`, `tsv` or `jsonl`; nil to derive it from the name.
    package let format: String?
    package let encoding: String?

    package init(
        displayName: String,
        kind: String,
        key: String,
        columns: [String],
        isDryRun: Bool,
        format: String?,
        encoding: String?
    ) {
        self.displayName = displayName
        self.kind = kind
        self.key = key
        self.columns = columns
        self.isDryRun = isDryRun
        self.format = format
        self.encoding = encoding
    }

    package struct Output: Codable, Sendable {
        package var created = 0
        package var updated = 0
        package var unchanged = 0
        package var rejected = 0
        /// Rows without content, which are skipped.
        package var blank = 0
        package var seconds = 0.0
        /// The import's id, 32 hexadecimal digits; null if nothing was written.
        package var `import`: String?
        package var dryRun = false
        package var file = ""
        /// The encoding in which the file was read, as in `GB18030`; empty if the file was not read.
        package var encoding = ""
        /// The source of the encoding: `mark`, `detected` or `given`.
        package var encodingBy = ""
        /// True if the import was stopped on request. Everything written until then is complete and counted; the same
        /// command continues from there.
        package var interrupted = false
        /// The first rejects: `file:line:column: field: code: text (value)`.
        package var rejects: [String] = []
    }

    package func run(in context: CommandContext, into stream: BoundedStream<Element>) async throws {
        let (format, encoding, options) = (try sourceFormat(), try textEncoding(), try options(in: context.replica))
        let body = try context.requiredBody()
        defer { FreedMemory.giveBack() }
        let progress = stream.progress()
        // The time counts from the arrival of the file: a pipe may take any time.
        var start = ContinuousClock.now
        let outcome = try await CancellationFlag.during { flag in
            do {
                let file = try await body.file(named: displayName, progress)
                start = .now
                return try await ImportRun(
                    TableSource(
                        file,
                        format: format,
                        encoding: encoding,
                        options: options,
                        isCancelled: { flag.isSet }
                    ),
                    kind: kind,
                    keyColumn: key,
                    isDryRun: isDryRun,
                    in: context.replica,
                    progress: progress,
                    flag: flag
                ).run()
            } catch is CancellationError {
                return ImportOutcome.interrupted
            }
        }
        try await stream.send(.answer(output(outcome, seconds: start.duration(to: .now) / .seconds(1))))
    }

    private func sourceFormat() throws -> SourceFormat? {
        switch format {
        case "csv": .csv
        case "tsv": .tsv
        case "jsonl", "json", "ndjson": .jsonLines
        case nil: nil
        case let other?: throw Failure(.noSuchFormat, "'\(other)' is no format; use csv, tsv or jsonl")
        }
    }

    private func textEncoding() throws -> TextEncoding? {
        try encoding.map { name in
            guard let encoding = TextEncoding(named: name) else {
                throw Failure(.noSuchEncoding, "'\(name)' is no encoding known here; these are: \(TextEncoding.names)")
            }
            return encoding
        }
    }

    /// The mapping of columns. A field that the kind lacks is refused as a typing error, as in an edit.
    private func options(in replica: Replica) throws -> ImportOptions {
        guard CatalogSchema.kinds.contains(kind) else { throw Failure(noSuchKind: kind) }
        let map: ColumnMap
        do throws(InterchangeError) {
            map = try ColumnMap(keyColumn: key, written: columns)
        } catch {
            throw Failure(cause: error)
        }
        for (pair, written) in zip(map.pairs, columns) {
            let name = written.split(atByte: UInt8(ascii: "="), partsMax: 2).first ?? written
            try CatalogChecks.requireField(pair.field, named: String(name), kind: kind)
        }
        return ImportOptions(kind: kind, map: map, keyFolder: replica.folder.path)
    }

    private func output(_ outcome: ImportOutcome, seconds: Double) -> Output {
        Output(
            created: outcome.tally.created,
            updated: outcome.tally.updated,
            unchanged: outcome.tally.unchanged,
            rejected: outcome.rejectedCount,
            blank: outcome.blankCount,
            seconds: (seconds * 1000).rounded() / 1000,
            import: outcome.id.map { Hex.string($0) },
            dryRun: isDryRun,
            file: displayName,
            encoding: outcome.encoding?.name ?? "",
            encodingBy: outcome.encoding?.knownBy ?? "",
            interrupted: outcome.isInterrupted,
            rejects: outcome.rejects
        )
    }
}
