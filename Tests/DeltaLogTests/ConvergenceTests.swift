import Catalog
import DeltaLog
import Simulator
import TestSupport
import Testing

/// Nodes with the same deltas agree on everything, for any order, duplication and delay (Protocol.md, section 7).
struct ConvergenceTests {
    /// The organizations of the three authors.
    enum Organizations: UInt64, CaseIterable, Sendable {
        case one = 0
        case two = 1

        var list: [UInt64] { self == .one ? [1, 1, 1] : [1, 1, 2] }
    }

    private func replay(_ history: TestHistory, _ order: [Int], repeating mask: Int = 0) throws -> MemoryStorage {
        var storage = MemoryStorage()
        var next = history.authors.map { _ in 0 }
        var position = 0
        for author in order {
            let delta = history.logs[author][next[author]]
            next[author] += 1
            let outcome = try history.deliver(delta, to: &storage)
            guard case .applied = outcome else {
                Issue.record("\(outcome)")
                return storage
            }
            // Deliver duplicates of this delta and of each log's first delta, at every subset of the moments.
            if mask >> position & 1 == 1 {
                #expect(try history.deliver(delta, to: &storage) == .duplicate)
                for log in history.logs where !log.isEmpty {
                    if storage.head(of: log[0].log) != nil, log.count > 1 {
                        let head = storage.head(of: log[0].log)
                        if let head, head.sequence > 1 {
                            #expect(try history.deliver(log[0], to: &storage) == .duplicate)
                        }
                    }
                }
            }
            position += 1
        }
        return storage
    }

    private func expectOneOutcome(_ history: TestHistory, duplicates: Bool, _ note: String) throws {
        let orders = interleavings(of: history.logs.map(\.count))
        let first = try replay(history, orders[0])
        let expected = Agreement(first, hasher: history.cryptography)
        let naive = NaiveCatalog(history).live
        for order in orders {
            for mask in duplicates ? Array(0..<1 << order.count) : [0] {
                let storage = try replay(history, order, repeating: mask)
                let agreement = Agreement(storage, hasher: history.cryptography)
                if agreement != expected || NaiveCatalog.live(storage) != naive {
                    Issue.record("\(note), order \(order), duplicates \(mask): \(agreement) instead of \(expected)")
                    return
                }
            }
        }
        // The digest, updated record by record, equals the digest of all records.
        var digest = CatalogDigest()
        for record in first.records.values {
            digest.add(record.state.canonicalHash(of: record.id, hasher: history.cryptography))
        }
        #expect(digest == first.digest, "\(note)")
        #expect(first.records.values.count { $0.state.isVisible } == first.visibleCount, "\(note)")
    }

    @Test(arguments: 0..<150 as Range<UInt64>, Organizations.allCases)
    func everyOrderOfSixOperationsByThreeAuthorsGivesOneOutcome(seed: UInt64, organizations: Organizations) throws {
        let history = try TestHistory.random(operations: 6, organizations: organizations.list, seed: seed)
        try expectOneOutcome(history, duplicates: false, "seed \(seed), \(organizations)")
    }

    @Test(arguments: 1000..<1008 as Range<UInt64>)
    func everyChoiceOfDuplicatesGivesOneOutcome(seed: UInt64) throws {
        let history = try TestHistory.random(operations: 6, organizations: [1, 1, 1], seed: seed)
        try expectOneOutcome(history, duplicates: true, "seed \(seed)")
    }

    /// Rare cases that random histories seldom contain.
    @Test(arguments: 0..<6)
    func everyOrderOfKnownHardCasesGivesOneOutcome(number: Int) throws {
        var history = TestHistory(organizations: [1, 1, 1], seed: UInt64(number))
        let need = RecordIdentity(kind: "need", localID: "1")
        let name = FieldPath(unchecked: "name/und")
        let tags = FieldPath(unchecked: "tags")
        try history.upsert(0, need, [(name, .set(.text("a"))), (tags, .add([.text("x")]))])
        switch number {
        case 0:  // A chain of three writes by three authors.
            try history.show(1, 0)
            try history.upsert(1, need, [(name, .set(.text("b")))])
            try history.show(2, 1)
            try history.show(2, 0)
            try history.upsert(2, need, [(name, .set(.text("c")))])
        case 1:  // Deleted by two; re-created by one who saw only one deletion.
            try history.show(1, 0)
            try history.show(2, 0)
            try history.delete(0, need)
            try history.delete(1, need)
            try history.show(2, 0)
            try history.upsert(2, need, [(name, .set(.text("again")))])
        case 2:  // Deleted, re-created, deleted.
            try history.show(1, 0)
            try history.delete(1, need)
            try history.show(2, 0)
            try history.show(2, 1)
            try history.upsert(2, need, [(name, .set(.text("again")))])
            try history.show(0, 1)
            try history.show(0, 2)
            try history.delete(0, need)
        case 3:  // A conflict of three values, settled by one author, edited by another at the same time.
            try history.upsert(1, need, [(name, .set(.text("b")))])
            try history.upsert(2, need, [(name, .set(.text("c")))])
            try history.show(2, 0)
            try history.show(2, 1)
            try history.upsert(2, need, [(name, .set(.text("c")))])
            try history.show(1, 0)
            try history.upsert(1, need, [(name, .set(.text("d")))])
        case 4:  // Equal elements added by all authors, removed by one.
            try history.upsert(1, need, [(tags, .add([.text("x")]))])
            try history.upsert(2, need, [(tags, .add([.text("x")]))])
            try history.show(2, 0)
            try history.upsert(2, need, [(tags, .remove([.text("x")]))])
            try history.show(0, 1)
            try history.upsert(0, need, [(tags, .elements([.text("y")]))])
        default:  // Cleared and set concurrently.
            try history.show(1, 0)
            try history.show(2, 0)
            try history.upsert(1, need, [(name, .clear)])
            try history.upsert(2, need, [(name, .set(.text("b")))])
            try history.upsert(0, need, [(tags, .elements([]))])
        }
        try expectOneOutcome(history, duplicates: number < 2, "case \(number)")
    }

