package import Catalog
package import DeltaLog
package import Simulator

/// Random deltas of several authors who write concurrently and sometimes receive each other's deltas. They contain
/// creations, edits, sets, deletions, re-creations, conflicts and their resolution. They also contain citations of
/// absent operations, other organizations' records, and operation kinds of later versions.
package struct RandomHistory: Sendable {
    /// In the order of writing; the deltas of one log are in sequence.
    package private(set) var deltas: [VerifiedDelta] = []
    /// The organization of each author.
    package let organizations: [NodeKey: OrganizationID]
    package let applier: DeltaApplier<KeyedHashCryptography>

    private struct Author {
        let signer: KeyedHashSigner
        let organization: OrganizationID
        var log: LogID
        var storage = MemoryStorage()
        var clock: UInt64 = 1_700_000_000_000
    }

    private var authors: [Author] = []
    private var random: SplitMix64

    /// The words and characters of values.
    package static let texts = [
        "water pump", "Wasser-Pumpe", "水泵", "水利监测中心", "Straße 5", "ＡＢＣ　１２３", "naïve café", "農業データ",
        "서울 센터", "x", "测", "pump PUMP pumps", "smart city 智慧城市 platform", "", "e\u{301}tude", "ﬁsh",
    ]

    package init(seed: UInt64, steps: Int, authorCount: Int = 4, organizationCount: Int = 2, recordCount: Int = 6) {
        random = SplitMix64(seed: seed)
        let cryptography = KeyedHashCryptography()
        applier = DeltaApplier(
            alliance: AllianceID(cryptography.hash(Array("alliance".utf8))),
            hasher: cryptography
        )
        var organizations: [NodeKey: OrganizationID] = [:]
        for number in 0..<authorCount {
            let signer = KeyedHashSigner(number: UInt64(number) + 1)
            let name = "organization \(number % organizationCount)"
            let organization = OrganizationID(cryptography.hash(Array(name.utf8)))
            let key = NodeKey(signer.publicKey)
            organizations[key] = organization
            authors.append(
                Author(
                    signer: signer,
                    organization: organization,
                    log: LogID(author: key, incarnation: UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
                )
            )
        }
        self.organizations = organizations
        for _ in 0..<steps { step(recordCount: recordCount) }
    }

    private mutating func step(recordCount: Int) {
        let index = Int.random(in: 0..<authors.count, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3: hear(index)
        case 3 where Bool.random(using: &random):
            // A new incarnation, as after a restart without a token.
            authors[index].log = LogID(
                author: authors[index].log.author,
                incarnation: random.next()
            )
        default:
            let count = Int.random(in: 1...4, using: &random)
            write((0..<count).compactMap { _ in draft(index, recordCount: recordCount) }, by: index)
        }
    }

    private mutating func hear(_ index: Int) {
        let part = Int.random(in: 0...deltas.count, using: &random)
        for delta in deltas.prefix(part) { _ = try? applier.apply(delta, to: &authors[index].storage) }
    }

    private mutating func write(_ drafts: [OperationDraft], by index: Int) {
        guard !drafts.isEmpty else { return }
        authors[index].clock += UInt64.random(in: 0...2, using: &random)
        let author = authors[index]
        let authorship = VerifiedDelta.Authorship(
            alliance: applier.alliance,
            organization: author.organization,
            log: author.log,
            head: author.storage.head(of: author.log),
            stamp: Stamp(milliseconds: author.clock, counter: 0),
            importMark: nil
        )
        guard
            let delta = try? VerifiedDelta(
                signing: drafts,
                salts: drafts.map { _ in random.bytes(16) },
                as: authorship,
                signer: author.signer,
                hasher: applier.hasher
            )
        else { return }
        deltas.append(delta)
        _ = try? applier.apply(delta, to: &authors[index].storage)
    }

    private mutating func text() -> Value {
        let one = Self.texts[Int.random(in: 0..<Self.texts.count, using: &random)]
        let other = Self.texts[Int.random(in: 0..<Self.texts.count, using: &random)]
        return .text(Bool.random(using: &random) ? one : one + other)
    }

    private mutating func draft(_ index: Int, recordCount: Int) -> OperationDraft? {
        let kinds = ["resource", "need", "kind of tomorrow"]
        let number = Int.random(in: 0..<recordCount, using: &random)
        let identity = RecordIdentity(kind: kinds[number % kinds.count], localID: "No \(number)/水\(number)")
        let key = identity.key(applier.hasher)
        let author = authors[index]
        let id = RecordID(alliance: applier.alliance, owner: author.organization, key: key, hasher: applier.hasher)
        let view = author.storage.view(of: id)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<3:
            return view.map(Planner.deletion(of:))
        case 3:
            return bogus(key: key)
        case 4:
            // A record of another organization.
            let others = organizations.values.filter { $0 != author.organization }.sorted()
            guard let other = others.first else { return nil }
            return OperationDraft(
                envelope: Envelope(
                    key: key,
                    owner: other,
                    kind: .ordinary,
                    writes: [Write(field: FieldPath(unchecked: "name/und"), mode: .set)]
                ),
                values: [.text("void")]
            )
        case 5:
            return OperationDraft(
                envelope: Envelope(
                    key: key,
                    kind: .unknown(7),
                    writes: [Write(field: FieldPath(unchecked: "future"), mode: .set)]
                ),
                values: [.text("later")]
            )
        default:
            var changes: [(FieldPath, FieldChange)] = []
            for field in ["name/und", "name/zh", "description/und", "ext/Room", "status"]
            where Bool.random(using: &random) {
                changes.append(
                    (FieldPath(unchecked: field), Int.random(in: 0..<6, using: &random) == 0 ? .clear : .set(text()))
                )
            }
            if Bool.random(using: &random) {
                let tags = FieldPath(unchecked: "tags")
                let change: FieldChange = [
                    .add([text(), text()]), .elements([text()]), .remove([text()]),
                ][Int.random(in: 0..<3, using: &random)]
                changes.append((tags, change))
            }
            return Planner.upsert(
                identity,
                key: key,
                over: view,
                changes: changes,
                settling: Bool.random(using: &random) ? .settles : .leavesConflicts
            )
        }
    }

    /// Cites absent operations, operations of other records, or the right operation with a wrong hash. A cited
    /// operation may also arrive later.
    private mutating func bogus(key: RecordKey) -> OperationDraft {
        var citations: [Citation] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let log = authors[Int.random(in: 0..<authors.count, using: &random)].log
            let known = deltas.randomElement(using: &random)
            let dot = Dot(
                log: Bool.random(using: &random) ? log : known?.log ?? log,
                sequence: UInt64.random(in: 1...6, using: &random),
                index: UInt32.random(in: 0...2, using: &random)
            )
            let cited = deltas.first { $0.log == dot.log && $0.header.sequence == dot.sequence }
            let hash = cited.flatMap { Int(dot.index) < $0.operations.count ? $0.operations[Int(dot.index)].hash : nil }
            let prefix = Bool.random(using: &random) ? hash?.prefix ?? random.next() : random.next()
            citations.append(
                Citation(dot: dot, prefix: prefix, number: Bool.random(using: &random) ? 0 : nil)
            )
        }
        let isRemoval = Bool.random(using: &random)
        return OperationDraft(
            envelope: Envelope(
                key: key,
                kind: .ordinary,
                writes: [
                    Write(
                        field: FieldPath(unchecked: "name/und"),
                        mode: isRemoval ? .remove : .set,
                        supersedes: citations
                    )
                ]
            ),
            values: isRemoval ? [] : [text()]
        )
    }

    /// The deltas in a different order with some duplicates; a delta may come before its predecessor in the log.
    package func shuffled(seed: UInt64) -> [VerifiedDelta] {
        var random = SplitMix64(seed: seed)
        var order = deltas.shuffled(using: &random)
        order += deltas.filter { _ in Int.random(in: 0..<4, using: &random) == 0 }.shuffled(using: &random)
        return order
    }
}

