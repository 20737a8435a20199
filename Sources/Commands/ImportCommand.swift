import Catalog
import DeltaLog
import Dispatch
import Foundation
import Governance
import Interchange
import OpenSSLKit
import Replica
import Schema
import Store
import Synchronization

/// Loads a file of records: checks all of it first, then writes what differs.
package struct ImportCommand: Command {
    package static let name = "import"
    /// Absolute.
    package let file: String
    /// How the file is called in messages.
    package let displayName: String
    package let kind: String
    package let key: String
    /// `FIELD=COLUMN` each.
    package let columns: [String]
    package let isDryRun: Bool
    /// `csv`, `tsv` or `jsonl`; nil to take it from the name.
    package let format: String?
    package let encoding: String?
    /// Rejects listed at most; all are counted.
    package static let rejectsShownMax = 20
    /// Rows planned at a time, and the bytes of rows at which that ends earlier.
    static let rowsPerBatch = 1000
    static let bytesPerBatch = 2 * 1024 * 1024
    /// Batches planned before the first of them is written, and batches written in one transaction. The more, the fewer
    /// pages are written twice; each takes some 3 MiB of memory.
    static let batchesAhead = 4
    /// Parts of a batch that are planned at once at most: each has a snapshot, of which searches need some, and its own deltas,
    /// of 250 rows then.
    static let widthMax = 4

    package init(
        file: String,
        displayName: String,
        kind: String,
        key: String,
        columns: [String],
        isDryRun: Bool,
        format: String?,
        encoding: String?
    ) {
        self.file = file
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
        /// Rows without any content, which are skipped.
        package var blank = 0
        package var seconds = 0.0
        /// The import's id, 32 hexadecimal digits; null where nothing was written.
        package var `import`: String?
        package var dryRun = false
        package var file = ""
        /// The encoding that the file was read in, as in `GB18030`; empty where it did not come to that.
        package var encoding = ""
        /// By what that is known: `mark`, `detected` or `given`.
        package var encodingBy = ""
        /// True if the import was stopped on request. What it has written until then is whole, and counted; the same command
        /// goes on from there.
        package var interrupted = false
        /// The first rejects: `file:line:column: field: code: text (value)`.
        package var rejects: [String] = []
    }

    package func run(in context: CommandContext) async throws -> Output {
        guard CatalogSchema.kinds.contains(kind) else {
            throw Failure(
                .noSuchKind,
                "there is no kind '\(kind)'; the kinds are: \(CatalogSchema.kinds.joined(separator: ", "))"
            )
        }
        let start = ContinuousClock.now
        defer { FreedMemory.giveBack() }
        var output = Output()
        output.file = displayName
        output.dryRun = isDryRun
        do {
            try await CancellationFlag.during { flag in
                let run = try ImportRun(self, replica: context.replica, flag: flag)
                try await run.check(&output)
                if output.rejected == 0 { try await run.write(&output) }
            }
        } catch is CancellationError {
            output.interrupted = true
        }
        output.seconds = ((start.duration(to: .now) / .seconds(1)) * 1000).rounded() / 1000
        return output
    }
}

/// One import under way. Its reader is used by one call at a time: the next rows are asked for only when those before have
/// come, and the first pass has ended before the second begins, which is why it may cross threads.
private final class ImportRun: @unchecked Sendable {
    private let command: ImportCommand
    private let replica: Replica
    private let input: InputFile
    private let format: SourceFormat
    private let options: ImportOptions
    private var survey: InputSurvey?
    /// What the first pass read with; it knows the file's keys.
    private var first: ReaderBox?
    private var fileHash = Hash256.zero
    /// Set once nobody wants the import any more.
    private let flag: CancellationFlag

    init(_ command: ImportCommand, replica: Replica, flag: CancellationFlag) throws {
        self.command = command
        self.replica = replica
        self.flag = flag
        do throws(InterchangeError) {
            input = try InputFile(path: command.file, shownName: command.displayName)
            input.isCancelled = { flag.isSet }
            // A copy that was made for this import; open it stays, whatever becomes of who made it.
            if command.file.hasPrefix(replica.folder.spool + "/") { unlink(command.file) }
            let map = try ColumnMap(keyColumn: command.key, written: command.columns)
            options = ImportOptions(kind: command.kind, map: map, keyFolder: replica.folder.path)
        } catch {
            throw Failure(cause: error)
        }
        switch command.format {
        case "csv": format = .csv
        case "tsv": format = .tsv
        case "jsonl", "json", "ndjson": format = .jsonLines
        case nil:
            guard let found = try SourceFormat(path: command.displayName) ?? Self.format(bytesOf: input) else {
                throw Failure(
                    .unknownFormat,
                    "the format of \(command.displayName) cannot be told from its name or its first bytes",
                    fix: .nameFormat
                )
            }
            format = found
        case let other?: throw Failure(.noSuchFormat, "'\(other)' is no format; use csv, tsv or jsonl")
        }
    }

