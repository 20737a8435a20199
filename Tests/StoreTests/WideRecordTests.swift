import Catalog
import DeltaLog
import Foundation
import GRDB
import Schema
import Simulator
import Store
import TestSupport
import Testing

/// A record with far more live operations than any honest record. The tests count the cost of a further delta in
/// operations read, bytes written and rows saved.
@Suite("Wide records") struct WideRecordTests {
    /// An author who never supersedes anything.
    final class Author {
        let applier = DeltaApplier(alliance: AllianceID(Hash256(1, 1, 1, 1)), hasher: RealCryptography())
        let organization = OrganizationID(Hash256(2, 2, 2, 2))
        let identity = RecordIdentity(kind: "resource", localID: "wide")
        private let signer = KeyedHashSigner(number: 1)
        private let log: LogID
        private var head: Head?
        private var random = SplitMix64(seed: 5)
        private var clock: UInt64 = 1

        init(incarnation: UInt64 = 1) { log = LogID(author: NodeKey(signer.publicKey), incarnation: incarnation) }

        var id: RecordID {
            RecordID(
                alliance: applier.alliance,
                owner: organization,
                key: identity.key(applier.hasher),
                hasher: applier.hasher
            )
        }

        func draft(_ writes: [(Write, Value)]) -> OperationDraft {
            OperationDraft(
                envelope: Envelope(
                    key: identity.key(applier.hasher),
                    kind: .ordinary,
                    writes: writes.map(\.0)
                ),
                values: writes.map(\.1)
            )
        }

        /// A write that sets a field.
        func set(_ path: String, _ value: Value, _ supersedes: [Citation] = []) -> (Write, Value) {
            (Write(field: FieldPath(unchecked: path), mode: .set, supersedes: supersedes), value)
        }

        func delta(_ drafts: [OperationDraft]) throws -> VerifiedDelta {
            clock += 1
            let delta = try VerifiedDelta(
                signing: drafts,
                salts: drafts.map { _ in random.bytes(16) },
                as: VerifiedDelta.Authorship(
                    alliance: applier.alliance,
                    organization: organization,
                    log: log,
                    head: head,
                    stamp: Stamp(milliseconds: clock, counter: 0),
                    importMark: nil
                ),
                signer: signer,
                hasher: applier.hasher
            )
            head = delta.head
            return delta
        }

        /// The deltas of a record with this number of live operations, at most 2,000 in each delta.
        func load(_ count: Int, path: (Int) -> String = { "ext/\($0)" }, text: String = "x") throws -> [VerifiedDelta] {
            try stride(from: 0, to: count, by: 2000).map { start in
                try delta(
                    (start..<min(start + 2000, count)).map { number in
                        let first = number == 0 ? [set("@", .identity(identity)), set("name/und", .text("Wide"))] : []
                        return draft(first + [set(path(number), .text(text))])
                    }
                )
            }
        }

        func apply(_ deltas: [VerifiedDelta], to store: Store) throws {
            let outcomes = try store.applyBatch(deltas, organization: { _ in organization }, applier: applier).outcomes
            for outcome in outcomes { #expect(outcome == .applied(records: 1)) }
        }
    }

    let folder = ScratchFolder()
    let author = Author()
    static let count = 3_000

    private func loaded(_ count: Int = Self.count, path: (Int) -> String = { "ext/\($0)" }) throws -> Store {
        let store = try Store.create(in: folder.path)
        try author.apply(try author.load(count, path: path), to: store)
        return store
    }

    private func isSound(_ store: Store) throws -> Bool {
        let report = try store.verify(
            deep: true,
            applier: DeltaApplier(alliance: author.applier.alliance, hasher: Checks())
        )
        #expect(report.findings == [])
        return report.isSound
    }

    /// Real hashes; signatures of the author's kind.
    struct Checks: Cryptography {
        func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 { RealCryptography().hash(bytes) }
        func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool {
            KeyedHashCryptography().isValid(signature, of: message, by: key)
        }
    }

