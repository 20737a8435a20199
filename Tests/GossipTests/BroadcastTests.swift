import Catalog
import DeltaLog
import Gossip
import Simulator
import TestSupport
import Testing

/// The broadcast tree and its repair (Plumtree: Leitão, Pereira, Rodrigues 2007), and the budgets of authors.
struct BroadcastTests {
    private static let empty = StoredSummary(digest: CatalogDigest(), records: 0)

    /// Answers the store actions; returns the actions that follow.
    private static func store(_ actions: [EngineAction], _ lone: inout LoneEngine) -> [EngineAction] {
        actions.stores.flatMap { store in
            lone.step(.stored(token: store.token, store.deltas.map { _ in .applied }, summary: empty))
        }
    }

    @Test
    func `a push goes on to all other neighbours once it is on disk, one hop further`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5))
        let links = (1...3).map { lone.open($0) }
        let delta = lone.log(by: 4, count: 1)[0]
        let arrived = lone.receive(pushed: [delta], hops: 2, on: links[0])
        #expect(arrived.sent.isEmpty, "nothing is passed on before it is stored")
        let stored = Self.store(arrived, &lone)
        #expect(stored.sent(on: links[0]).isEmpty)
        for link in links.dropFirst() { #expect(stored.sent(on: link) == [.push([delta.encoded()], hops: 3)]) }
        #expect(lone.engine.counters.delivered == 1 && lone.engine.counters.hopsMax == 2)
    }

    @Test
    func `the sender of a duplicate is pruned and gets heads instead, and confirmations are gathered`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5))
        let links = (1...2).map { lone.open($0) }
        let deltas = lone.log(by: 4, count: 2)
        _ = Self.store(lone.receive(pushed: [deltas[0]], on: links[0]), &lone)
        #expect(lone.receive(pushed: [deltas[0]], on: links[1]).sent(on: links[1]) == [.prune])
        _ = lone.wait(milliseconds: 1_000)
        let second = Self.store(lone.receive(pushed: [deltas[1]], hops: 1, on: links[0]), &lone)
        #expect(second.sent(on: links[1]).isEmpty, "lazy")
        let told = lone.wait(milliseconds: 1_000)
        let head = LogHead(log: deltas[1].log, head: deltas[1].head)
        #expect(told.sent(on: links[1]).contains(.iHave([HopHead(head: head, hops: 2)])))
        #expect(told.sent(on: links[0]).contains(.have([head])), "the sender learns that it is stored")
    }

    /// Two logs by nodes 4 and 5, the lower log first.
    private static func logs(_ lone: LoneEngine) -> (least: [VerifiedDelta], other: [VerifiedDelta]) {
        let logs = [lone.log(by: 4, count: 2), lone.log(by: 5, count: 2)].sorted { $0[0].log < $1[0].log }
        return (logs[0], logs[1])
    }

    @Test
    func `among deltas in flight only those of the lowest log prune the tree`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 6))
        let links = (1...3).map { lone.open($0) }
        let (least, other) = Self.logs(lone)
        _ = Self.store(lone.receive(pushed: [other[0]], on: links[1]), &lone)
        _ = Self.store(lone.receive(pushed: [least[0]], on: links[0]), &lone)
        for link in [links[0], links[2]] {
            #expect(!lone.receive(pushed: [other[0]], on: link).sent(on: link).contains(.prune))
        }
        #expect(lone.receive(pushed: [least[0]], on: links[2]).sent(on: links[2]) == [.prune])
        #expect(lone.receive(pushed: [least[0]], on: links[1]).sent(on: links[1]) == [.prune])
        #expect(lone.receive(.prune, on: links[0]).sent(on: links[0]) == [.graft(nil, credit: 0)], "it is needed")
        // When nothing of the lowest log has come for a while, another log replaces it.
        _ = lone.wait(milliseconds: 2_000)
        lone.receive(.graft(nil, credit: 0), on: links[1])
        _ = Self.store(lone.receive(pushed: [other[1]], on: links[1]), &lone)
        #expect(lone.receive(pushed: [other[1]], on: links[0]).sent(on: links[0]) == [.prune])
    }

    @Test
    func `a link without the reference delta is pruned by any duplicate, unless it supplies this node`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 6))
        let links = (1...3).map { lone.open($0) }
        let (least, other) = Self.logs(lone)
        for link in links.dropFirst() { lone.receive(.prune, on: link) }
        _ = Self.store(lone.receive(pushed: [least[0]], on: links[0]), &lone)
        for link in links.dropFirst() { lone.receive(.graft(nil, credit: 0), on: link) }
        _ = Self.store(lone.receive(pushed: [other[0]], on: links[1]), &lone)
        #expect(lone.receive(pushed: [other[0]], on: links[2]).sent(on: links[2]) == [.prune])
        lone.receive(.graft(nil, credit: 0), on: links[2])
        lone.receive(.prune, on: links[1])
        #expect(
            !lone.receive(pushed: [other[0]], on: links[2]).sent(on: links[2]).contains(.prune),
            "the link that it came by first is not in the tree any more"
        )
    }

    @Test
    func `an announced delta that does not come is grafted, from the next announcer if the first gives nothing`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5))
        let links = (1...3).map { lone.open($0) }
        for link in links { lone.receive(.prune, on: link) }
        let delta = lone.log(by: 4, count: 1)[0]
        let head = LogHead(log: delta.log, head: delta.head)
        let first = lone.receive(.iHave([HopHead(head: head, hops: 5)]), on: links[0])
        #expect(first.wants.isEmpty && first.grafts.isEmpty, "it may be on its way")
        lone.receive(.iHave([HopHead(head: head, hops: 3)]), on: links[1])
        let range = LogRange(log: delta.log, from: 1, to: 1)
        let graft = lone.wait(milliseconds: 1_000)
        #expect(graft.grafts == [range])
        #expect(graft.sent(on: links[1]).contains { if case .graft(range, _) = $0 { true } else { false } })
        #expect(lone.engine.topology().active.count(where: \.isEager) == 1)
        let next = lone.wait(milliseconds: 2_000)
        #expect(next.sent(on: links[0]).contains { if case .graft(range, _) = $0 { true } else { false } })
        // The delta comes after all. The tree did not bring it, so no link is pruned.
        let arrived = lone.receive(deltas: [delta.encoded()], on: links[1])
        #expect(arrived.stores.count == 1)
        #expect(!arrived.sent.contains(.prune))
    }

    @Test
    func `of several missed deltas one grafts its link, and the others are only requested`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 6))
        let links = (1...3).map { lone.open($0) }
        for link in links.dropLast() { lone.receive(.prune, on: link) }
        for (delta, link) in zip([lone.log(by: 4, count: 1)[0], lone.log(by: 5, count: 1)[0]], links) {
            let head = LogHead(log: delta.log, head: delta.head)
            lone.receive(.iHave([HopHead(head: head, hops: 2)]), on: link)
        }
        let asked = lone.wait(milliseconds: 1_000)
        #expect(asked.grafts.count == 1 && asked.wants.count == 1)
        #expect(lone.engine.topology().active.count { $0.isEager } == 2)
    }

    @Test
    func `a catch-up under way goes on, and deltas announced meanwhile are requested after it`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5))
        let links = (1...2).map { lone.open($0) }
        let deltas = lone.log(by: 4, count: 41)
        func head(_ index: Int) -> LogHead { LogHead(log: deltas[index].log, head: deltas[index].head) }
        let asked = lone.receive(.have([head(39)]), on: links[0])
        #expect(asked.wants.map(\.range) == [LogRange(log: deltas[0].log, from: 1, to: 40)])
        lone.receive(.prune, on: links[1])
        lone.receive(.iHave([HopHead(head: head(40), hops: 2)]), on: links[1])
        var rest: [EngineAction] = []
        for part in 0..<4 {
            #expect(lone.wait(milliseconds: 2_000).grafts.isEmpty, "it would fetch all of it a second time")
            let deltas = deltas[(part * 10)..<(part * 10 + 10)]
            rest = Self.store(lone.receive(deltas: deltas.map { $0.encoded() }, on: links[0]), &lone)
        }
        let later = rest + lone.wait(milliseconds: 3_000)
        let last = LogRange(log: deltas[0].log, from: 41, to: 41)
        #expect(later.wants.map(\.range) + later.grafts == [last])
        #expect(later.disconnects.isEmpty)
    }

    @Test
    func `a graft that makes progress stays with its neighbour, and a stalled one goes to the next`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5))
        let links = (1...2).map { lone.open($0) }
        for link in links { lone.receive(.prune, on: link) }
        let deltas = lone.log(by: 4, count: 4)
        let head = LogHead(log: deltas[3].log, head: deltas[3].head)
        lone.receive(.iHave([HopHead(head: head, hops: 1)]), on: links[0])
        lone.receive(.iHave([HopHead(head: head, hops: 2)]), on: links[1])
        #expect(lone.wait(milliseconds: 1_000).grafts == [LogRange(log: head.log, from: 1, to: 4)])
        for delta in deltas.prefix(2) {
            lone.milliseconds += 500
            _ = Self.store(lone.receive(deltas: [delta.encoded()], on: links[0]), &lone)
            #expect(lone.step(.timer).grafts.isEmpty)
        }
        let next = lone.wait(milliseconds: 3_000)
        #expect(next.sent(on: links[1]).grafted == [LogRange(log: head.log, from: 3, to: 4)])
    }

    @Test
    func `a graft makes the link eager and is served`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5))
        let link = lone.open(1)
        lone.receive(.prune, on: link)
        let own = lone.log(by: 0, count: 1)
        lone.step(.committed(own, summary: Self.empty))
        let actions = lone.receive(.graft(LogRange(log: own[0].log, from: 1, to: 1), credit: 10_000), on: link)
        #expect(actions.reads == [LogRange(log: own[0].log, from: 1, to: 1)])
        #expect(lone.engine.topology().active.first?.isEager == true)
    }

    @Test
    func `a much shorter way replaces the one that a delta came by`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5))
        let links = (1...2).map { lone.open($0) }
        lone.receive(.prune, on: links[1])
        let delta = lone.log(by: 4, count: 1)[0]
        _ = Self.store(lone.receive(pushed: [delta], hops: 7, on: links[0]), &lone)
        let head = LogHead(log: delta.log, head: delta.head)
        #expect(lone.receive(.iHave([HopHead(head: head, hops: 5)]), on: links[1]).sent.isEmpty, "hardly shorter")
        let actions = lone.receive(.iHave([HopHead(head: head, hops: 4)]), on: links[1])
        #expect(actions.sent(on: links[1]) == [.graft(nil, credit: 0)])
        #expect(actions.sent(on: links[0]) == [.prune])
    }

    @Test
    func `a node that pushes and is no neighbour is told so`() {
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 20))
        let link = lone.open(1)
        lone.receive(.leave, on: link)
        let delta = lone.log(by: 4, count: 1)[0]
        let actions = lone.receive(pushed: [delta], on: link)
        #expect(actions.sent(on: link) == [.leave])
        #expect(actions.stores.count == 1, "what it brought is taken all the same")
    }

    @Test
    func `deltas of an author over its budget are announced and not pushed, for a while`() {
        var settings = EngineSettings()
        settings.budget.authorBytesBurst = 1_000
        settings.budget.authorBytesPerSecond = 10
        var lone = LoneEngine(alliance: VirtualAlliance(founders: 5), settings: settings)
        let links = (1...2).map { lone.open($0) }
        var pushes = 0
        var notes = 0
        for delta in lone.log(by: 4, count: 20) {
            let actions = Self.store(lone.receive(pushed: [delta], on: links[0]), &lone)
            pushes += actions.sent(on: links[1]).count
            notes += actions.count { if case .noteOverBudget = $0 { true } else { false } }
        }
        #expect((1...4).contains(pushes))
        #expect(notes == 1)
        let told = lone.wait(milliseconds: 1_000).sent(on: links[1])
        #expect(told.contains { if case .have = $0 { true } else { false } })
        #expect(lone.engine.pullOnly.count == 1)
    }

    @Test
    func
        `floods of heads, duplicates and shuffles use up the organization's share, and are read no further for a while`()
    {
        let alliance = VirtualAlliance(founders: 5)
        let log = LogID(author: VirtualAlliance.node(4), incarnation: 1)
        let heads = (1...2_000).map { sequence in
            HopHead(head: LogHead(log: log, head: Head(sequence: UInt64(sequence), hash: .zero)), hops: 1)
        }
        func flood(_ message: (UInt64) -> PeerMessage) -> Bool {
            var lone = LoneEngine(alliance: alliance)
            let link = lone.open(1)
            for count in 0..<200_000 as Range<UInt64> {
                let actions = lone.receive(message(count), on: link)
                #expect(actions.disconnects.isEmpty)
                if actions.holds.contains(where: { $0.link == link && $0.until > lone.now }) { return true }
            }
            return false
        }
        #expect(flood { _ in .iHave(heads) })
        #expect(flood { .shuffle(token: $0, hops: 1, nodes: []) })
        #expect(flood { _ in .graft(nil, credit: .max) })
        #expect(flood { _ in .neighbour(isUrgent: true) })
        let asking = FrontierRange(upper: .end, content: .entries([], answer: true))
        #expect(flood { _ in .ranges([asking]) })
        var lone = LoneEngine(alliance: alliance)
        let link = lone.open(1)
        let delta = lone.log(by: 4, count: 1)[0]
        var holds: [(link: LinkID, until: Instant)] = []
        for _ in 0..<30_000 where holds.isEmpty { holds = lone.receive(pushed: [delta], on: link).holds }
        #expect(holds.first?.link == link)
        // The budget recovers with time. A held link does not count as silent.
        lone.milliseconds += EngineSettings().budget.holdMax.count
        #expect(lone.receive(.have([]), on: link).holds.isEmpty)
    }
}

extension [PeerMessage] {
    var grafted: [LogRange?] { compactMap { if case .graft(let range, _) = $0 { .some(range) } else { nil } } }
}

extension [EngineAction] {
    var grafts: [LogRange?] { sent.grafted }
    var holds: [(link: LinkID, until: Instant)] {
        compactMap { if case .hold(let link, let until) = $0 { (link, until) } else { nil } }
    }
}
