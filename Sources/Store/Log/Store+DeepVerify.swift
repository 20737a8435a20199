import Catalog
import DeltaLog
import Foundation
import GRDB

extension Store {
    /// Merges the log again into a separate file of derived tables, and compares the tables.
    ///
    /// The logs are merged in canonical order (``DeltaOrder``), not in the order of arrival. So the comparison finds
    /// rows that depend on the order of arrival. Numbers are local to a database. New rows reuse the database's number
    /// for the same path, kind, organization or record (``WriterCache/Numbering``), so rows can be compared byte by
    /// byte. Entries of the search index are compared by checksums only.
    func verifyDerived(
        applier: DeltaApplier<some Cryptography>,
        _ report: inout VerifyReport,
        _ progress: (Progress) throws -> Void
    ) throws {
        let temporary = folder + "/verify-\(UUID().uuidString).tmp"
        defer { for end in ["", "-journal"] { try? FileManager.default.removeItem(atPath: temporary + end) } }
        try StoreError.mapping {
            var configuration = GRDB.Configuration()
            configuration.foreignKeysEnabled = false
            configuration.busyMode = .timeout(5)
            let queue = try DatabaseQueue(path: temporary, configuration: configuration)
            defer { try? queue.close() }
            try queue.inDatabase { database in
                // This file needs no durability: it is of no use after a crash.
                try database.execute(
                    sql:
                        "PRAGMA main.journal_mode = OFF; PRAGMA main.synchronous = OFF; PRAGMA main.cache_size = -65536"
                )
                try database.execute(sql: "ATTACH DATABASE ? AS source", arguments: [databasePath])
                for table in DatabaseSchema.catalog + [DatabaseSchema.log] { try table.create(in: database) }
                for type in Projections.types { try type.create(in: database) }
                try database.execute(sql: "CREATE VIRTUAL TABLE temp.found USING fts5vocab(source, search, instance)")
                let session = try Session(database)
                // One transaction, so that all reads of the source see one snapshot.
                try database.inTransaction(.deferred) {
                    let cache = try merged(session, applier: applier, progress)
                    try compareDerived(cache.projections, session, &report)
                    return .commit
                }
            }
        }
    }

    /// Operations read, checked and merged at a time.
    static let verifyOperations = 2000

    /// Merges the log of the attached database `source` into `main`.
    private func merged(
        _ session: Session,
        applier: DeltaApplier<some Cryptography>,
        _ progress: (Progress) throws -> Void
    ) throws -> WriterCache {
        try session(
            """
            INSERT INTO main.log(id, author, incarnation, sequence, bound)
            SELECT id, author, incarnation, 0, bound FROM source.log
            """
        ).run()
        let cache = try WriterCache(session, numbering: .source)
        cache.mergedHeads = [:]
        let rowMax = try session("SELECT max(id) FROM source.record").first { $0.int(0) } ?? 0
        cache.projections.search.checksums = TermChecksums(rowMax: rowMax)
        let ahead = TermsAhead()
        var transaction = WriteTransaction(session: session, cache: cache, ahead: ahead)
        let total = try session("SELECT count(*) FROM operation").first { Int($0.int(0)) } ?? 0
        var deltas = CheckedDeltas(
            .canonical,
            operationsMax: Self.verifyOperations,
            applier: applier,
            ahead: ahead
        )
        var batch = try deltas.next(from: transaction.reading)
        var done = 0
        while !batch.isEmpty {
            try Self.remerge(batch, into: &transaction, applier: applier)
            done += batch.reduce(0) { $0 + Int(clamping: $1.count) }
            try progress(Progress(done: done, total: total))
            batch = try deltas.next(from: transaction.reading)
        }
        try transaction.flush()
        return cache
    }