/// The state on which all storages must agree, independent of the order in which the deltas arrived.
package struct StorageSummary: Hashable, Sendable {
    /// A live write, with its field's path.
    package struct LiveField: Hashable, Sendable {
        let dot: Dot
        let stamp: Stamp
        let hash: Hash256
        let number: UInt32
        let path: FieldPath
        let mode: Write.Mode
    }

    /// A dangling reference, with its field's path.
    package struct Waiting: Hashable, Sendable {
        let record: RecordID
        let citation: Citation
        let path: FieldPath?
    }

    package var records: [RecordID: [LiveField]] = [:]
    package var heads: [LogID: Head] = [:]
    package var waiting: Set<Waiting> = []
    package var excluded: [Dot: Standing] = [:]
    package var digests: [OrganizationID: CatalogDigest] = [:]
    package var shown: [OrganizationID: Int] = [:]

    package init() {}

    /// Adds a record's state; a record without live writes is left out.
    package mutating func add(_ id: RecordID, _ state: RecordState, path: (FieldNumber) throws -> FieldPath) rethrows {
        guard !state.isEmpty else { return }
        var fields: [LiveField] = []
        for operation in state.operations {
            for write in operation.writes {
                fields.append(
                    LiveField(
                        dot: operation.dot,
                        stamp: operation.stamp,
                        hash: operation.hash,
                        number: write.number,
                        path: try path(write.field),
                        mode: write.mode
                    )
                )
            }
        }
        records[id] = fields
    }

    package mutating func add(_ waiting: DanglingReference, path: (FieldNumber) throws -> FieldPath) rethrows {
        self.waiting.insert(
            Waiting(
                record: waiting.record,
                citation: waiting.supersession.citation,
                path: try waiting.supersession.field.map(path)
            )
        )
    }

    /// The summary of a storage in memory.
    package init(_ storage: MemoryStorage) {
        let path = { (number: FieldNumber) in storage.fields.path(of: number) ?? .tombstone }
        for (id, record) in storage.records { add(id, record.state, path: path) }
        heads = storage.frontier.heads
        for waiting in storage.waiting.values.joined() { add(waiting, path: path) }
        excluded = storage.excluded.mapValues(\.standing)
        for (organization, total) in storage.totals {
            digests[organization] = total.digest
            shown[organization] = total.shown
        }
    }

    /// The digest and the number of visible records, computed from the records without the storage's own totals.
    package static func recomputed(
        _ records: some Sequence<StoredRecord>,
        hasher: some CatalogHasher
    ) -> (digest: CatalogDigest, shown: Int) {
        var digest = CatalogDigest()
        var shown = 0
        for record in records {
            digest.add(record.state.canonicalHash(of: record.id, hasher: hasher))
            if record.state.isVisible { shown += 1 }
        }
        return (digest, shown)
    }
}