    /// JSON by its first character; nil where that does not tell.
    private static func format(bytesOf input: InputFile) throws -> SourceFormat? {
        try Replica.translatingInterchange {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
            defer { buffer.deallocate() }
            let count = try input.read(into: buffer)
            try input.rewind()
            let blanks: [UInt8] = [0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF]
            switch buffer[..<count].first(where: { !blanks.contains($0) }) {
            case UInt8(ascii: "{"), UInt8(ascii: "["): return .jsonLines
            case nil: return nil
            default: return .csv
            }
        }
    }

    /// An export names each record's owner; what belongs to another member is not loaded as one's own.
    private func foreignOwner(of row: SourceRow) -> String? {
        guard let owner = row.owner else { return nil }
        let folded = NameFolding.fold(owner)
        let roster = replica.roster
        guard roster.members[replica.organization].map({ NameFolding.fold($0.name) }) != folded else { return nil }
        return roster.members.values.first { NameFolding.fold($0.name) == folded }?.name
    }

    /// The first pass: the file's hash and encoding, and every row checked.
    func check(_ output: inout ImportCommand.Output) async throws {
        do {
            output = try await survey(output)
        } catch let error as Failure where !error.message.contains(command.displayName) {
            throw Failure(
                error.reason,
                "\(command.displayName): \(error.message)",
                candidates: error.candidates,
                details: error.details,
                fix: error.fix
            )
        }
    }

    private func survey(_ begun: ImportCommand.Output) async throws -> ImportCommand.Output {
        try await replica.onReaders { [self] in
            var output = begun
            let wanted = try command.encoding.map { name in
                guard let encoding = TextEncoding(named: name) else {
                    throw Failure(
                        .noSuchEncoding,
                        "'\(name)' is no encoding known here; these are: \(TextEncoding.names)"
                    )
                }
                return encoding
            }
            let held = HeldKeys(replica, kind: command.kind, flag: flag)
            defer { held.end() }
            let hasher = HasherBox()
            input.onRawBytes = { hasher.update($0) }
            let survey = try input.survey(encoding: wanted)
            fileHash = hasher.finalized()
            self.survey = survey
            output.encoding = survey.encoding.rawValue
            output.encodingBy = survey.origin.rawValue
            let reader = try SourceReader(file: input, survey: survey, format: format, options: options)
            first = ReaderBox(reader)
            while let event = try reader.next() {
                switch event {
                case .reject(let found): reject(found.description, &output)
                case .row(let row):
                    if let owner = foreignOwner(of: row) {
                        reject(
                            "\(command.displayName):\(row.line):1: owner: not-owner: the record belongs to \(owner), "
                                + "a member of this alliance; only that organization loads it "
                                + "(\(Reject.shortened(row.localID)))",
                            &output
                        )
                    } else {
                        for clash in try held.add(row.localID, line: row.line) { reject(clash, &output) }
                    }
                }
            }
            for clash in try held.finish() { reject(clash, &output) }
            output.blank = reader.blankCount
            return output
        }
    }

    private func reject(_ reject: String, _ output: inout ImportCommand.Output) {
        output.rejected += 1
        if output.rejects.count < ImportCommand.rejectsShownMax { output.rejects.append(reject) }
    }

    private func reject(_ clash: HeldKeys.Clash, _ output: inout ImportCommand.Output) {
        reject(
            Reject(
                file: command.displayName,
                line: clash.line,
                record: 0,
                column: 1,
                field: command.key,
                code: .keyAlike,
                text:
                    "the key '\(VisibleText.distinct(clash.key))' looks like '\(VisibleText.distinct(clash.held))', which is "
                    + "held, and is another one; give the row that key, or one that differs visibly"
            ).description,
            &output
        )
    }

