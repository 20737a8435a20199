package import Catalog
import DeltaLog
import Foundation
package import Governance
import Store
import SwiftProtobuf
package import Wire

/// Admits a newcomer that presents a live invitation of this node.
package struct Admission: Sendable {
    let replica: Replica

    /// - Parameter replica: The replica of the inviting node.
    package init(replica: Replica) {
        self.replica = replica
    }

    /// An admitted newcomer and its statements.
    package struct Admitted: Sendable {
        /// The name of its organization.
        package let name: String
        package let node: NodeKey
        /// Its enrolment; for a new organization also its admission.
        package let statements: [Statement]
        /// The newcomer's announcement; nil without a valid one.
        package let announcement: Announcement?
        /// The frames of the answer.
        package let answer: JoinAnswerParts
    }

    /// Binds the invitation to the newcomer's node key and organization key, signs the admission, and stores both before it
    /// answers.
    ///
    /// - Throws: ``Failure``; the newcomer receives its message.
    package func admit(_ request: Hansa_V0_JoinRequest, invitation key: Hash256) async throws -> Admitted {
        let cryptography = replica.cryptography
        let alliance = replica.alliance
        let bytes: [UInt8] = try request.enrolment.serializedBytes()
        guard let enrolment = try? Statement(verifying: bytes, alliance: alliance, cryptography: cryptography),
            case .enrolment(let organization, let organizationKey, let node, let voucher) = enrolment.body
        else { throw Failure(.badJoinRequest, "the request holds no valid enrolment") }
        guard OrganizationID(firstKey: organizationKey, hasher: cryptography) == organization else {
            throw Failure(.badJoinRequest, "the organization's id is not that of its key")
        }
        var statements = [enrolment]
        var name = request.name
        if voucher != nil {
            guard organization == replica.organization, voucher == key else {
                throw Failure(.badJoinRequest, "the voucher is not of this invitation")
            }
            name = replica.name(of: organization)
        } else {
            guard request.organizationKey == organizationKey.data else {
                throw Failure(.badJoinRequest, "the organization's id is not that of its key")
            }
            guard Statement.isName(name) else {
                throw Failure(.badJoinRequest, "the organization's name is not allowed")
            }
            let admission: [UInt8] = try Statement.admission(
                name: name,
                organizationKey: organizationKey,
                alliance: alliance,
                sponsor: replica.signer
            ).serializedBytes()
            statements.append(try Statement(verifying: admission, alliance: alliance, cryptography: cryptography))
        }
        var announcement: Announcement?
        if request.hasAnnouncement {
            let bytes: [UInt8] = try request.announcement.serializedBytes()
            announcement = try? Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography)
            if announcement?.node != node { announcement = nil }
        }
        let newcomer = Newcomer(
            name: name,
            organization: organization,
            organizationKey: organizationKey,
            node: node,
            isOwn: voucher != nil,
            statements: statements,
            announcement: announcement
        )
        return try await finish(newcomer, invitation: key)
    }

    /// A request that is valid by itself.
    private struct Newcomer: Sendable {
        let name: String
        let organization: OrganizationID
        let organizationKey: Hash256
        let node: NodeKey
        let isOwn: Bool
        let statements: [Statement]
        let announcement: Announcement?
    }

    /// Judges and stores the request within one transaction, after all earlier writes.
    private func finish(_ newcomer: Newcomer, invitation key: Hash256) async throws -> Admitted {
        try await replica.write { transaction in
            let redemption = try transaction.redeemInvitation(
                key,
                by: newcomer.node,
                of: newcomer.organizationKey,
                now: WallClock.milliseconds
            )
            try Self.check(redemption, name: newcomer.name, isOwn: newcomer.isOwn)
            if !newcomer.isOwn { try checkName(newcomer, transaction.reading) }
            try transaction.add(newcomer.statements)
            if let announcement = newcomer.announcement { try transaction.set(announcement) }
        }
        let held = try await replica.read { (try $0.statements(), try $0.announcements()) }
        return Admitted(
            name: newcomer.name,
            node: newcomer.node,
            statements: newcomer.statements,
            announcement: newcomer.announcement,
            answer: JoinAnswerParts(charter: replica.charter, statements: held.0, announcements: held.1)
        )
    }

    /// Refuses a name that resembles a member's name, or one for which this node has signed an admission. Consults the
    /// engine's roster and the statements on the disk, which may be ahead of it.
    private func checkName(_ newcomer: Newcomer, _ reading: ReadTransaction) throws {
        let folded = NameFolding.fold(newcomer.name)
        let stored = try replica.storedRoster(reading)
        for member in Array(replica.roster.members.values) + stored.roster.members.values
        where NameFolding.fold(member.name) == folded && member.id != newcomer.organization {
            throw Failure(.nameTaken, "a member is called '\(member.name)' already; choose another name")
        }
        for statement in stored.statements where statement.signer == replica.node.hash {
            guard case .admission(let name, let organizationKey) = statement.body else { continue }
            if organizationKey == newcomer.organizationKey {
                // Another name would be another admission; the one with the lower id would count.
                guard Array(name.utf8) == Array(newcomer.name.utf8) else {
                    throw Failure(.nameDiffers, "the organization was admitted as '\(name)'; join by that name")
                }
            } else if NameFolding.fold(name) == folded {
                throw Failure(.nameTaken, "another newcomer is called '\(name)' already; choose another name")
            }
        }
    }

    private static func check(_ redemption: Redemption, name: String, isOwn: Bool) throws {
        switch redemption {
        case .redeemed(let invitation):
            guard invitation.isOwn == isOwn else {
                throw Failure(.badJoinRequest, "the invitation is of the other kind")
            }
            if let expected = invitation.expectedName, NameFolding.fold(expected) != NameFolding.fold(name) {
                throw Failure(.invitationForAnother, "the invitation is for '\(expected)'")
            }
        case .takenByAnother:
            throw Failure(.invitationUsed, "the invitation was used by another node or for another organization")
        case .expired: throw Failure(.invitationExpired, "the invitation has expired")
        case .revoked: throw Failure(.invitationRevoked, "the invitation was revoked")
        case .unknown: throw Failure(.invitationUnknown, "the invitation is not of this node")
        }
    }
}
