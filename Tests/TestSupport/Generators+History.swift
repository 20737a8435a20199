package import Catalog
package import DeltaLog
package import Simulator

// Histories: several authors write, and each has seen some of the others' writes.

/// A node that writes: its log, and its received data.
package struct TestAuthor {
    package let signer: KeyedHashSigner
    package let organization: OrganizationID
    package let log: LogID
    package var storage = MemoryStorage()
    package var written: [VerifiedDelta] = []

    package init(number: UInt64, organization: UInt64) {
        signer = KeyedHashSigner(number: number)
        self.organization = OrganizationID(Hash256(organization, 7, 7, 7))
        log = LogID(author: NodeKey(signer.publicKey), incarnation: number &* 1000)
    }
}

/// A few authors in one alliance with fast signatures. They write through the real code: plan, sign, encode, verify,
/// apply.
package struct TestHistory {
    package static let alliance = AllianceID(Hash256(1, 2, 3, 4))
    package let cryptography = KeyedHashCryptography()
    package var authors: [TestAuthor]
    /// The wall clock of each author in milliseconds; it may be wrong.
    package var clocks: [UInt64]
    private var random: SplitMix64

    /// - Parameter organizations: The organization of each author.
    package init(organizations: [UInt64], seed: UInt64) {
        authors = organizations.enumerated().map { TestAuthor(number: UInt64($0.offset) + 1, organization: $0.element) }
        clocks = organizations.map { _ in 1_700_000_000_000 }
        random = SplitMix64(seed: seed)
    }

    package var applier: DeltaApplier<KeyedHashCryptography> {
        DeltaApplier(alliance: Self.alliance, hasher: cryptography)
    }

    /// All deltas, log by log.
    package var logs: [[VerifiedDelta]] { authors.map(\.written) }

    package func organization(of node: NodeKey) -> OrganizationID {
        authors.first { $0.log.author == node }!.organization
    }

    /// Applies one delta to a storage.
    @discardableResult
    package func deliver(
        _ delta: VerifiedDelta,
        to storage: inout MemoryStorage
    ) throws -> DeltaApplier<KeyedHashCryptography>.Outcome {
        try applier.apply(delta, to: &storage)
    }

    /// Delivers a prefix of one author's log to another author.
    package mutating func show(_ reader: Int, _ writer: Int, upTo count: Int = .max) throws {
        for delta in authors[writer].written.prefix(count) { try deliver(delta, to: &authors[reader].storage) }
    }

    package func id(_ identity: RecordIdentity, ownedBy author: Int) -> RecordID {
        RecordID(
            alliance: Self.alliance,
            owner: authors[author].organization,
            key: identity.key(cryptography),
            hasher: cryptography
        )
    }

    package func view(_ identity: RecordIdentity, at author: Int) -> RecordView? {
        authors[author].storage.view(of: id(identity, ownedBy: author))
    }

    /// Plans, signs, encodes, verifies and applies an upsert; nil if it changes nothing.
    @discardableResult
    package mutating func upsert(
        _ author: Int,
        _ identity: RecordIdentity,
        _ changes: [(FieldPath, FieldChange)],
        settling: Planner.Settling = .settles
    ) throws -> VerifiedDelta? {
        let draft = Planner.upsert(
            identity,
            key: identity.key(cryptography),
            over: view(identity, at: author),
            changes: changes,
            settling: settling
        )
        return try draft.map { try write(author, [$0]) }
    }

    /// Deletes the author's view of the record; nil if the author has no view.
    @discardableResult
    package mutating func delete(_ author: Int, _ identity: RecordIdentity) throws -> VerifiedDelta? {
        guard let view = view(identity, at: author) else { return nil }
        return try write(author, [Planner.deletion(of: view)])
    }

    /// Signs drafts as the author's next delta, encodes and decodes it, and applies it at the author.
    @discardableResult
    package mutating func write(_ author: Int, _ drafts: [OperationDraft]) throws -> VerifiedDelta {
        let delta = try sign(author, drafts)
        authors[author].written.append(delta)
        try deliver(delta, to: &authors[author].storage)
        clocks[author] += 1
        return delta
    }

    /// Signs drafts as the author's next delta, and encodes and decodes it.
    package mutating func sign(_ author: Int, _ drafts: [OperationDraft]) throws -> VerifiedDelta {
        let own = authors[author]
        let delta = try VerifiedDelta(
            signing: drafts,
            salts: drafts.map { _ in random.bytes(Content.saltByteCount) },
            as: VerifiedDelta.Authorship(
                alliance: Self.alliance,
                organization: own.organization,
                log: own.log,
                head: own.written.last?.head,
                stamp: Stamp(milliseconds: clocks[author], counter: 0),
                importMark: nil
            ),
            signer: own.signer,
            hasher: cryptography
        )
        return try VerifiedDelta(verifying: delta.encoded()[...], alliance: Self.alliance, cryptography: cryptography)
    }
}

