package import Catalog
package import DeltaLog
import SwiftProtobuf
package import Wire

/// The reason why a node refuses a governance statement or an announcement.
package enum StatementRefusal: Error, Hashable, Sendable {
    case malformed
    case tooLarge
    case foreignAlliance
    case badSignature
    /// A kind of statement that this version does not know.
    case unknownKind
}

/// A governance statement with valid signatures. The roster decides whether it counts.
package struct Statement: Hashable, Sendable {
    /// The statement's meaning.
    package enum Body: Hashable, Sendable {
        /// A node (the signer) vouches for an organization.
        case admission(name: String, organizationKey: Hash256)
        /// An organization enrols a node. The signer is the organization key, or the one-time key of a voucher that the
        /// organization key signed.
        case enrolment(organization: OrganizationID, organizationKey: Hash256, node: NodeKey, voucher: Hash256?)
        /// A log has two different signed headers with the same sequence.
        case fork(log: LogID, sequence: UInt64)
    }

    package let body: Body
    /// The signer's key; zero for a fork proof, which carries its own signatures.
    package let signer: Hash256
    /// SHA-256 of "hansa/statement\0", signer and statement, with length prefixes.
    ///
    /// The signature is not included: one statement with two signatures counts as one statement.
    package let id: Hash256
    /// The bytes of a SignedStatement message.
    package let encoded: [UInt8]

    /// The maximum size of a SignedStatement in bytes, except for fork proofs.
    package static let bytesMax = 8 * 1024
    /// The maximum size of a fork proof in bytes: two headers of the maximum size (``Header/citedMax``) with framing
    /// fit.
    package static let forkProofBytesMax = 96 * 1024
}

