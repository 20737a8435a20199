import Catalog
import DeltaLog
import Simulator
import Store
import TestSupport
import Testing

@Suite("Search") struct SearchTests {
    /// One author's directory of texts, with a plain list as its model.
    final class Replica {
        let folder = ScratchFolder()
        let store: Store
        let applier = DeltaApplier(alliance: AllianceID(Hash256(1, 1, 1, 1)), hasher: KeyedHashCryptography())
        let owner = OrganizationID(Hash256(2, 2, 2, 2))
        let signer = KeyedHashSigner(number: 1)
        var texts: [RecordID: [String]] = [:]
        var random = SplitMix64(seed: 3)
        private var clock: UInt64 = 1

        init() throws { store = try Store.create(in: folder.path) }

        func identity(_ number: Int, kind: String = "resource") -> RecordIdentity {
            RecordIdentity(kind: kind, localID: "id\(number)")
        }

        func id(_ identity: RecordIdentity) -> RecordID {
            RecordID(
                alliance: applier.alliance,
                owner: owner,
                key: identity.key(applier.hasher),
                hasher: applier.hasher
            )
        }

        /// Writes a delta as if it came from a peer: its terms are prepared in advance.
        func write(_ drafts: [OperationDraft]) throws {
            let log = LogID(author: NodeKey(signer.publicKey), incarnation: 1)
            clock += 1
            let delta = try VerifiedDelta(
                signing: drafts,
                salts: drafts.map { _ in random.bytes(16) },
                as: VerifiedDelta.Authorship(
                    alliance: applier.alliance,
                    organization: owner,
                    log: log,
                    head: store.read { try $0.head(of: log) },
                    stamp: Stamp(milliseconds: clock, counter: 0),
                    importMark: nil
                ),
                signer: signer,
                hasher: applier.hasher
            )
            let received = try VerifiedDelta(
                verifying: delta.encoded()[...],
                alliance: applier.alliance,
                cryptography: applier.hasher
            )
            store.prepare(received.operations, root: received.header.root)
            let outcomes = try store.applyBatch([received], organization: { _ in owner }, applier: applier).outcomes
            guard case .applied = outcomes[0] else { throw StoreFailure() }
        }

        struct StoreFailure: Error {}

        func set(_ number: Int, name: String, description: String, kind: String = "resource") throws {
            let identity = identity(number, kind: kind)
            let view = try store.read { try $0.view(of: id(identity)) }
            let draft = Planner.upsert(
                identity,
                key: identity.key(applier.hasher),
                over: view,
                changes: [
                    (FieldPath(unchecked: "name/und"), .set(.text(name))),
                    (FieldPath(unchecked: "description/und"), .set(.text(description))),
                ],
                settling: .settles
            )
            if let draft { try write([draft]) }
            texts[id(identity)] = [name, description, identity.localID]
        }

        /// An operation that sets one field.
        func setting(_ number: Int, _ path: String, _ value: Value) throws -> OperationDraft {
            let identity = identity(number)
            let view = try store.read { try $0.view(of: id(identity)) }
            return try #require(
                Planner.upsert(
                    identity,
                    key: identity.key(applier.hasher),
                    over: view,
                    changes: [(FieldPath(unchecked: path), .set(value))],
                    settling: .settles
                )
            )
        }

        func isSound() throws -> Bool { try store.verify(deep: true, applier: applier).isSound }

        func delete(_ number: Int) throws {
            let id = id(identity(number))
            guard let view = try store.read({ try $0.view(of: id) }), !view.isDeleted else { return }
            try write([Planner.deletion(of: view)])
            texts[id] = nil
        }

