import Catalog
import DeltaLog
import Foundation
import Governance
import Simulator
import TestSupport
import Testing

/// Random histories of membership statements with the ids, sets and rosters that an independent program computed
/// (Tests/Vectors/membership.json).
///
/// Keys are numbers, as in ``KeyedHashSigner``. Statements are `["e", key, organization, node]` (enrolment), `["a",
/// node, key, name]` (admission), `["r", key, organization, node, [[incarnation, sequence]], [stands]]` (retirement),
/// `["p", key, base, entries, policy]` (proposal) and `["v", key, proposal, final]` (approval). A proposal is named by
/// its index, the charter by -1. Entries are `["s", organization, key, name, vote]`, `["k", organization, key, [keeps],
/// [[node, incarnation, sequence]]]` and `["x", organization, [[node, incarnation, sequence]]]`. `dropped` are
/// statements that a node does not keep, `adopted` is its anchor before, `anchor` its anchor afterwards. A member is
/// `[organization, key, name, 2 if listed plus 1 with a vote, [nodes]]`; `limits` lists those above 0 that are no
/// node's in force.
struct MembershipVectorTests {
    private static let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Vectors/membership.json")

    @Test func idsSetsAndRostersAreThoseOfAnIndependentProgram() throws {
        let vectors = JSONTree(try Data(contentsOf: Self.file)).array
        #expect(vectors.count >= 64)
        for (number, vector) in vectors.enumerated() { try replay(vector, "vector \(number)") }
    }

    private func numbers(_ tree: JSONTree) -> [UInt64] { tree.array.compactMap { $0.int.map { UInt64($0) } } }

    private func replay(_ vector: JSONTree, _ title: Comment) throws {
        let alliance = MembershipAlliance(
            numbers(vector.founders),
            sponsors: UInt32(try #require(vector.sponsors.int)),
            percent: UInt32(try #require(vector.percent.int))
        )
        let statements = try self.statements(vector.statements.array, alliance)
        #expect(statements.map { String($0.id.hex.prefix(8)) }.joined(separator: " ") == vector.ids.string, title)

        func version(_ index: Int) -> VersionID { index < 0 ? .charter : .proposal(statements[index].id) }
        let adopted = version(try #require(vector.adopted.int))
        var random = SplitMix64(seed: 17)
        let membership = try Membership(
            charter: alliance.charter,
            anchor: adopted,
            statements: (statements + statements).shuffled(using: &random),
            hasher: alliance.cryptography
        )
        let dropped = Set(numbers(vector.dropped).map { Int($0) })
        let kept = statements.indices.filter { !dropped.contains($0) }.map { statements[$0].id }
        #expect(Set(membership.set.statements.keys) == Set(kept), title)

        let roster = membership.roster
        #expect(roster.version.id == version(try #require(vector.version.int)), title)
        #expect(roster.anchor == version(try #require(vector.anchor.int)), title)
        #expect((roster.split?.rivals ?? []) == numbers(vector.split).map { statements[Int($0)].id }.sorted(), title)
        #expect(Set(roster.version.removed.keys) == Set(numbers(vector.removed).map(alliance.organization)), title)

        #expect(roster.members.count == vector.members.array.count, title)
        for expected in vector.members.array {
            let head = numbers(.list([expected[0], expected[1], expected[3]]))
            let member = try #require(roster.members[alliance.organization(head[0])], title)
            #expect(member.key == alliance.key(head[1]), title)
            // A readmitted member has the name of its removal, or none.
            let name = try #require(expected[2].string)
            #expect(name.isEmpty || member.name == name, title)
            switch member.basis {
            case .listed(let hasVote): #expect(head[2] == (hasVote ? 3 : 2), title)
            case .provisional(let sponsors):
                #expect(head[2] == 0, title)
                #expect(sponsors.count >= Int(roster.version.policy.sponsors), title)
            }
            #expect(member.nodes == Set(numbers(expected[4]).map(alliance.node)), title)
        }
        var limits: [OrganizationID: [LogID: UInt64]] = [:]
        for limit in vector.limits.array.map(numbers) {
            limits[alliance.organization(limit[0]), default: [:]][alliance.log(limit[1], limit[2])] = limit[3]
        }
        for organization: UInt64 in 1...8 {
            for node in (1...8).flatMap({ [100 + $0, 200 + $0] }) {
                for incarnation: UInt64 in 1...2 {
                    let (id, log) = (alliance.organization(organization), alliance.log(UInt64(node), incarnation))
                    let isInForce = roster.members[id]?.nodes.contains(log.author) ?? false
                    #expect(
                        roster.limit(of: log, by: id) == (isInForce ? nil : limits[id]?[log] ?? 0),
                        title
                    )
                }
            }
        }
        try checkOrder(statements, adopted, membership, alliance, &random, title)
    }

    /// Any order, duplicates and interleavings of the same statements give the same set and roster.
    private func checkOrder(
        _ statements: [MembershipStatement],
        _ adopted: VersionID,
        _ expected: Membership,
        _ alliance: MembershipAlliance,
        _ random: inout SplitMix64,
        _ title: Comment
    ) throws {
        // A start from what is on disk changes nothing.
        let again = try Membership(
            charter: alliance.charter,
            anchor: expected.anchor,
            statements: expected.set.sorted,
            hasher: alliance.cryptography
        )
        #expect(again == expected, title)
        // The anchor of a node moves with what it hears first; a set is judged by one anchor.
        for _ in 0..<3 {
            var set = MembershipSet()
            var orphans: [MembershipStatement] = []
            var rest = (statements + statements).shuffled(using: &random)[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...4, using: &random)
                let change = set.merge(
                    Array(rest.prefix(count)) + orphans,
                    charter: alliance.charter,
                    anchor: adopted,
                    hasher: alliance.cryptography
                )
                orphans = change.orphans + change.dropped
                rest = rest.dropFirst(count)
            }
            let membership = try Membership(
                charter: alliance.charter,
                anchor: adopted,
                statements: set.sorted,
                hasher: alliance.cryptography
            )
            #expect(membership == expected, title)
            #expect(
                set.fingerprint(hasher: alliance.cryptography)
                    == expected.set.fingerprint(hasher: alliance.cryptography),
                title
            )
        }
    }

