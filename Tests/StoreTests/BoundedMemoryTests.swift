import Catalog
import DeltaLog
import Foundation
import GRDB
import Simulator
import Store
import TestSupport
import Testing

/// Names chosen by peers take bounded memory, and dropped entries are read back correctly.
@Suite("Bounded memory") struct BoundedMemoryTests {
    let folder = ScratchFolder()
    let author = WideRecordTests.Author()

    @Test("millions of bytes of distinct paths leave the writer's memory as it was")
    func paths() throws {
        let store = try Store.create(in: folder.path)
        let long = String(repeating: "long path ", count: 20)
        let perOperation = 2_000
        var numbered = 0
        func path(_ number: Int) -> String { "ext/\(number) \(long)\(number)" }
        var bytes = 0
        while bytes < 12 * 1024 * 1024 {
            let paths = (numbered..<numbered + perOperation).map { path($0) }
            bytes += paths.reduce(0) { $0 + $1.utf8.count }
            let first = numbered == 0 ? [author.set("@", .identity(author.identity))] : []
            let draft = author.draft(first + paths.map { author.set($0, .text("")) })
            try author.apply([try author.delta([draft])], to: store)
            numbered += perOperation
            let kept = store.fieldCacheBytes()
            #expect(kept.kept > 0 && kept.kept <= kept.max)
        }
        #expect(bytes > 2 * store.fieldCacheBytes().max)
        // A dropped path keeps its number.
        try author.apply([try author.delta([author.draft([author.set(path(0), .text("again"))])])], to: store)
        let state = try #require(try store.read { try $0.storedRecord(author.id)?.state })
        let fields = state.operations.map { $0.writes.first { $0.field > .identity }?.field }
        #expect(fields.first == fields.last)
        try store.read { (reading: ReadTransaction) throws in
            #expect(try reading.fieldPath(try #require(fields.last ?? nil)) == FieldPath(unchecked: path(0)))
            for number in [2, 500, numbered - 1] {
                #expect(try reading.fieldPath(FieldNumber(rawValue: Int32(number) + 2)).text == path(number))
            }
        }
        let applier = DeltaApplier(alliance: author.applier.alliance, hasher: WideRecordTests.Checks())
        #expect(try store.verify(deep: true, applier: applier).findings == [])
        try store.close()
        #expect(try Store.open(folder: folder.path).read { try $0.view(of: author.id) } != nil)
    }

    @Test("a path larger than the whole cache is read correctly")
    func longPath() throws {
        let store = try Store.create(in: folder.path)
        let path = "ext/" + String(repeating: "y", count: 1_020_000)
        for value in ["1", "2"] {
            let first = value == "1" ? [author.set("@", .identity(author.identity))] : []
            try author.apply([try author.delta([author.draft(first + [author.set(path, .text(value))])])], to: store)
        }
        #expect(try store.read { try $0.conflictCount() } == 1)
        #expect(store.fieldCacheBytes().kept <= store.fieldCacheBytes().max)
        let view = try #require(try store.read { try $0.view(of: author.id) })
        #expect(view.fields.map(\.path.text.utf8.count) == [path.utf8.count])
    }

    @Test("terms prepared for deltas that never arrive are dropped, whatever their size")
    func preparedTerms() throws {
        let store = try Store.create(in: folder.path)
        for number in 0..<60 {
            // Few terms and many long paths.
            let drafts = (0..<10).map { index in
                author.draft(
                    (0..<200).map {
                        author.set("ext/\(number).\(index).\($0)" + String(repeating: "p", count: 200), .integer(1))
                    }
                )
            }
            let delta = try author.delta(drafts)
            store.prepare(delta.operations, root: delta.header.root)
            #expect(store.preparedBytes.kept <= store.preparedBytes.max)
        }
        #expect(store.preparedBytes.kept > 1_000_000)
    }

