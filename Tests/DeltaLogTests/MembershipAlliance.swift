import Catalog
import DeltaLog
import Foundation
import Governance
import Simulator
import SwiftProtobuf
import TestSupport
import Testing
import Wire

/// An alliance whose keys are made from numbers, and the membership statements that these keys sign. An organization's
/// number is that of its first key.
struct MembershipAlliance {
    let cryptography = KeyedHashCryptography()
    let charter: Charter

    init(_ founders: [UInt64], sponsors: UInt32 = 1, percent: UInt32 = 50) {
        charter = Charter(
            name: "Vectors",
            founders: founders.map { Charter.Founder(name: "F\($0)", key: KeyedHashSigner(number: $0).publicKey) },
            sponsors: sponsors,
            removalPercent: percent,
            nonce: [UInt8](repeating: 9, count: 16)
        )
    }

    var id: AllianceID { charter.alliance(cryptography) }

    func key(_ number: UInt64) -> Hash256 { KeyedHashSigner(number: number).publicKey }
    func node(_ number: UInt64) -> NodeKey { NodeKey(key(number)) }
    func organization(_ number: UInt64) -> OrganizationID {
        OrganizationID(firstKey: key(number), hasher: cryptography)
    }
    func log(_ node: UInt64, _ incarnation: UInt64) -> LogID {
        LogID(author: self.node(node), incarnation: incarnation)
    }

    func verified(_ signed: Hansa_V0_SignedStatement) throws -> MembershipStatement {
        try verified(signed.serializedBytes() as [UInt8])
    }

    func verified(_ bytes: [UInt8]) throws(StatementRefusal) -> MembershipStatement {
        try MembershipStatement(verifying: bytes, alliance: id, cryptography: cryptography)
    }

    // MARK: - Statements

    func admission(by node: UInt64, of key: UInt64, as name: String? = nil) throws -> MembershipStatement {
        let (name, signer) = (name ?? "N\(key)", KeyedHashSigner(number: key))
        return try verified(
            MembershipStatement.admission(
                name: name,
                organizationKey: signer.publicKey,
                consent: MembershipStatement.consent(to: name, alliance: id, organizationKey: signer),
                alliance: id,
                sponsor: KeyedHashSigner(number: node)
            )
        )
    }

    func enrolment(of node: UInt64, at organization: UInt64, key: UInt64? = nil) throws -> MembershipStatement {
        let organizationID = self.organization(organization)
        return try verified(
            MembershipStatement.enrolment(
                of: self.node(node),
                possession: MembershipStatement.possession(
                    by: KeyedHashSigner(number: node),
                    organization: organizationID,
                    alliance: id
                ),
                organization: organizationID,
                alliance: id,
                organizationKey: KeyedHashSigner(number: key ?? organization)
            )
        )
    }

    func signedEnrolment(
        of node: UInt64,
        at organization: UInt64,
        voucherFor oneTimeKey: UInt64,
        issuer: UInt64,
        claimedBy claimer: UInt64? = nil,
        signer: UInt64? = nil
    ) throws -> Hansa_V0_SignedStatement {
        let organizationID = self.organization(organization)
        return try MembershipStatement.enrolment(
            of: self.node(node),
            possession: MembershipStatement.possession(
                by: KeyedHashSigner(number: node),
                organization: organizationID,
                alliance: id
            ),
            claim: MembershipStatement.claim(
                of: self.node(node),
                organization: organizationID,
                alliance: id,
                oneTimeKey: KeyedHashSigner(number: claimer ?? oneTimeKey)
            ),
            voucher: MembershipStatement.voucher(
                for: key(oneTimeKey),
                issuer: self.node(issuer),
                organization: organizationID,
                alliance: id,
                organizationKey: KeyedHashSigner(number: organization)
            ),
            organization: organizationID,
            alliance: id,
            issuer: KeyedHashSigner(number: signer ?? issuer)
        )
    }

    func retirement(
        of node: UInt64,
        at organization: UInt64,
        cuts: [UInt64: UInt64] = [:],
        stands: [UInt64] = [],
        key: UInt64? = nil
    ) throws -> MembershipStatement {
        try verified(
            MembershipStatement.retirement(
                Retirement(
                    organization: self.organization(organization),
                    node: self.node(node),
                    cuts: cuts,
                    stands: Set(stands.map { self.key($0) })
                ),
                alliance: id,
                organizationKey: KeyedHashSigner(number: key ?? organization)
            )
        )
    }

    /// One change of a proposal.
    enum Entry {
        case seat(UInt64, key: UInt64? = nil, name: String? = nil, votes: Bool = true)
        case rekey(UInt64, key: UInt64, keeps: [UInt64] = [], cuts: [(UInt64, UInt64, UInt64)] = [])
        case removal(UInt64, cuts: [(UInt64, UInt64, UInt64)] = [])
        case policy(UInt32, UInt32)
    }

    private func cuts(_ cuts: [(UInt64, UInt64, UInt64)]) -> [LogID: UInt64] {
        Dictionary(uniqueKeysWithValues: cuts.map { (log($0.0, $0.1), $0.2) })
    }

    func proposal(
        by key: UInt64,
        on base: MembershipStatement? = nil,
        _ entries: Entry...
    ) throws -> MembershipStatement {
        try proposal(by: key, on: base, entries)
    }

