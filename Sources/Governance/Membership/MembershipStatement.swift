package import Catalog
package import DeltaLog
import SwiftProtobuf
import Wire

/// A statement about membership with valid signatures. Votes and standing decide whether it counts.
///
/// Statements are the only input of ``MembershipRoster`` beside the charter and the anchor. A node keeps and relays
/// their exact bytes (``encoded``). The key of a statement in a set is its ``id``.
package struct MembershipStatement: Hashable, Sendable {
    /// The statement's meaning.
    package enum Body: Hashable, Sendable {
        /// A node (the signer) vouches for an organization, which has consented to the name.
        case admission(name: String, organizationKey: Hash256)
        /// An organization enrols a node. The signer is the organization key. If `voucher` is set, the signer is the
        /// node that the organization key authorized in that voucher; `voucher` is the voucher's one-time key.
        case enrolment(organization: OrganizationID, organizationKey: Hash256, node: NodeKey, voucher: Hash256?)
        /// An organization (the signer) ends one of its nodes.
        case retirement(Retirement)
        /// An organization (the signer) proposes a new version of the roster.
        case proposal(Proposal)
        /// An organization (the signer) votes for the proposal with this id. `isFinal` states that the signer also
        /// builds on it, see ``VersionTree``.
        case approval(of: Hash256, isFinal: Bool)
        /// A log has two different signed headers with the same sequence.
        case fork(log: LogID, sequence: UInt64)
    }

    package let body: Body
    /// The signer's key; zero for a fork proof, which carries its own signatures.
    package let signer: Hash256
    /// SHA-256 of "hansa/statement\0", signer and statement, with length prefixes. The id of a proposal is also the id
    /// of the version that it makes.
    ///
    /// The statement's own signature is not included, so two signatures of one statement count as one.
    package let id: Hash256
    /// The bytes of a SignedStatement message.
    package let encoded: [UInt8]

    /// The maximum size of a SignedStatement in bytes, except for the kinds with a larger limit.
    package static let bytesMax = Statement.bytesMax
    /// The maximum size of a retirement or a proposal in bytes.
    ///
    /// A retirement of 9,000 logs fits, or a removal with as many cuts.
    package static let listBytesMax = 128 * 1024
    /// The maximum size of a fork proof in bytes.
    package static let forkProofBytesMax = Statement.forkProofBytesMax
}

extension MembershipStatement {
    /// Verifies a SignedStatement message: its sizes, its alliance, its lists and every signature in it.
    ///
    /// No bytes make it trap. Memory and time are linear in the number of bytes. A proposal contains one more
    /// signature for each rekey, which takes some 170 bytes; the statement's own signature is checked first.
    ///
    /// - Throws: The first rule that the message breaks. ``StatementRefusal/unknownKind`` if a newer version may know
    ///   the statement's kind or one of its fields.
    package init(
        verifying encoded: [UInt8],
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(StatementRefusal) {
        guard encoded.count <= Self.listBytesMax else { throw .tooLarge }
        guard let signed = Hansa_V0_SignedStatement(canonical: encoded),
            let statement = try? Hansa_V0_MembershipStatement(serializedBytes: signed.statement)
        else { throw .malformed }
        guard statement.alliance == alliance.data else { throw .foreignAlliance }
        guard let body = statement.body else { throw .unknownKind }
        guard encoded.count <= Self.bytesMax(of: body) else { throw .tooLarge }
        guard Hansa_V0_MembershipStatement(canonical: Array(signed.statement)) != nil else {
            // A later version adds fields after the known ones. Such a statement encodes to the same bytes again and
            // needs a newer node.
            let again: [UInt8]? = try? statement.serializedBytes()
            throw again == Array(signed.statement) ? .unknownKind : .malformed
        }
        var signer = Hash256.zero
        if case .forkProof = body {
            guard signed.signer.isEmpty, signed.signature.isEmpty else { throw .malformed }
        } else {
            guard let key = Hash256(signed.signer) else { throw .malformed }
            signer = key
            let message = SignatureTag.statement.message(signed.statement)
            guard cryptography.isValid(Array(signed.signature), of: message, by: signer) else { throw .badSignature }
        }
        let parser = MembershipParser(alliance: alliance, signer: signer, cryptography: cryptography)
        self.body = try parser.body(body)
        self.signer = signer
        var fields = TaggedFields("hansa/statement")
        fields.append(signer)
        fields.append(Array(signed.statement))
        id = cryptography.hash(fields.bytes)
        self.encoded = encoded
    }

    private static func bytesMax(of body: Hansa_V0_MembershipStatement.OneOf_Body) -> Int {
        switch body {
        case .retirement, .proposal: listBytesMax
        case .forkProof: forkProofBytesMax
        case .admission, .enrolment, .approval: bytesMax
        }
    }
}

extension MembershipStatement {
    /// The proposal, if the statement is one.
    package var proposal: Proposal? {
        if case .proposal(let proposal) = body { proposal } else { nil }
    }

    /// Decides which of two fork proofs of one log a set keeps: the proof of the earlier fork, then the lower id. A
    /// strict total order, so the order of arrival has no effect.
    func supersedes(_ other: MembershipStatement) -> Bool {
        if case .fork(_, let sequence) = body, case .fork(_, let otherSequence) = other.body,
            sequence != otherSequence
        {
            return sequence < otherSequence
        }
        return id < other.id
    }
}