    /// The second pass: plans every row over what is held, and writes what differs, in deltas of this import. While some
    /// batches are written the next ones are read, planned, encoded and hashed.
    func write(_ output: inout ImportCommand.Output) async throws {
        guard let survey else { return }
        let reader = try Replica.translatingInterchange {
            try SourceReader(file: input, survey: survey, format: format, options: options, after: first?.reader)
        }
        first = nil
        let id = try SystemRandom.bytes(count: 16)
        defer { replica.ownLog.endImport(id) }
        let queue = BoundedQueue<Batch>(capacity: ImportCommand.batchesAhead)
        async let planning: Void = planBatches(ReaderBox(reader), id, into: queue)
        let result: Result<Bool, any Error>
        do {
            result = .success(try await writeBatches(of: queue, id, &output))
        } catch {
            result = .failure(error)
        }
        queue.close()
        await planning
        do {
            if try result.get() { output.import = Hex.string(id) }
        } catch is CancellationError {
            output.interrupted = true
        }
        if input.hasChanged, !output.interrupted { throw hasChanged }
    }

    private var hasChanged: Failure {
        Failure(
            .fileChanged,
            "\(command.displayName) has changed while it was read; "
                + (command.isDryRun ? "try again" : "what was written so far is whole, import it again")
        )
    }

    /// Writes batches as they come, as many as there are in one transaction, until none comes any more or nobody wants them;
    /// true if anything was written.
    private func writeBatches(
        of queue: BoundedQueue<Batch>,
        _ id: [UInt8],
        _ output: inout ImportCommand.Output
    ) async throws -> Bool {
        var part: UInt32 = 1
        while true {
            let batches: [Batch]
            do {
                batches = try await queue.take(upTo: ImportCommand.batchesAhead)
                try flag.check()
            } catch is CancellationError {
                output.interrupted = true
                return part > 1
            }
            guard !batches.isEmpty else { return part > 1 }
            var steps = batches.map(\.planned.result)
            let writing = batches.filter { !$0.planned.parts.isEmpty }
            if !writing.isEmpty {
                let (deltas, results) = try await replica.ownLog.commit(
                    importMark: ImportMark(id: id, fileHash: fileHash, part: part),
                    plans: writing.map(\.planned)
                ) { [self] index, transaction, log in
                    let (drafts, step) = try plan(writing[index].rows[...], over: transaction.reading)
                    return (try replica.ownLog.encode(drafts, for: log), step)
                }
                part += UInt32(deltas.count)
                steps = batches.filter { $0.planned.parts.isEmpty }.map(\.planned.result) + results
            }
            for step in steps {
                output.created += step.created
                output.updated += step.updated
                output.unchanged += step.unchanged
            }
        }
    }

    /// Rows that are written together, and what is to be written of them.
    private struct Batch: Sendable {
        /// Kept, since they are planned again where the records change meanwhile.
        let rows: [SourceRow]
        let planned: OwnLogWriter.Plan<Step>
    }

    private struct Step: Sendable {
        var created = 0
        var updated = 0
        var unchanged = 0

        static func + (left: Step, right: Step) -> Step {
            Step(
                created: left.created + right.created,
                updated: left.updated + right.updated,
                unchanged: left.unchanged + right.unchanged
            )
        }
    }

    /// Plans all rows, batch by batch, until nobody takes them any more. The next rows are read meanwhile.
    private func planBatches(_ box: ReaderBox, _ id: [UInt8], into queue: BoundedQueue<Batch>) async {
        // Storing takes a processor of its own; where nothing is to be stored, all are for planning.
        let processors = min(ProcessInfo.processInfo.activeProcessorCount, ImportCommand.widthMax + 1)
        var width = max(1, processors - 1)
        do {
            var rows = try await nextRows(box)
            while !rows.isEmpty {
                async let following = nextRows(box)
                let batch = try await planned(rows, id, width: width)
                width = batch.planned.parts.isEmpty ? min(processors, ImportCommand.widthMax) : max(1, processors - 1)
                guard await queue.put(batch) else { break }
                rows = try await following
            }
            queue.finish(.success(()))
        } catch {
            queue.finish(.failure(error))
        }
    }

    private func nextRows(_ box: ReaderBox) async throws -> [SourceRow] {
        try await replica.onReaders { [self] in
            var rows: [SourceRow] = []
            rows.reserveCapacity(ImportCommand.rowsPerBatch)
            var byteCount = 0
            while rows.count < ImportCommand.rowsPerBatch, byteCount < ImportCommand.bytesPerBatch,
                let event = try box.reader.next()
            {
                guard case .row(let row) = event else { throw hasChanged }
                byteCount += row.estimatedSize
                rows.append(row)
            }
            return rows
        }
    }

