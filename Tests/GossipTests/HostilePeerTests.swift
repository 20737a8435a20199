import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator
import TestSupport
import Testing

/// Members whose nodes lie, flood or break the protocol: they are bounded, told the reason, and do not affect others.
struct HostilePeerTests {
    private static let log = LogID(author: VirtualAlliance.node(1), incarnation: 1)

    @Test
    func `deltas with a bad signature are refused with the reason, and too many end the session`() {
        var lone = LoneEngine()
        let hostile = lone.open(1)
        let honest = lone.open(2)
        let delta = lone.log(by: 2, count: 1)[0]
        var bytes = delta.encoded()
        bytes[bytes.count - 1] ^= 1
        let first = lone.receive(deltas: [bytes], on: hostile)
        #expect(first.refusals == [.badRoot])
        let isReported = first.sent(on: hostile).contains {
            if case .deltaRefused(delta.log, 1, _, let reason) = $0 { reason.contains("Merkle") } else { false }
        }
        #expect(isReported)
        var all: [EngineAction] = []
        for _ in 0..<200 { all += lone.receive(deltas: [bytes], on: hostile) }
        #expect(all.refusals.count <= 100)
        #expect(all.disconnects == [.tooManyRefusals])
        #expect(all.sent(on: hostile).isEmpty, "told once")
        // It is not admitted again at once. The honest node's own delta is taken.
        #expect(lone.connect(1).actions.disconnects == [.banned])
        #expect(lone.receive(deltas: [delta.encoded()], on: honest).stores.count == 1)
    }