extension TestHistory {
    /// A history with this many operations. Authors take turns at random and see some of the others' logs before they
    /// write. They set, clear, add, remove, delete and re-create one or two records.
    package static func random(
        operations count: Int,
        organizations: [UInt64],
        records: Int = 1,
        seed: UInt64
    ) throws -> TestHistory {
        var random = SplitMix64(seed: seed)
        var history = TestHistory(organizations: organizations, seed: seed ^ 0xABCD)
        let values = ["a", "b", "é", "e\u{301}"].map { Value.text($0) }
        for author in history.authors.indices where Int.random(in: 0..<4, using: &random) == 0 {
            history.clocks[author] += 86_400_000
        }
        while history.logs.reduce(0, { $0 + $1.count }) < count {
            let author = Int.random(in: 0..<organizations.count, using: &random)
            for other in history.authors.indices where other != author {
                let held = history.logs[other].count
                if held > 0 { try history.show(author, other, upTo: Int.random(in: 0...held, using: &random)) }
            }
            let identity = RecordIdentity(kind: "need", localID: "n\(Int.random(in: 0..<records, using: &random))")
            let value = values.randomElement(using: &random) ?? .boolean(true)
            let tag = FieldPath(unchecked: "tags")
            let name = FieldPath(unchecked: "name/und")
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: try history.upsert(author, identity, [(name, .set(value))])
            case 2: try history.upsert(author, identity, [(name, .clear)])
            case 3, 4: try history.upsert(author, identity, [(tag, .add([value]))])
            case 5: try history.upsert(author, identity, [(tag, .remove([value]))])
            case 6: try history.upsert(author, identity, [(name, .set(value)), (tag, .elements([value]))])
            default: try history.delete(author, identity)
            }
        }
        return history
    }
}

/// Every interleaving of several lists that keeps the order within each list, as the index of the next list.
package func interleavings(of counts: [Int]) -> [[Int]] {
    if counts.allSatisfy({ $0 == 0 }) { return [[]] }
    var orders: [[Int]] = []
    for list in counts.indices where counts[list] > 0 {
        var rest = counts
        rest[list] -= 1
        orders += interleavings(of: rest).map { [list] + $0 }
    }
    return orders
}

/// Every permutation of the numbers below `count`.
package func permutations(of count: Int) -> [[Int]] {
    guard count > 0 else { return [[]] }
    return permutations(of: count - 1).flatMap { shorter in
        (0...shorter.count).map { position in
            var longer = shorter
            longer.insert(count - 1, at: position)
            return longer
        }
    }
}

