import Catalog
import DeltaLog
import TestSupport
import Testing

/// The rules of merging as users see them: one test for each rule of Protocol.md, section 7.
struct MergingRulesTests {
    private let need = RecordIdentity(kind: "need", localID: "1")
    private let name = FieldPath(unchecked: "name/und")
    private let tags = FieldPath(unchecked: "tags")

    private func history(_ organizations: [UInt64] = [1, 1, 1]) -> TestHistory {
        TestHistory(organizations: organizations, seed: 1)
    }

    /// A storage that received everything, log by log, in the given order of authors.
    private func storage(_ history: TestHistory, order: [Int]? = nil) throws -> MemoryStorage {
        var storage = MemoryStorage()
        for author in order ?? Array(history.authors.indices) {
            for delta in history.logs[author] { try history.deliver(delta, to: &storage) }
        }
        return storage
    }

    private func view(_ history: TestHistory) throws -> RecordView {
        try #require(storage(history).view(of: history.id(need, ownedBy: 0)))
    }

    @Test func aLaterEditWinsOverAClockADayAhead() throws {
        var history = history()
        history.clocks[0] += 86_400_000
        try history.upsert(0, need, [(name, .set(.text("fast")))])
        try history.show(1, 0)
        try history.upsert(1, need, [(name, .set(.text("later")))])
        let field = try #require(view(history)[name])
        #expect(field.winner == .text("later"))
        #expect(!field.isConflict)
        #expect(field.candidates.count == 1)
    }

    @Test func concurrentDifferentValuesAreAConflictUntilSettled() throws {
        var history = history()
        try history.upsert(0, need, [(name, .set(.text("a")))])
        try history.upsert(1, need, [(name, .set(.text("b")))])
        var field = try #require(view(history)[name])
        #expect(field.isConflict)
        #expect(Set(field.distinctValues) == [.text("a"), .text("b")])
        try history.show(2, 0)
        try history.show(2, 1)
        try history.upsert(2, need, [(name, .set(.text("a")))])
        field = try #require(view(history)[name])
        #expect(!field.isConflict)
        #expect(field.winner == .text("a"))
    }

    @Test func theWinnerHasTheHighestClockThenLog() throws {
        var history = history()
        history.clocks[1] += 1
        try history.upsert(0, need, [(name, .set(.text("a")))])
        try history.upsert(1, need, [(name, .set(.text("b")))])
        #expect(try view(history)[name]?.winner == .text("b"))
        var equal = self.history()
        equal.clocks = [5, 5, 5]
        try equal.upsert(0, need, [(name, .set(.text("a")))])
        try equal.upsert(1, need, [(name, .set(.text("b")))])
        let winner = equal.authors[0].log > equal.authors[1].log ? Value.text("a") : .text("b")
        #expect(try view(equal)[name]?.winner == winner)
    }

    @Test func concurrentEqualValuesAreShownOnce() throws {
        var history = history()
        try history.upsert(0, need, [(name, .set(.text("a")))])
        try history.upsert(1, need, [(name, .set(.text("a")))])
        let field = try #require(view(history)[name])
        #expect(field.candidates.count == 2)
        #expect(field.distinctValues == [.text("a")])
        #expect(!field.isConflict)
    }

    /// Bieniusa et al. 2012: an element added while another removes it stays.
    @Test func addWinsOverAConcurrentRemoval() throws {
        var history = history()
        try history.upsert(0, need, [(tags, .add([.text("x")]))])
        try history.show(1, 0)
        try history.upsert(1, need, [(tags, .remove([.text("x")]))])
        #expect(try view(history)[tags] == nil)
        try history.upsert(2, need, [(tags, .add([.text("x")]))])
        #expect(try view(history)[tags]?.distinctValues == [.text("x")])
    }

    @Test func deletionLeavesATombstoneAndRecreationRevives() throws {
        var history = history()
        try history.upsert(0, need, [(name, .set(.text("a"))), (tags, .add([.text("x")]))])
        try history.show(1, 0)
        try history.delete(1, need)
        var merged = try view(history)
        #expect(merged.isDeleted)
        #expect(!merged.isEditedWhileDeleted)
        #expect(merged.fields.isEmpty)
        #expect(merged.tombstones.count == 1)
        #expect(try storage(history).visibleCount == 0)
        try history.show(2, 0)
        try history.show(2, 1)
        try history.upsert(2, need, [(name, .set(.text("b")))])
        merged = try view(history)
        #expect(!merged.isDeleted)
        #expect(merged.identity == need)
        #expect(merged.fields.map(\.path) == [name])
        #expect(try storage(history).visibleCount == 1)
    }