    @Test
    func `deltas of a foreign alliance and of an unknown author are refused`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        let foreign = VirtualAlliance(founders: 3, name: "foreign").delta(by: 1, after: nil, names: [("a", "a")])
        #expect(lone.receive(deltas: [foreign.encoded()], on: link).refusals == [.foreignAlliance])
        let outsider = lone.alliance.delta(by: 7, after: nil, names: [("a", "a")])
        #expect(lone.receive(deltas: [outsider.encoded()], on: link).refusals == [.unknownAuthor])
    }

    @Test
    func `a wrong chain is refused once, and its log not asked for in a loop`() {
        var lone = LoneEngine()
        let link = lone.open(2)
        let one = lone.log(by: 1, count: 2, tag: "one")
        let two = lone.log(by: 1, count: 3, tag: "two")
        _ = lone.receive(deltas: one.map { $0.encoded() }, on: link)
        let refused = lone.receive(deltas: [two[2].encoded()], on: link)
        #expect(refused.refusals == [.wrongChain])
        #expect(refused.wants.isEmpty)
        // A node is not at fault for an author's act that it passes on: the session stays, even after many such deltas.
        var all: [EngineAction] = []
        for _ in 0..<500 { all += lone.receive(deltas: [two[2].encoded()], on: link) }
        #expect(all.disconnects.isEmpty && all.refusals.isEmpty)
    }

    @Test
    func `floods of gaps are bounded`() {
        var settings = EngineSettings()
        settings.headsMax = 100
        var lone = LoneEngine(settings: settings)
        let link = lone.open(1)
        var all: [EngineAction] = []
        for incarnation in 1...300 {
            let deltas = lone.log(by: 1, incarnation: UInt64(incarnation), count: 2)
            all += lone.receive(deltas: [deltas[1].encoded()], on: link)
        }
        #expect(all.stores.isEmpty)
        #expect(all.wants.count == settings.wantsPerLinkMax)
        #expect(all.disconnects.isEmpty)
    }

    @Test
    func `a first message that is not Hello, a second Hello and silence end the session`() {
        var lone = LoneEngine()
        let early = lone.connect(1).link
        #expect(lone.receive(.have([]), on: early).violations == ["a first message that is not Hello"])
        let twice = lone.open(2)
        #expect(lone.receive(.hello(lone.hello()), on: twice).violations == ["a second Hello"])
        lone = LoneEngine()
        let deltas = lone.connect(1).link
        #expect(lone.receive(deltas: [], on: deltas).violations == ["a first message that is not Hello"])
        _ = lone.connect(2)
        #expect(lone.wait(milliseconds: 12_000).disconnects == [.silent])
    }

    @Test
    func `other formats and other alliances are refused with a sentence, and dialled less and less often`() {
        var lone = LoneEngine()
        lone.step(.announced(lone.alliance.announcement(of: 1)))
        var hello = lone.hello()
        hello.formatMin = 3
        hello.formatMax = 4
        var dials = 0
        for _ in 0..<300 {
            let actions = lone.wait(milliseconds: 1_000)
            guard actions.contains(where: { if case .dial = $0 { true } else { false } }) else { continue }
            dials += 1
            let link = lone.connect(1, dialled: true).link
            let refusal = lone.receive(.hello(hello), on: link).disconnects.first ?? nil
            #expect(refusal?.reason.contains("this node needs a newer version") == true)
        }
        #expect(dials < 60)
        let other = lone.connect(2).link
        hello = lone.hello()
        hello.alliance = VirtualAlliance(founders: 3, name: "foreign").id
        #expect(lone.receive(.hello(hello), on: other).disconnects == [.foreignAlliance])
        #expect(lone.connect(9).actions.disconnects == [.notAMember])
    }

    @Test
    func `a node that is refused is told why, and shows it`() {
        var lone = LoneEngine()
        let link = lone.connect(1).link
        lone.receive(.refusal(.notAMember), on: link)
        #expect(lone.engine.peerStatuses(now: lone.now).contains { $0.refusal == .notAMember })
        _ = lone.open(1)
        #expect(!lone.engine.peerStatuses(now: lone.now).contains { $0.refusal != nil })
    }

    private static let nonsense: [(UInt64, UInt64)] = [
        (0, 5), (5, 4), (1, .max), (.max, .max), (.max - 1, .max), (2, 2), (3, 1_000_000),
    ]

    @Test(arguments: nonsense)
    func `nonsense ranges do no harm`(from: UInt64, to: UInt64) {
        let deltas = LoneEngine().log(by: 1, count: 2)
        var lone = LoneEngine(frontier: Frontier([Self.log: deltas[1].head]))
        let link = lone.open(1)
        let range = LogRange(log: Self.log, from: from, to: to)
        let isEmpty = from == 0 || from > to
        let wanted = lone.receive(.want(range, credit: .max), on: link)
        #expect(wanted.violations == (isEmpty ? ["a want of no deltas"] : []))
        // Only held deltas are read: two.
        #expect(wanted.reads.map(\.from) == (!isEmpty && from <= 2 ? [from] : []))
        for range in wanted.reads { lone.step(.deltasRead(link, range, [])) }
        #expect(lone.engine.checkInvariants() == nil)
        #expect((lone.engine.openLink(to: Self.log.author) == nil) == isEmpty)

        lone = LoneEngine()
        let second = lone.open(1)
        let headers = lone.receive(.headersWanted(range), on: second)
        let isTooMuch = isEmpty || to - from >= EngineSettings().headersPerInquiry || to > Header.sequenceMax
        #expect(headers.violations == (isTooMuch ? ["too many headers wanted"] : []))
        #expect(headers.contains { if case .readHeaders(range, _) = $0 { true } else { false } } == !isTooMuch)

        lone = LoneEngine()
        let third = lone.open(1)
        let unasked = lone.receive(.headers(log: Self.log, from: from, []), on: third)
        #expect(unasked.violations == ["headers that nobody asked for"])
        #expect(unasked.disconnects.count == 1)
        #expect(lone.engine.checkInvariants() == nil)
    }

    @Test
    func `heads with the highest numbers do no harm`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        let own = lone.log(by: 0, count: 2)
        let head = LogHead(log: own[0].log, head: Head(sequence: .max, hash: .zero))
        var actions = lone.receive(.have([head]), on: link)
        actions += lone.receive(.ack(head, credit: .max), on: link)
        actions += lone.receive(
            .ranges([FrontierRange(upper: .end, content: .entries([FrontierEntry(head)], answer: true))]),
            on: link
        )
        actions += lone.receive(.iHave([HopHead(head: head, hops: PeerMessage.hopsMax)]), on: link)
        actions += lone.wait(milliseconds: 3_000)
        // No log has so many deltas: nothing is requested, and the peer is not believed to have more.
        #expect(actions.wants.isEmpty && actions.violations.isEmpty)
        #expect(lone.engine.sizes.headsAhead == 0)
        lone.step(.committed(own, summary: StoredSummary(digest: CatalogDigest(), records: 1)))
        #expect(lone.engine.durable[own[0].log] == own[1].head)
        #expect(lone.engine.openLink(to: Self.log.author) == link)
        #expect(lone.engine.checkInvariants() == nil)
    }

    @Test
    func `ten thousand wants end the session`() {
        let deltas = LoneEngine().log(by: 1, count: 2)
        var lone = LoneEngine(frontier: Frontier([Self.log: deltas[1].head]))
        let link = lone.open(1)
        var all: [EngineAction] = []
        for incarnation in 1...10_000 {
            let log = LogID(author: Self.log.author, incarnation: UInt64(incarnation))
            all += lone.receive(.want(LogRange(log: log, from: 1, to: 2), credit: 0), on: link)
        }
        #expect(all.violations == ["too many wants"])
        #expect(all.reads.isEmpty, "there is no credit")
    }

    @Test
    func `huge credit does not make this node send more at once`() {
        let deltas = LoneEngine().log(by: 1, count: 2)
        var lone = LoneEngine(frontier: Frontier([Self.log: deltas[1].head]))
        let link = lone.open(1)
        var sent: UInt64 = 0
        var reads = lone.receive(.want(LogRange(log: Self.log, from: 1, to: 2), credit: .max), on: link).reads
        for _ in 0..<200 { lone.receive(.ack(LogHead(log: Self.log, head: deltas[0].head), credit: .max), on: link) }
        while let range = reads.first, sent < 100_000_000 {
            // A log without an end, within the peer's credit.
            let bytes = [UInt8](repeating: 0, count: 1_000_000)
            sent += UInt64(bytes.count)
            let next = lone.step(.deltasRead(link, range, [StoredDelta(sequence: range.from, bytes: bytes)]))
            reads = next.reads
            if reads.isEmpty {
                reads = lone.receive(.want(LogRange(log: Self.log, from: 1, to: 2), credit: 0), on: link).reads
            }
        }
        #expect(sent <= EngineSettings().creditBytes + 1_000_000)
    }

    @Test
    func `headers nobody asked for and floods of questions end the session`() {
        var lone = LoneEngine()
        let first = lone.open(1)
        let headers = lone.receive(.headers(log: Self.log, from: 1, []), on: first)
        #expect(headers.violations == ["headers that nobody asked for"])
        lone = LoneEngine()
        let third = lone.open(1)
        var all: [EngineAction] = []
        for _ in 0..<100 { all += lone.receive(.headersWanted(LogRange(log: Self.log, from: 1, to: 2)), on: third) }
        #expect(all.violations == ["too many questions at once"])
    }

    @Test
    func `repeated requests for all statements are answered at a bounded rate`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        var all: [EngineAction] = []
        for _ in 0..<100 { all += lone.receive(.governance(known: [], statements: [], answer: true), on: link) }
        #expect(all.sent(on: link).count <= 4)
    }

    @Test
    func `connections with one node are bounded`() {
        var lone = LoneEngine()
        let refused = (0..<20).map { _ in lone.connect(1).actions.disconnects }.filter { !$0.isEmpty }
        #expect(refused.count == 16)
    }

    @Test
    func `announcements of unknown nodes are kept, passed on, and bounded`() {
        var settings = EngineSettings()
        settings.orphansMax = 2
        var lone = LoneEngine(settings: settings)
        let link = lone.open(1)
        let other = lone.open(2)
        let encoded = (10..<15).map { lone.alliance.announcement(of: $0).encoded }
        let actions = lone.receive(.announcements(encoded), on: link)
        #expect(lone.engine.announcements.latest.count == 2)
        #expect(actions.sent(on: other).count == 1)
        #expect(actions.sent(on: link).isEmpty)
        #expect(!actions.contains { if case .dial = $0 { true } else { false } })
    }

    @Test
    func `an unknown author's log is fetched once its enrolment is here`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        let deltas = lone.log(by: 5, count: 3)
        let have = lone.receive(.have([LogHead(log: deltas[0].log, head: deltas[2].head)]), on: link)
        #expect(have.wants.isEmpty)
        #expect(lone.receive(deltas: [deltas[0].encoded()], on: link).stores.isEmpty)
        // The enrolment comes first; it has no effect before the admission.
        let enrolment = lone.alliance.enrolment(of: 5)
        let admission = lone.alliance.admission(of: 5, by: 1)
        lone.receive(.governance(known: [], statements: [enrolment.encoded], answer: false), on: link)
        let admitted = lone.receive(.governance(known: [], statements: [admission.encoded], answer: false), on: link)
        #expect(admitted.contains { if case .rosterChanged = $0 { true } else { false } })
        // Heads of unknown authors are not kept; a comparison of frontiers brings them again.
        #expect(admitted.sent(on: link).contains { if case .ranges = $0 { true } else { false } })
        let wants = lone.receive(.have([LogHead(log: deltas[0].log, head: deltas[2].head)]), on: link).wants
        #expect(wants.map(\.range) == [LogRange(log: deltas[0].log, from: 1, to: 3)])
    }
}
