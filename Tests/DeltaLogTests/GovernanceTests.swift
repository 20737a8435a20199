import Catalog
import DeltaLog
import Foundation
import Governance
import Simulator
import SwiftProtobuf
import TestSupport
import Testing
import Wire

/// An alliance with keys made from numbers and fast signatures, and the statements that these keys sign.
struct TestAlliance {
    let cryptography = KeyedHashCryptography()
    let charter: Charter

    init(founders: [UInt64] = [1], sponsors: UInt32 = 1) {
        charter = Charter(
            name: "Test",
            founders: founders.map {
                Charter.Founder(name: "Founder \($0)", key: KeyedHashSigner(number: $0).publicKey)
            },
            sponsors: sponsors,
            nonce: [UInt8](repeating: 7, count: 16)
        )
    }

    var id: AllianceID { charter.alliance(cryptography) }

    func organization(_ number: UInt64) -> OrganizationID {
        OrganizationID(firstKey: KeyedHashSigner(number: number).publicKey, hasher: cryptography)
    }

    func node(_ number: UInt64) -> NodeKey { NodeKey(KeyedHashSigner(number: number).publicKey) }

    func verified(_ signed: Hansa_V0_SignedStatement) throws -> Statement {
        try Statement(verifying: try signed.serializedBytes(), alliance: id, cryptography: cryptography)
    }

    func admission(of organization: UInt64, as name: String? = nil, by node: UInt64) throws -> Statement {
        try verified(
            Statement.admission(
                name: name ?? "Organization \(organization)",
                organizationKey: KeyedHashSigner(number: organization).publicKey,
                alliance: id,
                sponsor: KeyedHashSigner(number: node)
            )
        )
    }

    func enrolment(of node: UInt64, at organization: UInt64) throws -> Statement {
        try verified(
            Statement.enrolment(
                of: KeyedHashSigner(number: node),
                organization: self.organization(organization),
                alliance: id,
                voucher: nil,
                signer: KeyedHashSigner(number: organization)
            )
        )
    }

    func enrolment(of node: UInt64, at organization: UInt64, byVoucherFor oneTime: UInt64) throws -> Statement {
        try verified(
            Statement.enrolment(
                of: KeyedHashSigner(number: node),
                organization: self.organization(organization),
                alliance: id,
                voucher: Statement.voucher(
                    for: KeyedHashSigner(number: oneTime).publicKey,
                    organization: self.organization(organization),
                    alliance: id,
                    organizationKey: KeyedHashSigner(number: organization)
                ),
                signer: KeyedHashSigner(number: oneTime)
            )
        )
    }

    /// A validly signed header of the node's log, different for each `variant`.
    func header(
        by node: UInt64,
        incarnation: UInt64 = 1,
        sequence: UInt64,
        variant: UInt64,
        cited: Int = 0,
        fields: [String] = []
    ) throws
        -> (header: [UInt8], signature: [UInt8])
    {
        let signer = KeyedHashSigner(number: node)
        var list = FieldList()
        for text in fields { _ = list.add(FieldPath(unchecked: text)) }
        let header = Header(
            alliance: id,
            log: LogID(author: NodeKey(signer.publicKey), incarnation: incarnation),
            sequence: sequence,
            previous: sequence == 1 ? nil : .zero,
            root: Hash256(variant, 0, 0, 0),
            count: 1,
            stamp: Stamp(rawValue: 1),
            cited: (0..<cited).map { LogID(author: self.node(99), incarnation: UInt64($0)) },
            organization: OrganizationID(.zero),
            fields: list
        )
        let bytes = header.encoded()
        return (bytes, try signer.sign(SignatureTag.header.message(bytes)))
    }

