import Catalog
import DeltaLog
import Governance
import Simulator
import TestSupport
import Testing

/// Voters vote by what their own node shows, while statements wander between the nodes at random.
///
/// Honest voters sign on top of one rival only, and approve no rival of a version in force. Dishonest ones sign
/// anything, also seats of puppets that sign on top.
struct MembershipWanderingTests {
    private struct Outcome {
        var unlike = 0
        var anchored = 0
        var displaced = 0
    }

    /// One run. With `pinsAtFirstSight` each node adopts a version as soon as it sees it in force: a planted bug.
    private struct Run {
        let alliance: MembershipAlliance
        let names: [UInt64]
        let bad: Set<UInt64>
        let pinsAtFirstSight: Bool
        var random: SplitMix64
        var views: [UInt64: MemberView] = [:]
        /// The one rival on each version that an honest voter has signed on top of.
        var locked: [UInt64: [VersionID: Hash256]] = [:]

        init(voters: Int, dishonest: Int, seed: UInt64, pinsAtFirstSight: Bool) throws {
            random = SplitMix64(seed: seed)
            names = (1...voters).map { UInt64($0) }
            bad = Set(names.shuffled(using: &random).prefix(dishonest))
            alliance = MembershipAlliance(names)
            self.pinsAtFirstSight = pinsAtFirstSight
            for name in names { views[name] = try alliance.view() }
        }

        mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

        mutating func receive(_ name: UInt64, _ statements: [MembershipStatement]) throws {
            views[name]?.receive(statements)
            guard pinsAtFirstSight, let view = views[name], case .proposal(let top) = view.roster.version.id,
                let statement = view.membership.set.statements[top]
            else { return }
            try views[name]?.adopt(statement)
        }

        /// True if the voter may sign on top of this proposal, and so of all that it is built on. Remembers the choice.
        mutating func lock(_ name: UInt64, _ proposal: Hash256) -> Bool {
            var chain: [(base: VersionID, id: Hash256)] = []
            var next = VersionID.proposal(proposal)
            while case .proposal(let id) = next, let body = views[name]?.membership.set.statements[id]?.proposal {
                chain.append((body.base, id))
                next = body.base
            }
            guard chain.allSatisfy({ (locked[name]?[$0.base] ?? $0.id) == $0.id }) else { return false }
            for link in chain { locked[name, default: [:]][link.base] = link.id }
            return true
        }

        mutating func step() throws {
            let name = names.randomElement(using: &random)!
            guard let view = views[name] else { return }
            if chance(45) {
                let other = names.randomElement(using: &random)!
                let some = Int.random(in: 0...view.held.count, using: &random)
                try receive(other, chance(30) ? Array(view.held.shuffled(using: &random).prefix(some)) : view.held)
                return
            }
            let proposals = view.held.filter { $0.proposal != nil }
            if bad.contains(name) { return try misbehave(name, proposals) }
            let roster = view.roster
            guard roster.split == nil, roster.members[alliance.organization(name)] != nil else { return }
            let top = roster.version.id == roster.anchor ? nil : roster.version.id.proposal
            let here = proposals.filter { $0.proposal?.base == roster.version.id }
            if let top, chance(25), lock(name, top), let statement = view.membership.set.statements[top] {
                try receive(name, [try alliance.approval(by: name, of: statement, final: true)])
            } else if let choice = here.randomElement(using: &random), chance(75) {
                if let top, !lock(name, top) { return }
                try receive(name, [try alliance.approval(by: name, of: choice)])
                if views[name]?.roster.version.id == .proposal(choice.id), lock(name, choice.id) {
                    try receive(name, [try alliance.approval(by: name, of: choice, final: true)])
                }
            } else {
                if let top, !lock(name, top) { return }
                var entries: [MembershipAlliance.Entry] = [.policy(UInt32.random(in: 1...9, using: &random), 50)]
                if chance(15), names.count > 3 {
                    entries.append(.removal(names.filter { $0 != name }.randomElement(using: &random)!))
                } else if chance(20) {
                    entries.append(.seat(chance(50) ? 21 : 22))
                }
                let base = roster.version.id.proposal.flatMap { view.membership.set.statements[$0] }
                try receive(name, [try alliance.proposal(by: name, on: base, entries)])
            }
        }

        private mutating func misbehave(_ name: UInt64, _ proposals: [MembershipStatement]) throws {
            let target = proposals.randomElement(using: &random)
            let choice = Int.random(in: 0..<100, using: &random)
            if let target, choice < 50 {
                try receive(name, [try alliance.approval(by: name, of: target, final: chance(60))])
            } else if choice < 80 {
                let policy = MembershipAlliance.Entry.policy(UInt32.random(in: 1...3, using: &random), 50)
                let base = chance(50) ? nil : target
                try receive(name, [try alliance.proposal(by: name, on: base, [.seat(31), .seat(32), policy])])
            } else if let target {
                let policy = MembershipAlliance.Entry.policy(UInt32.random(in: 1...9, using: &random), 50)
                let built = try alliance.proposal(by: 31, on: target, [policy])
                let puppets: [UInt64] = [31, 32]
                try receive(
                    name,
                    [built] + puppets.map { try alliance.approval(by: $0, of: built, final: true) }
                        + puppets.map { try alliance.approval(by: $0, of: target, final: true) }
                )
            }
        }

        mutating func finish() throws -> Outcome {
            for _ in 0..<max(50, 40 * names.count) { try step() }
            // Everything reaches everybody.
            for _ in 0..<10 {
                let sets = names.compactMap { views[$0]?.held }
                for name in names {
                    for set in sets { try receive(name, set) }
                }
            }
            let honest = names.filter { !bad.contains($0) }.compactMap { views[$0] }
            let rosters = honest.map(\.roster)
            return Outcome(
                unlike: Set(rosters.map(\.version)).count > 1 || Set(rosters.map(\.members)).count > 1 ? 1 : 0,
                anchored: honest.count { $0.membership.anchor != .charter },
                displaced: honest.reduce(0) { $0 + $1.displaced.count }
            )
        }
    }

    private func outcome(_ voters: Int, _ dishonest: Int, runs: Int, pins: Bool = false) throws -> Outcome {
        var total = Outcome()
        for seed in 0..<runs {
            let number = UInt64(seed * 991 + voters * 17 + dishonest)
            var run = try Run(voters: voters, dishonest: dishonest, seed: number, pinsAtFirstSight: pins)
            let outcome = try run.finish()
            if !pins { #expect(outcome.unlike == 0, "seed \(number), \(voters) voters, \(dishonest) dishonest") }
            total.unlike += outcome.unlike
            total.anchored += outcome.anchored
            total.displaced += outcome.displaced
        }
        return total
    }

    @Test(arguments: [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (7, 0), (4, 1), (5, 1), (7, 2)])
    func honestNodesEndWithOneRosterIfLessThanAThirdIsDishonest(voters: Int, dishonest: Int) throws {
        let total = try outcome(voters, dishonest, runs: 12)
        // The runs reach final versions.
        #expect(total.anchored > 0)
    }

    /// A second signature is necessary for finality: nodes that keep the first majority that they see do not agree.
    @Test func nodesThatPinAVersionAtFirstSightPart() throws {
        #expect(try outcome(3, 0, runs: 60, pins: true).unlike > 0)
    }
}