/// The state on which nodes with the same deltas must agree. It omits locations and field numbers, which are local.
package struct Agreement: Hashable, Sendable {
    package struct Record: Hashable, Sendable {
        package let id: RecordID
        package let canonical: Hash256?
        package let identity: RecordIdentity?
        package let isDeleted: Bool
        package let isEditedWhileDeleted: Bool
        package let isVisible: Bool
        package let fields: [RecordView.Field]
        package let identityWrites: [RecordView.Candidate]
        package let tombstones: [RecordView.Candidate]
    }

    package struct Waiting: Hashable, Sendable {
        package let record: RecordID
        package let citation: Citation
        package let path: FieldPath?
    }

    package let records: [Record]
    package let waiting: Set<Waiting>
    package let excluded: [Dot: RecordID]
    package let digest: CatalogDigest
    package let shown: Int
    package let frontier: Frontier

    package init(_ storage: MemoryStorage, hasher: some CatalogHasher) {
        records = storage.records.values.sorted { $0.id < $1.id }.compactMap { stored in
            guard !stored.state.isEmpty, let view = storage.view(of: stored.id) else { return nil }
            return Record(
                id: stored.id,
                canonical: stored.state.canonicalHash(of: stored.id, hasher: hasher),
                identity: view.identity,
                isDeleted: view.isDeleted,
                isEditedWhileDeleted: view.isEditedWhileDeleted,
                isVisible: stored.state.isVisible,
                fields: view.fields,
                identityWrites: view.identityWrites,
                tombstones: view.tombstones
            )
        }
        var waiting: Set<Waiting> = []
        for citation in storage.waiting.values.joined() {
            waiting.insert(
                Waiting(
                    record: citation.record,
                    citation: citation.supersession.citation,
                    path: citation.supersession.field.flatMap { storage.fields.path(of: $0) }
                )
            )
        }
        self.waiting = waiting
        excluded = storage.excluded.mapValues(\.record)
        digest = storage.digest
        shown = storage.visibleCount
        frontier = storage.frontier
    }
}

/// The merged state by its definition, independent of any order: all writes that no valid citation names.
package struct NaiveCatalog {
    private struct LiveKey: Hashable {
        let dot: Dot
        let number: UInt32
    }

    /// The live writes of each record, by dot and number.
    package private(set) var live: [RecordID: Set<[UInt64]>] = [:]

    package init(_ history: TestHistory) {
        var operations: [Dot: (record: RecordID, operation: VerifiedOperation)] = [:]
        for delta in history.logs.joined() {
            let organization = history.organization(of: delta.log.author)
            for (index, operation) in delta.operations.enumerated() {
                let owner = operation.envelope.owner ?? organization
                if case .unknown = operation.envelope.kind { continue }
                guard owner == organization else { continue }
                let id = RecordID(
                    alliance: TestHistory.alliance,
                    owner: owner,
                    key: operation.envelope.key,
                    hasher: history.cryptography
                )
                operations[delta.dot(index)] = (id, operation)
            }
        }
        var dead: Set<LiveKey> = []
        for (record, operation) in operations.values {
            for write in operation.envelope.writes {
                for citation in write.supersedes {
                    guard let (target, cited) = operations[citation.dot], target == record,
                        cited.hash.prefix == citation.prefix
                    else { continue }
                    for (number, hit) in cited.envelope.writes.enumerated() {
                        guard citation.number == nil || citation.number == UInt32(number),
                            operation.envelope.kind == .deletion || hit.field == write.field
                        else { continue }
                        dead.insert(LiveKey(dot: citation.dot, number: UInt32(number)))
                    }
                }
            }
        }
        for (dot, entry) in operations {
            for (number, write) in entry.operation.envelope.writes.enumerated() where write.mode != .remove {
                let key = LiveKey(dot: dot, number: UInt32(number))
                guard !dead.contains(key) else { continue }
                live[entry.record, default: []].insert(Self.name(dot, UInt32(number)))
            }
        }
    }

    /// The live writes of a storage in the same form.
    package static func live(_ storage: MemoryStorage) -> [RecordID: Set<[UInt64]>] {
        var live: [RecordID: Set<[UInt64]>] = [:]
        for record in storage.records.values {
            for operation in record.state.operations {
                for write in operation.writes { live[record.id, default: []].insert(name(operation.dot, write.number)) }
            }
        }
        return live
    }

    private static func name(_ dot: Dot, _ number: UInt32) -> [UInt64] {
        let author = dot.log.author.hash
        return [
            author.word0, author.word1, author.word2, author.word3, dot.log.incarnation, dot.sequence,
            UInt64(dot.index), UInt64(number),
        ]
    }
}
