import Catalog
import Gossip
import Simulator
import TestSupport
import Testing

/// The choice of neighbours in an alliance too large for a full mesh (HyParView: Leitão, Pereira, Rodrigues 2007).
struct OverlayTests {
    private static let alliance = VirtualAlliance(founders: 40)

    private static func lone() -> LoneEngine { start().lone }

    /// A node that knows the addresses of all others, and its actions when it learned them.
    private static func start() -> (lone: LoneEngine, actions: [EngineAction]) {
        var lone = LoneEngine(alliance: alliance)
        let actions = (1..<40).flatMap { lone.step(.announced(alliance.announcement(of: $0))) }
        return (lone, actions)
    }

    private static func dials(_ actions: [EngineAction]) -> [NodeKey] {
        actions.compactMap { if case .dial(let node, _) = $0 { node } else { nil } }
    }

    private static func number(of node: NodeKey) -> Int {
        (0..<40).first { VirtualAlliance.node($0) == node } ?? -1
    }

    /// Answers dials like nodes that accept every neighbour.
    private static func welcome(_ actions: [EngineAction], _ lone: inout LoneEngine) -> [LinkID] {
        dials(actions).map { node in
            let link = lone.connect(number(of: node), dialled: true).link
            let opened = lone.receive(.hello(lone.hello()), on: link)
            #expect(opened.sent(on: link).contains { if case .neighbour = $0 { true } else { false } })
            lone.receive(.neighbourAnswer(isAccepted: true), on: link)
            return link
        }
    }

    @Test
    func `a node looks for as many neighbours as it wants, and for another if one refuses or is gone`() {
        let (made, started) = Self.start()
        var lone = made
        let settings = OverlaySettings()
        var links = Self.welcome(started, &lone)
        #expect(links.count == settings.neighboursWanted)
        #expect(lone.engine.topology().active.count == settings.neighboursWanted)
        #expect(Self.dials(lone.wait(milliseconds: 10_000, hearing: links)).isEmpty, "enough are enough")
        let lost = links.removeLast()
        let again = lone.step(.linkDown(lost)) + lone.wait(milliseconds: 1_000, hearing: links)
        let dialled = Self.dials(again)
        #expect(dialled.count == 1)
        // That node refuses: another one is asked, and the first not again.
        let refusing = lone.connect(Self.number(of: dialled[0]), dialled: true).link
        lone.receive(.hello(lone.hello()), on: refusing)
        let refused = lone.receive(.neighbourAnswer(isAccepted: false), on: refusing)
        let next = Self.dials(refused + lone.wait(milliseconds: 2_000, hearing: links))
        #expect(next.count == 1 && next != dialled)
        #expect(lone.engine.topology().passive.contains(dialled[0]))
    }

    @Test
    func `a full view accepts only a node without neighbours, and evicts one for it`() {
        var lone = Self.lone()
        let settings = OverlaySettings()
        for number in 1...settings.neighboursMax { _ = lone.open(number) }
        #expect(lone.engine.topology().active.count == settings.neighboursMax)
        let late = lone.connect(20).link
        lone.receive(.hello(lone.hello()), on: late)
        let refused = lone.receive(.neighbour(isUrgent: false), on: late)
        #expect(refused.sent(on: late) == [.neighbourAnswer(isAccepted: false)])
        let letIn = lone.receive(.neighbour(isUrgent: true), on: late)
        #expect(letIn.sent(on: late).contains(.neighbourAnswer(isAccepted: true)))
        #expect(letIn.sent.count { $0 == .leave } == 1)
        #expect(lone.engine.topology().active.count == settings.neighboursMax)
        #expect(lone.engine.topology().active.contains { $0.node == VirtualAlliance.node(20) })
    }

    @Test
    func `a silent neighbour is replaced before its session ends, and taken back when it asks`() {
        let (made, started) = Self.start()
        var lone = made
        let links = Self.welcome(started, &lone)
        let silent = links[0]
        let actions = lone.wait(milliseconds: 20_000, hearing: Array(links.dropFirst()))
        #expect(Self.dials(actions).count >= 1)
        #expect(!actions.contains { if case .disconnect(silent, _) = $0 { true } else { false } })
        #expect(lone.engine.topology().active.count == links.count - 1)
        lone.receive(.neighbour(isUrgent: true), on: silent)
        #expect(lone.engine.topology().active.count == links.count)
    }

