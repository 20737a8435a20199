import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator
import SwiftProtobuf
import Testing

/// Bounds on what one member can make a node keep, plan, dial and hold open.
struct BoundsTests {
    /// Five organizations; number 4 has all nodes from 5 on, `count` in all.
    private static func crowd(_ count: Int) -> (alliance: VirtualAlliance, statements: [Statement]) {
        let alliance = VirtualAlliance(founders: 5)
        return (alliance, (0..<count).map { alliance.enrolment(of: 5 + $0, at: 4) })
    }

    private static func heads(_ count: Int, by number: Int) -> [LogHead] {
        (0..<count).map { index in
            LogHead(
                log: LogID(author: VirtualAlliance.node(number), incarnation: UInt64(index)),
                head: Head(sequence: 9, hash: VirtualAlliance.node(number).hash)
            )
        }
    }

    @Test
    func `a hundred thousand heads of unknown authors are not kept, and nothing is requested`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        for start in stride(from: 0, to: 100_000, by: 10_000) {
            let heads = (start..<start + 10_000).map { index in
                let author = NodeKey(Hash256(UInt64(index), 1, 2, 3))
                let head = Head(sequence: 5, hash: author.hash)
                return LogHead(log: LogID(author: author, incarnation: 1), head: head)
            }
            #expect(lone.receive(.have(heads), on: link).wants.isEmpty)
            #expect(lone.receive(.iHave(heads.map { HopHead(head: $0, hops: 1) }), on: link).wants.isEmpty)
        }
        #expect(lone.engine.sizes.headsAhead == 0)
        #expect(lone.engine.sizes.headsMissing == 0)
    }

    @Test
    func `heads of one author are bounded, and the rest is requested once the first ones are here`() {
        var settings = EngineSettings()
        settings.headsPerAuthorMax = 10
        var lone = LoneEngine(settings: settings)
        let link = lone.open(1)
        let wants = lone.receive(.have(Self.heads(1_000, by: 2)), on: link).wants
        #expect(wants.count == 10)
        #expect(lone.engine.sizes.headsAhead == 10)
    }

    @Test
    func `planning visits only logs whose situation changed`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 600))
        let link = lone.open(1)
        // More logs than this node may request from one peer at a time: the rest is postponed.
        for author in 2..<600 { lone.receive(.have(Self.heads(20, by: author)), on: link) }
        #expect(lone.engine.sizes.headsAhead > 10_000)
        let before = lone.engine.sizes.logsPlanned
        for _ in 0..<100 { lone.receive(.ack(Self.heads(1, by: 2)[0], credit: 0), on: link) }
        for _ in 0..<100 { lone.receive(.have([]), on: link) }
        #expect(lone.engine.sizes.logsPlanned - before < 300)
    }

    @Test
    func `sessions of one organization are bounded, and others find room`() {
        let (alliance, statements) = Self.crowd(500)
        var lone = LoneEngine(alliance: alliance)
        lone.step(.stated(statements))
        let outcomes = (5..<505).map { lone.connect($0).actions.disconnects }
        #expect(outcomes.count { $0.isEmpty } == EngineSettings().linksPerOrganizationMax)
        #expect(outcomes.last == [.tooManySessions])
        for honest in 1...3 { #expect(lone.connect(honest).actions.disconnects.isEmpty) }
    }

    @Test
    func `no organization is more than a third of the neighbours`() {
        let (alliance, statements) = Self.crowd(60)
        var lone = LoneEngine(alliance: alliance)
        lone.step(.stated(statements))
        let links = (5..<20).map { lone.open($0) }
        #expect(lone.engine.topology().active.count <= OverlaySettings().neighboursMax / 3)
        let honest = (1...3).map { lone.open($0) }
        #expect(Set(lone.engine.topology().active.map(\.node)).isSuperset(of: (1...3).map(VirtualAlliance.node)))
        // Nor does a node without neighbours displace an honest neighbour.
        for link in links { lone.receive(.neighbour(isUrgent: true), on: link) }
        #expect(Set(lone.engine.topology().active.map(\.node)).isSuperset(of: (1...3).map(VirtualAlliance.node)))
        _ = honest
    }

    @Test
    func `dead addresses of one organization use up few dials, and a known node is dialled first`() {
        let (alliance, statements) = Self.crowd(300)
        let honest = VirtualAlliance.node(1)
        var lone = LoneEngine(
            alliance: alliance,
            contacts: [KnownContact(node: honest, time: 1, address: "known:1")]
        )
        lone.step(.stated(statements))
        for number in 5..<305 {
            let dead = (0..<16).map { "dead\(number)-\($0):1" }
            let bytes = try! Announcement.sign(
                addresses: dead,
                version: 1,
                alliance: alliance.id,
                node: alliance.signer(number)
            )
            let announcement = try! Announcement(
                verifying: bytes,
                alliance: alliance.id,
                cryptography: alliance.cryptography
            )
            lone.step(.announced(announcement))
        }
        var dials: [NodeKey: Int] = [:]
        var addresses: [String] = []
        let bytes = try! Announcement.sign(
            addresses: ["other:1", "known:1"],
            version: 1,
            alliance: alliance.id,
            node: alliance.signer(1)
        )
        let announcement = try! Announcement(
            verifying: bytes,
            alliance: alliance.id,
            cryptography: alliance.cryptography
        )
        for second in 0..<60 {
            let actions = second == 0 ? lone.step(.announced(announcement)) : lone.wait(milliseconds: 1_000)
            for case .dial(let node, let tried) in actions {
                dials[node, default: 0] += 1
                if node == honest { addresses = tried } else { lone.step(.dialFailed(node, reason: "no answer")) }
            }
        }
        #expect(dials[honest] == 1)
        #expect(addresses.first == "known:1")
        #expect(dials.values.reduce(0, +) < 20)
    }

    @Test
    func `a neighbour that falls silent is dialled again, and is not in step meanwhile`() {
        var lone = LoneEngine()
        let peer = VirtualAlliance.node(1)
        lone.step(.announced(lone.alliance.announcement(of: 1)))
        let link = lone.open(1, dialled: true)
        lone.receive(
            .state(
                StateSummary(
                    frontier: lone.engine.fingerprint,
                    digest: CatalogDigest(),
                    records: 0,
                    wallMilliseconds: 0
                ),
                question: 0,
                answered: 0
            ),
            on: link
        )
        func standing() -> PeerStatus.Standing? {
            lone.engine.peerStatuses(now: lone.now).first { $0.node == peer }?.standing
        }
        #expect(standing() == .inStep)
        var actions = lone.wait(milliseconds: 14_000)
        #expect(standing() == .inStep)
        actions += lone.wait(milliseconds: 3_000)
        #expect(standing() == .silent)
        #expect(actions.contains { if case .dial(peer, _) = $0 { true } else { false } })
    }

    @Test
    func `well-formed statements that have no standing end no session`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        for round in 0..<20 {
            let outsiders = (0..<300).map { lone.alliance.enrolment(of: 1_000 + round * 300 + $0).encoded }
            let actions = lone.receive(.governance(known: [], statements: outsiders, answer: false), on: link)
            #expect(actions.disconnects.isEmpty && actions.violations.isEmpty)
        }
        let open = lone.engine.openLink(to: VirtualAlliance.node(1))
        #expect(open == link)
    }

    @Test
    func `more statements or announcements than a message may have are no message`() {
        let lone = LoneEngine()
        let statement = lone.alliance.enrolments[0].encoded
        let announcement = lone.alliance.announcement(of: 1).encoded
        func isRead(_ message: PeerMessage) -> Bool { (try? PeerMessage(decoding: message.encoded())) != nil }
        func statements(_ count: Int) -> PeerMessage {
            .governance(known: [], statements: Array(repeating: statement, count: count), answer: false)
        }
        #expect(isRead(statements(PeerMessage.statementsMax)))
        #expect(!isRead(statements(PeerMessage.statementsMax + 1)))
        #expect(isRead(.announcements(Array(repeating: announcement, count: PeerMessage.announcementsMax))))
        #expect(!isRead(.announcements(Array(repeating: announcement, count: PeerMessage.announcementsMax + 1))))
    }

    @Test
    func `an overdraft holds all links of the organization`() {
        let (alliance, statements) = Self.crowd(3)
        var lone = LoneEngine(alliance: alliance)
        lone.step(.stated(statements))
        let crowd = (5..<8).map { lone.open($0) }
        let honest = lone.open(1)
        var held: Set<LinkID> = []
        for _ in 0..<1_000 where held.isEmpty {
            let actions = lone.step(.unaskedDeltas(crowd[0], byteCount: 1_000_000))
            for case .hold(let link, _) in actions { held.insert(link) }
        }
        #expect(held == Set(crowd))
        #expect(!held.contains(honest))
    }

    @Test
    func `deltas that nobody asked for are not checked, and are charged`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        let isUnexpected = !lone.engine.expectsDeltas(on: link)
        #expect(isUnexpected)
        let before = lone.engine.charged(on: link) ?? 0
        #expect(lone.step(.unaskedDeltas(link, byteCount: 1_000_000)).stores.isEmpty)
        let after = lone.engine.charged(on: link) ?? 0
        #expect(after > before)
        lone.receive(.have(Self.heads(1, by: 2)), on: link)
        let isExpected = lone.engine.expectsDeltas(on: link)
        #expect(isExpected)
    }

    @Test
    func `questions of one organization are looked up one at a time, and few in all`() {
        let (alliance, statements) = Self.crowd(4)
        var lone = LoneEngine(alliance: alliance)
        lone.step(.stated(statements))
        func lookups(_ actions: [EngineAction]) -> [LinkID] {
            actions.compactMap { if case .answerDiff(_, let link) = $0 { link } else { nil } }
        }
        let crowd = (5..<8).map { lone.open($0) }
        let honest = lone.open(1)
        var running: [LinkID] = []
        for link in crowd {
            for token in 1...5 as ClosedRange<UInt64> {
                running += lookups(lone.receive(.diffQuestion(.sums(token: token)), on: link))
            }
        }
        #expect(running == [crowd[0]])
        #expect(lookups(lone.receive(.diffQuestion(.sums(token: 1)), on: honest)) == [honest])
        let answer = PeerMessage.DiffAnswer(token: 1, frontier: .zero, digest: CatalogDigest())
        #expect(lookups(lone.step(.diffAnswered(crowd[0], answer))) == [crowd[0]])
    }

    @Test
    func `a fork of a log that is held does not make each step look at all forks`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        let first = lone.log(by: 2, count: 2)
        let actions = lone.receive(deltas: first.map { $0.encoded() }, on: link)
        let summary = StoredSummary(digest: CatalogDigest(), records: 1)
        for store in actions.stores {
            lone.step(.stored(token: store.token, store.deltas.map { _ in .applied }, summary: summary))
        }
        let other = lone.log(by: 2, count: 2, tag: "y")
        let signed = try! Statement.forkProof(
            alliance: lone.alliance.id,
            (first[1].headerBytes, first[1].signature),
            (other[1].headerBytes, other[1].signature)
        )
        let bytes: [UInt8] = try! signed.serializedBytes()
        let proven = lone.receive(.governance(known: [], statements: [bytes], answer: false), on: link)
        let reads = proven.count { if case .readHeaders(_, .cut) = $0 { true } else { false } }
        #expect(reads == 1)
        let again = lone.receive(.have([]), on: link)
        #expect(!again.contains { if case .readHeaders = $0 { true } else { false } })
    }
}
