import Catalog
import DeltaLog
import Foundation
import Store
import SwiftProtobuf
import Wire

/// Admitting a newcomer who shows a live invitation of this node.
struct Admission: Sendable {
    let directory: Directory

    struct Admitted: Sendable {
        let name: String
        let node: NodeKey
        let statements: [Statement]
        let announcement: Announcement?
        let answer: Hansa_V0_JoinAnswer
    }

    /// Binds the invitation to the newcomer's node key, signs the admission and stores both before it answers.
    ///
    /// - Throws: ``HansaError`` with ``ExitCode/refused`` and the reason, which the newcomer is told.
    func admit(_ request: Hansa_V0_JoinRequest, invitation key: Hash256) async throws -> Admitted {
        let cryptography = directory.cryptography
        let alliance = directory.alliance
        let bytes: [UInt8] = try request.enrolment.serializedBytes()
        guard let enrolment = try? Statement(verifying: bytes, alliance: alliance, cryptography: cryptography),
            case .enrolment(let organization, let organizationKey, let node, let voucher) = enrolment.body
        else { throw HansaError(.refused, "the request holds no valid enrolment") }
        let roster = directory.roster
        var statements = [enrolment]
        var name = request.name
        if voucher != nil {
            guard organization == directory.organization, voucher == key else {
                throw HansaError(.refused, "the voucher is not of this invitation")
            }
            name = directory.name(of: organization)
        } else {
            guard OrganizationID(firstKey: organizationKey, hasher: cryptography) == organization,
                request.organizationKey == organizationKey.data
            else { throw HansaError(.refused, "the organization's id is not that of its key") }
            guard Statement.isName(name) else { throw HansaError(.refused, "the organization's name is not allowed") }
            let folded = NameFolding.fold(name)
            if let same = roster.members.values.first(where: {
                NameFolding.fold($0.name) == folded && $0.id != organization
            }) {
                throw HansaError(.refused, "a member is called '\(same.name)' already; choose another name")
            }
            let admission: [UInt8] = try Statement.admission(
                name: name,
                organizationKey: organizationKey,
                alliance: alliance,
                sponsor: directory.signer
            ).serializedBytes()
            statements.append(try Statement(verifying: admission, alliance: alliance, cryptography: cryptography))
        }
        var announcement: Announcement?
        if request.hasAnnouncement {
            let bytes: [UInt8] = try request.announcement.serializedBytes()
            announcement = try? Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography)
            if announcement?.node != node { announcement = nil }
        }
        return try await finish(
            invitation: key,
            name: name,
            node: node,
            isOwn: voucher != nil,
            statements: statements,
            announcement: announcement
        )
    }

    private func finish(
        invitation key: Hash256,
        name: String,
        node: NodeKey,
        isOwn: Bool,
        statements: [Statement],
        announcement: Announcement?
    ) async throws -> Admitted {
        let directory = directory
        let answer = try await directory.onWriter { () -> Hansa_V0_JoinAnswer in
            try directory.store.write { transaction in
                let now = WallClock.milliseconds
                try Self.check(try transaction.redeemInvitation(key, by: node, now: now), name: name, isOwn: isOwn)
                try transaction.add(statements)
                if let announcement { try transaction.set(announcement) }
            }
            var answer = Hansa_V0_JoinAnswer()
            answer.charter = directory.charter.message
            let held = try directory.store.read { (try $0.statements(), try $0.announcements()) }
            answer.statements = try held.0.map { try Hansa_V0_SignedStatement(serializedBytes: $0) }
            answer.announcements = try held.1.map { try Hansa_V0_SignedAnnouncement(serializedBytes: $0) }
            return answer
        }
        return Admitted(
            name: name,
            node: node,
            statements: statements,
            announcement: announcement,
            answer: answer
        )
    }

    private static func check(_ redemption: Redemption, name: String, isOwn: Bool) throws {
        switch redemption {
        case .redeemed(let invitation):
            guard invitation.isOwn == isOwn else { throw HansaError(.refused, "the invitation is of the other kind") }
            if let expected = invitation.expectedName, NameFolding.fold(expected) != NameFolding.fold(name) {
                throw HansaError(.refused, "the invitation is for '\(expected)'")
            }
        case .takenByAnother: throw HansaError(.refused, "the invitation was used by another node")
        case .expired: throw HansaError(.refused, "the invitation has expired")
        case .revoked: throw HansaError(.refused, "the invitation was revoked")
        case .unknown: throw HansaError(.refused, "the invitation is not of this node")
        }
    }
}
