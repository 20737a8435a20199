import Catalog
import DeltaLog
import Governance
import Simulator
import TestSupport
import Testing

// Organizations are numbers: a = 1 to f = 6, and x, y, z. The first node of organization n is 100 + n.
private let (a, b, c, d, e, f) = (UInt64(1), UInt64(2), UInt64(3), UInt64(4), UInt64(5), UInt64(6))
private let (x, y, z) = (UInt64(24), UInt64(25), UInt64(26))

struct MembershipVotingTests {
    private func enrolments(_ alliance: MembershipAlliance, _ organizations: UInt64...) throws -> [MembershipStatement]
    {
        try organizations.map { try alliance.enrolment(of: 100 + $0, at: $0) }
    }

    // MARK: - Orders of arrival

    /// A history, and what a node that holds all of it must show.
    private struct Scenario: CustomTestStringConvertible {
        let testDescription: String
        let alliance: MembershipAlliance
        let statements: [MembershipStatement]
        let check: (MemberView) -> Void
    }

    private func scenarios() throws -> [Scenario] {
        var scenarios: [Scenario] = []
        func add(
            _ name: String,
            _ alliance: MembershipAlliance,
            _ statements: [MembershipStatement],
            _ check: @escaping (MemberView) -> Void = { _ in }
        ) {
            scenarios.append(
                Scenario(testDescription: name, alliance: alliance, statements: statements, check: check)
            )
        }
        let one = MembershipAlliance([a])
        let p1 = try one.proposal(by: a, .seat(b), .seat(c))
        add(
            "a lone founder seats two",
            one,
            [
                try one.enrolment(of: 101, at: a), try one.admission(by: 101, of: b),
                try one.enrolment(of: 102, at: b), try one.admission(by: 101, of: c),
                try one.enrolment(of: 103, at: c), p1,
            ]
        ) { view in
            #expect(view.members == [one.organization(a), one.organization(b), one.organization(c)])
            #expect(view.roster.version.id == .proposal(p1.id))
            #expect(view.membership.anchor == .charter)
        }
        let three = MembershipAlliance([a, b, c])
        let base = try enrolments(three, a, b, c)
        let remove = try three.proposal(by: a, .removal(c, cuts: [(103, 1, 50)]))
        add(
            "two of three remove the third",
            three,
            base + [
                remove, try three.approval(by: b, of: remove), try three.admission(by: 103, of: x),
                try three.enrolment(of: 124, at: x),
            ]
        ) { view in
            #expect(view.members == [three.organization(a), three.organization(b)])
            #expect(view.roster.limit(of: three.log(103, 1), by: three.organization(c)) == 50)
            #expect(view.roster.limit(of: three.log(103, 2), by: three.organization(c)) == 0)
            #expect(view.roster.organizations[three.node(103)] == nil)
        }
        let (ab, ba) = (try three.proposal(by: a, .removal(b)), try three.proposal(by: b, .removal(a)))
        add(
            "two remove each other and the third signs both",
            three,
            base + [ab, ba, try three.approval(by: c, of: ab), try three.approval(by: c, of: ba)]
        ) { view in
            // The signer with the earlier seat prevails.
            #expect(view.members == [three.organization(a), three.organization(c)])
        }
        add(
            "a stolen node key is retired twice",
            three,
            [
                base[1], try three.admission(by: 102, of: x), try three.admission(by: 102, of: y),
                try three.enrolment(of: 124, at: x), try three.retirement(of: 102, at: b, cuts: [7: 40], stands: [y]),
                try three.retirement(of: 102, at: b, cuts: [7: 35, 8: 3], stands: [x, y]),
                try three.enrolment(of: 202, at: b),
            ]
        ) { view in
            func limit(_ node: UInt64, _ incarnation: UInt64) -> UInt64? {
                view.roster.limit(of: three.log(node, incarnation), by: three.organization(b))
            }
            #expect(limit(102, 7) == 35)
            #expect(limit(102, 8) == 0)
            #expect(limit(202, 1) == nil)
            #expect(!view.members.contains(three.organization(x)))
            #expect(view.members.contains(three.organization(y)))
        }
        let rekey = try three.proposal(by: a, .rekey(c, key: 33, keeps: [103], cuts: [(303, 5, 9)]))
        add(
            "an organization key is replaced, and a thief of the old one enrols and retires",
            three,
            base + [
                rekey, try three.approval(by: b, of: rekey), try three.enrolment(of: 199, at: c),
                try three.retirement(of: 103, at: c), try three.enrolment(of: 203, at: c, key: 33),
            ]
        ) { view in
            func limit(_ node: UInt64, _ incarnation: UInt64) -> UInt64? {
                view.roster.limit(of: three.log(node, incarnation), by: three.organization(c))
            }
            #expect(limit(103, 1) == nil)
            #expect(limit(199, 1) == 0)
            #expect(limit(303, 5) == 9)
            #expect(limit(203, 1) == nil)
            #expect(view.roster.organizations[three.node(199)] == nil)
        }
        let policy = try three.proposal(by: b, .policy(2, 60))
        let next = try three.proposal(by: a, on: policy, .seat(d, votes: false))
        add(
            "a policy, and a version built on it",
            three,
            base + [
                policy, try three.approval(by: c, of: policy), next, try three.approval(by: b, of: next),
                try three.admission(by: 101, of: d),
            ]
        )
        let back = try three.proposal(by: a, on: remove, .rekey(c, key: 39))
        add(
            "removed, then readmitted with a new key",
            three,
            base + [
                remove, try three.approval(by: b, of: remove), back, try three.approval(by: b, of: back),
                try three.enrolment(of: 203, at: c, key: 39),
            ]
        ) { view in
            let id = three.organization(c)
            #expect(view.roster.members[id]?.hasVote == false)
            #expect(view.roster.members[id]?.name == "F3")
            #expect(view.roster.limit(of: three.log(103, 1), by: id) == 50)
            #expect(view.roster.limit(of: three.log(203, 1), by: id) == nil)
            #expect(view.roster.organizations[three.node(103)] == nil)
        }
        return scenarios
    }

