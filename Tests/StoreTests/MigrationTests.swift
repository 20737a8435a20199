import Catalog
import DeltaLog
import Foundation
import GRDB
import Simulator
import Store
import TestSupport
import Testing

/// Folders of earlier formats, made from the present format by undoing its changes.
@Suite("Older formats") struct MigrationTests {
    let folder = ScratchFolder()

    /// Converts a closed store's file to format 2, in which each of these records is indexed with all its terms.
    private func makeOlder(_ body: (Database) throws -> Void) throws {
        let queue = try DatabaseQueue(path: folder.path + "/" + Store.fileName)
        try queue.inDatabase { database in
            try body(database)
            try database.execute(
                sql: """
                    DROP INDEX field_path;
                    DROP INDEX waiting_record;
                    ALTER TABLE log DROP COLUMN bound;
                    DROP TABLE projection;
                    DELETE FROM grdb_migrations
                        WHERE identifier LIKE '3:%' OR identifier LIKE '4:%' OR identifier LIKE '5:%';
                    PRAGMA user_version = 2
                    """
            )
        }
        try queue.close()
    }

    @Test("data that depended on the order of arrival is corrected to what the deltas give")
    func traces() throws {
        let history = RandomHistory(seed: 11, steps: 150)
        let store = try Store.create(in: folder.path)
        try store.apply(history.deltas, of: history)
        let summary = try store.summary()
        try store.close()
        try makeOlder { database in
            try database.execute(
                sql: """
                    INSERT OR IGNORE INTO tally(kind, owner, shown) VALUES(77, 1, 0);
                    INSERT INTO organization(number, id) VALUES(77, zeroblob(32));
                    INSERT INTO total(organization, digest, shown) VALUES(77, zeroblob(32), 0);
                    DELETE FROM organization WHERE number = 77;
                    UPDATE record SET kind = 1 WHERE shown = 0
                    """
            )
            #expect(database.changesCount > 0)
        }
        let again = try Store.open(folder: folder.path)
        #expect(try again.summary() == summary)
        #expect(try again.verify(deep: true, applier: history.applier).findings == [])
        try again.rebuildProjections(hasher: history.applier.hasher)
        #expect(try again.verify(deep: true, applier: history.applier).findings == [])
        let more = RandomHistory(seed: 12, steps: 40)
        try again.apply(more.deltas, of: more)
    }

    @Test("a folder of format 4 opens with its projections whole, and is the same")
    func format4() throws {
        let history = RandomHistory(seed: 13, steps: 150)
        let store = try Store.create(in: folder.path)
        try store.apply(history.deltas, of: history)
        let summary = try store.summary()
        try store.close()
        let queue = try DatabaseQueue(path: folder.path + "/" + Store.fileName)
        try queue.inDatabase { database in
            try database.execute(
                sql: """
                    DROP TABLE projection;
                    DELETE FROM grdb_migrations WHERE identifier LIKE '5:%';
                    PRAGMA user_version = 4
                    """
            )
        }
        try queue.close()
        let dump = try DerivedDump(folder: folder.path)
        let again = try Store.open(folder: folder.path)
        #expect(try again.read { try $0.unfinishedProjections() } == [])
        #expect(try again.summary() == summary)
        #expect(try again.verify(deep: true, applier: history.applier).findings == [])
        try again.close()
        #expect(try DerivedDump(folder: folder.path) == dump)
    }

    @Test("a wide record is indexed again, and accepts further deltas")
    func wide() throws {
        let author = WideRecordTests.Author()
        let store = try Store.create(in: folder.path)
        let count = RecordReach.operationsMax + 50
        // Each operation has a unique word, so that every term shows its origin.
        let deltas = [
            try author.delta(
                (0..<count).map { number in
                    let first = number == 0 ? [author.set("@", .identity(author.identity))] : []
                    return author.draft(first + [author.set("ext/f", .text("w\(number)"))])
                }
            )
        ]
        try author.apply(deltas, to: store)
        func found(_ store: Store, _ word: String) throws -> Int {
            try store.read { try $0.search(SearchQuery(text: word)).total }
        }
        #expect(try found(store, "w\(RecordReach.operationsMax - 1)") == 1)
        #expect(try found(store, "w\(count - 1)") == 0)
        try store.close()
        let beyond = (RecordReach.operationsMax..<count).map { "w\($0) " }.joined()
        try makeOlder { database in
            // As in format 2: the terms of all operations, in their order.
            let all = "wide " + (0..<count).map { "w\($0) " }.joined()
            let today = String(all.dropLast(beyond.count)) + "\u{E000}k1 \u{E000}o1"
            try database.execute(
                sql: "INSERT INTO search(search, rowid, rest, name) VALUES('delete', 1, ?, '')",
                arguments: [today]
            )
            try database.execute(
                sql: "INSERT INTO search(rowid, rest, name) VALUES(1, ?, '')",
                arguments: [all + "\u{E000}k1 \u{E000}o1"]
            )
            try database.execute(sql: "UPDATE record SET trouble = 0")
        }
        let again = try Store.open(folder: folder.path)
        #expect(throws: StoreError.self) { try found(again, "w0") }
        try again.rebuildProjections(hasher: author.applier.hasher)
        #expect(try found(again, "w\(count - 1)") == 0)
        #expect(try found(again, "w0") == 1)
        #expect(try again.read { try $0.conflictCount() } == 1)
        try author.apply([try author.delta([author.draft([author.set("ext/g", .text("new"))])])], to: again)
        let applier = DeltaApplier(alliance: author.applier.alliance, hasher: WideRecordTests.Checks())
        #expect(try again.verify(deep: true, applier: applier).findings == [])
    }
}
