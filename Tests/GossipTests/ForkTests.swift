import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator
import SwiftProtobuf
import TestSupport
import Testing

/// Logs with two continuations: they are proven and announced, and nothing beyond the fork is taken.
struct ForkTests {
    /// Two branches of one log of node 3: equal up to `common`, then different.
    private static func branches(common: Int, first: Int, second: Int) -> ([VerifiedDelta], [VerifiedDelta]) {
        let alliance = VirtualAlliance(founders: 4)
        func extend(_ deltas: [VerifiedDelta], by count: Int, tag: String) -> [VerifiedDelta] {
            (0..<count).reduce(into: deltas) { deltas, index in
                deltas.append(
                    alliance.delta(by: 3, after: deltas.last?.head, names: [("\(tag)\(index)", tag)])
                )
            }
        }
        let shared = extend([], by: common, tag: "shared")
        return (extend(shared, by: first, tag: "one"), extend(shared, by: second, tag: "two"))
    }

    private static func cluster(
        seed: UInt64,
        _ one: [VerifiedDelta],
        _ two: [VerifiedDelta]
    ) -> Simulation {
        var settings = Simulation.Settings()
        settings.engine.headersPerInquiry = 4
        let cluster = Simulation(nodes: 4, seed: seed, settings: settings)
        for delta in one { cluster.put(delta, into: 1) }
        for delta in two { cluster.put(delta, into: 2) }
        // The author stays offline; the nodes that got different branches find the fork without it.
        for node in 0..<3 { cluster.start(node) }
        return cluster
    }

    @Test(arguments: [(0, 1, 1), (0, 3, 5), (3, 1, 1), (5, 2, 6), (6, 6, 1), (20, 15, 15), (1, 30, 3)])
    func `two continuations are proven at the first difference`(common: Int, first: Int, second: Int) {
        let (one, two) = Self.branches(common: common, first: first, second: second)
        let log = one[0].log
        let cluster = Self.cluster(seed: UInt64(common * 100 + first), one, two)
        for node in 0..<3 { cluster.write(node, [("other", "\(node)")]) }
        cluster.run(milliseconds: 120_000)
        for node in 0..<3 {
            #expect(cluster.box(node)?.engine.forks == [log: UInt64(common) + 1])
            #expect(cluster.notes(node).violations.isEmpty)
            // Other logs are not affected.
            for other in 0..<3 {
                #expect(cluster.storage(node).frontier.heads.contains { $0.key.author == VirtualAlliance.node(other) })
            }
        }
        // All nodes advertise the same frontier and report each other as in step, although two of them hold more on
        // disk.
        #expect(Set((0..<3).map { cluster.box($0)?.engine.fingerprint }).count == 1, "\(cluster.summary)")
        #expect(cluster.box(0)?.engine.advertised[log]?.sequence ?? 0 == UInt64(common))
        #expect(cluster.storage(1).head(of: log)?.sequence == UInt64(common + first))
        #expect(cluster.storage(2).head(of: log)?.sequence == UInt64(common + second))
        #expect(cluster.violations.isEmpty, "\(cluster.violations)")
        // This state causes no further traffic.
        let before = cluster.notes(1).bytesSent
        cluster.run(milliseconds: 600_000)
        #expect(cluster.notes(1).bytesSent - before < 10 * 2 * 2_000)
        // A late node learns of the fork, and takes the deltas before it.
        cluster.start(3)
        cluster.run(milliseconds: 60_000)
        #expect(cluster.box(3)?.engine.forks == [log: UInt64(common) + 1])
        #expect(cluster.storage(3).head(of: log)?.sequence ?? 0 == UInt64(common))
    }

    @Test
    func `a restart advertises no more than before`() {
        let (one, two) = Self.branches(common: 3, first: 4, second: 2)
        let cluster = Self.cluster(seed: 1, one, two)
        cluster.run(milliseconds: 60_000)
        let fingerprint = cluster.box(0)?.engine.fingerprint
        cluster.crash(1)
        cluster.start(1)
        cluster.run(milliseconds: 20_000)
        #expect(cluster.box(1)?.engine.fingerprint == fingerprint)
        #expect(cluster.box(1)?.engine.forks.count == 1)
        #expect(cluster.violations.isEmpty, "\(cluster.violations)")
    }

    @Test
    func `deltas that are being stored when the fork is proven do not hold back the advertised frontier`() {
        let (one, two) = Self.branches(common: 2, first: 2, second: 2)
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 4))
        let link = lone.open(1)
        let store = lone.receive(deltas: one.map { $0.encoded() }, on: link).stores
        #expect(store.first?.deltas.count == 4)
        let proof = try! Statement.forkProof(
            alliance: lone.alliance.id,
            (one[2].headerBytes, one[2].signature),
            (two[2].headerBytes, two[2].signature)
        )
        lone.receive(.governance(known: [], statements: [try! proof.serializedBytes()], answer: false), on: link)
        #expect(lone.engine.forks[one[0].log] == 3)
        let actions = lone.step(
            .stored(
                token: store[0].token,
                Array(repeating: .applied, count: 4),
                summary: StoredSummary(digest: CatalogDigest(), records: 0)
            )
        )
        #expect(actions.contains(.readHeaders(LogRange(log: one[0].log, from: 3, to: 3), purpose: .cut)))
        #expect(lone.engine.advertised[one[0].log] == nil)
        let header = SignedHeader(header: one[2].headerBytes, signature: one[2].signature)
        lone.step(.headersRead(LogRange(log: one[0].log, from: 3, to: 3), purpose: .cut, [header]))
        #expect(lone.engine.advertised[one[0].log] == one[1].head)
        // Nothing beyond the fork is sent.
        let reads = lone.receive(.want(LogRange(log: one[0].log, from: 1, to: 4), credit: 10_000), on: link).reads
        #expect(reads == [LogRange(log: one[0].log, from: 1, to: 2)])
    }

    @Test
    func `headers that prove nothing end the session with their sender`() {
        let alliance = VirtualAlliance(founders: 3)
        let own = alliance.delta(by: 1, after: nil, names: [("a", "own")])
        let other = alliance.delta(by: 1, after: nil, names: [("a", "other")])
        var lone = LoneEngine(alliance: alliance, frontier: Frontier([own.log: own.head]))
        let link = lone.open(2)
        lone.receive(.have([LogHead(log: own.log, head: other.head)]), on: link)
        let forged = SignedHeader(header: other.headerBytes, signature: own.signature)
        lone.receive(.headers(log: own.log, from: 1, [forged]), on: link)
        let actions = lone.step(
            .headersRead(
                LogRange(log: own.log, from: 1, to: 1),
                purpose: .compare(link, with: [forged]),
                [SignedHeader(header: own.headerBytes, signature: own.signature)]
            )
        )
        #expect(actions.violations == ["headers that prove nothing"])
        #expect(lone.engine.forks.isEmpty)
    }
}