    /// Plans and encodes rows: `width` parts of them at once, each on a thread of its own over a snapshot of its own, since
    /// they are about different records.
    private func planned(_ rows: [SourceRow], _ id: [UInt8], width: Int) async throws -> Batch {
        try await replica.onReaders { [self] in
            // Before the snapshots: what changes between the two is taken for later.
            let basis = replica.ownLog.basis(of: id)
            let share = (rows.count + width - 1) / width
            let shares = stride(from: 0, to: rows.count, by: share).map { rows[$0..<min($0 + share, rows.count)] }
            let planned = Mutex<[Result<OwnLogWriter.Plan<Step>, any Error>?]>(
                Array(repeating: nil, count: shares.count)
            )
            DispatchQueue.concurrentPerform(iterations: shares.count) { index in
                let result = Result {
                    let (drafts, step) = try replica.snapshot { reading in
                        try plan(shares[index], over: reading)
                    }
                    return OwnLogWriter.Plan(
                        basis: basis,
                        parts: command.isDryRun ? [] : try replica.ownLog.encode(drafts, for: basis.log),
                        result: step
                    )
                }
                planned.withLock { $0[index] = result }
            }
            let done = try planned.withLock { try $0.compactMap { try $0?.get() } }
            return Batch(
                rows: rows,
                planned: OwnLogWriter.Plan(
                    basis: basis,
                    parts: done.flatMap(\.parts),
                    result: done.map(\.result).reduce(Step(), +)
                )
            )
        }
    }

    private func plan(
        _ rows: ArraySlice<SourceRow>,
        over reading: ReadTransaction
    ) throws -> (drafts: [OperationDraft], step: Step) {
        var step = Step()
        var drafts: [OperationDraft] = []
        drafts.reserveCapacity(rows.count)
        for row in rows {
            let identity = RecordIdentity(kind: row.kind, localID: row.localID)
            let key = identity.key(replica.cryptography)
            let id = RecordID(
                alliance: replica.alliance,
                owner: replica.organization,
                key: key,
                hasher: replica.cryptography
            )
            func upsert(over view: RecordView?) -> OperationDraft? {
                Planner.upsert(
                    identity,
                    key: key,
                    over: view,
                    changes: row.fields.compactMap { Self.change($0, over: view) },
                    settling: .leavesConflicts
                )?.sharingWrites(of: drafts.last)
            }
            var planned = upsert(over: nil)
            if let creation = planned {
                switch try reading.likeness(of: id, to: creation) {
                case .absent: step.created += 1
                case .same: planned = nil
                case .other:
                    let view = try reading.wholeView(of: id)
                    planned = upsert(over: view)
                    if planned != nil {
                        if view?.isDeleted == false { step.updated += 1 } else { step.created += 1 }
                    }
                }
            }
            if let planned { drafts.append(planned) } else { step.unchanged += 1 }
        }
        return (drafts, step)
    }

    /// An empty cell takes a value away, and says nothing where there is none.
    private static func change(_ field: SourceField, over view: RecordView?) -> (FieldPath, FieldChange)? {
        switch field.input {
        case .absent:
            guard let view, !view.isDeleted, view[field.path] != nil else { return nil }
            return (field.path, .clear)
        case .value(let value): return (field.path, .set(value))
        case .elements(let elements): return (field.path, .elements(elements))
        }
    }
}

/// See ``ImportRun`` for why it may cross threads.
private final class ReaderBox: @unchecked Sendable {
    let reader: SourceReader
    init(_ reader: SourceReader) { self.reader = reader }
}

extension SourceRow {
    /// About as many bytes as it takes in memory and in a delta.
    fileprivate var estimatedSize: Int {
        fields.reduce(64 + localID.utf8.count) { size, field in
            switch field.input {
            case .absent: size + 16
            case .value(let value): size + 32 + value.estimatedSize
            case .elements(let elements): elements.reduce(size) { $0 + 32 + $1.estimatedSize }
            }
        }
    }
}

/// SHA-256 of what is fed to it.
private final class HasherBox {
    private var hasher = SHA256Hasher()
    func update(_ bytes: UnsafeRawBufferPointer) { hasher.update(bytes) }
    // A SHA-256 has 32 bytes.
    func finalized() -> Hash256 { Hash256(hasher.finalized())! }
}
