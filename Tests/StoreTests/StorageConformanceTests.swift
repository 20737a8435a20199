import Catalog
import DeltaLog
import Store
import TestSupport
import Testing

@Suite("Storages agree") struct StorageConformanceTests {
    static let seeds = Array(UInt64(1)...20)

    @Test("memory gives one state in every order", arguments: seeds)
    func memory(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 120)
        let expected = try StorageConformance.expectedSummary(history)
        var storage = MemoryStorage()
        _ = try StorageConformance.applyAll(history.shuffled(seed: seed)) { delta in
            try history.applier.apply(delta, to: &storage)
        }
        #expect(StorageSummary(storage) == expected, "seed \(seed)")
    }

    @Test("the database gives what memory gives, in every order", arguments: seeds)
    func database(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 120)
        let memory = try StorageConformance.expected(history)
        let expected = StorageSummary(memory)
        let folder = ScratchFolder()
        let store = try Store.create(in: folder.path)
        try store.apply(history.shuffled(seed: seed), of: history, perTransaction: 1 + Int(seed % 5))

        try store.read { (reading: ReadTransaction) throws in
            let found = try reading.summary()
            #expect(found.records == expected.records, "seed \(seed)")
            #expect(found == expected, "seed \(seed)")
            let recomputed = StorageSummary.recomputed(try reading.allRecords(), hasher: history.applier.hasher)
            let totals = try reading.totals()
            #expect(totals.digest == recomputed.digest && totals.digest == memory.digest, "seed \(seed)")
            #expect(totals.shown == recomputed.shown && totals.shown == memory.visibleCount)
            #expect(try reading.counts().reduce(0) { $0 + $1.shown } == totals.shown)

            var shown: Set<RecordID> = []
            try reading.forEachRecord { shown.insert($0.id) }
            #expect(shown == Set(memory.records.values.filter(\.state.isVisible).map(\.id)))
            var byID: [RecordID] = []
            try reading.forEachRecordByID { byID.append($0.id) }
            #expect(byID == shown.sorted())

            var conflicting: Set<RecordID> = []
            for id in memory.records.keys {
                let wanted = try #require(memory.view(of: id))
                let view = try #require(try reading.view(of: id))
                #expect(view.fields == wanted.fields && view.identity == wanted.identity && view.key == wanted.key)
                #expect(view.tombstones == wanted.tombstones && view.isDeleted == wanted.isDeleted)
                if !wanted.conflicts.isEmpty || wanted.isEditedWhileDeleted { conflicting.insert(id) }
            }
            #expect(Set(try reading.conflicts(limit: .max).records.map(\.id)) == conflicting, "seed \(seed)")
            #expect(try reading.conflictCount() == conflicting.count)

            var sum = CatalogDigest()
            let buckets = try reading.bucketSums(hasher: history.applier.hasher)
            for bucket in buckets { sum.add(bucket.sum) }
            #expect(sum == totals.digest)
            for byte in UInt8.min...UInt8.max where buckets[Int(byte)] != CatalogDigest() {
                var sum = CatalogDigest()
                var last: RecordID?
                repeat {
                    let page = try reading.bucket(byte, after: last, limit: 2, hasher: history.applier.hasher)
                    for record in page.records { sum.add(record.hash) }
                    last = page.next
                } while last != nil
                #expect(sum == buckets[Int(byte)])
            }
        }
        let report = try store.verify(deep: true, applier: history.applier)
        #expect(report.findings == [], "seed \(seed)")
    }

    @Test("the writer's storage may be driven by the applier alone")
    func bareApplier() throws {
        let history = RandomHistory(seed: 99, steps: 100)
        let folder = ScratchFolder()
        let store = try Store.create(in: folder.path)
        try store.write { transaction in
            _ = try StorageConformance.applyAll(history.shuffled(seed: 5)) { delta in
                try history.applier.apply(delta, to: &transaction)
            }
        }
        #expect(try store.summary() == StorageConformance.expectedSummary(history))
    }

    @Test("a record's history has every operation about it, whatever its standing", arguments: seeds.prefix(5))
    func history(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 150)
        let folder = ScratchFolder()
        let store = try Store.create(in: folder.path)
        try store.apply(history.shuffled(seed: seed), of: history)
        var wanted: [RecordID: Set<Dot>] = [:]
        for delta in history.deltas {
            for (index, operation) in delta.operations.enumerated() {
                let id = RecordID(
                    alliance: history.applier.alliance,
                    owner: operation.envelope.owner ?? history.organizations[delta.log.author]!,
                    key: operation.envelope.key,
                    hasher: history.applier.hasher
                )
                wanted[id, default: []].insert(delta.dot(index))
            }
        }
        let expected = try StorageConformance.expected(history)
        try store.read { (reading: ReadTransaction) throws in
            for (id, dots) in wanted {
                let entries = try reading.history(of: id, hasher: history.applier.hasher)
                #expect(Set(entries.map(\.dot)) == dots && entries.count == dots.count, "seed \(seed)")
                for entry in entries {
                    let live = expected.records[id]?.state.operations.first { $0.dot == entry.dot }
                    if let excluded = expected.excluded[entry.dot] {
                        #expect(entry.standing == .excluded(excluded.standing))
                    } else if let live {
                        #expect(entry.standing == .live(writes: Set(live.writes.map(\.number))))
                        #expect(entry.hash == live.hash)
                    } else {
                        #expect(entry.standing == .dead)
                    }
                }
            }
        }
    }
}
