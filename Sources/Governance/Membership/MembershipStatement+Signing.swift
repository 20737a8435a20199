package import Catalog
package import DeltaLog
import Foundation
import SwiftProtobuf
package import Wire

// Creating statements. The order of entries in the values passed never matters, except for a proposal's lists; encoded
// lists ascend.

extension MembershipStatement {
    /// Signs an admission with a member's node key.
    ///
    /// - Parameter consent: The newcomer's signature, see ``consent(to:alliance:organizationKey:)``.
    /// - Throws: The encoder's and the signer's errors.
    package static func admission(
        name: String,
        organizationKey: Hash256,
        consent: [UInt8],
        alliance: AllianceID,
        sponsor: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        try sign(alliance, by: sponsor) {
            $0.admission.name = name
            $0.admission.organizationKey = organizationKey.data
            $0.admission.consent = consent.data
        }
    }

    /// Signs a newcomer's consent to its name. Throws the signer's error.
    package static func consent(
        to name: String,
        alliance: AllianceID,
        organizationKey: some Signer
    ) throws -> [UInt8] {
        try organizationKey.sign(MembershipSignature.consent(to: name, alliance: alliance))
    }

    /// Signs a node's possession of its key, for an enrolment. Throws the signer's error.
    package static func possession(
        by node: some Signer,
        organization: OrganizationID,
        alliance: AllianceID
    ) throws -> [UInt8] {
        try node.sign(MembershipSignature.message(.possession, alliance, organization, node.publicKey))
    }

    /// Signs an enrolment with the organization key. Throws the encoder's and the signer's errors.
    ///
    /// - Parameter possession: The node's signature, see ``possession(by:organization:alliance:)``.
    package static func enrolment(
        of node: NodeKey,
        possession: [UInt8],
        organization: OrganizationID,
        alliance: AllianceID,
        organizationKey: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        try sign(alliance, by: organizationKey) {
            $0.enrolment.organization = organization.data
            $0.enrolment.node = node.data
            $0.enrolment.possession = possession.data
        }
    }

    /// Signs an enrolment by a voucher, as the node that the voucher names as its issuer. Call it only after the issuer
    /// has durably bound the node key to the ticket. Throws the encoder's and the signer's errors.
    ///
    /// - Parameters:
    ///   - possession: The node's signature, see ``possession(by:organization:alliance:)``.
    ///   - claim: The one-time key's signature, see ``claim(of:organization:alliance:oneTimeKey:)``.
    package static func enrolment(
        of node: NodeKey,
        possession: [UInt8],
        claim: [UInt8],
        voucher: Hansa_V0_SignedVoucher,
        organization: OrganizationID,
        alliance: AllianceID,
        issuer: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        try sign(alliance, by: issuer) {
            $0.enrolment.organization = organization.data
            $0.enrolment.node = node.data
            $0.enrolment.possession = possession.data
            $0.enrolment.voucher = voucher
            $0.enrolment.claim = claim.data
        }
    }

    /// Signs the claim of a voucher for a node with the voucher's one-time key. Throws the signer's error.
    package static func claim(
        of node: NodeKey,
        organization: OrganizationID,
        alliance: AllianceID,
        oneTimeKey: some Signer
    ) throws -> [UInt8] {
        try oneTimeKey.sign(MembershipSignature.message(.claim, alliance, organization, node.hash))
    }

    /// Signs a voucher with the organization key. With it, the holder of the one-time key can have nodes enrolled by
    /// the issuer. Throws the encoder's and the signer's errors.
    package static func voucher(
        for oneTimeKey: Hash256,
        issuer: NodeKey,
        organization: OrganizationID,
        alliance: AllianceID,
        organizationKey: some Signer
    ) throws -> Hansa_V0_SignedVoucher {
        let voucher: Hansa_V0_MembershipStatement.Voucher = .with {
            $0.alliance = alliance.data
            $0.organization = organization.data
            $0.organizationKey = organizationKey.publicKey.data
            $0.oneTimeKey = oneTimeKey.data
            $0.issuer = issuer.data
        }
        let bytes: [UInt8] = try voucher.serializedBytes()
        let signature = try organizationKey.sign(SignatureTag.voucher.message(bytes))
        return .with {
            $0.voucher = bytes.data
            $0.signature = signature.data
        }
    }

