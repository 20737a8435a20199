import Catalog
import DeltaLog
import Foundation
import Governance
import Simulator
import SwiftProtobuf
import TestSupport
import Testing
import Wire

struct MembershipStatementTests {
    private let alliance = MembershipAlliance([1, 2, 3])

    /// One statement of each kind.
    private func samples() throws -> [MembershipStatement] {
        let base = try alliance.proposal(by: 1, .policy(2, 60))
        return [
            try alliance.admission(by: 101, of: 4), try alliance.enrolment(of: 101, at: 1),
            try alliance.verified(alliance.signedEnrolment(of: 201, at: 1, voucherFor: 50, issuer: 101)),
            try alliance.retirement(of: 101, at: 1, cuts: [1: 5, 7: 300], stands: [4, 5]),
            try alliance.proposal(
                by: 1,
                on: base,
                .seat(4),
                .seat(5, votes: false),
                .rekey(2, key: 20, keeps: [102, 202], cuts: [(302, 1, 5), (302, 2, 6), (402, 1, 7)]),
                .removal(3, cuts: [(103, 1, 50)]),
                .policy(1, 50)
            ), base, try alliance.approval(by: 2, of: base), try alliance.approval(by: 2, of: base, final: true),
            try alliance.fork(of: alliance.log(101, 1), by: 101, at: 3),
        ]
    }

    /// No byte of a statement can change, and no bytes trap.
    @Test func everyMutationAndTruncationOfAStatementIsRefused() throws {
        for (number, sample) in try samples().enumerated() {
            let bytes = sample.encoded
            #expect(throws: Never.self) { try alliance.verified(bytes) }
            func isTaken(_ bytes: [UInt8]) -> Bool { (try? alliance.verified(bytes)) != nil }
            for position in bytes.indices {
                for mutation in [bytes[position] ^ 1, bytes[position] ^ 0x80, bytes[position] ^ 0x08, 0, 0xFF]
                where mutation != bytes[position] {
                    var mutated = bytes
                    mutated[position] = mutation
                    #expect(!isTaken(mutated), "sample \(number), byte \(position)")
                }
                #expect(!isTaken(Array(bytes[..<position])), "sample \(number), \(position) bytes")
                var longer = bytes
                longer.insert(0x80, at: position)
                #expect(!isTaken(longer), "sample \(number), byte \(position)")
            }
            #expect(!isTaken(bytes + [0x7A, 0]))
            #expect(!isTaken(bytes + bytes))
        }
    }

    /// A signer can sign any body. Verification always ends with a statement or a refusal.
    @Test func bodiesMutatedUnderAValidSignatureNeverTrap() throws {
        var taken: [MembershipStatement] = []
        for sample in try samples() where sample.signer != .zero {
            let signed = try Hansa_V0_SignedStatement(serializedBytes: sample.encoded)
            guard let number = (1...500).first(where: { alliance.key($0) == sample.signer }) else { continue }
            let signer = KeyedHashSigner(number: UInt64(number))
            let body = Array(signed.statement)
            for position in body.indices {
                for mutation in [body[position] ^ 1, body[position] &+ 1, 0xFF] {
                    var mutated = body
                    mutated[position] = mutation
                    for candidate in [mutated, Array(body[..<position]), body[..<position] + body] {
                        let again: Hansa_V0_SignedStatement = try .with {
                            $0.statement = Data(candidate)
                            $0.signer = signer.publicKey.data
                            $0.signature = try signer.sign(SignatureTag.statement.message(candidate)).data
                        }
                        if let statement = try? alliance.verified(again) { taken.append(statement) }
                    }
                }
            }
        }
        // Some mutations only change a number, and are statements in their own right.
        #expect(!taken.isEmpty)
        let view = try alliance.view(taken + samples())
        #expect(!view.members.isEmpty)
    }

