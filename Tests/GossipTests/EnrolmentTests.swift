import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator
import TestSupport
import Testing

/// A node whose key two organizations enrol: each of its deltas names one organization and is judged by that.
struct EnrolmentTests {
    /// The node that signed two proofs of possession: for its own organization from the start, later for organization
    /// 1.
    private static let node = 2

    /// An alliance in which the second enrolment may change the node's organization in the roster: the lower id counts.
    private static func alliance(changes: Bool) -> (alliance: VirtualAlliance, second: Statement) {
        for number in 0... {
            let alliance = VirtualAlliance(founders: 3, name: "\(number)")
            let second = alliance.enrolment(of: node, at: 1)
            let roster = Roster(
                charter: alliance.charter,
                statements: alliance.governance(alliance.enrolments + [second]),
                hasher: alliance.cryptography
            )
            let organization = roster.organization(of: VirtualAlliance.node(node))
            if (organization == alliance.organization(1)) == changes { return (alliance, second) }
        }
        preconditionFailure("no name of an alliance gives such ids")
    }

    /// A log of deltas for an organization; the logs of both organizations name the same records by kind and local id.
    private static func log(_ alliance: VirtualAlliance, for organization: Int, count: Int) -> [VerifiedDelta] {
        (0..<count).reduce(into: []) { deltas, index in
            deltas.append(
                alliance.delta(
                    by: node,
                    for: organization,
                    incarnation: UInt64(organization),
                    after: deltas.last?.head,
                    names: [("a", "\(organization) \(index)")]
                )
            )
        }
    }

    /// An engine with a disk.
    private struct Node {
        var lone: LoneEngine
        var storage = MemoryStorage()
        var taken: [VerifiedDelta] = []

        /// Carries out the engine's store actions, and returns the actions that follow.
        mutating func perform(_ actions: [EngineAction]) throws -> [EngineAction] {
            var all = actions
            for store in actions.stores {
                let applier = DeltaApplier(alliance: lone.alliance.id, hasher: lone.alliance.cryptography)
                var outcomes: [StoreOutcome] = []
                for delta in store.deltas {
                    guard case .applied = try applier.apply(delta, to: &storage) else {
                        outcomes.append(.skipped)
                        continue
                    }
                    outcomes.append(.applied)
                    taken.append(delta)
                }
                let summary = StoredSummary(digest: storage.digest, records: UInt64(storage.visibleCount))
                all += try perform(lone.step(.stored(token: store.token, outcomes, summary: summary)))
            }
            return all
        }
    }

    @Test(arguments: [false, true])
    func `only deltas for the organization that the roster counts are taken`(changes: Bool) throws {
        let (alliance, second) = Self.alliance(changes: changes)
        var node = Node(lone: LoneEngine(alliance: alliance))
        let link = node.lone.open(1)
        node.lone.receive(.governance(known: [], statements: [second.encoded], answer: false), on: link)
        let counted = changes ? 1 : Self.node
        let other = changes ? Self.node : 1
        for organization in [other, counted] {
            let deltas = Self.log(alliance, for: organization, count: 2)
            let actions = try node.perform(node.lone.receive(deltas: deltas.map { $0.encoded() }, on: link))
            if organization == counted {
                #expect(actions.stores.flatMap(\.deltas) == deltas)
                #expect(actions.refusals.isEmpty)
            } else {
                #expect(actions.stores.isEmpty)
                #expect(actions.refusals.first == .unknownAuthor)
                let told = actions.sent.compactMap { message -> UInt32? in
                    if case .deltaRefused(_, _, let code, _) = message { code } else { nil }
                }
                #expect(told == [DeltaRefusal.unknownAuthor.code])
            }
        }
        #expect(node.storage.records.values.map(\.owner) == [alliance.organization(counted)])
    }

