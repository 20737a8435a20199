import Catalog
import DeltaLog
import Governance
import Simulator
import TestSupport
import Testing

// Organizations are numbers: a = 1 to c = 3, and w to z. The first node of organization n is 100 + n.
private let (a, b, c) = (UInt64(1), UInt64(2), UInt64(3))
private let (w, x, y, z) = (UInt64(23), UInt64(24), UInt64(25), UInt64(26))

struct MembershipRosterTests {
    private func enrolments(_ alliance: MembershipAlliance, _ organizations: UInt64...) throws -> [MembershipStatement]
    {
        try organizations.map { try alliance.enrolment(of: 100 + $0, at: $0) }
    }

    @Test(arguments: [UInt32(1), 2, 3])
    func aNewcomerNeedsAsManySponsorsAsThePolicySays(sponsors: UInt32) throws {
        let alliance = MembershipAlliance([a, b, c], sponsors: sponsors)
        let id = alliance.organization(x)
        // Two nodes of one organization are one sponsor, and another name does not count.
        var view = try alliance.view(
            enrolments(alliance, a, b, c, x) + [
                try alliance.enrolment(of: 201, at: a), try alliance.admission(by: 201, of: x),
            ]
        )
        for (count, sponsor) in [a, b, c].enumerated() {
            view.receive([
                try alliance.admission(by: 100 + sponsor, of: x),
                try alliance.admission(by: 100 + sponsor, of: x, as: "Z\(sponsor)"),
            ])
            let expected = [a, b, c].prefix(count + 1).map(alliance.organization).sorted()
            if count + 1 >= Int(sponsors) {
                #expect(view.roster.members[id]?.name == "N\(x)")
                #expect(view.roster.state(of: id) == .provisional(sponsors: expected))
                #expect(view.roster.organizations[alliance.node(124)] == [id])
                #expect(view.roster.candidates.isEmpty)
                #expect(view.roster.members[id]?.hasVote == false)
            } else {
                #expect(view.roster.state(of: id) == .candidate(sponsors: expected, needed: sponsors))
                #expect(view.roster.organizations[alliance.node(124)] == nil)
                #expect(view.roster.limit(of: alliance.log(124, 1), by: id) == 0)
            }
        }
    }

    @Test func aProvisionalMemberFallsWithItsSponsorAndReturnsWithAnother() throws {
        let alliance = MembershipAlliance([a, b, c], sponsors: 2)
        let id = alliance.organization(x)
        var view = try alliance.view(
            enrolments(alliance, a, b, c, x) + [
                try alliance.admission(by: 101, of: x), try alliance.admission(by: 102, of: x),
            ]
        )
        #expect(view.members.contains(id))
        let p = try alliance.proposal(by: a, .removal(b))
        view.receive([p, try alliance.approval(by: c, of: p)])
        #expect(!view.members.contains(id))
        #expect(view.roster.state(of: alliance.organization(b)) == .removed(by: .proposal(p.id)))
        view.receive([try alliance.admission(by: 103, of: x)])
        #expect(view.members.contains(id))
        // A seat in the same vote makes it independent.
        let seated = try alliance.proposal(by: a, .seat(x, votes: false), .removal(b))
        let other = try alliance.view(
            enrolments(alliance, a, b, c, x) + [
                try alliance.admission(by: 101, of: x), seated, try alliance.approval(by: c, of: seated),
            ]
        )
        #expect(other.roster.state(of: id) == .listed(hasVote: false, since: .proposal(seated.id)))
        #expect(other.roster.members[id]?.nodes == [alliance.node(124)])
    }

    @Test func aRemovedMembersLateAdmissionsAndACircleGroundNobody() throws {
        let alliance = MembershipAlliance([a, b, c])
        let p = try alliance.proposal(by: a, .removal(c))
        let view = try alliance.view(
            enrolments(alliance, a, b, c, x) + [p, try alliance.approval(by: b, of: p)]
                + (try [x, y, z].map { try alliance.admission(by: 103, of: $0) }) + [
                    try alliance.admission(by: 124, of: y), try alliance.admission(by: 124, of: w),
                    try alliance.admission(by: 124, of: x),
                ]
        )
        #expect(view.members == [alliance.organization(a), alliance.organization(b)])
        #expect(view.roster.candidates.isEmpty)
        #expect(view.roster.state(of: alliance.organization(x)) == .unknown)
        // Standing only grows: the statements stay.
        #expect(view.orphans.isEmpty)
    }