extension Statement {
    /// Verifies a SignedStatement message: its sizes, its alliance and every signature in it.
    ///
    /// - Throws: The first rule that the message breaks.
    package init(
        verifying encoded: [UInt8],
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(StatementRefusal) {
        guard encoded.count <= Self.forkProofBytesMax else { throw .tooLarge }
        guard let signed = Hansa_V0_SignedStatement(canonical: encoded),
            let statement = try? Hansa_V0_Statement(serializedBytes: signed.statement)
        else { throw .malformed }
        guard statement.alliance == alliance.data else { throw .foreignAlliance }
        // This version cannot judge the signatures and the structure of a newer kind.
        guard statement.body != nil else { throw .unknownKind }
        guard Hansa_V0_Statement(canonical: Array(signed.statement)) != nil else {
            // A later version adds fields after the known ones. Such a statement encodes to the same bytes again and
            // needs a newer node.
            let again: [UInt8]? = try? statement.serializedBytes()
            throw again == Array(signed.statement) ? .unknownKind : .malformed
        }

        var signer = Hash256.zero
        if case .forkProof = statement.body {
            guard signed.signer.isEmpty, signed.signature.isEmpty else { throw .malformed }
        } else {
            guard encoded.count <= Self.bytesMax else { throw .tooLarge }
            guard let key = Hash256(signed.signer) else { throw .malformed }
            signer = key
            let message = SignatureTag.statement.message(signed.statement)
            guard cryptography.isValid(Array(signed.signature), of: message, by: signer) else { throw .badSignature }
        }

        switch statement.body {
        case .admission(let admission):
            guard let key = Hash256(admission.organizationKey) else { throw .malformed }
            guard Self.isName(admission.name) else { throw .malformed }
            body = .admission(name: admission.name, organizationKey: key)
        case .enrolment(let enrolment):
            body = try Self.enrolment(enrolment, signer: signer, alliance: alliance, cryptography: cryptography)
        case .forkProof(let proof):
            let (log, sequence) = try Self.fork(proof, alliance: alliance, cryptography: cryptography)
            body = .fork(log: log, sequence: sequence)
        case nil:
            throw .unknownKind
        }
        self.signer = signer
        var fields = TaggedFields("hansa/statement")
        fields.append(signer)
        fields.append(Array(signed.statement))
        id = cryptography.hash(fields.bytes)
        self.encoded = encoded
    }

    /// True for a valid organization name: 1 to 200 bytes, no slash, only printable characters, no blank at either end.
    ///
    /// Record names and paths are split at slashes. This file lists the characters instead of using a Unicode library:
    /// nodes with different library versions must agree on every statement.
    package static func isName(_ name: String) -> Bool {
        let scalars = name.unicodeScalars
        guard (1...200).contains(name.utf8.count), let first = scalars.first, let last = scalars.last else {
            return false
        }
        return !isBlank(first) && !isBlank(last) && scalars.allSatisfy { $0 != "/" && !isUnprintable($0) }
    }

    /// White_Space characters that ``isUnprintable(_:)`` does not reject.
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20, 0xA0, 0x1680, 0x2000...0x200A, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Control characters, invisible characters, characters that change the text direction, private use and
    /// noncharacters.
    private static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F, 0xAD, 0x61C, 0x180E, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F,
            0xE000...0xF8FF, 0xFDD0...0xFDEF, 0xFEFF, 0xFFF0...0xFFFB, 0xE0000...0xE0FFF, 0xF0000...0x10FFFF:
            true
        case let value: value & 0xFFFE == 0xFFFE
        }
    }

    private static func enrolment(
        _ enrolment: Hansa_V0_Enrolment,
        signer: Hash256,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(StatementRefusal) -> Body {
        guard let organization = OrganizationID(bytes: enrolment.organization),
            let node = NodeKey(bytes: enrolment.node)
        else { throw .malformed }
        let possession = possessionMessage(alliance: alliance, organization: organization, node: node)
        guard cryptography.isValid(Array(enrolment.possession), of: possession, by: node.hash) else {
            throw .badSignature
        }
        guard enrolment.hasVoucher else {
            return .enrolment(organization: organization, organizationKey: signer, node: node, voucher: nil)
        }
        guard let voucher = Hansa_V0_Voucher(canonical: Array(enrolment.voucher.voucher)),
            let organizationKey = Hash256(voucher.organizationKey), voucher.organization == organization.data,
            voucher.oneTimeKey == signer.data
        else { throw .malformed }
        guard voucher.alliance == alliance.data else { throw .foreignAlliance }
        let message = SignatureTag.voucher.message(enrolment.voucher.voucher)
        guard cryptography.isValid(Array(enrolment.voucher.signature), of: message, by: organizationKey) else {
            throw .badSignature
        }
        return .enrolment(
            organization: organization,
            organizationKey: organizationKey,
            node: node,
            voucher: signer
        )
    }

    /// Verifies a fork proof; returns the forked log and the sequence of the two headers. Throws the first rule that
    /// the proof breaks.
    static func fork(
        _ proof: Hansa_V0_ForkProof,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(StatementRefusal) -> (log: LogID, sequence: UInt64) {
        guard let first = try? Header(decoding: Array(proof.firstHeader)[...]),
            let second = try? Header(decoding: Array(proof.secondHeader)[...]),
            first.log == second.log, first.sequence == second.sequence,
            Self.precedes(
                (Array(proof.firstHeader), Array(proof.firstSignature)),
                (Array(proof.secondHeader), Array(proof.secondSignature))
            )
        else { throw .malformed }
        guard first.alliance == alliance, second.alliance == alliance else { throw .foreignAlliance }
        for (header, signature) in [
            (proof.firstHeader, proof.firstSignature), (proof.secondHeader, proof.secondSignature),
        ] {
            let message = SignatureTag.header.message(header)
            guard cryptography.isValid(Array(signature), of: message, by: first.log.author.hash) else {
                throw .badSignature
            }
        }
        return (first.log, first.sequence)
    }

    /// The order of the two halves of a fork proof: by the bytes of the header, then of the signature.
    ///
    /// Two signatures of one header are also a fork, because the next header names a hash over both. An honest node
    /// signs a header once.
    private static func precedes(
        _ one: (header: [UInt8], signature: [UInt8]),
        _ other: (header: [UInt8], signature: [UInt8])
    ) -> Bool {
        if one.header != other.header { return one.header.lexicographicallyPrecedes(other.header) }
        return one.signature.lexicographicallyPrecedes(other.signature)
    }

    private static func possessionMessage(
        alliance: AllianceID,
        organization: OrganizationID,
        node: NodeKey
    ) -> [UInt8] {
        SignatureTag.possession.message(alliance.bytes + organization.bytes + node.bytes)
    }
}

// MARK: - Creating statements

extension Statement {
    /// Signs an admission with a member's node key. Throws the encoder's and the signer's errors.
    package static func admission(
        name: String,
        organizationKey: Hash256,
        alliance: AllianceID,
        sponsor: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        try sign(
            .with {
                $0.alliance = alliance.data
                $0.admission.name = name
                $0.admission.organizationKey = organizationKey.data
            },
            by: sponsor
        )
    }

    /// Signs an enrolment. `signer` is the organization's key, or the one-time key that `voucher` names. Throws the
    /// encoder's and the signers' errors.
    package static func enrolment(
        of node: some Signer,
        organization: OrganizationID,
        alliance: AllianceID,
        voucher: Hansa_V0_SignedVoucher?,
        signer: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        let nodeKey = NodeKey(node.publicKey)
        let possession = try node.sign(
            possessionMessage(alliance: alliance, organization: organization, node: nodeKey)
        )
        return try sign(
            .with {
                $0.alliance = alliance.data
                $0.enrolment.organization = organization.data
                $0.enrolment.node = nodeKey.data
                $0.enrolment.possession = possession.data
                if let voucher { $0.enrolment.voucher = voucher }
            },
            by: signer
        )
    }

    /// Signs a voucher. With it and the one-time key, one further node can enrol itself.
    package static func voucher(
        for oneTimeKey: Hash256,
        organization: OrganizationID,
        alliance: AllianceID,
        organizationKey: some Signer
    ) throws -> Hansa_V0_SignedVoucher {
        let voucher: Hansa_V0_Voucher = .with {
            $0.alliance = alliance.data
            $0.organization = organization.data
            $0.organizationKey = organizationKey.publicKey.data
            $0.oneTimeKey = oneTimeKey.data
        }
        let bytes: [UInt8] = try voucher.serializedBytes()
        let signature = try organizationKey.sign(SignatureTag.voucher.message(bytes))
        return .with {
            $0.voucher = bytes.data
            $0.signature = signature.data
        }
    }

    /// Builds a fork proof of two headers with their signatures.
    ///
    /// The half with the lower bytes comes first, so every node that finds the fork writes the same bytes.
    package static func forkProof(
        alliance: AllianceID,
        _ one: (header: [UInt8], signature: [UInt8]),
        _ other: (header: [UInt8], signature: [UInt8])
    ) throws -> Hansa_V0_SignedStatement {
        let (first, second) = precedes(one, other) ? (one, other) : (other, one)
        let statement: Hansa_V0_Statement = .with {
            $0.alliance = alliance.data
            $0.forkProof.firstHeader = first.header.data
            $0.forkProof.firstSignature = first.signature.data
            $0.forkProof.secondHeader = second.header.data
            $0.forkProof.secondSignature = second.signature.data
        }
        let bytes: [UInt8] = try statement.serializedBytes()
        return .with { $0.statement = bytes.data }
    }

    private static func sign(
        _ statement: Hansa_V0_Statement,
        by signer: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        let bytes: [UInt8] = try statement.serializedBytes()
        let signature = try signer.sign(SignatureTag.statement.message(bytes))
        return .with {
            $0.statement = bytes.data
            $0.signer = signer.publicKey.data
            $0.signature = signature.data
        }
    }
}
