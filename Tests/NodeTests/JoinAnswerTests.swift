import Catalog
import Governance
import OpenSSLKit
import PeerService
import Replica
import SwiftProtobuf
import TestSupport
import Testing
import Wire

/// The answer to a newcomer, split into frames and reassembled.
@Suite struct JoinAnswerTests {
    private let cryptography = SystemCryptography()
    private let organizationKey: KeySigner
    private let charter: Charter

    init() throws {
        organizationKey = KeySigner(try Ed25519PrivateKey.generate())
        charter = Charter(
            name: "Test",
            founders: [Charter.Founder(name: "Acme", key: organizationKey.publicKey)],
            nonce: [UInt8](repeating: 7, count: 16)
        )
    }

    private var alliance: AllianceID { charter.alliance(cryptography) }
    private var organization: OrganizationID {
        OrganizationID(firstKey: organizationKey.publicKey, hasher: cryptography)
    }

    private func enrolments(_ count: Int) throws -> [[UInt8]] {
        try (0..<count).map { _ in
            try Statement.enrolment(
                of: KeySigner(Ed25519PrivateKey.generate()),
                organization: organization,
                alliance: alliance,
                voucher: nil,
                signer: organizationKey
            ).serializedBytes()
        }
    }

    private func announcement() throws -> [UInt8] {
        try Announcement.sign(
            addresses: ["127.0.0.1:1"],
            version: 1,
            alliance: alliance,
            node: KeySigner(Ed25519PrivateKey.generate())
        )
    }

    private var intake: JoinAnswerIntake { JoinAnswerIntake(alliance: alliance, cryptography: cryptography) }

    @Test(arguments: [0, 1, 500, 3000])
    func `all statements arrive, in frames of a few hundred kilobytes`(count: Int) throws {
        let statements = try enrolments(count)
        let announcements = try (0..<count / 4).map { _ in try announcement() }
        let frames = Array(JoinAnswerParts(charter: charter, statements: statements, announcements: announcements))
        #expect(frames.allSatisfy { (1...300 * 1024).contains($0.count) })
        #expect(count <= 500 ? frames.count == 1 : frames.count > 2)
        var intake = intake
        for (number, frame) in frames.enumerated() {
            #expect(try intake.take(frame) == (number == frames.count - 1))
        }
        let contents = try intake.contents(organization: organization, node: NodeKey(.zero), own: [])
        #expect(contents.charter == charter)
        #expect(contents.statements.map(\.encoded) == statements)
        #expect(Set(contents.announcements.map(\.encoded)) == Set(announcements))
    }

    /// Nodes that do not know partial answers send one frame, without the field `more`.
    @Test func `an answer of one frame is an answer`() throws {
        let statements = try enrolments(2000)
        var frame = Hansa_V0_Frame()
        frame.joinAnswer.charter = charter.message
        frame.joinAnswer.statements = try statements.map { try Hansa_V0_SignedStatement(serializedBytes: $0) }
        var intake = intake
        #expect(try intake.take(frame.serializedBytes()))
        let contents = try intake.contents(organization: organization, node: NodeKey(.zero), own: [])
        #expect(contents.statements.count == 2000)
    }

    @Test func `an endless answer is read up to a bound`() throws {
        let statements = try enrolments(1)
        var frame = Hansa_V0_Frame()
        frame.joinAnswer.charter = charter.message
        frame.joinAnswer.statements = [try Hansa_V0_SignedStatement(serializedBytes: statements[0])]
        frame.joinAnswer.more = true
        let bytes: [UInt8] = try frame.serializedBytes()
        var intake = intake
        var count = 1
        while try !intake.take(bytes) {
            count += 1
            try #require(count <= 10_000)
        }
        #expect(count == JoinAnswerIntake.framesMax)
        // Long frames count by their bytes.
        frame.joinAnswer.reason = String(repeating: "x", count: 1 << 20)
        let long: [UInt8] = try frame.serializedBytes()
        var other = self.intake
        count = 1
        while try !other.take(long) { count += 1 }
        #expect((63...64).contains(count))
    }

    @Test func `a frame of millions of empty statements is not decoded`() throws {
        var frame = Hansa_V0_Frame()
        frame.joinAnswer.charter = charter.message
        frame.joinAnswer.statements = Array(
            repeating: Hansa_V0_SignedStatement(),
            count: JoinAnswerIntake.elementsMax + 1
        )
        let bytes: [UInt8] = try frame.serializedBytes()
        var intake = intake
        let failure = #expect(throws: Failure.self) { _ = try intake.take(bytes) }
        #expect(failure?.reason == .badAnswer)
    }

    @Test func `a refusal, another alliance and nonsense are distinguished`() throws {
        var intake = intake
        let refusal = #expect(throws: Failure.self) {
            _ = try intake.take(JoinAnswerParts.refusal(Failure(.nameTaken, "no")))
        }
        #expect(refusal == Failure(.joinRefused, "no"))
        let nonsense = #expect(throws: Failure.self) { _ = try intake.take([1, 2, 3]) }
        #expect(nonsense?.reason == .badAnswer)
        let foreign = Charter(
            name: "Other",
            founders: [Charter.Founder(name: "Acme", key: organizationKey.publicKey)],
            nonce: [UInt8](repeating: 8, count: 16)
        )
        let frames = Array(JoinAnswerParts(charter: foreign, statements: [], announcements: []))
        let other = #expect(throws: Failure.self) { _ = try intake.take(frames[0]) }
        #expect(other?.reason == .wrongAlliance)
    }
}
