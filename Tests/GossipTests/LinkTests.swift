import Catalog
import DeltaLog
import Gossip
import Simulator
import TestSupport
import Testing

/// Duplicate connections, credit, storing and timers of one engine.
struct LinkTests {
    private static let empty = StoredSummary(digest: CatalogDigest(), records: 0)

    @Test
    func `of two connections both sides keep the one that the lesser key dialled`() {
        for isFirstDialled in [true, false] {
            var lone = LoneEngine()
            let kept = VirtualAlliance.node(0) < VirtualAlliance.node(1)
            _ = lone.open(1, dialled: isFirstDialled)
            let second = lone.connect(1, dialled: !isFirstDialled).link
            let closed = lone.receive(.hello(lone.hello()), on: second)
            #expect(closed.disconnects == [.duplicate])
            let open = lone.engine.openLink(to: VirtualAlliance.node(1))
            #expect((open == second) == (!isFirstDialled == kept))
        }
    }

    @Test
    func `a newer connection is kept if the older one has been open for long`() {
        var lone = LoneEngine()
        let isLesser = VirtualAlliance.node(0) < VirtualAlliance.node(1)
        let old = lone.open(1, dialled: isLesser)
        for _ in 0..<4 {
            _ = lone.wait(milliseconds: 5_000)
            lone.receive(.have([]), on: old)
        }
        let new = lone.open(1, dialled: !isLesser)
        #expect(lone.engine.openLink(to: VirtualAlliance.node(1)) == new)
    }

    @Test
    func `a batch that is not stored is requested again, and later deltas do not count as held`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        let deltas = lone.log(by: 1, count: 6)
        let log = deltas[0].log
        let head = LogHead(log: log, head: deltas[5].head)
        #expect(lone.receive(.have([head]), on: link).wants.map(\.range) == [LogRange(log: log, from: 1, to: 6)])
        let first = lone.receive(deltas: deltas[0..<2].map { $0.encoded() }, on: link).stores
        let second = lone.receive(deltas: deltas[2..<4].map { $0.encoded() }, on: link).stores
        var actions = lone.step(.stored(token: first[0].token, [.applied, .refused(.badRoot)], summary: Self.empty))
        #expect(actions.sent.contains { if case .ack(let head, _) = $0 { head.head == deltas[0].head } else { false } })
        actions = lone.step(.stored(token: second[0].token, [.skipped, .skipped], summary: Self.empty))
        #expect(!actions.sent.contains { if case .ack = $0 { true } else { false } })
        #expect(lone.engine.durable[log] == deltas[0].head)
        // Another peer has the log too; it is asked at once.
        let other = lone.open(2)
        let wants = lone.receive(.have([head]), on: other).wants
        #expect(wants.map(\.range) == [LogRange(log: log, from: 2, to: 6)])
    }

    @Test
    func `returned credit equals the received bytes, also for late deltas and pushes`() {
        var settings = EngineSettings()
        settings.creditBytes = 1_000
        var lone = LoneEngine(settings: settings)
        let link = lone.open(1)
        let deltas = lone.log(by: 1, count: 100)
        var outstanding: Int64 = 0
        func take(_ actions: [EngineAction]) {
            for message in actions.sent(on: link) {
                switch message {
                case .ack(_, let credit), .want(_, let credit): outstanding += Int64(credit)
                default: break
                }
            }
        }
        take(lone.receive(.have([LogHead(log: deltas[0].log, head: deltas[99].head)]), on: link))
        for delta in deltas {
            // From time to time the want has been given up before the delta comes.
            if delta.header.sequence.isMultiple(of: 7) { take(lone.wait(milliseconds: 21_000, hearing: [link])) }
            lone.receive(.have([]), on: link)
            let message = PeerMessage.deltas([delta.encoded()])
            outstanding -= Int64(message.encoded().count)
            let actions = lone.receive(deltas: [delta.encoded()], on: link)
            take(actions)
            for store in actions.stores {
                take(lone.step(.stored(token: store.token, [.applied], summary: Self.empty)))
            }
            #expect(outstanding <= 1_000)
            if delta.header.sequence < 100, outstanding <= 0 {
                // The want was given up; the log is soon requested again, with credit.
                take(lone.wait(milliseconds: 30_000, hearing: [link]))
                #expect(outstanding > 0)
            }
        }
        #expect(lone.engine.durable[deltas[0].log] == deltas[99].head)
    }

    @Test
    func `answers of the disk that overtake each other do not lower the durable frontier`() {
        var lone = LoneEngine()
        let link = lone.open(1)
        let deltas = lone.log(by: 1, count: 2)
        let first = lone.receive(deltas: [deltas[0].encoded()], on: link).stores[0].token
        let second = lone.receive(deltas: [deltas[1].encoded()], on: link).stores[0].token
        lone.step(.stored(token: second, [.applied], summary: Self.empty))
        lone.step(.stored(token: first, [.applied], summary: Self.empty))
        #expect(lone.engine.durable[deltas[0].log] == deltas[1].head)
    }

    @Test
    func `a peer that waits for credit does not count as stalled`() {
        var settings = EngineSettings()
        settings.creditBytes = 100
        var lone = LoneEngine(settings: settings)
        let link = lone.open(1)
        let deltas = lone.log(by: 1, count: 10)
        let head = LogHead(log: deltas[0].log, head: deltas[9].head)
        #expect(lone.receive(.have([head]), on: link).wants.count == 1)
        #expect(lone.receive(deltas: [deltas[0].encoded()], on: link).stores.count == 1)
        // This node's disk is slow; no other peer need be asked.
        let other = lone.open(2)
        lone.receive(.have([head]), on: other)
        #expect(lone.wait(milliseconds: 45_000, hearing: [link, other]).wants.isEmpty)
    }

    @Test
    func `a timer is always set, and a spurious one does no harm`() {
        var lone = LoneEngine()
        var at: Instant?
        func note(_ actions: [EngineAction]) {
            for case .setTimer(let instant) in actions { at = instant }
        }
        note(lone.step(.timer))
        #expect(at != nil)
        for _ in 0..<100 {
            lone.milliseconds += 37
            note(lone.step(.timer))
            #expect(at.map { $0 > Instant(nanoseconds: lone.milliseconds * 1_000_000) } == true)
        }
    }

    @Test
    func `statements of more than a frame are sent in parts`() {
        var settings = EngineSettings()
        settings.messageBytes = 500
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 8), settings: settings)
        let link = lone.open(1)
        let answered = lone.receive(.governance(known: [], statements: [], answer: true), on: link).sent
        let statements = answered.compactMap {
            if case .governance(_, let statements, _) = $0 { statements } else { nil }
        }
        #expect(statements.joined().count == 8)
        #expect(statements.allSatisfy { $0.count <= 2 })
    }
}
