import Catalog
import DeltaLog
import Simulator
import Store
import TestSupport
import Testing

@Suite("Bounds of logs") struct RelimitTests {
    private static func create(in folder: ScratchFolder) throws -> Store {
        try Store.create(in: folder.path, configuration: configuration)
    }

    private static var configuration: Store.Configuration {
        var configuration = Store.Configuration()
        configuration.relimitOperations = StorageConformance.relimitOperations
        return configuration
    }

    @Test("memory holds the same as if nothing beyond the bounds had arrived", arguments: UInt64(1)...25)
    func memory(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 90)
        var storage = MemoryStorage()
        var expected = BoundExpectation(history)
        for step in StorageConformance.boundSteps(history, seed: seed) {
            expected.take(step)
            switch step {
            case .delta(let delta): _ = try history.applier.apply(delta, to: &storage)
            case .bound(let log, let bound):
                while try !history.applier.relimit(
                    log,
                    to: bound,
                    operationsMax: StorageConformance.relimitOperations,
                    in: &storage
                ) {
                    let halfway = try expected.with(bounds: storage.bounds).summary()
                    #expect(StorageSummary(storage) == halfway, "seed \(seed)")
                }
            }
            let (summary, definition) = (try expected.summary(), try expected.definition())
            #expect(StorageSummary(storage) == summary, "seed \(seed)")
            #expect(summary.records == definition.records, "seed \(seed)")
            #expect(summary.excluded == definition.excluded, "seed \(seed)")
            #expect(summary.digests == definition.digests && summary.shown == definition.shown, "seed \(seed)")
            #expect(summary.waiting.isSubset(of: definition.waiting), "seed \(seed)")
        }
    }

    @Test("the database agrees with memory, its index too", arguments: UInt64(1)...12)
    func database(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 90)
        let folder = ScratchFolder()
        let store = try Self.create(in: folder)
        var expected = BoundExpectation(history)
        var boundCount = 0
        for step in StorageConformance.boundSteps(history, seed: seed) {
            expected.take(step)
            switch step {
            case .delta(let delta): try store.apply([delta], of: history)
            case .bound(let log, let bound):
                try store.relimit(log, to: bound, applier: history.applier)
                boundCount += 1
                #expect(try store.summary() == expected.summary(), "seed \(seed)")
                #expect(try store.read { try $0.bounds() } == expected.bounds, "seed \(seed)")
                guard boundCount.isMultiple(of: 6) else { continue }
                #expect(try store.verify(deep: true, applier: history.applier).findings == [], "seed \(seed)")
            }
        }
        #expect(try store.verify(deep: true, applier: history.applier).findings == [], "seed \(seed)")
        try store.rebuild(applier: history.applier)
        #expect(try store.summary() == expected.summary(), "seed \(seed)")
        #expect(try store.verify(deep: true, applier: history.applier).findings == [], "seed \(seed)")
        // After the removal of the bounds, they have no remaining effect.
        for log in expected.bounds.keys { try store.relimit(log, to: nil, applier: history.applier) }
        #expect(try store.summary() == StorageConformance.expectedSummary(history), "seed \(seed)")
        #expect(try store.verify(deep: true, applier: history.applier).findings == [], "seed \(seed)")
    }

    @Test("an interrupted relimit continues where it stopped", arguments: UInt64(1)...6)
    func interrupted(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 150)
        let log = try #require(
            Dictionary(grouping: history.deltas, by: \.log).max { $0.value.count < $1.value.count }?.key
        )
        let folder = ScratchFolder()
        var store = try Self.create(in: folder)
        try store.apply(history.deltas, of: history)
        let whole = try store.summary()
        var stepCounts: [Int] = []
        for bound in [1, nil] as [UInt64?] {
            var count = 1
            while try !store.relimitStep(log, to: bound, applier: history.applier).isDone {
                count += 1
                try store.close()
                store = try Store.open(folder: folder.path, configuration: Self.configuration)
                #expect(try store.verify(deep: true, applier: history.applier).findings == [], "seed \(seed)")
                #expect(try store.read { try $0.bounds()[log] } != nil)
            }
            #expect(try store.read { try $0.bounds()[log] } == bound)
            stepCounts.append(count)
            #expect((try store.summary() == whole) == (bound == nil), "seed \(seed)")
        }
        #expect(stepCounts.allSatisfy { $0 > 3 }, "seed \(seed): \(stepCounts)")
        // A second relimit has nothing to do.
        #expect(try store.relimitStep(log, to: nil, applier: history.applier).isDone)
    }

    @Test("a bound that rises before the deltas arrive lets them count when they do")
    func early() throws {
        let history = RandomHistory(seed: 3, steps: 120)
        let folder = ScratchFolder()
        let store = try Self.create(in: folder)
        let logs = Set(history.deltas.map(\.log))
        for log in logs { try store.relimit(log, to: 2, applier: history.applier) }
        try store.apply(history.deltas, of: history)
        #expect(try store.summary() != StorageConformance.expectedSummary(history))
        for log in logs { try store.relimit(log, to: .max, applier: history.applier) }
        #expect(try store.summary() == StorageConformance.expectedSummary(history))
        #expect(try store.verify(deep: true, applier: history.applier).findings == [])
    }

    @Test("records without counting operations disappear, also from search, and come back")
    func whole() throws {
        let author = WideRecordTests.Author()
        let folder = ScratchFolder()
        let store = try Store.create(in: folder.path)
        let drafts = (0..<1_500).map { number -> OperationDraft in
            let identity = RecordIdentity(kind: "resource", localID: "No \(number)")
            return OperationDraft(
                envelope: Envelope(
                    key: identity.key(author.applier.hasher),
                    kind: .ordinary,
                    writes: [
                        Write(field: .identity, mode: .set), Write(field: FieldPath(unchecked: "name/und"), mode: .set),
                    ]
                ),
                values: [.identity(identity), .text("pump \(number)")]
            )
        }
        let deltas = try stride(from: 0, to: drafts.count, by: 500).map {
            try author.delta(Array(drafts[$0..<$0 + 500]))
        }
        try store.write { transaction in
            for delta in deltas { _ = try transaction.apply(delta, applier: author.applier) }
        }
        let before = try store.read { try $0.totals() }
        #expect(before.shown == 1_500)
        let clock = ContinuousClock()
        let falling = try clock.measure { try store.relimit(deltas[0].log, to: 1, applier: author.applier) }
        let found = try store.read { try $0.search(SearchQuery(text: "pump")).total }
        #expect(found == 500)
        #expect(try store.read { try $0.totals() }.shown == 500)
        let rising = try clock.measure { try store.relimit(deltas[0].log, to: nil, applier: author.applier) }
        #expect(try store.read { try $0.totals() } == before)
        #expect(try store.read { try $0.search(SearchQuery(text: "pump")).total } == 1_500)
        print("1,000 records: a bound fell in \(falling), rose in \(rising)")
    }

    @Test("stores that merged different branches of a fork come to one digest with its proof")
    func fork() throws {
        let alliance = VirtualAlliance(founders: 2)
        let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        let first = alliance.delta(by: 0, after: nil, names: [("a", "1"), ("b", "1")])
        let left = alliance.delta(by: 0, after: first.head, names: [("a", "left"), ("c", "left")])
        let right = alliance.delta(by: 0, after: first.head, names: [("b", "right")])
        let folders = [ScratchFolder(), ScratchFolder(), ScratchFolder()]
        let stores = try folders.map { try Store.create(in: $0.path) }
        for (store, deltas) in zip(stores, [[first, left], [first, right], [first]]) {
            try store.write { transaction in
                for delta in deltas { _ = try transaction.apply(delta, applier: applier) }
            }
        }
        func totals() throws -> [ReadTransaction.Totals] {
            try stores.map { store in try store.read { try $0.totals() } }
        }
        #expect(Set(try totals().map(\.digest)).count == 3)
        for store in stores { try store.relimit(first.log, to: 1, applier: applier) }
        #expect(Set(try totals().map(\.digest)).count == 1)
        #expect(try totals().map(\.shown) == [2, 2, 2])
        for store in stores { #expect(try store.verify(deep: true, applier: applier).findings == []) }
        withExtendedLifetime(folders) {}
    }

    @Test("a step reads no more operations of the records concerned than one delta needs, or its limit")
    func reads() throws {
        let (wide, forked) = (WideRecordTests.Author(), WideRecordTests.Author(incarnation: 2))
        func draft(_ number: Int, _ text: String) -> OperationDraft {
            let identity = RecordIdentity(kind: "resource", localID: "No \(number)")
            return OperationDraft(
                envelope: Envelope(
                    key: identity.key(wide.applier.hasher),
                    kind: .ordinary,
                    writes: [Write(field: FieldPath(unchecked: "name/und"), mode: .set)]
                ),
                values: [.text(text)]
            )
        }
        let folder = ScratchFolder()
        var configuration = Store.Configuration()
        configuration.relimitReads = 450
        let store = try Store.create(in: folder.path, configuration: configuration)
        let deltas =
            try (0..<6).map { number in try wide.delta((0..<200).map { draft(number, "value \($0)") }) }
            + (0..<6).map { number in try forked.delta([draft(number, "forked")]) }
        try store.write { transaction in
            for delta in deltas { _ = try transaction.apply(delta, applier: wide.applier) }
        }
        let log = try #require(deltas.last?.log)
        for bound in [0, nil] as [UInt64?] {
            var stepCount = 0
            var isDone = false
            while !isDone {
                let before = store.work().operationsRead
                isDone = try store.relimitStep(log, to: bound, applier: wide.applier).isDone
                stepCount += 1
                // Two records of 201 operations, each read for the state and for the index; a third would be 1,200.
                #expect(store.work().operationsRead - before < 900)
            }
            #expect(stepCount == 3)
        }
        let report = try store.verify(
            deep: true,
            applier: DeltaApplier(alliance: wide.applier.alliance, hasher: WideRecordTests.Checks())
        )
        #expect(report.findings == [])
    }
}