    @Test func aNodeServesSeveralOrganizations() throws {
        let alliance = MembershipAlliance([a, b])
        let (first, second) = (alliance.organization(a), alliance.organization(b))
        var view = try alliance.view([
            try alliance.enrolment(of: 150, at: a), try alliance.enrolment(of: 150, at: b),
        ])
        #expect(view.roster.organizations[alliance.node(150)] == [first, second])
        #expect(view.roster.limit(of: alliance.log(150, 1), by: first) == nil)
        #expect(view.roster.limit(of: alliance.log(150, 1), by: second) == nil)
        let retirement = try alliance.retirement(of: 150, at: a)
        view.receive([retirement])
        #expect(view.roster.limit(of: alliance.log(150, 1), by: first) == 0)
        #expect(view.roster.limit(of: alliance.log(150, 1), by: second) == nil)
        #expect(view.roster.nodeStates(of: first) == [alliance.node(150): .retired(by: [retirement.id])])
        #expect(view.roster.organizations[alliance.node(150)] == [second])
        // Another organization's signature retires nobody.
        view.receive([try alliance.retirement(of: 150, at: b, key: a)])
        #expect(view.roster.limit(of: alliance.log(150, 1), by: second) == nil)
    }

    @Test func retirementsIntersectInAnyOrder() throws {
        let alliance = MembershipAlliance([a])
        let id = alliance.organization(a)
        let statements =
            try enrolments(alliance, a) + [
                try alliance.admission(by: 101, of: x), try alliance.admission(by: 101, of: y),
                try alliance.admission(by: 101, of: z),
                try alliance.retirement(of: 101, at: a, cuts: [1: 9, 2: 9, 3: 9], stands: [x, y]),
                try alliance.retirement(of: 101, at: a, cuts: [1: 4, 2: 12], stands: [y, z]),
                try alliance.retirement(of: 101, at: a, cuts: [1: 8, 2: 10, 3: 1], stands: [x, y, z]),
            ]
        var random = SplitMix64(seed: 9)
        let first = try alliance.view(statements)
        for _ in 0..<50 {
            var view = try alliance.view()
            for statement in statements.shuffled(using: &random) { view.receive([statement]) }
            #expect(view.membership == first.membership)
        }
        #expect((1...4).map { first.roster.limit(of: alliance.log(101, $0), by: id) } == [4, 9, 0, 0])
        #expect(first.members == [id, alliance.organization(y)])
        #expect(first.roster.members[alliance.organization(y)]?.basis == .provisional(sponsors: [id]))
    }

