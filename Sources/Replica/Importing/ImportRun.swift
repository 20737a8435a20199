import Catalog
import DeltaLog
import Governance
import Interchange
import Store

/// One import: checks every row of a source, then writes the differences.
package struct ImportRun: Sendable {
    private let replica: Replica
    private let source: SourceBox
    private let kind: String
    private let keyColumn: String
    private let isDryRun: Bool
    private let progress: ProgressReporter
    /// Set when the import is cancelled.
    private let flag: CancellationFlag

    /// Rows between two reports of the first pass.
    private static let rowsPerReport = 256

    /// Prepares an import; nothing is read yet.
    ///
    /// - Parameters:
    ///   - kind: The kind of all rows.
    ///   - keyColumn: The column with the records' local ids.
    ///   - isDryRun: True to write nothing.
    ///   - flag: Set when the import is cancelled.
    package init(
        _ source: sending any RecordSource,
        kind: String,
        keyColumn: String,
        isDryRun: Bool,
        in replica: Replica,
        progress: ProgressReporter,
        flag: CancellationFlag
    ) {
        self.replica = replica
        self.source = SourceBox(source)
        self.kind = kind
        self.keyColumn = keyColumn
        self.isDryRun = isDryRun
        self.progress = progress
        self.flag = flag
    }

    private var name: String { source.source.name }

    /// Runs both passes; the second only if no row is rejected.
    ///
    /// - Throws: ``Failure``. If something was written before it, its details report the numbers of rows.
    package func run() async throws -> ImportOutcome {
        var outcome = ImportOutcome()
        do {
            outcome = try await check()
            if outcome.rejectedCount == 0 { try await write(&outcome) }
        } catch is CancellationError {
            outcome.isInterrupted = true
        }
        return outcome
    }

    // MARK: - The first pass

    /// Determines the source's hash and encoding, and checks every row.
    private func check() async throws -> ImportOutcome {
        let name = name
        do {
            return try await replica.onReaders { [self] in try checkNow() }
        } catch let error as Failure where !error.message.contains(name) {
            throw Failure(
                error.reason,
                "\(name): \(error.message)",
                candidates: error.candidates,
                details: error.details,
                fix: error.fix
            )
        }
    }

    private func checkNow() throws -> ImportOutcome {
        let source = source.source
        var outcome = ImportOutcome()
        let held = HeldKeys(replica, kind: kind, flag: flag)
        defer { held.end() }
        try source.begin()
        outcome.encoding = source.encoding
        var count = 0
        while let event = try source.next() {
            if count.isMultiple(of: Self.rowsPerReport) {
                progress.report(.checking, done: source.bytesRead, total: source.byteCount)
            }
            count += 1
            switch event {
            case .reject(let found): outcome.reject(found.description)
            case .row(let row):
                if let owner = foreignOwner(of: row) {
                    outcome.reject(
                        "\(name):\(row.line):1: owner: not-owner: the record belongs to \(owner), "
                            + "a member of this alliance; only that organization loads it "
                            + "(\(Reject.shortened(row.localID)))"
                    )
                } else {
                    for clash in try held.add(row.localID, line: row.line) { reject(clash, &outcome) }
                }
            }
        }
        for clash in try held.finish() { reject(clash, &outcome) }
        outcome.blankCount = source.blankCount
        return outcome
    }

    /// The name of the other member that owns the row's record; nil if there is none. An export names each record's
    /// owner, and an import must not copy another member's records.
    private func foreignOwner(of row: SourceRow) -> String? {
        guard let owner = row.owner else { return nil }
        let folded = NameFolding.fold(owner)
        let roster = replica.roster
        guard roster.members[replica.organization].map({ NameFolding.fold($0.name) }) != folded else { return nil }
        return roster.members.values.first { NameFolding.fold($0.name) == folded }?.name
    }

    private func reject(_ clash: HeldKeys.Clash, _ outcome: inout ImportOutcome) {
        let (key, held) = (VisibleText.distinct(clash.key), VisibleText.distinct(clash.held))
        outcome.reject(
            Reject(
                file: name,
                line: clash.line,
                record: 0,
                column: 1,
                field: keyColumn,
                code: .keyAlike,
                text:
                    "the key '\(key)' looks like '\(held)', which is held, and is another one; give the row that key, "
                    + "or one that differs visibly"
            ).description
        )
    }

    // MARK: - The second pass

    /// Compares every row with the held records, and writes the differences in deltas of this import.
    private func write(_ outcome: inout ImportOutcome) async throws {
        let total = source.source.rowCount
        try Replica.translatingInterchange { try source.source.begin() }
        var journal = try ImportJournal(replica, fingerprint: source.source.fingerprint)
        defer { journal.end() }
        let pipeline = ImportPipeline(
            replica: replica,
            source: source,
            id: journal.id,
            isDryRun: isDryRun,
            changed: changed(afterWriting: false)
        )
        do {
            let batches = BoundedStream<ImportBatch>(countMax: ImportPipeline.batchesAhead)
            try await batches.connect(from: { try await pipeline.run(into: $0) }) { batches in
                progress.report(.writing, done: 0, total: total)
                while let next = try await batches.take(upTo: ImportPipeline.batchesAhead) {
                    try flag.check()
                    outcome.tally += try await journal.write(next)
                    progress.report(.writing, done: outcome.tally.rows, total: total)
                }
            }
            if source.source.hasChanged { throw changed(afterWriting: journal.hasWritten) }
        } catch is CancellationError {
            outcome.isInterrupted = true
        } catch {
            throw failure(error, tally: outcome.tally, hasWritten: journal.hasWritten)
        }
        if journal.hasWritten { outcome.id = journal.id }
    }

    private func changed(afterWriting hasWritten: Bool) -> Failure {
        Failure(.fileChanged, "\(name) has changed while it was read; \(hasWritten ? "import it again" : "try again")")
    }

    /// The failure that ends the second pass, with details of the rows written before it.
    private func failure(_ error: any Error, tally: ImportTally, hasWritten: Bool) -> Failure {
        let failure = Failure(cause: error)
        guard hasWritten else { return failure }
        return Failure(
            failure.reason,
            failure.message,
            candidates: failure.candidates,
            details: failure.details + [
                "until then: \(tally.created) created, \(tally.updated) updated, \(tally.unchanged) unchanged",
                "what was written is whole; the same command goes on from there",
            ],
            fix: failure.fix
        )
    }
}