        func find(_ text: String) throws -> Set<RecordID> {
            try Set(store.read { try $0.search(SearchQuery(text: text, limit: 10_000)) }.hits.map(\.id))
        }
    }

    private static let han = Array("水泵监测中心智慧城市农业数据平台")
    private static let words = ["Pump", "pumpkin", "Water", "waterworks", "A1", "b2c", "CENTER", "data"]

    private func text(_ random: inout SplitMix64) -> String {
        (0..<Int.random(in: 0...5, using: &random)).map { _ -> String in
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1: Self.words.randomElement(using: &random)! + [" ", "-", ", ", "、"].randomElement(using: &random)!
            case 2:
                String((0..<Int.random(in: 1...6, using: &random)).map { _ in Self.han.randomElement(using: &random)! })
            default: "，"
            }
        }.joined()
    }

    /// The ASCII words of a text, by a naive model.
    private func words(of text: String) -> [String] {
        text.lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }.map(String.init)
    }

    private func check(_ replica: Replica) throws {
        for one in Self.han {
            for other in Self.han {
                let pair = String([one, other])
                let wanted = Set(replica.texts.filter { $0.value.contains { $0.contains(pair) } }.keys)
                #expect(try replica.find(pair) == wanted, "\(pair)")
            }
            let wanted = Set(replica.texts.filter { $0.value.contains { $0.contains(one) } }.keys)
            #expect(try replica.find(String(one)) == wanted, "\(one)")
        }
        for text in replica.texts.values.joined() {
            let run = text.split { !Self.han.contains($0) }.map(String.init).max { $0.count < $1.count } ?? ""
            guard run.count > 2 else { continue }
            let wanted = Set(replica.texts.filter { $0.value.contains { $0.contains(run) } }.keys)
            #expect(try replica.find(run) == wanted, "\(run)")
        }
        var prefixes: Set<String> = []
        for word in Self.words {
            for length in 1...word.count { prefixes.insert(String(word.prefix(length)).lowercased()) }
        }
        for prefix in prefixes {
            let wanted = Set(
                replica.texts.filter { $0.value.contains { words(of: $0).contains { $0.hasPrefix(prefix) } } }.keys
            )
            #expect(try replica.find(prefix) == wanted, "\(prefix)")
            #expect(try replica.find(prefix.uppercased()) == wanted, "\(prefix)")
        }
    }

    @Test("every pair of characters and every beginning of a word is found, and nothing of what was edited or deleted")
    func againstNaiveSearch() throws {
        let replica = try Replica()
        var random = SplitMix64(seed: 11)
        for number in 0..<60 { try replica.set(number, name: text(&random), description: text(&random)) }
        try check(replica)
        for _ in 0..<120 {
            let number = Int.random(in: 0..<60, using: &random)
            if Int.random(in: 0..<3, using: &random) == 0 {
                try replica.delete(number)
            } else {
                try replica.set(number, name: text(&random), description: text(&random))
            }
        }
        try check(replica)
        for number in 0..<60 { try replica.delete(number) }
        for query in ["p", "水", "水泵", "id", "id1"] { #expect(try replica.find(query).isEmpty) }
        let report = try replica.store.verify(deep: true, applier: replica.applier)
        #expect(report.isSound)
    }

    @Test(
        "forms of letters do not matter",
        arguments: [
            ("ＡＢＣ１２３", "abc12"), ("abc", "ＡＢＣ"), ("Straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("e\u{301}tude", "ÉTUDE"),
            ("ﬁsh", "FISH"), ("서울센터", "울센"), ("農業、データ", "デー"), ("ﾃﾞｰﾀ", "データ"), ("Московский", "МОСК"), ("㍿", "株式"),
            ("x水y", "水"), ("naïve café", "CAFÉ naïv"), ("v2.0水务Water", "水务 wat"), ("𠮷野家", "𠮷野"),
        ]
    )
    func forms(text: String, query: String) throws {
        let replica = try Replica()
        try replica.set(1, name: "", description: text)
        try replica.set(2, name: "", description: "zzz 其他")
        #expect(try replica.find(query) == [replica.id(replica.identity(1))])
    }

    @Test(
        "queries of odd characters find nothing and break nothing",
        arguments: [
            "\"", "*", "a\"b", "NEAR(", "name:", "^x", "-", "OR", "AND NOT", "\u{E000}k1", "\0", "水\"", "(", "'; DROP",
        ]
    )
    func oddQueries(query: String) throws {
        let replica = try Replica()
        try replica.set(1, name: "plain", description: "plain")
        _ = try replica.find(query)
        #expect(try replica.find("plain").count == 1)
    }

    @Test("names come first, exact ones before all; kinds and owners filter; pages do not overlap")
    func ranking() throws {
        let replica = try Replica()
        try replica.set(1, name: "other", description: "pump")
        try replica.set(2, name: "pumpkin seed oil", description: "")
        try replica.set(3, name: "pump", description: "")
        try replica.set(4, name: "big pump", description: "", kind: "need")
        func hits(_ query: SearchQuery) throws -> [String] {
            try replica.store.read { try $0.search(query) }.hits.map { $0.identity!.localID }
        }
        #expect(try hits(SearchQuery(text: "pump")) == ["id3", "id4", "id2", "id1"])
        #expect(try hits(SearchQuery(text: "pump", limit: 2, offset: 1)) == ["id4", "id2"])
        #expect(try hits(SearchQuery(text: "pump", kind: "need")) == ["id4"])
        #expect(try hits(SearchQuery(text: "pump", kind: "event")) == [])
        #expect(try hits(SearchQuery(text: "pump", owner: replica.owner)).count == 4)
        #expect(try hits(SearchQuery(text: "pump", owner: OrganizationID(.zero))) == [])
        let result = try replica.store.read { try $0.search(SearchQuery(text: "pump", limit: 1)) }
        #expect(result.total == 4 && result.isTotalExact)
    }

    @Test("values that claim an impossible length are stored unchanged, and no search finds them")
    func hostileLengths() throws {
        let replica = try Replica()
        let ends: [[UInt8]] = [
            Array(repeating: 0xFF, count: 8) + [0x7F], Array(repeating: 0xFF, count: 9) + [0x01],
            [0x80, 0x80, 0x80, 0x80, 0x08], [0x02, 0x61], [0x01], [],
        ]
        let values = [1, 5, 15].flatMap { field in ends.map { Value.unknown([field << 3 | 2] + $0) } }
        try replica.write(
            values.enumerated().map { number, value in try replica.setting(number, "description/und", value) }
        )
        try replica.write([replica.setting(100, "description/und", values[0])])
        #expect(try replica.find("id100").count == 1)
        #expect(try replica.find("a").isEmpty)
        #expect(try replica.isSound())
        for number in 0..<values.count { try replica.set(number, name: "plain", description: "plain") }
        #expect(try replica.find("plain").count == values.count)
        #expect(try replica.isSound())
    }

    @Test("an index merged into fewer segments finds the same")
    func maintenance() throws {
        let replica = try Replica()
        for number in 0..<60 { try replica.set(number, name: "marmot \(number)", description: "水泵") }
        for number in 0..<10 { try replica.delete(number) }
        #expect(try !replica.store.optimize(ifIdleFor: .seconds(3600)))
        while try replica.store.optimize(ifIdleFor: .zero) {}
        #expect(try replica.find("marmot").count == 50)
        #expect(try replica.find("水泵").count == 50)
        #expect(try replica.isSound())
    }

    @Test("after a load and its optimization the index is written and searched as before")
    func optimizingAfterLoad() throws {
        let replica = try Replica()
        let count = 1_200
        try replica.write((0..<count).map { try replica.setting($0, "name/und", .text("marmot")) })
        while try replica.store.optimize(ifIdleFor: .zero) {}
        for number in 0..<10 { try replica.set(number, name: "badger", description: "水泵") }
        for number in 10..<20 { try replica.delete(number) }
        while try replica.store.optimize(ifIdleFor: .zero) {}
        #expect(try replica.find("badger").count == 10)
        #expect(try replica.find("水泵").count == 10)
        #expect(try replica.find("marmot").count == count - 20)
        #expect(try replica.isSound())
    }

    @Test("operations on a record with very many terms can be removed from the index again")
    func manyTerms() throws {
        let replica = try Replica()
        let long = String(repeating: "水泵监测中心", count: 1_700)
        try replica.write([replica.setting(0, "description/zh", .text(long))])
        // In a delta whose terms are prepared.
        try replica.write((0..<10).map { try replica.setting($0, "description/en", .text("marmot")) })
        #expect(try replica.isSound())
        #expect(try replica.find("marmot").count == 9)
        for number in 0..<10 { try replica.delete(number) }
        #expect(try replica.find("marmot").isEmpty)
        #expect(try replica.find("水泵").isEmpty)
        #expect(try replica.isSound())
    }

    @Test("a word longer than the index takes is found by its beginning")
    func longWord() throws {
        let replica = try Replica()
        try replica.set(1, name: String(repeating: "a", count: 40_000), description: "")
        #expect(try replica.find("aaaa").count == 1)
        #expect(try replica.isSound())
        try replica.delete(1)
        #expect(try replica.find("aaaa").isEmpty)
        #expect(try replica.isSound())
    }

    @Test("operations that mean other fields under another header have the terms of those fields")
    func sameOperationsOtherFields() throws {
        let replica = try Replica()
        let drafts = try (0..<10).map { try replica.setting($0, "name/und", .text("marmot")) }
        let others = try (0..<10).map { try replica.setting($0, "ext/note", .text("marmot")) }
        func encode(_ drafts: [OperationDraft]) throws -> EncodedOperations {
            try EncodedOperations(
                drafts,
                salts: drafts.map { _ in Array(repeating: 7, count: Content.saltByteCount) },
                alliance: replica.applier.alliance,
                organization: replica.owner,
                log: LogID(author: NodeKey(replica.signer.publicKey), incarnation: 1),
                hasher: replica.applier.hasher
            )
        }
        let (named, noted) = (try encode(drafts), try encode(others))
        // Operations name paths by number, so the operations and their Merkle trees are the same.
        try #require(named.root == noted.root)
        replica.store.prepare(noted.operations, root: noted.root)
        let delta = try VerifiedDelta(
            signing: named,
            as: VerifiedDelta.Authorship(
                alliance: replica.applier.alliance,
                organization: replica.owner,
                log: named.log,
                head: nil,
                stamp: Stamp(milliseconds: 1, counter: 0),
                importMark: nil
            ),
            signer: replica.signer,
            hasher: replica.applier.hasher
        )
        let owner = replica.owner
        _ = try replica.store.applyBatch([delta], organization: { _ in owner }, applier: replica.applier)
        #expect(try replica.isSound())
    }
}