    /// Long histories on many replicas with gaps, duplicates and delay.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func replicasThatReceiveAtRandomAgreeInTheEnd(seed: UInt64) throws {
        let organizations: [UInt64] = [1, 1, 1, 2, 2]
        let history = try TestHistory.random(operations: 60, organizations: organizations, records: 4, seed: seed)
        var random = SplitMix64(seed: seed)
        let naive = NaiveCatalog(history).live
        var expected: Agreement?
        for _ in 0..<4 {
            var storage = MemoryStorage()
            var pending = history.logs.flatMap { $0 }.shuffled(using: &random)
            var rounds = 0
            while !pending.isEmpty, rounds < 200 {
                rounds += 1
                var later: [VerifiedDelta] = []
                for delta in pending {
                    switch try history.deliver(delta, to: &storage) {
                    case .gap: later.append(delta)
                    case .applied: if Int.random(in: 0..<3, using: &random) == 0 { later.append(delta) }
                    case .duplicate: break
                    case .refused(let refusal): Issue.record("seed \(seed): \(refusal)")
                    }
                }
                pending = later.shuffled(using: &random)
            }
            let agreement = Agreement(storage, hasher: history.cryptography)
            #expect(agreement == expected ?? agreement, "seed \(seed)")
            #expect(NaiveCatalog.live(storage) == naive, "seed \(seed)")
            #expect(
                storage.frontier.fingerprint(hasher: history.cryptography)
                    == (expected?.frontier ?? agreement.frontier).fingerprint(hasher: history.cryptography)
            )
            expected = agreement
        }
    }

    /// Merging log by log gives the same result for both orders of the logs.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func rebuildingGivesTheSame(seed: UInt64) throws {
        let history = try TestHistory.random(operations: 30, organizations: [1, 1, 2], records: 3, seed: seed)
        let byLog = try replay(history, [0, 1, 2].flatMap { author in history.logs[author].map { _ in author } })
        let backwards = try replay(history, [2, 1, 0].flatMap { author in history.logs[author].map { _ in author } })
        #expect(
            Agreement(byLog, hasher: history.cryptography) == Agreement(backwards, hasher: history.cryptography),
            "seed \(seed)"
        )
    }

    /// Dropping contents changes neither a node's canonical states nor its view of live writes.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func droppedContentNeverShows(seed: UInt64) throws {
        let history = try TestHistory.random(operations: 6, organizations: [1, 1, 1], seed: seed)
        let deltas = history.logs.flatMap { $0 }
        for order in interleavings(of: history.logs.map(\.count)).prefix(12) {
            let full = try replay(history, order)
            for record in full.records.values {
                let live = Set(record.state.operations.map(\.dot))
                let dead = deltas.filter { !live.contains($0.dot(0)) }.map { $0.dot(0) }
                for mask in 0..<1 << dead.count {
                    let dropped = Set(dead.indices.filter { mask >> $0 & 1 == 1 }.map { dead[$0] })
                    let state = Self.mergedWithoutContents(deltas, order: order, history, record: record.id)
                    // The merge uses only envelopes and hashes, so the result is the same for every choice.
                    #expect(
                        state.canonicalHash(of: record.id, hasher: history.cryptography)
                            == record.state.canonicalHash(of: record.id, hasher: history.cryptography),
                        "seed \(seed)"
                    )
                    let view = RecordView(
                        id: record.id,
                        owner: record.owner,
                        key: record.key,
                        state: record.state,
                        path: { full.fields.path(of: $0) ?? .tombstone },
                        values: { operation -> [UInt32: Value] in
                            if dropped.contains(operation.dot) { Issue.record("asked for what was dropped") }
                            let delta = deltas.first { $0.dot(0) == operation.dot }
                            return delta?.operations[0].valuesByNumber ?? [:]
                        }
                    )
                    #expect(view.fields == full.view(of: record.id)?.fields, "seed \(seed)")
                }
            }
        }
    }

    /// The applier's rules for envelopes and hashes, without contents.
    private static func mergedWithoutContents(
        _ deltas: [VerifiedDelta],
        order: [Int],
        _ history: TestHistory,
        record: RecordID
    ) -> RecordState {
        var state = RecordState()
        var fields = FieldTable()
        var seen: Set<Dot> = []
        var waiting: [Dot: [Supersession]] = [:]
        var next = history.authors.map { _ in 0 }
        for author in order {
            let delta = history.logs[author][next[author]]
            next[author] += 1
            let dot = delta.dot(0)
            let envelope = delta.operations[0].envelope
            var writes: [LiveWrite] = []
            for (number, write) in envelope.writes.enumerated() {
                let field = fields.number(of: write.field)
                for citation in write.supersedes {
                    let supersession = Supersession(
                        citation: citation,
                        field: envelope.kind == .deletion ? nil : field
                    )
                    if seen.contains(citation.dot) {
                        state.supersede([supersession])
                    } else {
                        waiting[citation.dot, default: []].append(supersession)
                    }
                }
                if write.mode != .remove {
                    writes.append(LiveWrite(number: UInt32(number), field: field, mode: write.mode))
                }
            }
            let operation = LiveOperation(
                dot: dot,
                stamp: Stamp(rawValue: 0),
                hash: delta.operations[0].hash,
                location: 0,
                writes: writes
            )
            state.insert(operation)
            state.supersede(waiting[dot] ?? [])
            seen.insert(dot)
        }
        return state
    }
}
