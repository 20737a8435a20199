import Catalog
import DeltaLog
import Simulator
import Store
import TestSupport
import Testing

/// Everything visible to users, and every derived row, is a function of the set of deltas held. The order of arrival
/// and the grouping in transactions have no effect.
@Suite("Order of arrival") struct OrderOfArrivalTests {
    /// The data of a store that users can see, without the order of arrival, which lists show on purpose.
    struct Visible: Hashable {
        var listed: [String: Set<RecordID>] = [:]
        var counts: [String: Int] = [:]
        var views: [RecordID: [RecordView.Field]] = [:]
        var identities: [RecordID: RecordIdentity?] = [:]
        var found: [String: Set<RecordID>] = [:]
        var conflicting: Set<RecordID> = []
        var history: [RecordID: [Dot]] = [:]
        var standings: [RecordID: [ReadTransaction.HistoryEntry.Standing]] = [:]
        var excluded: Set<Dot> = []
        var pending: [Int] = []
        var digest = CatalogDigest()
        var organizations: Set<OrganizationID> = []

        init(_ reading: ReadTransaction, _ history: HostileHistory) throws {
            for count in try reading.counts() {
                let name = Self.name(count.kind, count.owner)
                counts[name] = count.shown
                try reading.forEachRecord(kind: count.kind, owner: count.owner) { record in
                    listed[name, default: []].insert(record.id)
                }
                let hits = try reading.search(SearchQuery(text: "", kind: count.kind, owner: count.owner, limit: 100))
                #expect(Set(hits.hits.map(\.id)) == listed[name] && hits.total == count.shown)
            }
            for record in try reading.allRecords() {
                let view = try #require(try reading.view(of: record.id))
                views[record.id] = view.fields
                identities[record.id] = view.identity
                let entries = try reading.history(of: record.id, hasher: history.applier.hasher)
                self.history[record.id] = entries.map(\.dot)
                standings[record.id] = entries.map(\.standing)
            }
            for word in ["pump", "water", "水泵", "k", "é", "No", "2"] {
                found[word] = try Set(reading.search(SearchQuery(text: word, limit: 100)).hits.map(\.id))
                for count in try reading.counts() {
                    let query = SearchQuery(text: word, kind: count.kind, owner: count.owner, limit: 100)
                    let name = Self.name(count.kind, count.owner)
                    found[word + name] = try Set(reading.search(query).hits.map(\.id))
                    #expect(found[word + name] == listed[name]?.intersection(found[word] ?? []))
                }
            }
            conflicting = Set(try reading.conflicts(limit: .max).records.map(\.id))
            excluded = Set(try reading.excluded(limit: .max).map(\.dot))
            let pendingCounts = try reading.pendingCounts()
            pending = [pendingCounts.excluded, pendingCounts.waiting]
            let totals = try reading.totals()
            digest = totals.digest
            organizations = Set(totals.organizations.keys)
        }

        /// A key from the bytes of the kind.
        static func name(_ kind: String, _ owner: OrganizationID) -> String {
            kind + "|" + Hex.string(Array(kind.utf8)) + owner.hex
        }
    }

    @Test("rows and answers do not depend on it", arguments: UInt64(1)...25)
    func sameForEveryOrder(seed: UInt64) throws {
        let history = HostileHistory(seed: seed, deltas: 45)
        let memory = try StorageConformance.memory(history.deltas, history.applier)
        let expected = StorageSummary(memory)
        var first: (visible: Visible, dump: DerivedDump)?
        for order in 0..<5 {
            let deltas = order == 0 ? history.deltas : history.shuffled(seed: seed &* 1000 + UInt64(order))
            if order > 0 {
                let other = try StorageConformance.memory(deltas, history.applier)
                #expect(StorageSummary(other) == expected, "seed \(seed), order \(order)")
            }
            let folder = ScratchFolder()
            let store = try Store.create(in: folder.path)
            for delta in deltas where order % 2 == 1 { store.prepare(delta.operations, root: delta.header.root) }
            try store.apply(
                deltas,
                organizations: history.organizations,
                applier: history.applier,
                perTransaction: [1, 7, 100, 2, 13][order]
            )
            let now = try store.read { (reading: ReadTransaction) throws in
                #expect(try reading.summary() == expected, "seed \(seed), order \(order)")
                let visible = try Visible(reading, history)
                try compare(visible, with: memory, reading, seed)
                return visible
            }
            #expect(
                try store.verify(deep: true, applier: history.applier).findings == [],
                "seed \(seed), order \(order)"
            )
            if order == 4 {
                try store.rebuild(applier: history.applier)
                #expect(try store.verify(deep: true, applier: history.applier).findings == [], "seed \(seed)")
            }
            try store.close()
            let dump = try DerivedDump(folder: folder.path)
            if let first {
                let isSame = now == first.visible
                #expect(isSame, "seed \(seed), order \(order)")
                for (table, rows) in dump.tables {
                    let isSame = rows == first.dump.tables[table]
                    #expect(isSame, "seed \(seed), order \(order), table \(table)")
                }
            } else {
                first = (now, dump)
            }
        }
    }

    /// The storage in memory has no rows, so its visible data follows from the states.
    private func compare(_ visible: Visible, with memory: MemoryStorage, _ reading: ReadTransaction, _ seed: UInt64)
        throws
    {
        var listed: [String: Set<RecordID>] = [:]
        var conflicting: Set<RecordID> = []
        for (id, record) in memory.records {
            let view = try #require(memory.view(of: id))
            if !record.state.isEmpty { #expect(visible.views[id] == view.fields, "seed \(seed)") }
            #expect(try reading.view(of: id)?.identity == view.identity, "seed \(seed)")
            if !view.conflicts.isEmpty || view.isEditedWhileDeleted { conflicting.insert(id) }
            guard record.state.isVisible else { continue }
            let kind = try #require(view.identity?.kind, "seed \(seed)")
            listed[Visible.name(kind, record.owner), default: []].insert(id)
        }
        #expect(visible.listed == listed, "seed \(seed)")
        #expect(visible.counts == listed.mapValues(\.count), "seed \(seed)")
        #expect(visible.conflicting == conflicting, "seed \(seed)")
        #expect(visible.pending == [memory.excluded.count, Set(memory.waiting.values.joined()).count], "seed \(seed)")
        #expect(visible.digest == memory.digest, "seed \(seed)")
        #expect(visible.organizations == Set(memory.totals.keys), "seed \(seed)")
    }
}
