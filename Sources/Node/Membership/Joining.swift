import Catalog
import DeltaLog
import Foundation
import OpenSSLKit
import SwiftProtobuf
import Transport
package import Wire

extension NodeFolder {
    /// Joins an alliance by an invitation.
    ///
    /// The keys are written before anything is asked, so that an attempt that was cut off can be made again with the
    /// same ticket: the issuing node has bound it to the node key.
    ///
    /// - Parameters:
    ///   - organizationName: Nil for a further node of the inviter's organization.
    ///   - patience: How long an address that does not answer is tried again.
    /// - Throws: ``HansaError``: ``ExitCode/unreachable`` where nobody answers, ``ExitCode/refused`` with the inviting
    ///   node's reason, and those of ``found(alliance:organization:settings:protection:in:)``.
    package static func join(
        ticket: Hansa_V0_Ticket,
        organization organizationName: String?,
        settings: Settings,
        protection: KeyProtection,
        in folder: DataFolder,
        patience: Duration = .seconds(10)
    ) async throws -> Made {
        if let organizationName { try check(name: organizationName, what: "organization") }
        try settings.check()
        guard ticket.hasVoucher == (organizationName == nil) else {
            throw HansaError(
                .usage,
                ticket.hasVoucher
                    ? "this ticket is for a further node of the inviter's own organization; leave --org out"
                    : "this ticket is for a new organization; name it with --org"
            )
        }
        guard ticket.expires > WallClock.milliseconds / 1000 else {
            throw HansaError(.refused, "the invitation has expired; ask for a new one")
        }
        // The decoder checked that both are 32 bytes.
        guard let alliance = AllianceID(bytes: ticket.alliance), let inviter = NodeKey(bytes: ticket.inviter) else {
            throw HansaError(.usage, "the ticket is damaged")
        }
        try prepare(folder)
        let cryptography = SystemCryptography()
        let nodeKey = try ownNodeKey(in: folder)
        let oneTime = KeySigner(try Ed25519PrivateKey(seed: Array(ticket.oneTimeSeed)))
        let announcements = try announcement(
            settings,
            alliance: alliance,
            nodeKey: nodeKey,
            cryptography: cryptography
        )
        var request = Hansa_V0_JoinRequest()
        let organization: OrganizationID
        if let organizationName {
            let key = try ownOrganizationKey(in: folder, protection: protection)
            organization = OrganizationID(firstKey: key.publicKey, hasher: cryptography)
            request.name = organizationName
            request.organizationKey = key.publicKey.data
            request.enrolment = try Statement.enrolment(
                of: nodeKey,
                organization: organization,
                alliance: alliance,
                voucher: nil,
                signer: key
            )
        } else {
            guard let voucher = try? Hansa_V0_Voucher(serializedBytes: ticket.voucher.voucher),
                let owner = OrganizationID(bytes: voucher.organization)
            else { throw HansaError(.usage, "the ticket is damaged") }
            organization = owner
            request.enrolment = try Statement.enrolment(
                of: nodeKey,
                organization: owner,
                alliance: alliance,
                voucher: ticket.voucher,
                signer: oneTime
            )
        }
        if let announcement = announcements.first {
            request.announcement = try Hansa_V0_SignedAnnouncement(serializedBytes: announcement.encoded)
        }
        let answer = try await ask(
            request,
            addresses: ticket.addresses,
            inviter: inviter,
            oneTime: oneTime.key,
            patience: patience
        )
        let contents = try accept(
            answer,
            alliance: alliance,
            organization: organization,
            node: NodeKey(nodeKey.publicKey),
            own: announcements,
            cryptography: cryptography
        )
        let roster = Roster(
            charter: contents.charter,
            statements: contents.statements.reduce(into: GovernanceSet()) { set, statement in
                var replaced: Hash256?
                _ = set.insert(statement, replaced: &replaced)
            },
            hasher: cryptography
        )
        guard roster.organization(of: contents.node) == organization, let member = roster.members[organization] else {
            throw HansaError(
                .refused,
                "the inviting node has not admitted this one; more sponsors may have to sign, ask again later"
            )
        }
        return try await fill(
            folder,
            with: contents,
            settings: settings,
            organizationName: organizationName ?? member.name,
            isNewOrganization: organizationName != nil
        )
    }