    func proposal(by key: UInt64, on base: MembershipStatement?, _ entries: [Entry]) throws -> MembershipStatement {
        var seats: [Proposal.Seat] = []
        var rekeys: [Proposal.Rekey] = []
        var removals: [Proposal.Removal] = []
        var policy: Policy?
        var possessions: [OrganizationID: [UInt8]] = [:]
        for entry in entries {
            switch entry {
            case .seat(let number, let key, let name, let votes):
                seats.append(
                    Proposal.Seat(
                        organization: organization(number),
                        key: self.key(key ?? number),
                        name: name ?? "N\(number)",
                        hasVote: votes
                    )
                )
            case .rekey(let number, let key, let keeps, let cuts):
                let id = organization(number)
                rekeys.append(
                    Proposal.Rekey(
                        organization: id,
                        key: self.key(key),
                        keeps: Set(keeps.map { node($0) }),
                        cuts: self.cuts(cuts)
                    )
                )
                possessions[id] = try MembershipStatement.possession(
                    ofNewKey: KeyedHashSigner(number: key),
                    organization: id,
                    alliance: self.id
                )
            case .removal(let number, let cuts):
                removals.append(Proposal.Removal(organization: organization(number), cuts: self.cuts(cuts)))
            case .policy(let sponsors, let percent): policy = Policy(sponsors: sponsors, percent: percent)
            }
        }
        return try verified(
            MembershipStatement.proposal(
                Proposal(
                    base: base.map { .proposal($0.id) } ?? .charter,
                    seats: seats,
                    rekeys: rekeys,
                    removals: removals,
                    policy: policy
                ),
                possessions: possessions,
                alliance: id,
                organizationKey: KeyedHashSigner(number: key)
            )
        )
    }

    func approval(by key: UInt64, of proposal: MembershipStatement, final: Bool = false) throws -> MembershipStatement {
        try verified(
            MembershipStatement.approval(
                of: proposal.id,
                isFinal: final,
                alliance: id,
                organizationKey: KeyedHashSigner(number: key)
            )
        )
    }

    func fork(of log: LogID, by node: UInt64, at sequence: UInt64, variants: (UInt64, UInt64) = (1, 2)) throws
        -> MembershipStatement
    {
        let signer = KeyedHashSigner(number: node)
        func header(_ variant: UInt64) throws -> (header: [UInt8], signature: [UInt8]) {
            let header = Header(
                alliance: id,
                log: log,
                sequence: sequence,
                previous: sequence == 1 ? nil : .zero,
                root: Hash256(variant, 0, 0, 0),
                count: 1,
                stamp: Stamp(rawValue: 1),
                cited: [],
                organization: OrganizationID(.zero),
                fields: FieldList()
            )
            let bytes = header.encoded()
            return (bytes, try signer.sign(SignatureTag.header.message(bytes)))
        }
        return try verified(Statement.forkProof(alliance: id, header(variants.0), header(variants.1)))
    }

    // MARK: - Views

    func view() throws -> MemberView { try MemberView(self) }

    func view(_ statements: [MembershipStatement]) throws -> MemberView {
        var view = try MemberView(self)
        view.receive(statements)
        return view
    }
}

/// What one node holds, with every statement that it received and does not keep.
struct MemberView: Hashable {
    let cryptography = KeyedHashCryptography()
    private(set) var membership: Membership
    private(set) var orphans: [Hash256: MembershipStatement] = [:]
    /// Versions that were replaced on this node's line.
    private(set) var displaced: [VersionID] = []

    init(_ alliance: MembershipAlliance, anchor: VersionID = .charter, _ statements: [MembershipStatement] = []) throws
    {
        membership = try Membership(
            charter: alliance.charter,
            anchor: anchor,
            statements: statements,
            hasher: cryptography
        )
    }

    var roster: MembershipRoster { membership.roster }
    var held: [MembershipStatement] { membership.set.sorted }
    var members: Set<OrganizationID> { Set(roster.members.keys) }

    mutating func receive(_ statements: [MembershipStatement]) {
        let change = membership.merge(statements + orphans.values.sorted { $0.id < $1.id }, hasher: cryptography)
        displaced += change.displaced
        for statement in change.statements.added { orphans[statement.id] = nil }
        for statement in change.statements.orphans + change.statements.dropped { orphans[statement.id] = statement }
    }

    mutating func adopt(_ version: MembershipStatement) throws {
        let change = try membership.adopt(.proposal(version.id), hasher: cryptography)
        for statement in change.statements.dropped { orphans[statement.id] = statement }
        receive([])
    }

    static func == (left: MemberView, right: MemberView) -> Bool {
        left.membership == right.membership && left.orphans == right.orphans
    }

    func hash(into hasher: inout Hasher) { hasher.combine(membership) }
}

/// Has every node receive what every other one holds, until nothing changes.
///
/// - Returns: True if all hold one set.
func exchangeAll(_ views: inout [MemberView]) -> Bool {
    for _ in 0..<8 {
        let sets = views.map(\.held)
        for index in views.indices {
            for set in sets { views[index].receive(set) }
        }
        if Set(views.map(\.membership.set)).count == 1 { return true }
    }
    return false
}
