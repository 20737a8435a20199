import Catalog
import DeltaLog
import Foundation
import GRDB
import Simulator
import Store
import TestSupport
import Testing

/// `verify --deep` compares with a merge in canonical order. It finds rows that depend on the order of arrival, and
/// every other difference.
@Suite("Deep verification") struct DeepVerifyTests {
    let folder = ScratchFolder()
    let history = Self.history

    /// A history after which some records are visible and others are not.
    private static let history: HostileHistory = {
        var seed: UInt64 = 1
        while true {
            let history = HostileHistory(seed: seed, deltas: 120)
            let records = try? StorageConformance.memory(history.deltas, history.applier).records.values
            let shown = records?.filter(\.state.isVisible).count ?? 0
            if shown > 1, shown < records?.count ?? 0 { return history }
            seed += 1
        }
    }()

    private func filled() throws {
        let store = try Store.create(in: folder.path)
        try store.apply(
            history.shuffled(seed: 4),
            organizations: history.organizations,
            applier: history.applier,
            perTransaction: 5
        )
        #expect(try store.verify(deep: true, applier: history.applier).findings == [])
        try store.close()
    }

    @Test(
        "a planted row is found, and repaired by a rebuild",
        arguments: [
            // The kind of a late identity in a field that does not define the kind.
            """
            UPDATE record SET kind = (SELECT number FROM kind WHERE number != record.kind LIMIT 1)
            WHERE id = (SELECT min(id) FROM record WHERE shown = 1)
            """,
            "UPDATE record SET kind = (SELECT max(number) FROM kind) WHERE id = (SELECT min(id) FROM record WHERE shown = 0)",
            "UPDATE record SET trouble = 1 - trouble % 2 WHERE id = (SELECT min(id) FROM record)",
            "UPDATE record SET owner = 3 - owner WHERE id = (SELECT min(id) FROM record)",
            "UPDATE record SET key = zeroblob(32) WHERE id = (SELECT min(id) FROM record)",
            "UPDATE tally SET shown = shown + 1 WHERE kind = (SELECT min(kind) FROM tally)",
            "INSERT INTO tally(kind, owner, shown) VALUES((SELECT max(kind) + 1 FROM tally), 1, 1)",
            "UPDATE total SET shown = shown - 1 WHERE organization = 1",
            "INSERT INTO touch(record, operation) SELECT min(id), (SELECT max(id) FROM operation) + 7 FROM record",
            "UPDATE touch SET operation = operation + 1 WHERE operation = (SELECT max(operation) FROM touch)",
            "UPDATE aside SET why = 3 - why WHERE operation = (SELECT min(operation) FROM aside)",
            "INSERT INTO aside(operation, record, why) SELECT max(id), zeroblob(32), 1 FROM operation",
            "UPDATE waiting SET prefix = prefix + 1 WHERE position = (SELECT min(position) FROM waiting)",
            "INSERT INTO waiting SELECT log, sequence, position + 1, record, field, prefix, number FROM waiting LIMIT 1",
            "UPDATE field SET path = x'41' WHERE number = 2", "UPDATE field SET path = path || x'41' WHERE number = 3",
            "INSERT INTO field(number, path) VALUES(999, x'4142')",
            "UPDATE kind SET name = name || x'41' WHERE number = (SELECT max(kind) FROM tally)",
            "INSERT INTO search(rowid, rest, name) SELECT min(id), 'ghost', '' FROM record WHERE shown = 1",
            "INSERT INTO search(search, rowid, rest, name) SELECT 'delete', min(id), 'no', '' FROM record WHERE shown = 1",
            // Two exchanged rows: each one is valid for the other record.
            """
            UPDATE record SET short = (SELECT other.short FROM record other WHERE other.id = 3 - record.id),
                rest = (SELECT other.rest FROM record other WHERE other.id = 3 - record.id) WHERE id IN (1, 2)
            """,
        ]
    )
    func planted(sql: String) throws {
        try filled()
        let queue = try DatabaseQueue(path: folder.path + "/" + Store.fileName)
        try queue.inDatabase { database in
            let before = database.totalChangesCount
            try database.execute(sql: sql)
            #expect(database.totalChangesCount > before, "\(sql)")
        }
        try queue.close()
        let store = try Store.open(folder: folder.path)
        let report = try store.verify(deep: true, applier: history.applier)
        #expect(!report.isSound, "\(sql)")
        try store.rebuild(applier: history.applier)
        #expect(try store.verify(deep: true, applier: history.applier).findings == [], "\(sql)")
    }

    @Test("the plain examination reads no derived row, and finds none of this")
    func plain() throws {
        try filled()
        let store = try Store.open(folder: folder.path)
        let report = try store.verify(deep: false, applier: history.applier)
        #expect(report.isSound && report.derivedRowCount == 0 && report.deltaCount == history.deltas.count)
    }
}
