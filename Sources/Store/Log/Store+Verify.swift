import Catalog
package import DeltaLog
import GRDB
import Governance

/// The findings of an examination of the database.
package struct VerifyReport: Sendable {
    /// A defect in the database.
    package struct Finding: Hashable, Sendable {
        /// A description of the defect, for people.
        package let what: String
        /// The table, and the row or the log and sequence.
        package let location: String
    }

    /// The maximum number of listed findings; further ones are only counted.
    package static let findingsMax = 1000

    package private(set) var findings: [Finding] = []
    package private(set) var findingCount = 0
    package internal(set) var deltaCount = 0
    package internal(set) var operationCount = 0
    /// Rows of derived tables compared; 0 unless the examination was deep.
    package internal(set) var derivedRowCount = 0
    /// Projections that are being rebuilt and were therefore not compared; empty unless the examination was deep.
    package internal(set) var unfinishedProjections: [ProjectionName] = []

    package var isSound: Bool { findingCount == 0 }

    /// - Parameter projection: The projection that the location belongs to; the finding names it.
    mutating func add(_ what: String, at location: String, of projection: ProjectionName? = nil) {
        let location = projection.map { "projection \($0.rawValue), \(location)" } ?? location
        findingCount += 1
        if findings.count < Self.findingsMax { findings.append(Finding(what: what, location: location)) }
    }

    /// Adds the findings of another report.
    mutating func add(_ other: VerifyReport) {
        findingCount += other.findingCount
        findings += other.findings.prefix(Self.findingsMax - findings.count)
    }

    /// Runs `body`; damage that stops it becomes a finding.
    mutating func guarding(_ location: String, _ body: (inout VerifyReport) throws -> Void) {
        do {
            try body(&self)
        } catch {
            let text = (error as? StoreError)?.message ?? (error as? DatabaseError)?.message ?? "\(error)"
            add(text, at: location)
        }
    }
}

extension Store {
    /// Reads and checks the whole database: SQLite's structures, the signatures of all statements and deltas, every
    /// chain, Merkle root and hash, and the heads. If `deep`, it also merges the log into a temporary file in canonical
    /// order and compares the derived data: tables row by row, the search index by checksums (``TermChecksums``). It
    /// names projections that are being rebuilt and does not compare them. A parallel thread reads SQLite's structures
    /// in a separate snapshot. It changes nothing, blocks no writer, and uses bounded memory.
    ///
    /// - Parameters:
    ///   - applier: Its hasher also checks signatures.
    ///   - progress: Called for every delta, twice if deep. If it throws, the examination ends soon, and its report is
    ///     not valid.
    /// - Throws: ``StoreError`` if the examination itself fails; damage is a finding, never an error.
    package func verify(
        deep: Bool,
        applier: DeltaApplier<some Cryptography>,
        progress: (Progress) throws -> Void = { _ in }
    ) throws -> VerifyReport {
        var report = VerifyReport()
        // Runs in parallel with the check of the log on the other processors.
        let structure = Pending { [self] in
            Result {
                var report = VerifyReport()
                try read { Self.verifyStructure($0, &report) }
                return report
            }
        }
        defer { _ = structure.value() }
        do {
            try read { reading in
                Self.verifyGovernance(reading, applier: applier, &report)
                Self.verifyLog(reading, applier: applier, &report, progress)
                report.guarding("meta") { report in
                    if try RebuildMark.read(reading.session) != nil {
                        report.add("a rebuild was begun and not finished", at: "meta")
                    }
                }
            }
        } catch let error as StoreError where error.code == .corrupt {
            report.add(error.message, at: "file")
        }
        do {
            report.add(try structure.value().get())
        } catch let error as StoreError where error.code == .corrupt {
            report.add(error.message, at: "file")
        }
        if deep {
            if report.isSound {
                try verifyDerived(applier: applier, &report, progress)
            } else {
                report.guarding("derived tables") { report in
                    try verifyDerived(applier: applier, &report, progress)
                }
            }
        }
        return report
    }

