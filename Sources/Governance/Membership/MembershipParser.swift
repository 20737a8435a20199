import Catalog
import DeltaLog
import Foundation
import SwiftProtobuf
import Wire

/// Reads the body of a statement whose own signature is valid. Each function throws the first rule that the body
/// breaks.
struct MembershipParser<Verifier: Cryptography> {
    let alliance: AllianceID
    let signer: Hash256
    let cryptography: Verifier

    typealias Message = Hansa_V0_MembershipStatement

    func body(_ body: Message.OneOf_Body) throws(StatementRefusal) -> MembershipStatement.Body {
        switch body {
        case .admission(let admission): try self.admission(admission)
        case .enrolment(let enrolment): try self.enrolment(enrolment)
        case .retirement(let retirement): .retirement(try self.retirement(retirement))
        case .proposal(let proposal): .proposal(try self.proposal(proposal))
        case .approval(let approval): .approval(of: try hash(approval.proposal), isFinal: approval.final)
        case .forkProof(let proof): try fork(proof)
        }
    }

    private func admission(_ admission: Message.Admission) throws(StatementRefusal) -> MembershipStatement.Body {
        let key = try hash(admission.organizationKey)
        guard Statement.isName(admission.name) else { throw .malformed }
        let consent = MembershipSignature.consent(to: admission.name, alliance: alliance)
        try check(admission.consent, of: consent, by: key)
        return .admission(name: admission.name, organizationKey: key)
    }

    private func enrolment(_ enrolment: Message.Enrolment) throws(StatementRefusal) -> MembershipStatement.Body {
        let organization = OrganizationID(try hash(enrolment.organization))
        let node = NodeKey(try hash(enrolment.node))
        let possession = MembershipSignature.message(.possession, alliance, organization, node.hash)
        try check(enrolment.possession, of: possession, by: node.hash)
        guard enrolment.hasVoucher else {
            guard enrolment.claim.isEmpty else { throw .malformed }
            return .enrolment(organization: organization, organizationKey: signer, node: node, voucher: nil)
        }
        guard let voucher = Message.Voucher(canonical: Array(enrolment.voucher.voucher)),
            voucher.organization == organization.data, voucher.issuer == signer.data
        else { throw .malformed }
        guard voucher.alliance == alliance.data else { throw .foreignAlliance }
        let (key, oneTimeKey) = (try hash(voucher.organizationKey), try hash(voucher.oneTimeKey))
        try check(enrolment.voucher.signature, of: SignatureTag.voucher.message(enrolment.voucher.voucher), by: key)
        let claim = MembershipSignature.message(.claim, alliance, organization, node.hash)
        try check(enrolment.claim, of: claim, by: oneTimeKey)
        return .enrolment(organization: organization, organizationKey: key, node: node, voucher: oneTimeKey)
    }

    private func retirement(_ retirement: Message.Retirement) throws(StatementRefusal) -> Retirement {
        Retirement(
            organization: OrganizationID(try hash(retirement.organization)),
            node: NodeKey(try hash(retirement.node)),
            cuts: try cuts(retirement.cuts),
            stands: try ascendingHashes(retirement.stands)
        )
    }

    private func proposal(_ proposal: Message.Proposal) throws(StatementRefusal) -> Proposal {
        var seats: [Proposal.Seat] = []
        for seat in proposal.seats {
            guard Statement.isName(seat.name) else { throw .malformed }
            seats.append(
                Proposal.Seat(
                    organization: OrganizationID(try hash(seat.organization)),
                    key: try hash(seat.organizationKey),
                    name: seat.name,
                    hasVote: seat.votes
                )
            )
        }
        var removals: [Proposal.Removal] = []
        for removal in proposal.removals {
            removals.append(
                Proposal.Removal(
                    organization: OrganizationID(try hash(removal.organization)),
                    cuts: try cuts(removal.cuts)
                )
            )
        }
        var rekeys: [Proposal.Rekey] = []
        for rekey in proposal.rekeys {
            rekeys.append(
                Proposal.Rekey(
                    organization: OrganizationID(try hash(rekey.organization)),
                    key: try hash(rekey.organizationKey),
                    keeps: Set(try ascendingHashes(rekey.keeps).map { NodeKey($0) }),
                    cuts: try cuts(rekey.cuts)
                )
            )
        }
        guard Set(seats.map(\.organization)).count == seats.count,
            Set(rekeys.map(\.organization)).count == rekeys.count,
            Set(removals.map(\.organization)).count == removals.count
        else { throw .malformed }
        // Signatures are last: they cost the most.
        for (rekey, message) in zip(rekeys, proposal.rekeys) {
            let possession = MembershipSignature.message(.rekey, alliance, rekey.organization, rekey.key)
            try check(message.possession, of: possession, by: rekey.key)
        }
        return Proposal(
            base: proposal.base.isEmpty ? .charter : .proposal(try hash(proposal.base)),
            seats: seats,
            rekeys: rekeys,
            removals: removals,
            policy: proposal.hasPolicy ? Policy(proposal.policy) : nil
        )
    }