    @Test
    func `a session with a node that is no neighbour ends when it has no purpose`() {
        var lone = Self.lone()
        let link = lone.connect(9).link
        lone.receive(.hello(lone.hello()), on: link)
        let actions = lone.wait(milliseconds: 8_000)
        #expect(actions.contains(.disconnect(link, .idle)))
    }

    @Test
    func `a shuffle walks on, comes back the way it went, and brings living nodes into the passive view`() {
        var lone = Self.lone()
        let first = lone.open(1)
        let second = lone.open(2)
        let sent = [VirtualAlliance.node(30), VirtualAlliance.node(31)]
        let walking = lone.receive(.shuffle(token: 7, hops: 3, nodes: sent), on: first)
        #expect(walking.sent(on: second) == [.shuffle(token: 7, hops: 2, nodes: sent)])
        let back = lone.receive(.shuffleReply(token: 7, nodes: [VirtualAlliance.node(33)]), on: second)
        #expect(back.sent(on: first) == [.shuffleReply(token: 7, nodes: [VirtualAlliance.node(33)])])
        #expect(lone.engine.topology().passive.isEmpty, "it was not for this node")
        // The last node of the walk answers and keeps the nodes that it got; unknown nodes' keys are dropped.
        let outsider = VirtualAlliance.node(77)
        let answer = lone.receive(.shuffle(token: 8, hops: 1, nodes: sent + [outsider]), on: first)
        #expect(answer.sent(on: first).contains { if case .shuffleReply(8, _) = $0 { true } else { false } })
        #expect(Set(lone.engine.topology().passive) == Set(sent))
        // No node is sent twice, and an unexpected reply changes nothing.
        #expect(lone.receive(.shuffleReply(token: 7, nodes: sent), on: second).sent.isEmpty)
    }

    @Test
    func `views full of unknown nodes, of this node and of one node again and again stay bounded`() {
        var lone = Self.lone()
        let link = lone.open(1)
        _ = lone.open(2)
        for token in 0..<500 as Range<UInt64> {
            let nodes = (0..<60).map { VirtualAlliance.node(Int(token) + 100 + $0) }
            lone.receive(.shuffle(token: token, hops: .max, nodes: nodes + [lone.engine.node]), on: link)
            lone.receive(.shuffle(token: token + 1_000, hops: 1, nodes: Array(nodes.prefix(1)) + nodes), on: link)
        }
        #expect(lone.engine.topology().passive.isEmpty)
    }

    @Test
    func `in a small alliance everybody is everybody's neighbour`() {
        let cluster = Simulation(nodes: 12, seed: 3)
        cluster.startAll()
        cluster.run(milliseconds: 20_000)
        for node in 0..<12 {
            #expect(cluster.box(node)?.engine.topology().active.count == 11)
            #expect(cluster.box(node)?.engine.topology().isMesh == true)
        }
    }

    @Test
    func `in a large alliance views are small, both sides agree on links, and the overlay is connected`() {
        let cluster = Simulation(nodes: 60, seed: 4)
        cluster.startAll()
        cluster.run(milliseconds: 60_000)
        var reached: Set<Int> = [0]
        var pending = [0]
        while let node = pending.popLast() {
            for neighbour in cluster.box(node)?.engine.topology().active ?? [] {
                let number = (0..<60).first { VirtualAlliance.node($0) == neighbour.node } ?? -1
                if reached.insert(number).inserted { pending.append(number) }
                let others = cluster.box(number)?.engine.topology().active.map(\.node)
                #expect(others?.contains(VirtualAlliance.node(node)) == true)
            }
        }
        #expect(reached.count == 60)
        for node in 0..<60 {
            let active = cluster.box(node)?.engine.topology().active.count ?? 0
            #expect((1...OverlaySettings().neighboursMax).contains(active))
        }
        #expect(cluster.violations.isEmpty)
    }
}
