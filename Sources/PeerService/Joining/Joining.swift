import Catalog
import DeltaLog
import Governance
import OpenSSLKit
package import Replica
import SwiftProtobuf
import Transport
package import Wire

extension NodeFolder {
    /// Joins an alliance with an invitation.
    ///
    /// The keys are written before the request is sent. An interrupted attempt can be repeated with the same ticket,
    /// because the inviting node has bound the ticket to the node key.
    ///
    /// - Parameters:
    ///   - organizationName: Nil for a further node of the inviter's organization.
    ///   - patience: How long to retry addresses that do not answer.
    /// - Throws: ``Failure``: ``Reason/inviterUnreachable`` if no address answers, ``Reason/joinRefused`` with the inviting
    ///   node's reason, those of the ticket, and those of ``found(alliance:organization:settings:protection:in:)``.
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
        try TicketReading.check(ticket, namesOrganization: organizationName != nil)
        guard ticket.expires > WallClock.milliseconds / 1000 else {
            throw Failure(.invitationExpired, "the invitation has expired; ask for a new one")
        }
        // The decoder checked that both are 32 bytes.
        guard let alliance = AllianceID(bytes: ticket.alliance), let inviter = NodeKey(bytes: ticket.inviter) else {
            throw Failure(.ticketDamaged, "the ticket is damaged")
        }
        let addresses = try dialable(ticket.addresses)
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
            else { throw Failure(.ticketDamaged, "the ticket is damaged") }
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
            addresses: addresses,
            inviter: inviter,
            oneTime: oneTime.key,
            patience: patience,
            empty: JoinAnswerIntake(alliance: alliance, cryptography: cryptography)
        )
        let contents = try answer.contents(
            organization: organization,
            node: NodeKey(nodeKey.publicKey),
            own: announcements
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
            throw Failure(
                .notAdmitted,
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

    /// The addresses of a ticket that can be dialled.
    private static func dialable(_ addresses: [String]) throws -> [HostPort] {
        guard !addresses.isEmpty else {
            throw Failure(.ticketNotDialable, "the ticket names no address to dial", fix: .askForDialableTicket)
        }
        var failure: Failure?
        var dialable: [HostPort] = []
        for address in addresses {
            do { dialable.append(try HostPort(dialable: address)) } catch let error as Failure { failure = error }
        }
        if dialable.isEmpty, let failure {
            throw Failure(
                .ticketNotDialable,
                "the ticket names no address that can be dialled (\(failure.message))",
                fix: .askForDialableTicket
            )
        }
        return dialable
    }

    /// Dials the addresses in turn until one answers or the patience ends.
    ///
    /// - Parameter empty: An intake that has read nothing; each attempt begins with a copy.
    private static func ask(
        _ request: Hansa_V0_JoinRequest,
        addresses: [HostPort],
        inviter: NodeKey,
        oneTime: Ed25519PrivateKey,
        patience: Duration,
        empty: JoinAnswerIntake
    ) async throws -> JoinAnswerIntake {
        let identity = try NodeIdentity.make(for: oneTime)
        let transport = PeerTransport(
            identity: { identity },
            admit: { $0.rawBytes == inviter.bytes ? PeerTerms() : nil }
        )
        let deadline = ContinuousClock.now + patience
        var last = ""
        repeat {
            for address in addresses {
                do {
                    let connection = try await transport.dial(
                        host: address.host,
                        port: address.port,
                        deadline: .seconds(5)
                    )
                    let answer = try await exchange(request, over: connection, empty: empty)
                    await transport.shutdown()
                    return answer
                } catch let reason as CloseReason {
                    if case .refusedByPeer = reason {
                        throw Failure(
                            .invitationRefused,
                            "\(address) does not take this invitation: it was used or revoked, has expired, or is not that node's"
                        )
                    }
                    last = "\(address): \(reason.words)"
                }
            }
            try await Task.sleep(for: .milliseconds(300))
        } while ContinuousClock.now < deadline
        throw Failure(
            .inviterUnreachable,
            "the inviting node cannot be reached (\(last))",
            fix: .retryWithInviter
        )
    }

    /// The longest time of a whole answer. A silent connection ends sooner.
    private static let answerPatience = Duration.seconds(300)

    private static func exchange(
        _ request: Hansa_V0_JoinRequest,
        over connection: PeerConnection,
        empty: JoinAnswerIntake
    ) async throws -> JoinAnswerIntake {
        var frame = Hansa_V0_Frame()
        frame.joinRequest = request
        let bytes: [UInt8] = try frame.serializedBytes()
        // Owned by this call, which cancels it when the answer is here.
        let deadline = Task {
            try await Task.sleep(for: answerPatience)
            connection.abort(.outlived)
        }
        defer { deadline.cancel() }
        try await connection.send(bytes)
        var intake = empty
        for await reply in connection.inbound where try intake.take(reply) {
            connection.close()
            return intake
        }
        throw await connection.closed()
    }
}