    @Test("a further delta reads none of the operations before it, and writes the state once")
    func furtherDelta() throws {
        let store = try loaded()
        let before = store.work()
        try author.apply([try author.delta([author.draft([author.set("ext/more", .text("y"))])])], to: store)
        let after = store.work()
        // Only the operation that names the kind may be read.
        #expect(after.operationsRead - before.operationsRead <= 1)
        #expect(after.termBytesWritten == before.termBytesWritten)
        #expect(after.recordsSaved == before.recordsSaved + 1)
        #expect(after.stateBytesWritten - before.stateBytesWritten < 100 * (Self.count + 2))
        #expect(try isSound(store))
    }

    @Test("many deltas of one transaction hash and write the record once")
    func manyDeltas() throws {
        let store = try loaded()
        let before = store.work()
        let deltas = try (0..<200).map { try author.delta([author.draft([author.set("ext/d\($0)", .text("y"))])]) }
        try author.apply(deltas, to: store)
        let after = store.work()
        #expect(after.recordsSaved == before.recordsSaved + 1)
        #expect(after.stateBytesWritten - before.stateBytesWritten < 100 * (Self.count + 201))
        #expect(try store.read { try $0.storedRecord(author.id)?.state.operations.count } == Self.count + 200)
        #expect(try isSound(store))
    }

    @Test("the result of an earlier delta is read in the same transaction")
    func readWithinTransaction() throws {
        let store = try loaded()
        let delta = try author.delta([author.draft([author.set("ext/7", .text("new"))])])
        try store.write { transaction in
            let digest = try transaction.reading.totals().digest
            _ = try transaction.apply(delta, applier: author.applier)
            let view = try #require(try transaction.view(of: author.id))
            #expect(view[FieldPath(unchecked: "ext/7")]?.candidates.count == 2)
            #expect(try transaction.reading.totals().digest != digest)
        }
        #expect(try isSound(store))
    }