    private func compareDerived(_ expected: Projections, _ session: Session, _ report: inout VerifyReport) throws {
        let unfinished = try Set(
            session("SELECT name FROM source.projection WHERE cursor IS NOT NULL").all { $0.text(0) }
        )
        report.unfinishedProjections = ProjectionName.allCases.filter { unfinished.contains($0.rawValue) }
        // A path or organization that only operations beyond a bound name may still have its number.
        let hasBounds = try session("SELECT 1 FROM source.log WHERE bound IS NOT NULL LIMIT 1").first { _ in true }
        for table in DatabaseSchema.catalog {
            if table.name == DatabaseSchema.record.name {
                let owners = Projections.types.filter { !unfinished.contains($0.name.rawValue) }
                report.compareRecords(owners, session)
            } else {
                let isPartial = hasBounds == true && ["field", "organization"].contains(table.name)
                report.compare(table, isPartial ? "number IN (SELECT number FROM main.\(table.name))" : nil, session)
            }
            for index in table.indexes { report.compare(index, of: table, nil, session) }
        }
        let projections: [any Projection] = [
            expected.history, expected.listing, expected.counts, expected.conflicts, expected.search,
        ]
        for projection in projections {
            let name = type(of: projection).name
            guard !unfinished.contains(name.rawValue) else { continue }
            report.guarding("projection \(name.rawValue)") { try projection.compare(session, &$0) }
        }
    }
}

extension VerifyReport {
    /// Compares the table that a projection owns with the one that the log gives, row by row.
    mutating func compare(_ table: Table, of projection: ProjectionName, _ session: Session) {
        compareRows(of: table, columns: ["*"], filter: "", session) { _ in projection }
    }

    /// Compares a table of the catalog with the one that the log gives, row by row.
    ///
    /// - Parameter condition: Selects the compared rows; nil for the condition in the table's declaration.
    fileprivate mutating func compare(_ table: Table, _ condition: String?, _ session: Session) {
        let condition = condition ?? table.compared
        let filter = condition.isEmpty ? "" : "WHERE \(condition)"
        compareRows(of: table, columns: ["*"], filter: filter, session) { _ in nil }
    }

    /// Compares the rows of records, including the columns of these projections.
    fileprivate mutating func compareRecords(_ projections: [any Projection.Type], _ session: Session) {
        var columns = DatabaseSchema.recordColumns.map { (name: $0, owner: ProjectionName?.none) }
        for type in projections { columns += type.recordColumns.map { ($0, type.name) } }
        let owners = columns.map(\.owner)
        compareRows(of: DatabaseSchema.record, columns: columns.map(\.name), filter: "", session) { owners[$0] }
    }

    /// Compares rows one by one. After a surplus or missing row, the rest is not compared.
    ///
    /// - Parameter owner: Gives the projection that a column belongs to.
    private mutating func compareRows(
        of table: Table,
        columns: [String],
        filter: String,
        _ session: Session,
        owner: (Int) -> ProjectionName?
    ) {
        let columns = columns.joined(separator: ", ")
        guarding(table.name) { report in
            let (found, expected) = (
                try session.dynamic("SELECT \(columns) FROM source.\(table.name) \(filter) ORDER BY \(table.order)"),
                try session.dynamic("SELECT \(columns) FROM main.\(table.name) \(filter) ORDER BY \(table.order)")
            )
            defer {
                found.reset()
                expected.reset()
            }
            var row = 0
            while true {
                let (hasFound, hasExpected) = (try found.step(), try expected.step())
                guard hasFound, hasExpected else {
                    if hasFound != hasExpected {
                        let what = hasFound ? "has rows too many" : "lacks rows"
                        report.add(what, at: "\(table.name) after row \(row)", of: owner(0))
                    }
                    return
                }
                row += 1
                report.derivedRowCount += 1
                guard !found.hasSameRow(as: expected) else { continue }
                for owner in Set(found.differingColumns(from: expected).map(owner)) {
                    report.add("is not what the log gives", at: "\(table.name) row \(row) (\(found.int(0)))", of: owner)
                }
                if report.findingCount > VerifyReport.findingsMax { return }
            }
        }
    }

    /// Compares an index with its table. The comparison of rows does not read indexes, and SQLite's quick check omits
    /// them.
    mutating func compare(_ index: TableIndex, of table: Table, _ projection: ProjectionName?, _ session: Session) {
        guarding(index.name) { report in
            func rows(_ way: String) throws -> [Int64]? {
                try session.dynamic(
                    "SELECT count(*), sum(\(index.key)) FROM source.\(table.name) \(way) WHERE \(index.covering)"
                ).first { [$0.int(0), $0.int(1)] }
            }
            if try rows("INDEXED BY \(index.name)") != rows("NOT INDEXED") {
                report.add("the index does not agree with its table", at: index.name, of: projection)
            }
        }
    }
}