    /// The check of each subset, with every statement as the last one to arrive, covers all orders of
    /// arrival by induction.
    @Test func everyOrderOfArrivalGivesOneSetRosterAndAnchor() throws {
        for scenario in try scenarios() {
            let statements = scenario.statements
            var views: [MemberView] = [try scenario.alliance.view()]
            views.reserveCapacity(1 << statements.count)
            for mask in 1..<(1 << statements.count) {
                var expected: MemberView?
                for last in statements.indices where mask >> last & 1 == 1 {
                    var view = views[mask ^ (1 << last)]
                    view.receive([statements[last]])
                    if let expected {
                        #expect(view == expected, "\(scenario.testDescription), set \(mask), last \(last)")
                    }
                    expected = expected ?? view
                }
                views.append(try #require(expected))
            }
            scenario.check(views[views.count - 1])
            // All at once.
            #expect(try scenario.alliance.view(statements).membership == views[views.count - 1].membership)
        }
    }

    // MARK: - Worked examples

    @Test func theFoundersKeyCannotReplaceAFinalVersion() throws {
        let one = MembershipAlliance([a])
        let p1 = try one.proposal(by: a, .seat(b), .seat(c))
        var view = try one.view([try one.enrolment(of: 101, at: a), p1])
        #expect(view.roster.version.id == .proposal(p1.id))
        #expect(view.membership.anchor == .charter)
        view.receive([try one.approval(by: a, of: p1, final: true)])
        #expect(view.membership.anchor == .proposal(p1.id))
        let rival = try one.proposal(by: a, .seat(x))
        view.receive([
            rival, try one.approval(by: a, of: rival, final: true), try one.proposal(by: x, on: rival, .policy(2, 50)),
        ])
        #expect(view.roster.version.id == .proposal(p1.id))
        #expect(!view.members.contains(one.organization(x)))
    }

    @Test func twoThirdsThatBuildOnAVersionMakeItFinal() throws {
        let three = MembershipAlliance([a, b, c])
        let p = try three.proposal(by: a, .removal(c, cuts: [(103, 1, 50)]))
        var view = try three.view([p, try three.approval(by: b, of: p), try three.approval(by: b, of: p, final: true)])
        #expect(view.roster.version.id == .proposal(p.id))
        #expect(view.membership.anchor == .charter)
        let ballot = try #require(view.roster.ballots.first { $0.id == p.id })
        #expect(ballot.supporters == [three.organization(a), three.organization(b)])
        #expect(ballot.builders == [three.organization(b)])
        #expect(ballot.isInForce && !ballot.isFinal)
        view.receive([try three.approval(by: a, of: p, final: true)])
        #expect(view.membership.anchor == .proposal(p.id))
    }

    @Test func signaturesOnTopDecideAMutualRemoval() throws {
        let three = MembershipAlliance([a, b, c])
        let (ab, ba) = (try three.proposal(by: a, .removal(b)), try three.proposal(by: b, .removal(a)))
        var view = try three.view([ab, ba, try three.approval(by: c, of: ab), try three.approval(by: c, of: ba)])
        #expect(view.roster.version.id == .proposal(ab.id))
        view.receive([try three.approval(by: b, of: ba, final: true)])
        #expect(view.roster.version.id == .proposal(ba.id))
        #expect(view.displaced == [.proposal(ab.id)])
        view.receive([try three.approval(by: a, of: ab, final: true), try three.approval(by: c, of: ab, final: true)])
        #expect(view.membership.anchor == .proposal(ab.id))
    }

    @Test func theFirstVoterDecidesATieAtFiftyPercentOnly() throws {
        let four = MembershipAlliance([a, b, c, d])
        let (p, r) = (try four.proposal(by: a, .policy(2, 50)), try four.proposal(by: b, .policy(3, 50)))
        let view = try four.view([p, try four.approval(by: c, of: p), r, try four.approval(by: d, of: r)])
        #expect(view.roster.version.id == .proposal(p.id))
        #expect(view.roster.ballots.first { $0.id == r.id }?.isInForce == false)
        let strict = MembershipAlliance([a, b, c, d], percent: 51)
        let q = try strict.proposal(by: a, .policy(2, 51))
        #expect(try strict.view([q, try strict.approval(by: c, of: q)]).roster.version.id == .charter)
    }

    @Test func aLostKeyInAnAllianceOfTwoIsReplacedAndFinalByWhatIsBuiltOnIt() throws {
        let two = MembershipAlliance([a, b])
        let k = try two.proposal(by: a, .rekey(b, key: 32, keeps: [102]))
        var view = try two.view([
            try two.enrolment(of: 102, at: b), k, try two.approval(by: a, of: k, final: true),
        ])
        #expect(view.roster.members[two.organization(b)]?.key == two.key(32))
        #expect(view.membership.anchor == .charter)
        let m = try two.proposal(by: a, on: k, .policy(1, 60))
        view.receive([
            m, try two.approval(by: 32, of: m), try two.approval(by: 32, of: m, final: true),
            try two.approval(by: a, of: m, final: true),
        ])
        #expect(view.membership.anchor == .proposal(m.id))
    }

    /// A version that is final outlasts a forgotten proposal with leftover approvals.
    @Test func aForgottenProposalDoesNotBringARemovedMemberBack() throws {
        let history = try ForgottenProposal()
        var view = try history.alliance.view(history.statements)
        #expect(view.membership.anchor == .proposal(history.q.id))
        view.receive([try history.alliance.approval(by: e, of: history.old)])
        #expect(view.membership.anchor == .proposal(history.q.id))
        #expect(!view.members.contains(history.alliance.organization(e)))
        // Before anybody builds on it, the same approval replaces it; after one signature on top it does not.
        var early = try history.alliance.view(Array(history.statements.prefix(5)))
        #expect(early.roster.version.id == .proposal(history.p.id))
        early.receive([try history.alliance.approval(by: e, of: history.old)])
        #expect(early.roster.version.id == .proposal(history.old.id))
        var later = try history.alliance.view(
            Array(history.statements.prefix(5)) + [try history.alliance.approval(by: c, of: history.p, final: true)]
        )
        later.receive([try history.alliance.approval(by: e, of: history.old)])
        #expect(later.roster.version.id == .proposal(history.p.id))
    }

    private struct ForgottenProposal {
        let alliance = MembershipAlliance([a, b, c, d, e])
        let old: MembershipStatement
        let p: MembershipStatement
        let q: MembershipStatement
        let statements: [MembershipStatement]

        init() throws {
            let old = try alliance.proposal(by: a, .policy(2, 50))
            let p = try alliance.proposal(by: c, .policy(1, 60))
            let q = try alliance.proposal(by: a, on: p, .removal(e))
            (self.old, self.p, self.q) = (old, p, q)
            statements =
                [
                    old, try alliance.approval(by: b, of: old), p, try alliance.approval(by: d, of: p),
                    try alliance.approval(by: e, of: p), q,
                ] + (try [b, c, d].map { [alliance] in try alliance.approval(by: $0, of: q) })
                + (try [a, b, c, d].map { [alliance] in try alliance.approval(by: $0, of: q, final: true) })
        }
    }

    // MARK: - Nobody comes back

    /// Every set of statements that a removed sole founder and its puppets can sign.
    @Test func aRemovedFounderDoesNotComeBackByAnySetOfLateStatements() throws {
        let one = MembershipAlliance([a])
        let p1 = try one.proposal(by: a, .seat(b), .seat(c), .seat(d))
        let p2 = try one.proposal(by: b, on: p1, .removal(a))
        let history =
            try enrolments(one, a, b, c, d) + [
                p1, p2, try one.approval(by: c, of: p2), try one.approval(by: d, of: p2, final: true),
                try one.approval(by: b, of: p2, final: true), try one.approval(by: c, of: p2, final: true),
            ]
        let q1 = try one.proposal(by: a, .seat(x), .seat(y))
        let q2 = try one.proposal(by: a, on: q1, .seat(z))
        let q3 = try one.proposal(by: a, on: p1, .removal(b))
        let q4 = try one.proposal(by: a, on: p2, .rekey(a, key: 31))
        let evil = [
            q1, q2, q3, q4, try one.approval(by: a, of: q1, final: true), try one.approval(by: x, of: q2, final: true),
            try one.approval(by: y, of: q2, final: true), try one.enrolment(of: 124, at: x),
            try one.approval(by: a, of: q4), try one.approval(by: a, of: q3, final: true),
            try one.admission(by: 101, of: x),
        ]
        let before = try one.view(history)
        #expect(before.membership.anchor == .proposal(p2.id))
        for mask in 0..<(1 << evil.count) {
            var view = before
            view.receive(evil.indices.filter { mask >> $0 & 1 == 1 }.map { evil[$0] })
            #expect(view.members == before.members, "set \(mask)")
            #expect(view.membership.anchor == before.membership.anchor)
            #expect(view.roster.organizations == before.roster.organizations)
        }
        // A node that was away all the time stops at the charter and names who signed both.
        let away = try one.view(history + evil)
        #expect(away.roster.version.id == .charter)
        #expect(away.roster.split?.base == .charter)
        #expect(away.roster.split?.rivals == [p1.id, q1.id].sorted())
        #expect(away.roster.split?.signers == [one.organization(a)])
    }

    /// One or two of five voters sign anything.
    @Test func aRemovedVoterDoesNotComeBackWithTheHelpOfOne() throws {
        let history = try ForgottenProposal()
        let alliance = history.alliance
        let before = try alliance.view(history.statements)
        let proposals = [
            try alliance.proposal(by: e, .removal(a)), try alliance.proposal(by: e, on: history.p, .removal(c)),
            try alliance.proposal(by: e, on: history.old, .seat(x)),
            try alliance.proposal(by: e, on: history.q, .rekey(e, key: 35)),
        ]
        func evil(_ voters: [UInt64]) throws -> [MembershipStatement] {
            try voters.flatMap { voter in
                try [false, true].map { try alliance.approval(by: voter, of: history.old, final: $0) }
                    + proposals.map { try alliance.approval(by: voter, of: $0, final: true) }
            } + proposals
        }
        func check(_ chosen: [MembershipStatement], _ title: Comment) {
            var view = before
            view.receive(chosen)
            #expect(!view.members.contains(alliance.organization(e)), title)
            #expect(view.membership.anchor == .proposal(history.q.id), title)
        }
        let alone = try evil([e])
        for mask in 0..<(1 << alone.count) {
            check(alone.indices.filter { mask >> $0 & 1 == 1 }.map { alone[$0] }, "set \(mask)")
        }
        let both = try evil([d, e])
        for mask in 0..<(1 << both.count) {
            check(both.indices.filter { mask >> $0 & 1 == 1 }.map { both[$0] }, "set \(mask) of both")
        }
    }

    // MARK: - Adopting by hand

    @Test func twoMembersPartByHandOnly() throws {
        let two = MembershipAlliance([a, b])
        let base = try enrolments(two, a, b)
        let p = try two.proposal(by: a, .removal(b, cuts: [(102, 1, 9)]))
        #expect(try two.view(base + [p]).members == [two.organization(a)])
        let q = try two.proposal(by: b, .removal(a))
        var second = try two.view(base + [q])
        #expect(second.members.contains(two.organization(a)))
        try second.adopt(q)
        #expect(second.members == [two.organization(b)])
        // The first goes on without the second.
        #expect(try two.view(base + [p, q]).members == [two.organization(a)])
    }

    /// Votes go on from an adopted version at once, also on versions that are not final yet.
    @Test func theLivingAdoptAVersionWithoutASilentMajority() throws {
        let five = MembershipAlliance([a, b, c, d, e])
        let base = try enrolments(five, a, b, c, d, e)
        let p = try five.proposal(by: d, .removal(a), .removal(b), .removal(c))
        var views = [try five.view(base + [p, try five.approval(by: e, of: p)])]
        views.append(views[0])
        for index in views.indices {
            #expect(views[index].members.contains(five.organization(a)))
            try views[index].adopt(p)
            #expect(views[index].members == [five.organization(d), five.organization(e)])
            #expect(views[index].membership.anchor == .proposal(p.id))
        }
        let next = try five.proposal(by: e, on: p, .seat(f))
        let further = try five.proposal(by: d, on: next, .policy(2, 50))
        views[1].receive([next, try five.approval(by: d, of: next), further])
        #expect(exchangeAll(&views))
        for view in views {
            #expect(view.members == [five.organization(d), five.organization(e), five.organization(f)])
            #expect(view.membership.set.statements[further.id] != nil)
        }
    }

    @Test func membersWithoutAVoteAdoptAVersionAfterTheFounderIsGone() throws {
        let one = MembershipAlliance([a])
        let p = try one.proposal(by: b, .seat(b), .seat(c), .removal(a))
        let statements = [
            try one.enrolment(of: 101, at: a), try one.admission(by: 101, of: b), try one.enrolment(of: 102, at: b),
            try one.admission(by: 102, of: c), try one.enrolment(of: 103, at: c), p,
        ]
        var view = try one.view(statements)
        #expect(view.membership.set.statements[p.id] != nil)
        #expect(view.members.contains(one.organization(a)))
        try view.adopt(p)
        #expect(view.members == [one.organization(b), one.organization(c)])
        // A start from disk gives the same view.
        let restarted = try MemberView(one, anchor: view.membership.anchor, view.held)
        #expect(restarted.membership == view.membership)
    }

    @Test func aNewcomerFollowsItsTicketsVersionAndAReturningNodeAdopts() throws {
        let one = MembershipAlliance([a])
        let p1 = try one.proposal(by: a, .seat(b), .seat(c))
        let p2 = try one.proposal(by: b, on: p1, .removal(a))
        let history = [
            try one.enrolment(of: 101, at: a), p1, p2, try one.approval(by: c, of: p2),
            try one.approval(by: b, of: p2, final: true), try one.approval(by: c, of: p2, final: true),
        ]
        let q1 = try one.proposal(by: a, .seat(x), .seat(y))
        let q2 = try one.proposal(by: x, on: q1, .policy(2, 50))
        let evil =
            [q1, q2, try one.approval(by: y, of: q2), try one.approval(by: a, of: q1, final: true)]
            + (try [a, x, y].map { try one.approval(by: $0, of: q2, final: true) })
        let newcomer = try MemberView(one, anchor: .proposal(p2.id), history + evil)
        #expect(newcomer.members == [one.organization(b), one.organization(c)])
        #expect(newcomer.roster.split == nil)
        var away = try one.view(history + evil)
        #expect(away.roster.split != nil)
        try away.adopt(p2)
        #expect(away.members == newcomer.members)
        #expect(away.roster.split == nil)
        #expect(away.roster.line == [.charter, .proposal(p1.id), .proposal(p2.id)])
        // A newcomer that lacks the version refuses to join.
        #expect(throws: AnchorRefusal.notHeld) { try MemberView(one, anchor: .proposal(p2.id), [p2]) }
    }

    @Test func anImpossibleVersionIsNoAnchorAndChangesNothing() throws {
        let two = MembershipAlliance([a, b])
        let p = try two.proposal(by: a, .removal(a), .removal(b))
        var view = try two.view([p])
        let before = view
        #expect(throws: AnchorRefusal.impossible) { try view.adopt(p) }
        #expect(view == before)
    }

    // MARK: - Bounds

    @Test func floodingProposersLoseOnlyTheirOwnProposals() throws {
        let three = MembershipAlliance([a, b, c])
        let good = try three.proposal(by: a, .seat(d, votes: false))
        let other = try three.proposal(by: b, .seat(e, votes: false))
        let flood = try (0..<20).map { try three.proposal(by: c, .policy(UInt32(2 + $0), 50)) }
        let statements = try enrolments(three, a) + [good, try three.approval(by: b, of: good), other] + flood
        var random = SplitMix64(seed: 3)
        for _ in 0..<60 {
            var views = [try three.view(), try three.view()]
            for (index, statement) in statements.shuffled(using: &random).enumerated() {
                views[index % 2].receive([statement])
            }
            #expect(exchangeAll(&views))
            #expect(views[0].membership == views[1].membership)
            let held = Set(views[0].held.map(\.id))
            #expect(held.contains(good.id) && held.contains(other.id))
            #expect(views[0].members.contains(three.organization(d)))
            let kept = flood.filter { held.contains($0.id) }
            #expect(Set(kept.map(\.id)) == Set(flood.map(\.id).sorted().prefix(8)))
        }
    }

    @Test func anEvictedProposalCanComeIntoForceLater() throws {
        let three = MembershipAlliance([a, b, c])
        let proposals = try (0..<12).map { try three.proposal(by: a, .policy(UInt32(2 + $0), 50)) }
        let evicted = try #require(proposals.max { $0.id < $1.id })
        var view = try three.view(proposals)
        #expect(view.membership.set.statements[evicted.id] == nil)
        view.receive([evicted, try three.approval(by: b, of: evicted)])
        #expect(view.roster.version.id == .proposal(evicted.id))
        #expect(view.membership.set.statements.values.count { $0.proposal != nil } == 9)
    }

    @Test func aMemberWithoutAVoteKeepsOneSmallProposal() throws {
        let one = MembershipAlliance([a])
        let base = [try one.enrolment(of: 101, at: a), try one.admission(by: 101, of: b)]
        let proposals = try (0..<5).map { try one.proposal(by: b, .policy(UInt32(2 + $0), 50)) }
        let large = try one.proposal(by: c, on: nil, (100..<250).map { .seat($0) })
        #expect(large.encoded.count > MembershipStatement.bytesMax)
        let view = try one.view(base + proposals + [large, try one.admission(by: 101, of: c)])
        #expect(view.held.filter { $0.proposal != nil }.map(\.id) == [proposals.map(\.id).min()])
        // A proposal by a key that nobody admitted has no standing.
        let outsider = try one.proposal(by: z, .policy(2, 50))
        #expect(try one.view([outsider]).held.isEmpty)
    }

    /// A vote that is not kept does not count: otherwise two nodes could count differently for ever.
    @Test func whatASetKeepsIsWhatItCounts() throws {
        let four = MembershipAlliance([a, b, c, d])
        let p = try four.proposal(by: a, .seat(b, votes: false))
        let q = try four.proposal(by: a, on: p, .policy(2, 50))
        // On the version that would take its vote away, b is no voter, so its approval has no standing.
        let view = try four.view([p, q, try four.approval(by: b, of: q)])
        #expect(view.roster.version.id == .charter)
        let again = try Membership(charter: four.charter, statements: view.held, hasher: four.cryptography)
        #expect(again == view.membership)
    }

    @Test func aLongChainOfVersionsNeedsNoStack() throws {
        let one = MembershipAlliance([a])
        var chain: [MembershipStatement] = []
        for number in 0..<3_000 {
            chain.append(try one.proposal(by: a, on: chain.last, .policy(UInt32(1 + number % 2), 50)))
        }
        let view = try one.view(chain.reversed())
        #expect(view.roster.line.count == 3_001)
        // Each version is final by the next one; the last one by nobody.
        #expect(view.membership.anchor == .proposal(chain[2_998].id))
    }
}