    @Test func aRecordEditedWhileItWasDeletedIsListedAsThat() throws {
        var history = history()
        try history.upsert(0, need, [(name, .set(.text("a")))])
        try history.show(1, 0)
        try history.delete(1, need)
        try history.upsert(0, need, [(name, .set(.text("b")))])
        let merged = try view(history)
        #expect(merged.isDeleted)
        #expect(merged.isEditedWhileDeleted)
        #expect(merged[name]?.winner == .text("b"))
        #expect(try storage(history).visibleCount == 0)
    }

    @Test func aSupersededWriteStillSupersedesInEveryOrder() throws {
        var history = history()
        try history.upsert(0, need, [(name, .set(.text("a")))])
        try history.show(1, 0)
        try history.upsert(1, need, [(name, .set(.text("b")))])
        try history.show(2, 1)
        // The third author holds the second's write but not the first's.
        try history.upsert(2, need, [(name, .set(.text("c")))])
        for order in permutations(of: 3) {
            let merged = try storage(history, order: order).view(of: history.id(need, ownedBy: 0))
            #expect(merged?[name]?.distinctValues == [.text("c")], "order \(order)")
        }
    }

    @Test func anOperationOnAForeignRecordIsExcludedInAllOrders() throws {
        var history = history([1, 2, 1])
        try history.upsert(0, need, [(name, .set(.text("a")))])
        try history.show(1, 0)
        let id = history.id(need, ownedBy: 0)
        let target = try #require(history.authors[0].storage.view(of: id))
        let cited = target.allCandidates.map(\.citation)
        let key = need.key(history.cryptography)
        let owner = history.authors[0].organization
        let write = Envelope(
            key: key,
            owner: owner,
            kind: .ordinary,
            writes: [Write(field: name, mode: .set, supersedes: cited)]
        )
        let deletion = Envelope(
            key: key,
            owner: owner,
            kind: .deletion,
            writes: [Write(field: .tombstone, mode: .set, supersedes: cited)]
        )
        try history.write(1, [OperationDraft(envelope: write, values: [.text("stolen")])])
        try history.write(1, [OperationDraft(envelope: deletion, values: [])])
        for order in interleavings(of: history.logs.map(\.count)) {
            var storage = MemoryStorage()
            var next = [0, 0, 0]
            for author in order {
                try history.deliver(history.logs[author][next[author]], to: &storage)
                next[author] += 1
            }
            #expect(storage.view(of: id)?[name]?.distinctValues == [.text("a")])
            #expect(storage.view(of: id)?.isDeleted == false)
            #expect(storage.excluded.count == 2)
            #expect(storage.excluded.values.allSatisfy { $0.standing == .void(.notOwner) && $0.record == id })
            #expect(storage.totals[owner]?.shown == 1)
        }
    }

    @Test func anUnknownKindOfOperationIsKeptAndNotMerged() throws {
        var history = history()
        try history.upsert(0, need, [(name, .set(.text("a")))])
        let before = history.authors[0].storage.digest
        let envelope = Envelope(
            key: need.key(history.cryptography),
            kind: .unknown(3),
            writes: [Write(field: name, mode: .set)]
        )
        let delta = try history.write(0, [OperationDraft(envelope: envelope, values: [])])
        let storage = history.authors[0].storage
        #expect(storage.excluded[delta.dot(0)]?.standing == .pending(.newerProgram))
        #expect(storage.digest == before)
        #expect(storage.deltas[delta.log]?.last?.encoded() == delta.encoded())
    }

    @Test func moreThan1024CitationsSupersedeAllTheyName() throws {
        var history = history()
        for number in 0..<1100 {
            let envelope = Envelope(
                key: need.key(history.cryptography),
                kind: .ordinary,
                writes: [Write(field: name, mode: .set)]
            )
            try history.write(0, [OperationDraft(envelope: envelope, values: [.text("\(number)")])])
        }
        try history.show(1, 0)
        let delta = try #require(try history.upsert(1, need, [(name, .set(.text("one")))]))
        #expect(delta.operations[0].envelope.writes.map(\.supersedes.count) == [0, 1024, 76])
        #expect(try view(history)[name]?.distinctValues == [.text("one")])
        try history.delete(1, need)
        #expect(try view(history).fields.isEmpty)
    }

    // MARK: - Citations without effect

    enum WrongCitation: CaseIterable, Sendable {
        case noSuchDelta
        case noSuchOperation
        case noSuchLog
        case wrongPrefix
        case otherField
        case otherRecord
        case otherWrite
    }