    /// Checks all that the inviting node said: it vouches for nothing that is not signed.
    private static func accept(
        _ answer: Hansa_V0_JoinAnswer,
        alliance: AllianceID,
        organization: OrganizationID,
        node: NodeKey,
        own: [Announcement],
        cryptography: SystemCryptography
    ) throws -> Contents {
        guard let charter = Charter(answer.charter), charter.alliance(cryptography) == alliance else {
            throw HansaError(.refused, "the inviting node showed the charter of another alliance than the ticket's")
        }
        let statements = answer.statements.compactMap { signed -> Statement? in
            guard let bytes: [UInt8] = try? signed.serializedBytes() else { return nil }
            return try? Statement(verifying: bytes, alliance: alliance, cryptography: cryptography)
        }
        var announcements = AnnouncementSet()
        for signed in answer.announcements {
            guard let bytes: [UInt8] = try? signed.serializedBytes(),
                let announcement = try? Announcement(
                    verifying: bytes,
                    alliance: alliance,
                    cryptography: cryptography
                )
            else { continue }
            _ = announcements.insert(announcement)
        }
        for announcement in own { _ = announcements.insert(announcement) }
        return Contents(
            charter: charter,
            organization: organization,
            node: node,
            statements: statements,
            announcements: announcements.sorted
        )
    }

    /// Dials the addresses in turn until one answers or patience ends.
    private static func ask(
        _ request: Hansa_V0_JoinRequest,
        addresses: [String],
        inviter: NodeKey,
        oneTime: Ed25519PrivateKey,
        patience: Duration
    ) async throws -> Hansa_V0_JoinAnswer {
        let identity = try NodeIdentity.make(for: oneTime)
        let transport = PeerTransport(identity: { identity }, authorize: { $0.rawBytes == inviter.bytes })
        let deadline = ContinuousClock.now + patience
        var last = "it names no address"
        repeat {
            for address in addresses {
                guard let place = try? HostPort(address) else { continue }
                do {
                    let connection = try await transport.dial(
                        host: place.host,
                        port: place.port,
                        deadline: .seconds(5)
                    )
                    let answer = try await exchange(request, over: connection)
                    await transport.shutdown()
                    return answer
                } catch let reason as CloseReason {
                    if case .refusedByPeer = reason {
                        throw HansaError(
                            .refused,
                            "\(address) does not take this invitation: it was used or revoked, has expired, or is not that node's"
                        )
                    }
                    last = "\(address): \(reason.words)"
                }
            }
            guard !addresses.isEmpty else { break }
            try await Task.sleep(for: .milliseconds(300))
        } while ContinuousClock.now < deadline
        throw HansaError(
            .unreachable,
            "the inviting node cannot be reached (\(last)); see that it runs ('hansa run') and try again with the same ticket"
        )
    }

    private static func exchange(
        _ request: Hansa_V0_JoinRequest,
        over connection: PeerConnection
    ) async throws -> Hansa_V0_JoinAnswer {
        var frame = Hansa_V0_Frame()
        frame.joinRequest = request
        let bytes: [UInt8] = try frame.serializedBytes()
        try await connection.send(bytes)
        for await reply in connection.inbound {
            guard let answered = try? Hansa_V0_Frame(serializedBytes: reply),
                case .joinAnswer(let answer) = answered.message
            else {
                throw HansaError(.unreachable, "the inviting node answered with something else; is it of this version?")
            }
            connection.close()
            guard answer.refused == 0 else { throw HansaError(.refused, answer.reason) }
            return answer
        }
        throw await connection.closed()
    }
}