/// The suite that every ``DeltaStorage`` passes: the same deltas in any order give the same result as in memory.
package enum StorageConformance {
    /// Applies deltas repeatedly until no more of them continue a log, as a node does with deltas that arrive early.
    ///
    /// - Parameter apply: applies one delta to the tested storage.
    package static func applyAll(
        _ deltas: [VerifiedDelta],
        apply: (VerifiedDelta) throws -> DeltaApplier<KeyedHashCryptography>.Outcome
    ) throws -> [DeltaApplier<KeyedHashCryptography>.Outcome] {
        var outcomes: [DeltaApplier<KeyedHashCryptography>.Outcome] = []
        var early = deltas
        while true {
            var left: [VerifiedDelta] = []
            for delta in early {
                let outcome = try apply(delta)
                if outcome == .gap { left.append(delta) } else { outcomes.append(outcome) }
            }
            if left.isEmpty || left.count == early.count { return outcomes }
            early = left
        }
    }

    /// The storage in memory after these deltas in this order.
    package static func memory(
        _ deltas: [VerifiedDelta],
        _ applier: DeltaApplier<KeyedHashCryptography>
    ) throws -> MemoryStorage {
        var storage = MemoryStorage()
        _ = try applyAll(deltas) { try applier.apply($0, to: &storage) }
        return storage
    }

    /// The storage in memory after the history in the order of writing.
    package static func expected(_ history: RandomHistory) throws -> MemoryStorage {
        var storage = MemoryStorage()
        for delta in history.deltas { _ = try history.applier.apply(delta, to: &storage) }
        return storage
    }

    /// The summary that a storage must have after the history in any order.
    package static func expectedSummary(_ history: RandomHistory) throws -> StorageSummary {
        StorageSummary(try expected(history))
    }
}