    private func fork(_ proof: Hansa_V0_ForkProof) throws(StatementRefusal) -> MembershipStatement.Body {
        let (log, sequence) = try Statement.fork(proof, alliance: alliance, cryptography: cryptography)
        return .fork(log: log, sequence: sequence)
    }

    // MARK: - Parts

    private func hash(_ bytes: Data) throws(StatementRefusal) -> Hash256 {
        guard let hash = Hash256(bytes) else { throw .malformed }
        return hash
    }

    private func check(_ signature: Data, of message: [UInt8], by key: Hash256) throws(StatementRefusal) {
        guard cryptography.isValid(Array(signature), of: message, by: key) else { throw .badSignature }
    }

    /// A list of 32-byte values that must ascend without repetition.
    private func ascendingHashes(_ list: [Data]) throws(StatementRefusal) -> Set<Hash256> {
        var last: Hash256?
        var hashes = Set<Hash256>(minimumCapacity: list.count)
        for bytes in list {
            let next = try hash(bytes)
            guard last.map({ $0 < next }) ?? true else { throw .malformed }
            last = next
            hashes.insert(next)
        }
        return hashes
    }

    /// Cuts of one node's logs. Incarnations must ascend; a sequence is at most ``Header/sequenceMax``.
    private func cuts(_ list: [Message.Cut]) throws(StatementRefusal) -> [UInt64: UInt64] {
        var last: UInt64?
        var cuts = [UInt64: UInt64](minimumCapacity: list.count)
        for cut in list {
            guard last.map({ $0 < cut.incarnation }) ?? true, cut.sequence <= Header.sequenceMax else {
                throw .malformed
            }
            last = cut.incarnation
            cuts[cut.incarnation] = cut.sequence
        }
        return cuts
    }

    /// Cuts of several nodes' logs. Nodes must ascend, each with at least one cut.
    private func cuts(_ list: [Message.NodeCuts]) throws(StatementRefusal) -> [LogID: UInt64] {
        var last: Hash256?
        var all: [LogID: UInt64] = [:]
        for entry in list {
            let node = try hash(entry.node)
            guard last.map({ $0 < node }) ?? true, !entry.cuts.isEmpty else { throw .malformed }
            last = node
            for (incarnation, sequence) in try cuts(entry.cuts) {
                all[LogID(author: NodeKey(node), incarnation: incarnation)] = sequence
            }
        }
        return all
    }
}

extension Policy {
    init(_ message: Hansa_V0_MembershipStatement.Policy) {
        self.init(
            sponsors: message.sponsors,
            percent: message.percent,
            format: message.format,
            recordsMax: message.recordsMax,
            bytesMax: message.bytesMax
        )
    }
}

/// The bytes of the signatures inside statements.
enum MembershipSignature {
    /// Tag, alliance, organization and key: a node key for a possession or a claim, an organization key for a rekey.
    static func message(
        _ tag: SignatureTag,
        _ alliance: AllianceID,
        _ organization: OrganizationID,
        _ key: Hash256
    ) -> [UInt8] {
        tag.message(alliance.bytes + organization.bytes + key.bytes)
    }

    static func consent(to name: String, alliance: AllianceID) -> [UInt8] {
        SignatureTag.consent.message(alliance.bytes + Array(name.utf8))
    }
}