    @Test("unusual envelopes of one author do not stop the sharing of others")
    func shapes() throws {
        let store = try Store.create(in: folder.path)
        let odd = String(repeating: "o", count: 1_500)
        for start in stride(from: 0, to: 4_200, by: 600) {
            let drafts = (start..<start + 600).map { number in
                let identity = RecordIdentity(kind: "resource", localID: "odd \(number)")
                return OperationDraft(
                    envelope: Envelope(
                        key: identity.key(author.applier.hasher),
                        kind: .ordinary,
                        writes: [
                            Write(field: .identity, mode: .set),
                            Write(field: FieldPath(unchecked: "ext/\(odd)\(number)"), mode: .set),
                        ]
                    ),
                    values: [.identity(identity), .text("")]
                )
            }
            let outcomes = try store.applyBatch(
                [try author.delta(drafts)],
                organization: { _ in author.organization },
                applier: author.applier
            ).outcomes
            #expect(outcomes == [.applied(records: 600)])
        }
        let plain = (0..<20).map { number in
            let identity = RecordIdentity(kind: "resource", localID: "plain \(number)")
            return OperationDraft(
                envelope: Envelope(
                    key: identity.key(author.applier.hasher),
                    kind: .ordinary,
                    writes: [.identity, FieldPath(unchecked: "name/und")].map { Write(field: $0, mode: .set) }
                ),
                values: [.identity(identity), .text("plain")]
            )
        }
        _ = try store.applyBatch(
            [try author.delta(plain)],
            organization: { _ in author.organization },
            applier: author.applier
        )
        let log = LogID(author: NodeKey(KeyedHashSigner(number: 1).publicKey), incarnation: 1)
        let head = try #require(try store.read { try $0.head(of: log) })
        let read = try store.read { try $0.deltas(of: log, from: head.sequence, bytesMax: .max) }
        #expect(read.count == 1)
        try store.close()
        let queue = try DatabaseQueue(path: folder.path + "/" + Store.fileName)
        let shared = try queue.read { database in
            try Int.fetchAll(database, sql: "SELECT shape FROM operation ORDER BY id DESC LIMIT 20")
        }
        #expect(Set(shared).count == 1 && shared[0] != 0)
        try queue.close()
        let again = try Store.open(folder: folder.path)
        let applier = DeltaApplier(alliance: author.applier.alliance, hasher: WideRecordTests.Checks())
        #expect(try again.verify(deep: true, applier: applier).findings == [])
    }

    @Test("dangling references that match nothing are dropped one by one")
    func waiting() throws {
        let store = try Store.create(in: folder.path)
        let target = WideRecordTests.Author(incarnation: 9)
        let aim = try target.delta([
            target.draft([target.set("@", .identity(target.identity)), target.set("status", .text("a"))])
        ])
        let log = aim.log
        // Citations with wrong hashes, of absent operations, of absent writes and of another field; and one that
        // matches.
        let dot = aim.dot(0)
        let prefix = aim.operations[0].hash.prefix
        let wrong =
            (0..<300).map { Citation(dot: dot, prefix: prefix &+ 1 &+ $0, number: nil) }
            + (0..<300).map { Citation(dot: Dot(log: log, sequence: 1, index: 1 + $0), prefix: prefix, number: nil) }
            + (0..<300).map { Citation(dot: dot, prefix: prefix, number: 2 + $0) }
        try author.apply([try author.delta([author.draft([author.set("status", .text("b"), wrong)])])], to: store)
        #expect(try store.read { try $0.pendingCounts().waiting } == 900)
        let right = Citation(dot: dot, prefix: prefix, number: nil)
        try author.apply(
            [
                try author.delta([author.draft([author.set("other", .text("b"), [right])])]),
                try author.delta([author.draft([author.set("status", .text("c"), [right])])]),
            ],
            to: store
        )
        try target.apply([aim], to: store)
        #expect(try store.read { try $0.pendingCounts().waiting } == 0)
        let view = try #require(try store.read { try $0.view(of: author.id) })
        #expect(view[FieldPath(unchecked: "status")]?.distinctValues == [.text("c"), .text("b")])
        let applier = DeltaApplier(alliance: author.applier.alliance, hasher: WideRecordTests.Checks())
        #expect(try store.verify(deep: true, applier: applier).findings == [])
    }
}