    private static func verifyStructure(_ reading: ReadTransaction, _ report: inout VerifyReport) {
        report.guarding("file") { report in
            let lines = try reading.session("PRAGMA quick_check(100)").all { $0.text(0) }
            for line in lines where line != "ok" { report.add(line, at: "file") }
        }
        report.guarding("search") { report in
            // This checks only that the index can be read; a deep examination compares its content.
            _ = try reading.session("SELECT rowid FROM search WHERE search MATCH ? LIMIT 1").bind(1, text: "\"a\"")
                .first { $0.int(0) }
        }
    }

    private static func verifyGovernance(
        _ reading: ReadTransaction,
        applier: DeltaApplier<some Cryptography>,
        _ report: inout VerifyReport
    ) {
        report.guarding("statement") { report in
            let rows = try reading.session("SELECT id, bytes FROM statement").all { ($0.bytes(0), $0.bytes(1)) }
            for (id, bytes) in rows {
                let statement = try? Statement(
                    verifying: bytes,
                    alliance: applier.alliance,
                    cryptography: applier.hasher
                )
                if statement?.id.bytes != id {
                    report.add("a governance statement is damaged", at: "statement \(Hex.string(id))")
                }
            }
        }
        report.guarding("announcement") { report in
            let rows = try reading.session("SELECT node, bytes FROM announcement").all { ($0.bytes(0), $0.bytes(1)) }
            for (node, bytes) in rows {
                let announcement = try? Announcement(
                    verifying: bytes,
                    alliance: applier.alliance,
                    cryptography: applier.hasher
                )
                if announcement?.node.bytes != node {
                    report.add("an announcement is damaged", at: "announcement \(Hex.string(node))")
                }
            }
        }
    }

    private static func verifyLog(
        _ reading: ReadTransaction,
        applier: DeltaApplier<some Cryptography>,
        _ report: inout VerifyReport,
        _ progress: (Progress) throws -> Void
    ) {
        report.guarding("log") { report in
            let session = reading.session
            let total = try session("SELECT count(*) FROM operation").first { Int($0.int(0)) } ?? 0
            var heads: [LogID: Head] = [:]
            var next: Int64 = 1
            var deltas = CheckedDeltas(
                .arrival(after: Int64.min),
                operationsMax: Self.verifyOperations,
                applier: applier,
                ahead: nil
            )
            var batch = try deltas.next(from: reading)
            while !batch.isEmpty {
                for stored in batch {
                    report.guarding("delta \(stored.id)") { report in
                        if stored.id != next {
                            report.add("operations lie between deltas, or are missing", at: "delta \(stored.id)")
                        }
                        next = stored.id &+ stored.count
                        try Self.verify(stored, &heads, &report)
                    }
                    try progress(Progress(done: report.operationCount, total: total))
                }
                batch = try deltas.next(from: reading)
            }
            if report.operationCount != total, report.isSound {
                report.add("\(total) operations are stored, the deltas have \(report.operationCount)", at: "operation")
            }
            let frontier = try reading.frontier()
            for (log, head) in frontier.sorted where heads[log] != head {
                report.add(
                    "the head is not the last delta",
                    at: "log \(log.author.short).\(Hex.string(log.incarnation))"
                )
            }
            for log in heads.keys.sorted() where frontier[log] == nil {
                report.add(
                    "a log with deltas has no head",
                    at: "log \(log.author.short).\(Hex.string(log.incarnation))"
                )
            }
        }
    }

    private static func verify(
        _ stored: CheckedDelta,
        _ heads: inout [LogID: Head],
        _ report: inout VerifyReport
    ) throws {
        let delta: VerifiedDelta
        do {
            delta = try stored.form.get()
        } catch let refusal as DeltaRefusal {
            report.add(refusal.reason, at: "delta \(stored.id)")
            return
        }
        let location = "log \(delta.log.author.short).\(Hex.string(delta.log.incarnation)) \(delta.header.sequence)"
        if delta.hash.bytes != stored.hash { report.add("its stored hash is not its hash", at: location) }
        if stored.log != delta.log || stored.sequence != delta.header.sequence {
            report.add("it is filed under another log or sequence", at: location)
        }
        if delta.header.previous != heads[delta.log]?.hash
            || delta.header.sequence != (heads[delta.log]?.sequence ?? 0) &+ 1
        {
            report.add("it does not continue its log", at: location)
        }
        heads[delta.log] = delta.head
        report.deltaCount += 1
        report.operationCount += delta.operations.count
    }
}