    @Test func statementsKeepTheirMeaningThroughTheirBytes() throws {
        let samples = try samples()
        guard case .proposal(let proposal) = samples[4].body else {
            Issue.record("no proposal")
            return
        }
        #expect(proposal.base == .proposal(samples[5].id))
        #expect(proposal.seats.map(\.hasVote) == [true, false])
        #expect(proposal.rekeys[0].keeps == [alliance.node(102), alliance.node(202)])
        #expect(
            proposal.rekeys[0].cuts
                == [alliance.log(302, 1): 5, alliance.log(302, 2): 6, alliance.log(402, 1): 7]
        )
        #expect(proposal.removals[0].cuts == [alliance.log(103, 1): 50])
        #expect(proposal.policy == Policy(sponsors: 1, percent: 50))
        #expect(
            samples[2].body
                == .enrolment(
                    organization: alliance.organization(1),
                    organizationKey: alliance.key(1),
                    node: alliance.node(201),
                    voucher: alliance.key(50)
                )
        )
        #expect(samples[7].body == .approval(of: samples[5].id, isFinal: true))
        #expect(Set(samples.map(\.id)).count == samples.count)
    }

    /// An admission without consent is no membership statement, and one with consent is no statement of format 0.
    @Test func admissionsWithoutConsentAreRefused() throws {
        let old = try Statement.admission(
            name: "N4",
            organizationKey: alliance.key(4),
            alliance: alliance.id,
            sponsor: KeyedHashSigner(number: 101)
        )
        #expect(throws: StatementRefusal.badSignature) { try alliance.verified(old) }
        let new = try alliance.admission(by: 101, of: 4)
        #expect(throws: StatementRefusal.unknownKind) {
            try Statement(verifying: new.encoded, alliance: alliance.id, cryptography: alliance.cryptography)
        }
    }

    @Test func fieldsOfALaterVersionAreToldApart() throws {
        let approval = try alliance.approval(by: 1, of: try alliance.proposal(by: 1, .policy(2, 50)))
        let signed = try Hansa_V0_SignedStatement(serializedBytes: approval.encoded)
        for addition in [[0xFA, 1, 0] as [UInt8]] {
            let body = Array(signed.statement) + addition
            let later: Hansa_V0_SignedStatement = try .with {
                $0.statement = body.data
                $0.signer = alliance.key(1).data
                $0.signature = try KeyedHashSigner(number: 1).sign(SignatureTag.statement.message(body)).data
            }
            #expect(throws: StatementRefusal.unknownKind) { try alliance.verified(later) }
        }
        var statement = WireWriter()
        statement.field(1, bytes: alliance.id.bytes)
        statement.field(13, bytes: [1, 2, 3] as [UInt8])
        var wrapper = WireWriter()
        wrapper.field(1, bytes: statement.bytes)
        #expect(throws: StatementRefusal.unknownKind) { try alliance.verified(wrapper.bytes) }
        let foreign = MembershipAlliance([1])
        #expect(throws: StatementRefusal.foreignAlliance) { try foreign.verified(approval.encoded) }
    }

    @Test func aVoucherNeedsItsIssuerAndItsHolder() throws {
        #expect(throws: Never.self) {
            try alliance.verified(alliance.signedEnrolment(of: 201, at: 1, voucherFor: 50, issuer: 101))
        }
        #expect(throws: StatementRefusal.malformed) {
            try alliance.verified(alliance.signedEnrolment(of: 201, at: 1, voucherFor: 50, issuer: 101, signer: 102))
        }
        #expect(throws: StatementRefusal.badSignature) {
            try alliance.verified(
                alliance.signedEnrolment(of: 201, at: 1, voucherFor: 50, issuer: 101, claimedBy: 51)
            )
        }
        // The voucher is the organization's, and counts as its enrolment.
        let view = try alliance.view([
            try alliance.verified(alliance.signedEnrolment(of: 201, at: 1, voucherFor: 50, issuer: 101)),
            try alliance.verified(alliance.signedEnrolment(of: 301, at: 1, voucherFor: 50, issuer: 101)),
        ])
        #expect(view.roster.members[alliance.organization(1)]?.nodes == [alliance.node(201), alliance.node(301)])
    }

    /// Signs a body as organization 1 and verifies the statement.
    private func judged(_ fill: (inout Hansa_V0_MembershipStatement) -> Void) throws -> MembershipStatement {
        var statement = Hansa_V0_MembershipStatement()
        statement.alliance = alliance.id.data
        fill(&statement)
        let bytes: [UInt8] = try statement.serializedBytes()
        let signer = KeyedHashSigner(number: 1)
        return try alliance.verified(
            .with {
                $0.statement = bytes.data
                $0.signer = signer.publicKey.data
                $0.signature = try signer.sign(SignatureTag.statement.message(bytes)).data
            }
        )
    }

    @Test func listsAscendWithoutRepetition() throws {
        func retirement(_ incarnations: [UInt64], _ stands: [UInt64], sequence: UInt64 = 1) throws {
            _ = try judged {
                $0.retirement.organization = alliance.organization(1).data
                $0.retirement.node = alliance.node(101).data
                $0.retirement.cuts = incarnations.map { incarnation in
                    .with {
                        $0.incarnation = incarnation
                        $0.sequence = sequence
                    }
                }
                $0.retirement.stands = stands.map { alliance.key($0).data }
            }
        }
        #expect(throws: Never.self) { try retirement([0, 1, 2], [4, 5]) }
        #expect(throws: StatementRefusal.malformed) { try retirement([2, 1], []) }
        #expect(throws: StatementRefusal.malformed) { try retirement([1, 1], []) }
        #expect(throws: StatementRefusal.malformed) { try retirement([], [5, 4]) }
        #expect(throws: StatementRefusal.malformed) { try retirement([], [4, 4]) }
        #expect(throws: StatementRefusal.malformed) { try retirement([1], [], sequence: UInt64(Int64.max) + 1) }

        func removal(_ organizations: [UInt64], _ nodes: [UInt64], cutsPerNode: Int = 1) throws {
            _ = try judged {
                $0.proposal.removals = organizations.map { organization in
                    .with {
                        $0.organization = alliance.organization(organization).data
                        $0.cuts = nodes.map { node in
                            .with {
                                $0.node = alliance.node(node).data
                                $0.cuts = (0..<cutsPerNode).map { number in .with { $0.incarnation = UInt64(number) } }
                            }
                        }
                    }
                }
            }
        }
        #expect(throws: Never.self) { try removal([2, 3], [102, 103], cutsPerNode: 2) }
        #expect(throws: StatementRefusal.malformed) { try removal([2, 2], [102]) }
        #expect(throws: StatementRefusal.malformed) { try removal([2], [103, 102]) }
        #expect(throws: StatementRefusal.malformed) { try removal([2], [102, 102]) }
        #expect(throws: StatementRefusal.malformed) { try removal([2], [102], cutsPerNode: 0) }
        #expect(throws: StatementRefusal.malformed) { try alliance.proposal(by: 1, .seat(4), .seat(4)) }
        #expect(throws: StatementRefusal.malformed) { try alliance.proposal(by: 1, .seat(4, name: "a/b")) }
        #expect(throws: StatementRefusal.malformed) {
            try alliance.proposal(by: 1, .rekey(2, key: 20), .rekey(2, key: 21))
        }
        // An organization may be in several lists.
        #expect(throws: Never.self) { try alliance.proposal(by: 1, .seat(2), .rekey(2, key: 20), .removal(2)) }
    }

    @Test func aRekeyNeedsThePossessionOfTheNewKey() throws {
        for possession in [Data(), Data(repeating: 1, count: 64)] {
            #expect(throws: StatementRefusal.badSignature) {
                try judged {
                    $0.proposal.rekeys = [
                        .with {
                            $0.organization = alliance.organization(2).data
                            $0.organizationKey = alliance.key(20).data
                            $0.possession = possession
                        }
                    ]
                }
            }
        }
    }

    /// 128 KiB for lists, 8 KiB for the others.
    @Test func sizesAreBounded() throws {
        func retirement(_ count: UInt64) throws -> MembershipStatement {
            let cuts = Dictionary(uniqueKeysWithValues: (1...count).map { ($0, UInt64(1)) })
            return try alliance.retirement(of: 101, at: 1, cuts: cuts)
        }
        let large = try retirement(9_000)
        #expect(large.encoded.count > 100_000)
        #expect(throws: StatementRefusal.tooLarge) { try retirement(10_200) }
        #expect(throws: StatementRefusal.tooLarge) {
            try judged {
                $0.approval.proposal = Data(repeating: 1, count: MembershipStatement.bytesMax)
            }
        }
        #expect(throws: StatementRefusal.tooLarge) {
            try judged { $0.admission.name = String(repeating: "x", count: MembershipStatement.bytesMax) }
        }
        #expect(throws: StatementRefusal.malformed) { try judged { $0.approval.proposal = Data([1, 2]) } }
        #expect(throws: StatementRefusal.tooLarge) {
            try alliance.verified([UInt8](repeating: 0, count: MembershipStatement.listBytesMax + 1))
        }
    }
}