    /// A node that took them while the other organization counted passes them on in good faith.
    @Test func `no session ends over deltas for the organization that does not count`() {
        let (alliance, second) = Self.alliance(changes: true)
        var lone = LoneEngine(alliance: alliance)
        let link = lone.open(1)
        lone.receive(.governance(known: [], statements: [second.encoded], answer: false), on: link)
        let delta = Self.log(alliance, for: Self.node, count: 1)[0].encoded()
        for _ in 0..<300 { #expect(lone.receive(deltas: [delta], on: link).disconnects.isEmpty) }
        // Deltas of an unknown author are no fault either: the other side may hold a statement that this one lacks.
        let outsider = alliance.delta(by: 7, after: nil, names: [("a", "a")]).encoded()
        let disconnects = (0..<300).flatMap { _ in lone.receive(deltas: [outsider], on: link).disconnects }
        #expect(disconnects.isEmpty)
    }

    @Test func `refused deltas are requested once the roster counts their organization`() throws {
        let (alliance, second) = Self.alliance(changes: true)
        var node = Node(lone: LoneEngine(alliance: alliance))
        let link = node.lone.open(1)
        let deltas = Self.log(alliance, for: 1, count: 3)
        let head = LogHead(log: deltas[0].log, head: deltas[2].head)
        let range = LogRange(log: head.log, from: 1, to: 3)
        #expect(node.lone.receive(.have([head]), on: link).wants.map(\.range) == [range])
        let refused = node.lone.receive(deltas: [deltas[0].encoded()], on: link)
        #expect(refused.refusals == [.unknownAuthor])
        #expect(refused.wants.isEmpty)
        let counted = node.lone.receive(.governance(known: [], statements: [second.encoded], answer: false), on: link)
        #expect(counted.wants.map(\.range) == [range])
        _ = try node.perform(node.lone.receive(deltas: deltas.map { $0.encoded() }, on: link))
        #expect(node.storage.head(of: head.log) == head.head)
    }

    /// Two deltas for each organization and the second enrolment, in all thirty orders, with a new node for each order.
    @Test(arguments: [false, true])
    func `nodes that took the same deltas hold the same, whenever the second enrolment came`(changes: Bool) throws {
        let (alliance, second) = Self.alliance(changes: changes)
        let logs = [Self.log(alliance, for: Self.node, count: 2), Self.log(alliance, for: 1, count: 2)]
        var agreements: [Frontier: Set<Agreement>] = [:]
        for order in interleavings(of: [2, 2, 1]) {
            var node = Node(lone: LoneEngine(alliance: alliance))
            let link = node.lone.open(1)
            var next = [0, 0]
            var owners: [RecordID: OrganizationID] = [:]
            for list in order {
                if list == 2 {
                    node.lone.receive(.governance(known: [], statements: [second.encoded], answer: false), on: link)
                } else {
                    let roster = node.lone.engine.roster
                    let delta = logs[list][next[list]]
                    next[list] += 1
                    let isCounted =
                        roster.organization(of: VirtualAlliance.node(Self.node)) == delta.header.organization
                    let actions = try node.perform(node.lone.receive(deltas: [delta.encoded()], on: link))
                    #expect(isCounted || actions.stores.isEmpty, "\(order)")
                }
                for (id, record) in node.storage.records {
                    #expect(owners.updateValue(record.owner, forKey: id) ?? record.owner == record.owner, "\(order)")
                }
            }
            #expect(changes || !node.taken.isEmpty, "\(order)")
            // Every write belongs to the record of the organization for which it was signed.
            for delta in node.taken {
                let key = delta.operations[0].envelope.key
                let id = RecordID(
                    alliance: alliance.id,
                    owner: delta.header.organization,
                    key: key,
                    hasher: alliance.cryptography
                )
                #expect(node.storage.records[id]?.owner == delta.header.organization, "\(order)")
            }
            #expect(node.storage.excluded.isEmpty, "\(order)")
            // A new merge needs the deltas alone; a node with no statement but these bytes gets the same state.
            let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
            var rebuilt = MemoryStorage()
            for delta in node.taken.sorted(by: { ($1.log, $0.header.sequence) < ($0.log, $1.header.sequence) }) {
                guard case .applied = try applier.apply(delta, to: &rebuilt) else {
                    Issue.record("\(order): not merged again")
                    continue
                }
            }
            let agreement = Agreement(node.storage, hasher: alliance.cryptography)
            #expect(agreement == Agreement(rebuilt, hasher: alliance.cryptography), "\(order)")
            agreements[node.storage.frontier, default: []].insert(agreement)
        }
        #expect(agreements.values.allSatisfy { $0.count == 1 })
        // If the roster never changes the organization, all nodes take the same deltas. If it does, earlier deltas
        // count too.
        #expect(changes ? agreements.count > 1 : agreements.count == 1)
    }
}