    @Test("a conflict is reported without reading the values, and cleared when one write is left")
    func conflicts() throws {
        // All writes have one field and one value, so a narrow record has no conflict.
        let store = try Store.create(in: folder.path)
        try author.apply(try author.load(RecordReach.operationsMax, path: { _ in "status" }), to: store)
        #expect(try store.read { try $0.conflictCount() } == 0)
        let before = store.work()
        try author.apply([try author.delta([author.draft([author.set("status", .text("x"))])])], to: store)
        #expect(store.work().operationsRead - before.operationsRead <= 1)
        try store.read { (reading: ReadTransaction) throws in
            #expect(try reading.conflictCount() == 1)
            let view = try #require(try reading.view(of: author.id))
            #expect(view.conflicts.map(\.path.text) == ["status"])
            #expect(
                view.conflicts[0].candidates.count + view.conflicts[0].furtherCount == RecordReach.operationsMax + 1
            )
        }
        // An edit that resolves the conflict supersedes all of them.
        let view = try #require(try store.write { try $0.view(of: author.id) })
        let settled = try #require(
            Planner.upsert(
                author.identity,
                key: view.key,
                over: view,
                changes: [(FieldPath(unchecked: "status"), .set(.text("x")))],
                settling: .settles
            )
        )
        try author.apply([try author.delta([settled])], to: store)
        #expect(try store.read { try $0.conflictCount() } == 0)
        #expect(try isSound(store))
    }

    @Test("values within reach are still compared when operations come and go")
    func narrowConflicts() throws {
        let store = try Store.create(in: folder.path)
        let first = try author.delta([
            author.draft([author.set("@", .identity(author.identity)), author.set("status", .text("a"))])
        ])
        try author.apply([first], to: store)
        func conflicting() throws -> Int { try store.read { try $0.conflictCount() } }
        try author.apply([try author.delta([author.draft([author.set("status", .text("a"))])])], to: store)
        #expect(try conflicting() == 0)
        let other = try author.delta([author.draft([author.set("status", .text("b"))])])
        try author.apply([other], to: store)
        #expect(try conflicting() == 1)
        let citation = Citation(dot: other.dot(0), prefix: other.operations[0].hash.prefix, number: nil)
        try author.apply([try author.delta([author.draft([author.set("status", .text("a"), [citation])])])], to: store)
        #expect(try conflicting() == 0)
        #expect(try isSound(store))
    }

    @Test("views, hits, history and conflicts of a wide record are bounded")
    func reading() throws {
        let store = try loaded()
        try store.read { (reading: ReadTransaction) throws in
            let view = try #require(try reading.view(of: author.id))
            #expect(reading.work.operationsRead <= 2 * RecordReach.operationsMax)
            #expect(view.fields.count == RecordView.Extent.shown.fieldsMax)
            #expect(view.fields.count + view.furtherFieldCount == Self.count + 1)
            #expect(view.identity == author.identity && view.displayName() == "Wide")
            #expect(view.fields.allSatisfy { $0.winner != nil })
        }
        try store.read { (reading: ReadTransaction) throws in
            let hits = try reading.search(SearchQuery(text: "wide")).hits
            #expect(hits.map(\.id) == [author.id])
            #expect(reading.work.operationsRead <= 2 * RecordReach.operationsMax)
        }
        try store.read { (reading: ReadTransaction) throws in
            let history = try reading.recentHistory(of: author.id, hasher: author.applier.hasher)
            #expect(!history.isWhole && history.entries.count == ReadTransaction.historyEntriesMax)
            #expect(reading.work.operationsRead == history.entries.count)
        }
        // An export contains everything that an honest author could have written.
        let page = try store.read { try $0.records(limit: 10) }
        #expect(page.records[0].fields.count == Self.count + 1 && page.records[0].furtherFieldCount == 0)
        #expect(page.records[0].fields.allSatisfy { $0.winner != nil })
    }

    @Test("an excerpt shows the winners that the whole view has")
    func excerpt() throws {
        let store = try loaded(path: { "ext/\($0 % 300)" })
        let (excerpt, whole) = try store.write { transaction in
            (
                try #require(try transaction.reading.view(of: author.id)),
                try #require(try transaction.view(of: author.id))
            )
        }
        #expect(excerpt.fields.map(\.path) == whole.fields.map(\.path))
        #expect(excerpt.conflicts.map(\.path) == whole.conflicts.map(\.path))
        for (one, other) in zip(excerpt.fields, whole.fields) {
            #expect(one.candidates.first == other.candidates.first)
            #expect(one.candidates.map(\.dot) == other.candidates.prefix(64).map(\.dot))
            #expect(one.candidates.count + one.furtherCount == other.candidates.count)
        }
        #expect(excerpt.identity == whole.identity && excerpt.key == whole.key && excerpt.owner == whole.owner)
    }

    @Test("large operations make a record wide as many do")
    func bytes() throws {
        let store = try Store.create(in: folder.path)
        let text = String(repeating: "ab ", count: 200_000)
        for number in 0..<6 {
            let first = number == 0 ? [author.set("@", .identity(author.identity))] : []
            try author.apply(
                [try author.delta([author.draft(first + [author.set("description/und", .text(text + "\(number)"))])])],
                to: store
            )
        }
        let before = store.work()
        try author.apply([try author.delta([author.draft([author.set("ext/1", .text("y"))])])], to: store)
        // The first operations, up to the one that exceeds the bound; each is read once for both states.
        #expect(store.work().operationsRead - before.operationsRead <= 5)
        try store.read { (reading: ReadTransaction) throws in
            let view = try #require(try reading.view(of: author.id))
            #expect(view.conflicts.count == 1)
            #expect(reading.work.operationBytesRead < 3 * RecordReach.bytesMax)
        }
        #expect(try isSound(store))
    }

    @Test("a page ends where its records take too much")
    func pages() throws {
        let store = try Store.create(in: folder.path)
        let text = String(repeating: "x", count: 900_000)
        var ids: [RecordID] = []
        for number in 0..<40 {
            let identity = RecordIdentity(kind: "resource", localID: "big \(number)")
            let draft = OperationDraft(
                envelope: Envelope(
                    key: identity.key(author.applier.hasher),
                    kind: .ordinary,
                    writes: [.identity, FieldPath(unchecked: "name/und"), FieldPath(unchecked: "status")].map {
                        Write(field: $0, mode: .set)
                    } + [Write(field: FieldPath(unchecked: "status"), mode: .set)]
                ),
                values: [.identity(identity), .text("big"), .text(text), .text("b")]
            )
            let delta = try author.delta([draft])
            ids.append(delta.operations[0].record)
            try author.apply([delta], to: store)
        }
        try store.read { (reading: ReadTransaction) throws in
            var paged: [RecordID] = []
            var cursor: ReadTransaction.ListCursor?
            var pageCount = 0
            repeat {
                let page = try reading.records(after: cursor, limit: 1000)
                #expect(page.records.count < 25)
                paged += page.records.map(\.id)
                cursor = page.next
                pageCount += 1
            } while cursor != nil
            #expect(paged == ids && pageCount > 1)
            let conflicting = try reading.conflicts(limit: 1000)
            #expect(conflicting.records.count < 25 && conflicting.next != nil)
            let search = try reading.search(SearchQuery(text: "big", limit: 1000))
            #expect(search.hits.count < 25 && search.total == 40)
            #expect(try reading.search(SearchQuery(text: "", limit: 1000)).hits.count < 25)
        }
    }

    /// Measures times; run by hand with `HANSA_TEST_WIDE=36000`.
    @Test("timed", .enabled(if: ProcessInfo.processInfo.environment["HANSA_TEST_WIDE"] != nil))
    func timed() throws {
        let count = Int(ProcessInfo.processInfo.environment["HANSA_TEST_WIDE"] ?? "") ?? 36_000
        let clock = ContinuousClock()
        func report(_ what: String, _ body: () throws -> Void) rethrows {
            print(what, try clock.measure(body))
        }
        let store = try Store.create(in: folder.path)
        for deltas in try author.load(count) { try report("load of 2000") { try author.apply([deltas], to: store) } }
        for _ in 0..<20 {
            let delta = try author.delta([author.draft([author.set("ext/more", .text("y"))])])
            try report("further delta") { try author.apply([delta], to: store) }
        }
        for _ in 0..<3 {
            let deltas = try (0..<1000).map { try author.delta([author.draft([author.set("ext/m\($0)", .text("y"))])]) }
            try report("a thousand deltas") { try author.apply(deltas, to: store) }
        }
        try report("view") { _ = try store.read { try $0.view(of: author.id) } }
        try report("search") { _ = try store.read { try $0.search(SearchQuery(text: "wide")) } }
        try report("history") {
            _ = try store.read { try $0.recentHistory(of: author.id, hasher: author.applier.hasher) }
        }
        try report("conflicts") { _ = try store.read { try $0.conflicts(limit: 10) } }
        try report("verify deep") { _ = try isSound(store) }
        let other = Author(incarnation: 2)
        let otherFolder = ScratchFolder()
        let otherStore = try Store.create(in: otherFolder.path)
        let singles = try (0..<count).map { number in
            try other.delta([
                other.draft(
                    (number == 0 ? [other.set("@", .identity(other.identity))] : [])
                        + [other.set("ext/\(number)", .text("x"))]
                )
            ])
        }
        try report("\(count) single deltas, 4000 a transaction") {
            for start in stride(from: 0, to: count, by: 4000) {
                try other.apply(Array(singles[start..<min(start + 4000, count)]), to: otherStore)
            }
        }
    }
}