    func fork(by node: UInt64, incarnation: UInt64 = 1, sequence: UInt64, variants: (UInt64, UInt64)) throws
        -> Statement
    {
        try verified(
            Statement.forkProof(
                alliance: id,
                header(by: node, incarnation: incarnation, sequence: sequence, variant: variants.0),
                header(by: node, incarnation: incarnation, sequence: sequence, variant: variants.1)
            )
        )
    }

    func set(_ statements: [Statement]) -> GovernanceSet {
        var set = GovernanceSet()
        var replaced: Hash256?
        for statement in statements { _ = set.insert(statement, replaced: &replaced) }
        return set
    }

    func roster(_ statements: [Statement]) -> Roster {
        Roster(charter: charter, statements: set(statements), hasher: cryptography)
    }
}

struct GovernanceTests {
    /// Every subset of up to four statements gives the same roster in any order. All statements with duplicates give
    /// the same set in random orders.
    @Test(arguments: [UInt32(1), 2])
    func everySubsetAndOrderOfUpToFourStatementsGivesOneRoster(sponsors: UInt32) throws {
        let alliance = TestAlliance(founders: [1, 2], sponsors: sponsors)
        let statements = [
            try alliance.enrolment(of: 11, at: 1), try alliance.enrolment(of: 12, at: 2),
            try alliance.admission(of: 3, by: 11), try alliance.admission(of: 3, by: 12),
            try alliance.enrolment(of: 13, at: 3), try alliance.enrolment(of: 11, at: 3),
            try alliance.admission(of: 4, by: 13), try alliance.enrolment(of: 14, at: 1, byVoucherFor: 21),
            try alliance.enrolment(of: 15, at: 1, byVoucherFor: 21),
            try alliance.fork(by: 11, sequence: 3, variants: (1, 2)),
            try alliance.fork(by: 11, sequence: 2, variants: (1, 2)),
        ]
        var random = SplitMix64(seed: 1)
        for mask in 0..<1 << statements.count where mask.nonzeroBitCount <= 4 {
            let chosen = statements.indices.filter { mask >> $0 & 1 == 1 }.map { statements[$0] }
            let set = alliance.set(chosen)
            let roster = alliance.roster(chosen)
            for order in permutations(of: chosen.count).dropFirst() {
                let other = alliance.set(order.map { chosen[$0] })
                #expect(other == set)
                #expect(alliance.roster(order.map { chosen[$0] }) == roster)
            }
            // `merge` in one message gives the same roster.
            var gated = GovernanceSet()
            _ = gated.merge(chosen.shuffled(using: &random), charter: alliance.charter, hasher: alliance.cryptography)
            #expect(Roster(charter: alliance.charter, statements: gated, hasher: alliance.cryptography) == roster)
        }
        let whole = alliance.set(statements)
        for _ in 0..<200 {
            #expect(alliance.set((statements + statements).shuffled(using: &random)) == whole)
        }
        #expect(
            alliance.set(statements.reversed()).fingerprint(hasher: alliance.cryptography)
                == whole.fingerprint(hasher: alliance.cryptography)
        )
    }

    @Test func onlyAMembersNodeAdmits() throws {
        let alliance = TestAlliance()
        let start = [try alliance.enrolment(of: 11, at: 1)]
        let newcomer = [try alliance.enrolment(of: 13, at: 3)]
        // Signed by an unknown node, the organization key itself and the newcomer's own nodes.
        for node: UInt64 in [99, 1, 13, 3] {
            let roster = alliance.roster(start + newcomer + [try alliance.admission(of: 3, by: node)])
            #expect(Array(roster.members.keys) == [alliance.organization(1)])
            #expect(roster.organization(of: alliance.node(13)) == nil)
        }
        let roster = alliance.roster(start + newcomer + [try alliance.admission(of: 3, by: 11)])
        #expect(roster.members[alliance.organization(3)]?.sponsors == [alliance.organization(1)])
        #expect(roster.organization(of: alliance.node(13)) == alliance.organization(3))
        #expect(roster.members[alliance.organization(3)]?.nodes == [alliance.node(13)])
    }

    @Test func aCircleOfSponsorsAdmitsNobody() throws {
        let alliance = TestAlliance()
        let circle = [
            try alliance.enrolment(of: 13, at: 3), try alliance.enrolment(of: 14, at: 4),
            try alliance.admission(of: 3, by: 14), try alliance.admission(of: 4, by: 13),
            try alliance.admission(of: 3, by: 13),
        ]
        let roster = alliance.roster(circle + [try alliance.enrolment(of: 11, at: 1)])
        #expect(roster.members.count == 1)
        #expect(roster == alliance.roster([try alliance.enrolment(of: 11, at: 1)]))
    }

    @Test func aNewcomerNeedsAsManySponsorOrganizationsAsTheCharterSays() throws {
        let alliance = TestAlliance(founders: [1, 2], sponsors: 2)
        let start = [
            try alliance.enrolment(of: 11, at: 1), try alliance.enrolment(of: 21, at: 1),
            try alliance.enrolment(of: 12, at: 2),
        ]
        // Two nodes of one organization count as one sponsor.
        let half = start + [try alliance.admission(of: 3, by: 11), try alliance.admission(of: 3, by: 21)]
        #expect(alliance.roster(half).members.count == 2)
        #expect(alliance.roster(half).candidates == [KeyedHashSigner(number: 3).publicKey])
        #expect(alliance.roster(half + [try alliance.admission(of: 3, as: "Other", by: 12)]).members.count == 2)
        let whole = alliance.roster(half + [try alliance.admission(of: 3, by: 12)])
        #expect(whole.members.count == 3)
        #expect(whole.candidates.isEmpty)
        #expect(
            whole.members[alliance.organization(3)]?.sponsors
                == [alliance.organization(1), alliance.organization(2)].sorted()
        )
    }

    /// Later members can neither rename earlier ones nor take over their nodes.
    @Test func laterStepsDoNotAlterEarlierResults() throws {
        let alliance = TestAlliance()
        var statements = [
            try alliance.enrolment(of: 11, at: 1), try alliance.admission(of: 3, by: 11),
            try alliance.enrolment(of: 13, at: 3),
        ]
        let before = alliance.roster(statements)
        for number: UInt64 in 0..<20 {
            statements.append(try alliance.admission(of: 3, as: "Renamed \(number)", by: 13))
            statements.append(try alliance.admission(of: 1, as: "Renamed \(number)", by: 13))
        }
        statements.append(try alliance.enrolment(of: 11, at: 3))
        #expect(alliance.roster(statements).members == before.members)
        #expect(alliance.roster(statements).organizations == before.organizations)
    }

    @Test func aLongChainOfSponsorsIsDerivedInOnePass() throws {
        let alliance = TestAlliance()
        var statements = [try alliance.enrolment(of: 1_000_001, at: 1)]
        for number: UInt64 in 2..<1500 {
            statements.append(try alliance.admission(of: number, by: 1_000_000 + number - 1))
            statements.append(try alliance.enrolment(of: 1_000_000 + number, at: number))
        }
        let set = alliance.set(statements)
        let elapsed = ContinuousClock().measure {
            let roster = Roster(charter: alliance.charter, statements: set, hasher: alliance.cryptography)
            #expect(roster.members.count == 1499)
        }
        #expect(elapsed < .seconds(10))
    }

    @Test func oneVoucherEnrolsOneNode() throws {
        let alliance = TestAlliance()
        let both = [
            try alliance.enrolment(of: 14, at: 1, byVoucherFor: 21),
            try alliance.enrolment(of: 15, at: 1, byVoucherFor: 21),
        ]
        let lowest = try #require(both.min { $0.id < $1.id })
        guard case .enrolment(_, _, let node, _) = lowest.body else { return }
        for order in [both, both.reversed()] {
            #expect(Array(alliance.roster(order).organizations.keys) == [node])
            #expect(alliance.set(order).statements.count == 1)
        }
        // A second voucher enrols a second node.
        let third = try alliance.enrolment(of: 16, at: 1, byVoucherFor: 22)
        #expect(alliance.roster(both + [third]).organizations.count == 2)
    }

    @Test func aVoucherOfAnotherKeyEnrolsNobody() throws {
        let alliance = TestAlliance()
        // The voucher names the founder, but an unknown key signed it.
        let voucher = try Statement.voucher(
            for: KeyedHashSigner(number: 21).publicKey,
            organization: alliance.organization(1),
            alliance: alliance.id,
            organizationKey: KeyedHashSigner(number: 99)
        )
        let signed = try Statement.enrolment(
            of: KeyedHashSigner(number: 14),
            organization: alliance.organization(1),
            alliance: alliance.id,
            voucher: voucher,
            signer: KeyedHashSigner(number: 21)
        )
        #expect(alliance.roster([try alliance.verified(signed)]).organizations.isEmpty)
        // Used by another key than the voucher names.
        let stolen = try Statement.enrolment(
            of: KeyedHashSigner(number: 14),
            organization: alliance.organization(1),
            alliance: alliance.id,
            voucher: voucher,
            signer: KeyedHashSigner(number: 22)
        )
        #expect(throws: StatementRefusal.malformed) { try alliance.verified(stolen) }
    }

    @Test func anEnrolmentNeedsTheNodesOwnSignature() throws {
        let alliance = TestAlliance()
        var signed = try Statement.enrolment(
            of: KeyedHashSigner(number: 11),
            organization: alliance.organization(1),
            alliance: alliance.id,
            voucher: nil,
            signer: KeyedHashSigner(number: 1)
        )
        var statement = try Hansa_V0_Statement(serializedBytes: signed.statement)
        // The founder claims another node, with the proof of possession of its own node.
        statement.enrolment.node = alliance.node(12).data
        let bytes: [UInt8] = try statement.serializedBytes()
        signed.statement = bytes.data
        signed.signature = try KeyedHashSigner(number: 1).sign(SignatureTag.statement.message(bytes)).data
        #expect(throws: StatementRefusal.badSignature) { try alliance.verified(signed) }
        // A node's proof of possession for one organization is invalid for another.
        let foreign = try Statement.enrolment(
            of: KeyedHashSigner(number: 11),
            organization: alliance.organization(2),
            alliance: alliance.id,
            voucher: nil,
            signer: KeyedHashSigner(number: 1)
        )
        #expect(alliance.roster([try alliance.verified(foreign)]).organizations.isEmpty)
    }

    // MARK: - Refusals

    @Test func statementsAreRefusedForWhatIsWrongWithThem() throws {
        let alliance = TestAlliance()
        let other = TestAlliance(founders: [2])
        let good = try Statement.admission(
            name: "A",
            organizationKey: .zero,
            alliance: alliance.id,
            sponsor: KeyedHashSigner(number: 11)
        )
        #expect(throws: Never.self) { try alliance.verified(good) }
        #expect(throws: StatementRefusal.foreignAlliance) { try other.verified(good) }
        var bad = good
        bad.signature = Data(repeating: 0, count: 64)
        #expect(throws: StatementRefusal.badSignature) { try alliance.verified(bad) }
        bad = good
        bad.signer = alliance.node(12).data
        #expect(throws: StatementRefusal.badSignature) { try alliance.verified(bad) }
        bad.signer = Data()
        #expect(throws: StatementRefusal.malformed) { try alliance.verified(bad) }
        var large = WireWriter()
        large.field(1, bytes: [UInt8](repeating: 0, count: Statement.forkProofBytesMax))
        #expect(throws: StatementRefusal.tooLarge) {
            try Statement(verifying: large.bytes, alliance: alliance.id, cryptography: alliance.cryptography)
        }
        // The smaller limit applies to admissions.
        let long: Hansa_V0_Statement = .with {
            $0.alliance = alliance.id.data
            $0.admission.name = String(repeating: "x", count: Statement.bytesMax)
            $0.admission.organizationKey = Hash256.zero.data
        }
        let bytes: [UInt8] = try long.serializedBytes()
        let signed: Hansa_V0_SignedStatement = try .with {
            $0.statement = bytes.data
            $0.signer = alliance.node(11).data
            $0.signature = try KeyedHashSigner(number: 11).sign(SignatureTag.statement.message(bytes)).data
        }
        #expect(throws: StatementRefusal.tooLarge) { try alliance.verified(signed) }
    }

    @Test func anUnknownKindOfStatementIsReportedAsSuch() throws {
        let alliance = TestAlliance()
        var statement = WireWriter()
        statement.field(1, bytes: alliance.id.bytes)
        statement.field(14, bytes: [1, 2, 3] as [UInt8])
        var signed = WireWriter()
        signed.field(1, bytes: statement.bytes)
        #expect(throws: StatementRefusal.unknownKind) {
            try Statement(verifying: signed.bytes, alliance: alliance.id, cryptography: alliance.cryptography)
        }
    }

    /// Only the signer can create a second encoding of a statement, and no two programs read one encoding differently.
    @Test func aStatementHasOneWayToBeWritten() throws {
        let alliance = TestAlliance()
        let admission = try Statement.admission(
            name: "A",
            organizationKey: .zero,
            alliance: alliance.id,
            sponsor: KeyedHashSigner(number: 11)
        )
        let fork = try Statement.forkProof(
            alliance: alliance.id,
            alliance.header(by: 11, sequence: 1, variant: 1),
            alliance.header(by: 11, sequence: 1, variant: 2)
        )
        let samples: [[UInt8]] = [
            try admission.serializedBytes(), try fork.serializedBytes(),
            try alliance.enrolment(of: 14, at: 1, byVoucherFor: 21).encoded,
            try Announcement.sign(
                addresses: ["a.example:1"],
                version: 300,
                alliance: alliance.id,
                node: KeyedHashSigner(number: 11)
            ),
        ]
        func isTaken(_ bytes: [UInt8], _ number: Int) -> Bool {
            number == 3
                ? (try? Announcement(verifying: bytes, alliance: alliance.id, cryptography: alliance.cryptography))
                    != nil
                : (try? Statement(verifying: bytes, alliance: alliance.id, cryptography: alliance.cryptography)) != nil
        }
        for (number, bytes) in samples.enumerated() {
            #expect(isTaken(bytes, number))
            for position in bytes.indices {
                for mutation in [bytes[position] ^ 1, bytes[position] ^ 0x80, bytes[position] ^ 0x08, 0, 0xFF]
                where mutation != bytes[position] {
                    var mutated = bytes
                    mutated[position] = mutation
                    #expect(!isTaken(mutated, number), "sample \(number), byte \(position)")
                }
                #expect(!isTaken(Array(bytes[..<position]), number))
                var longer = bytes
                longer.insert(0x80, at: position)
                #expect(!isTaken(longer, number))
            }
            // An unknown field; a repeated field.
            #expect(!isTaken(bytes + [0x7A, 0], number))
            #expect(!isTaken(bytes + bytes, number))
            #expect(!isTaken(bytes + [0x12, 0], number))
        }
    }

    @Test func namesAreCheckedWithoutAUnicodeLibrary() {
        for name in ["A", "湖南航天有限责任公司", "É & Co. (测试)", String(repeating: "x", count: 200), "a b", "🚀"] {
            #expect(Statement.isName(name), "\(name)")
        }
        for name in [
            "", " a", "a ", "\u{3000}a", "a/b", "a\u{2F}\u{301}b", "a\nb", "a\u{202E}b", "a\u{200B}b", "\u{E000}",
            "\u{FFFE}",
            "\u{10FFFF}", String(repeating: "x", count: 201),
        ] {
            #expect(!Statement.isName(name), "\(name)")
        }
    }

    // MARK: - Bounds

    /// Beyond the limit, the set keeps the statements with the lowest ids, in any order of arrival.
    @Test func aSignerWithTooManyStatementsFillsOnlyItsOwnShare() throws {
        let alliance = TestAlliance()
        let count = GovernanceSet.statementsPerSignerMax + 30
        let many = try (0..<count).map { try alliance.admission(of: UInt64($0) + 100, by: 11) }
        let mine = try alliance.admission(of: 3, by: 12)
        let expected = Set(many.sorted { $0.id < $1.id }.prefix(GovernanceSet.statementsPerSignerMax).map(\.id))
        var random = SplitMix64(seed: 5)
        for order in [many, many.reversed(), many.shuffled(using: &random)] {
            let set = alliance.set(order + [mine])
            #expect(Set(set.statements.keys) == expected.union([mine.id]))
        }
    }

    @Test func statementsWithoutStandingAreNotMerged() throws {
        let alliance = TestAlliance()
        let start = try alliance.enrolment(of: 11, at: 1)
        let outsiders = [
            try alliance.admission(of: 5, by: 99), try alliance.enrolment(of: 98, at: 97),
            try alliance.fork(by: 99, sequence: 1, variants: (1, 2)),
        ]
        var set = GovernanceSet()
        var merged = set.merge(outsiders + [start], charter: alliance.charter, hasher: alliance.cryptography)
        #expect(merged.taken.map(\.statement) == [start])
        // The set accepts a whole chain of one message, in any order.
        let chain = [
            try alliance.enrolment(of: 13, at: 3), try alliance.admission(of: 4, by: 13),
            try alliance.fork(by: 13, sequence: 1, variants: (1, 2)), try alliance.admission(of: 3, by: 11),
        ]
        merged = set.merge(chain, charter: alliance.charter, hasher: alliance.cryptography)
        #expect(merged.taken.count == 4)
        #expect(merged.roster == Roster(charter: alliance.charter, statements: set, hasher: alliance.cryptography))
        #expect(merged.roster.members.count == 3)
    }

    // MARK: - Forks

    @Test func theLowestForkProofOfALogIsKeptInBothOrders() throws {
        let alliance = TestAlliance()
        let low = try alliance.fork(by: 11, sequence: 2, variants: (1, 2))
        let other = try alliance.fork(by: 11, sequence: 2, variants: (1, 3))
        let high = try alliance.fork(by: 11, sequence: 9, variants: (1, 2))
        let elsewhere = try alliance.fork(by: 11, incarnation: 2, sequence: 7, variants: (1, 2))
        let kept = low.id < other.id ? low : other
        for order in permutations(of: 4) {
            let set = alliance.set(order.map { [low, other, high, elsewhere][$0] })
            #expect(Set(set.statements.keys) == [kept.id, elsewhere.id])
            #expect(set.forks.values.sorted() == [2, 7])
        }
    }

    @Test func aForkProofIsTheSameForEveryFinder() throws {
        let alliance = TestAlliance()
        let one = try alliance.header(by: 11, sequence: 4, variant: 1)
        let other = try alliance.header(by: 11, sequence: 4, variant: 2)
        let proof = try Statement.forkProof(alliance: alliance.id, one, other)
        #expect(try Statement.forkProof(alliance: alliance.id, other, one) == proof)
        guard case .fork(let log, 4) = try alliance.verified(proof).body else {
            Issue.record("no fork")
            return
        }
        #expect(log.author == alliance.node(11))
        // Swapped halves are not a second valid proof.
        var swapped = try Hansa_V0_Statement(serializedBytes: proof.statement)
        let right = swapped.forkProof
        swapped.forkProof = .with {
            $0.firstHeader = right.secondHeader
            $0.firstSignature = right.secondSignature
            $0.secondHeader = right.firstHeader
            $0.secondSignature = right.firstSignature
        }
        let bytes: [UInt8] = try swapped.serializedBytes()
        #expect(throws: StatementRefusal.malformed) { try alliance.verified(.with { $0.statement = bytes.data }) }
    }

    @Test func headersWithoutAForkMakeNoProof() throws {
        let alliance = TestAlliance()
        let one = try alliance.header(by: 11, sequence: 4, variant: 1)
        let cases = [
            one, try alliance.header(by: 11, sequence: 5, variant: 2),
            try alliance.header(by: 11, incarnation: 2, sequence: 4, variant: 2),
            try alliance.header(by: 12, sequence: 4, variant: 2),
        ]
        for other in cases {
            let proof = try Statement.forkProof(alliance: alliance.id, one, other)
            #expect(throws: StatementRefusal.malformed) { try alliance.verified(proof) }
        }
        var forged = try alliance.header(by: 11, sequence: 4, variant: 2)
        forged.signature[0] ^= 1
        let proof = try Statement.forkProof(alliance: alliance.id, one, forged)
        #expect(throws: StatementRefusal.badSignature) { try alliance.verified(proof) }
    }

    /// A fork proof has room for the longest headers that a hostile author can sign.
    @Test func theLargestHeadersFitIntoAProof() throws {
        let alliance = TestAlliance()
        let length = FieldList.bytesMax / FieldList.countMax
        let paths = (0..<FieldList.countMax).map { number in
            String(String(number).reversed()).padding(toLength: length, withPad: "x", startingAt: 0)
        }
        let headers = try [1, 2].map {
            try alliance.header(
                by: 11,
                sequence: Header.sequenceMax,
                variant: $0,
                cited: Header.citedMax,
                fields: paths
            )
        }
        let (one, other) = (headers[0], headers[1])
        #expect(try Header(decoding: one.header[...]).fields.paths.count == FieldList.countMax)
        #expect(throws: Never.self) {
            try alliance.verified(Statement.forkProof(alliance: alliance.id, one, other))
        }
        let longer = try alliance.header(by: 11, sequence: 4, variant: 1, cited: Header.citedMax + 1)
        #expect(throws: DeltaRefusal.self) { try Header(decoding: longer.header[...]) }
    }

    @Test func anAuthorWithManyForkedLogsFillsOnlyItsShare() throws {
        let alliance = TestAlliance()
        let proofs = try (0..<80).map {
            try alliance.fork(by: 11, incarnation: UInt64($0) + 1, sequence: 3, variants: (1, 2))
        }
        let sets = [alliance.set(proofs), alliance.set(proofs.reversed())]
        #expect(sets[0] == sets[1])
        #expect(sets[0].forks.keys.map(\.incarnation).sorted() == Array(1...UInt64(GovernanceSet.forksPerAuthorMax)))
    }

    /// Two signatures of one header give its log two heads and are therefore a fork.
    ///
    /// With Ed25519 as in RFC 8032, an honest node creates only one signature. This verifier accepts any signature and
    /// so simulates a dishonest node.
    @Test func twoSignaturesOfOneHeaderAreAFork() throws {
        struct Lenient: Cryptography {
            func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 { KeyedHashCryptography().hash(bytes) }
            func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool { true }
        }
        let alliance = TestAlliance()
        let one = try alliance.header(by: 11, sequence: 4, variant: 1)
        let proof = try Statement.forkProof(
            alliance: alliance.id,
            one,
            (one.header, [UInt8](repeating: 0xFF, count: 64))
        )
        let bytes: [UInt8] = try proof.serializedBytes()
        let statement = try Statement(verifying: bytes, alliance: alliance.id, cryptography: Lenient())
        guard case .fork(_, 4) = statement.body else {
            Issue.record("no fork")
            return
        }
    }
}