    /// Signs a retirement with the organization key. Throws the encoder's and the signer's errors.
    package static func retirement(
        _ retirement: Retirement,
        alliance: AllianceID,
        organizationKey: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        try sign(alliance, by: organizationKey) {
            $0.retirement.organization = retirement.organization.data
            $0.retirement.node = retirement.node.data
            $0.retirement.cuts = cuts(retirement.cuts)
            $0.retirement.stands = retirement.stands.sorted().map(\.data)
        }
    }

    /// Signs a proposal with an organization key. Throws the encoder's and the signer's errors.
    ///
    /// - Parameter possessions: The new key's signature for each rekeyed organization, see
    ///   ``possession(ofNewKey:organization:alliance:)``. Peers refuse the proposal if one is missing.
    package static func proposal(
        _ proposal: Proposal,
        possessions: [OrganizationID: [UInt8]] = [:],
        alliance: AllianceID,
        organizationKey: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        try sign(alliance, by: organizationKey) {
            $0.proposal = .with {
                $0.base = proposal.base.proposal?.data ?? Data()
                $0.seats = proposal.seats.map { seat in
                    .with {
                        $0.organization = seat.organization.data
                        $0.organizationKey = seat.key.data
                        $0.name = seat.name
                        $0.votes = seat.hasVote
                    }
                }
                $0.rekeys = proposal.rekeys.map { rekey in
                    .with {
                        $0.organization = rekey.organization.data
                        $0.organizationKey = rekey.key.data
                        $0.possession = possessions[rekey.organization]?.data ?? Data()
                        $0.keeps = rekey.keeps.sorted().map(\.data)
                        $0.cuts = cuts(rekey.cuts)
                    }
                }
                $0.removals = proposal.removals.map { removal in
                    .with {
                        $0.organization = removal.organization.data
                        $0.cuts = cuts(removal.cuts)
                    }
                }
                if let policy = proposal.policy {
                    $0.policy = .with {
                        $0.sponsors = policy.sponsors
                        $0.percent = policy.percent
                        $0.format = policy.format
                        $0.recordsMax = policy.recordsMax
                        $0.bytesMax = policy.bytesMax
                    }
                }
            }
        }
    }

    /// Signs the possession of a new organization key, for a rekey of the organization. Throws the signer's error.
    package static func possession(
        ofNewKey key: some Signer,
        organization: OrganizationID,
        alliance: AllianceID
    ) throws -> [UInt8] {
        try key.sign(MembershipSignature.message(.rekey, alliance, organization, key.publicKey))
    }

    /// Signs a vote for a proposal with an organization key. Throws the encoder's and the signer's errors.
    ///
    /// - Parameter isFinal: True only if the proposal is in force by all that the signer holds, this vote included.
    package static func approval(
        of proposal: Hash256,
        isFinal: Bool,
        alliance: AllianceID,
        organizationKey: some Signer
    ) throws -> Hansa_V0_SignedStatement {
        try sign(alliance, by: organizationKey) {
            $0.approval.proposal = proposal.data
            $0.approval.final = isFinal
        }
    }

    private static func sign(
        _ alliance: AllianceID,
        by signer: some Signer,
        _ fill: (inout Hansa_V0_MembershipStatement) -> Void
    ) throws -> Hansa_V0_SignedStatement {
        var statement = Hansa_V0_MembershipStatement()
        statement.alliance = alliance.data
        fill(&statement)
        let bytes: [UInt8] = try statement.serializedBytes()
        let signature = try signer.sign(SignatureTag.statement.message(bytes))
        return .with {
            $0.statement = bytes.data
            $0.signer = signer.publicKey.data
            $0.signature = signature.data
        }
    }

    private static func cuts(_ cuts: [UInt64: UInt64]) -> [Hansa_V0_MembershipStatement.Cut] {
        cuts.sorted { $0.key < $1.key }.map { cut in
            .with {
                $0.incarnation = cut.key
                $0.sequence = cut.value
            }
        }
    }

    private static func cuts(_ cuts: [LogID: UInt64]) -> [Hansa_V0_MembershipStatement.NodeCuts] {
        let byNode = Dictionary(grouping: cuts) { $0.key.author }
        return byNode.sorted { $0.key < $1.key }.map { node, entries in
            .with {
                $0.node = node.data
                $0.cuts = Self.cuts(
                    Dictionary(uniqueKeysWithValues: entries.map { ($0.key.incarnation, $0.value) })
                )
            }
        }
    }
}