    @Test func aReadmissionNeverExtendsALogBeyondTheRemovalsCut() throws {
        let alliance = MembershipAlliance([a, b, c])
        let id = alliance.organization(c)
        let remove = try alliance.proposal(by: a, .removal(c, cuts: [(103, 1, 50), (103, 2, 5)]))
        let back = try alliance.proposal(
            by: a,
            on: remove,
            .rekey(c, key: 33, keeps: [203], cuts: [(103, 1, 60), (103, 2, 3), (103, 3, 7)])
        )
        let view = try alliance.view(
            enrolments(alliance, a, b, c) + [
                remove, try alliance.approval(by: b, of: remove), back, try alliance.approval(by: b, of: back),
            ]
        )
        #expect((1...3).map { view.roster.limit(of: alliance.log(103, $0), by: id) } == [50, 3, 0])
        #expect(view.roster.limit(of: alliance.log(203, 1), by: id) == nil)
        #expect(
            view.roster.nodeStates(of: id) == [
                alliance.node(103): .replaced(by: .proposal(back.id)),
                alliance.node(203): .kept(by: .proposal(back.id)),
            ]
        )
        // The removal alone names its nodes' cuts.
        let removed = try alliance.view([remove, try alliance.approval(by: b, of: remove)])
        #expect(removed.roster.nodeStates(of: id) == [alliance.node(103): .removed(by: .proposal(remove.id))])
    }

    /// At most the sequence before the lowest proven fork, for every log.
    @Test func aForkLowersEveryLimit() throws {
        let alliance = MembershipAlliance([a, b])
        let id = alliance.organization(a)
        let (log, other) = (alliance.log(101, 1), alliance.log(101, 2))
        var view = try alliance.view(enrolments(alliance, a))
        view.receive([try alliance.fork(of: log, by: 101, at: 7)])
        #expect(view.roster.limit(of: log, by: id) == 6)
        #expect(view.roster.limit(of: other, by: id) == nil)
        view.receive([try alliance.fork(of: log, by: 101, at: 3), try alliance.fork(of: log, by: 101, at: 5)])
        #expect(view.roster.limit(of: log, by: id) == 2)
        // One proof of each log is kept.
        #expect(view.held.count == 2)
        view.receive([try alliance.retirement(of: 101, at: a, cuts: [1: 9, 2: 9])])
        #expect(view.roster.limit(of: log, by: id) == 2)
        #expect(view.roster.limit(of: other, by: id) == 9)
        view.receive([try alliance.fork(of: log, by: 101, at: 1)])
        #expect(view.roster.limit(of: log, by: id) == 0)
        // A proof about a key that nobody enrolled has no standing.
        #expect(try alliance.view([alliance.fork(of: alliance.log(190, 1), by: 190, at: 1)]).held.isEmpty)
    }

    @Test func standingIsNeverLostByARemovalARetirementOrARekey() throws {
        let alliance = MembershipAlliance([a, b, c])
        let early =
            try enrolments(alliance, a, b, c, x) + [
                try alliance.admission(by: 103, of: x), try alliance.admission(by: 124, of: y),
                try alliance.fork(of: alliance.log(124, 1), by: 124, at: 2), try alliance.retirement(of: 104, at: c),
            ]
        var view = try alliance.view(early)
        #expect(view.orphans.isEmpty)
        let remove = try alliance.proposal(by: a, .removal(c))
        let rekey = try alliance.proposal(by: a, on: remove, .rekey(b, key: 32))
        view.receive([
            remove, try alliance.approval(by: b, of: remove), rekey, try alliance.approval(by: b, of: rekey),
            try alliance.retirement(of: 101, at: a),
        ])
        #expect(view.roster.version.id == .proposal(rekey.id))
        #expect(view.orphans.isEmpty)
        // Late statements of the removed have standing, too, and no effect.
        view.receive([try alliance.admission(by: 103, of: z), try alliance.enrolment(of: 126, at: z)])
        #expect(view.orphans.isEmpty)
        #expect(view.members == [alliance.organization(a), alliance.organization(b)])
    }

    /// 4,096 admissions of one node; those with the lowest ids stay, in any order.
    @Test func aSignerWithTooManyStatementsFillsOnlyItsOwnShare() throws {
        let alliance = MembershipAlliance([a, b])
        let count = MembershipSet.statementsPerSignerMax + 20
        let many = try (0..<count).map { try alliance.admission(by: 101, of: 1_000 + UInt64($0)) }
        let others = try enrolments(alliance, a, b) + [try alliance.admission(by: 102, of: x)]
        let expected = Set(many.map(\.id).sorted().prefix(MembershipSet.statementsPerSignerMax) + others.map(\.id))
        var random = SplitMix64(seed: 5)
        var sets: [MembershipSet] = []
        for _ in 0..<2 {
            var set = MembershipSet()
            let shuffled = (many + others).shuffled(using: &random)
            for part in [shuffled.prefix(2_000), shuffled.dropFirst(2_000)] {
                // Nothing but what the set holds is remembered, but for the enrolments.
                _ = set.merge(
                    Array(part) + others,
                    charter: alliance.charter,
                    anchor: .charter,
                    hasher: alliance.cryptography
                )
            }
            sets.append(set)
        }
        #expect(sets[0] == sets[1])
        #expect(Set(sets[0].statements.keys) == expected)
    }

    @Test func retirementsAreBoundedBySize() throws {
        let alliance = MembershipAlliance([a])
        let cuts = Dictionary(uniqueKeysWithValues: (1...9_000).map { (UInt64($0), UInt64(1)) })
        let size = try alliance.retirement(of: 200, at: a, cuts: cuts).encoded.count
        let fitting = (MembershipSet.bytesPerSignerMax + size - 1) / size
        let many = try (0..<UInt64(fitting + 5)).map { try alliance.retirement(of: 200 + $0, at: a, cuts: cuts) }
        let expected = Set(many.map(\.id).sorted().prefix(fitting))
        var random = SplitMix64(seed: 6)
        var set = MembershipSet()
        let shuffled = many.shuffled(using: &random)
        for part in [shuffled.prefix(fitting / 2), shuffled.dropFirst(fitting / 2)] {
            _ = set.merge(Array(part), charter: alliance.charter, anchor: .charter, hasher: alliance.cryptography)
        }
        #expect(Set(set.statements.keys) == expected)
    }
}