    private func statements(
        _ trees: [JSONTree],
        _ alliance: MembershipAlliance
    ) throws -> [MembershipStatement] {
        // A proposal may stand before its base.
        var made: [Int: MembershipStatement] = [:]
        func proposal(_ index: Int) throws -> MembershipStatement {
            if let held = made[index] { return held }
            let tree = trees[index]
            let base = try #require(tree[2].int)
            let entries: [MembershipAlliance.Entry] = try tree[3].array.map { try entry($0) }
            let policy = numbers(tree[4])
            let all = entries + (policy.isEmpty ? [] : [.policy(UInt32(policy[0]), UInt32(policy[1]))])
            let key = UInt64(try #require(tree[1].int))
            let statement = try alliance.proposal(by: key, on: base < 0 ? nil : proposal(base), all)
            made[index] = statement
            return statement
        }
        for (index, tree) in trees.enumerated() {
            let numbers = tree.array.dropFirst().map { UInt64(max(0, $0.int ?? 0)) }
            switch tree[0].string {
            case "e": made[index] = try alliance.enrolment(of: numbers[2], at: numbers[1], key: numbers[0])
            case "a":
                let name = tree[3].string
                made[index] = try alliance.admission(by: numbers[0], of: numbers[1], as: name)
            case "r":
                let cuts = tree[4].array.map { self.numbers($0) }
                made[index] = try alliance.retirement(
                    of: numbers[2],
                    at: numbers[1],
                    cuts: Dictionary(uniqueKeysWithValues: cuts.map { ($0[0], $0[1]) }),
                    stands: self.numbers(tree[5]),
                    key: numbers[0]
                )
            case "p": _ = try proposal(index)
            default:
                let target = try proposal(Int(numbers[1]))
                made[index] = try alliance.approval(by: numbers[0], of: target, final: numbers[2] == 1)
            }
        }
        return trees.indices.compactMap { made[$0] }
    }

    private func entry(_ tree: JSONTree) throws -> MembershipAlliance.Entry {
        let organization = UInt64(try #require(tree[1].int))
        func cuts(_ tree: JSONTree) -> [(UInt64, UInt64, UInt64)] {
            tree.array.map { numbers($0) }.map { ($0[0], $0[1], $0[2]) }
        }
        func key() throws -> UInt64 { UInt64(try #require(tree[2].int)) }
        switch tree[0].string {
        case "s":
            return .seat(
                organization,
                key: try key(),
                name: tree[3].string,
                votes: tree[4].int == 1
            )
        case "k":
            return .rekey(
                organization,
                key: try key(),
                keeps: numbers(tree[3]),
                cuts: cuts(tree[4])
            )
        default: return .removal(organization, cuts: cuts(tree[2]))
        }
    }
}