    @Test(arguments: WrongCitation.allCases)
    func aCitationOfAnUnseenOperationChangesNothing(wrong: WrongCitation) throws {
        var history = history()
        let other = RecordIdentity(kind: "need", localID: "2")
        let first = try #require(try history.upsert(0, need, [(name, .set(.text("a")))]))
        let second = try #require(try history.upsert(0, other, [(name, .set(.text("b")))]))
        let prefix = first.operations[0].hash.prefix
        let dot = first.dot(0)
        let outsider = LogID(author: NodeKey(.zero), incarnation: 1)
        let citation =
            switch wrong {
            case .noSuchDelta:
                Citation(dot: Dot(log: dot.log, sequence: 99, index: 0), prefix: prefix, number: nil)
            case .noSuchOperation:
                Citation(dot: Dot(log: dot.log, sequence: 1, index: 7), prefix: prefix, number: nil)
            case .noSuchLog: Citation(dot: Dot(log: outsider, sequence: 1, index: 0), prefix: prefix, number: nil)
            case .wrongPrefix: Citation(dot: dot, prefix: prefix ^ 1, number: nil)
            case .otherField: Citation(dot: dot, prefix: prefix, number: nil)
            case .otherRecord: Citation(dot: second.dot(0), prefix: second.operations[0].hash.prefix, number: nil)
            case .otherWrite: Citation(dot: dot, prefix: prefix, number: 40)
            }
        let field = wrong == .otherField ? FieldPath(unchecked: "name/zh") : name
        let envelope = Envelope(
            key: need.key(history.cryptography),
            kind: .ordinary,
            writes: [Write(field: field, mode: .remove, supersedes: [citation])]
        )
        let before = Agreement(try storage(history), hasher: history.cryptography)
        try history.write(1, [OperationDraft(envelope: envelope, values: [])])
        for order in [[0, 1], [1, 0]] {
            let after = Agreement(try storage(history, order: order), hasher: history.cryptography)
            #expect(after.records == before.records)
            #expect(after.digest == before.digest)
        }
        // The correct citation has an effect, so this test can fail.
        let right = Envelope(
            key: need.key(history.cryptography),
            kind: .ordinary,
            writes: [
                Write(field: name, mode: .remove, supersedes: [Citation(dot: dot, prefix: prefix, number: nil)])
            ]
        )
        try history.write(1, [OperationDraft(envelope: right, values: [])])
        #expect(try view(history)[name] == nil)
    }

    // MARK: - Several operations of one delta

    @Test func operationsOfOneDeltaOnOneRecordAreMergedInTheirOrder() throws {
        var history = history()
        let key = need.key(history.cryptography)
        let drafts = (0..<3).map { number in
            OperationDraft(
                envelope: Envelope(key: key, kind: .ordinary, writes: [Write(field: name, mode: .set)]),
                values: [.text("\(number)")]
            )
        }
        try history.write(0, drafts)
        #expect(try view(history)[name]?.candidates.count == 3)
        #expect(try view(history)[name]?.winner == .text("2"))
    }

    /// A citation counts even if the cited operation follows the citing one in the same delta or log. No honest author
    /// writes this, but a peer can.
    @Test func aCitationOfALaterOperationOfTheSameLogCounts() throws {
        for isSameDelta in [true, false] {
            var history = history()
            let key = need.key(history.cryptography)
            let later = OperationDraft(
                envelope: Envelope(key: key, kind: .ordinary, writes: [Write(field: name, mode: .set)]),
                values: [.text("later")]
            )
            // If two operations of a delta write the same field, the envelope names it by number.
            let sample = try history.sign(1, isSameDelta ? [later, later] : [later]).operations[0]
            let salt = [UInt8](repeating: 1, count: Content.saltByteCount)
            let content = Content(salt: salt, values: later.values).encoded()
            let prefix = operationHash(
                envelope: history.cryptography.hash(sample.envelopeBytes),
                content: history.cryptography.hash(content),
                hasher: history.cryptography
            ).prefix
            let citation = Citation(
                dot: Dot(
                    log: history.authors[0].log,
                    sequence: isSameDelta ? 1 : 2,
                    index: isSameDelta ? 1 : 0
                ),
                prefix: prefix,
                number: nil
            )
            let first = OperationDraft(
                envelope: Envelope(
                    key: key,
                    kind: .ordinary,
                    writes: [Write(field: name, mode: .set, supersedes: [citation])]
                ),
                values: [.text("first")]
            )
            var storage = MemoryStorage()
            var head: Head?
            for drafts in isSameDelta ? [[first, later]] : [[first], [later]] {
                let delta = try VerifiedDelta(
                    signing: drafts,
                    salts: drafts.map { _ in salt },
                    as: VerifiedDelta.Authorship(
                        alliance: TestHistory.alliance,
                        organization: history.authors[0].organization,
                        log: history.authors[0].log,
                        head: head,
                        stamp: Stamp(rawValue: 1),
                        importMark: nil
                    ),
                    signer: history.authors[0].signer,
                    hasher: history.cryptography
                )
                head = delta.head
                try history.deliver(delta, to: &storage)
            }
            let merged = storage.view(of: history.id(need, ownedBy: 0))
            #expect(merged?[name]?.distinctValues == [.text("first")])
            #expect(storage.waiting.isEmpty)
        }
    }
}
