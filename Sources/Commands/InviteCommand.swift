import Catalog
import DeltaLog
package import Foundation
import Governance
import OpenSSLKit
import PeerService
package import Replica
import Store
import SwiftProtobuf
import Wire

/// Makes an invitation.
package struct InviteCommand: Command {
    package static let endpoint = Endpoint("invite", .admin)
    /// A hundred years, in seconds.
    private static let expiresSecondsMax: UInt64 = 36_525 * 86_400
    /// The number of seconds until the invitation expires.
    package let expiresSeconds: UInt64
    package let expectedName: String?
    /// The seed of the one-time key, and the bytes of a SignedVoucher for it. A caller gives them to invite a further
    /// node of its own organization: only the asking process has the organization's key.
    package let ownSeed: Data?
    package let ownVoucher: Data?

    package init(expiresSeconds: UInt64, expectedName: String?, ownSeed: Data? = nil, ownVoucher: Data? = nil) {
        self.expiresSeconds = expiresSeconds
        self.expectedName = expectedName
        self.ownSeed = ownSeed
        self.ownVoucher = ownVoucher
    }

    package struct Output: Codable, Sendable {
        package let ticket: String
        /// The time at which the invitation expires, in ISO 8601.
        package let expires: String
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let addresses = try await addresses(context)
        let seed = try ownSeed.map { Array($0) } ?? SystemRandom.bytes(count: 32)
        let key = KeySigner(try Ed25519PrivateKey(seed: seed))
        let now = WallClock.milliseconds
        guard expiresSeconds <= Self.expiresSecondsMax else {
            throw Failure(.badExpiry, "an invitation can be good for \(Self.expiresSecondsMax / 86_400) days at most")
        }
        if let expectedName {
            try NodeFolder.check(name: expectedName, what: "organization")
            let folded = NameFolding.fold(expectedName)
            if let member = replica.roster.members.values.first(where: { NameFolding.fold($0.name) == folded }) {
                throw Failure(.nameTaken, "a member is called '\(member.name)' already; name the newcomer differently")
            }
        }
        let expires = now + expiresSeconds * 1000
        var ticket = Hansa_V0_Ticket()
        ticket.alliance = replica.alliance.data
        ticket.allianceName = replica.charter.name
        ticket.inviter = replica.node.data
        ticket.addresses = addresses
        ticket.oneTimeSeed = seed.data
        ticket.expires = expires / 1000
        ticket.expectedName = expectedName ?? ""
        if let ownVoucher {
            guard let voucher = try? Hansa_V0_SignedVoucher(serializedBytes: ownVoucher) else {
                throw Failure(.voucherDamaged, "the voucher is damaged")
            }
            ticket.voucher = voucher
        }
        let invitation = Invitation(
            oneTimeKey: key.publicKey,
            expires: expires,
            expectedName: expectedName,
            isOwn: ownVoucher != nil,
            createdAt: now
        )
        try await replica.write { try $0.add(invitation) }
        try context.service?.reloadInvitations()
        return Output(
            ticket: try TicketText.encode(ticket, hasher: replica.cryptography),
            expires: TimeText.iso(milliseconds: expires)
        )
    }

    /// The addresses at which a newcomer can dial this node: the announced ones, or those of its settings.
    private func addresses(_ context: CommandContext) async throws -> [String] {
        let replica = context.replica
        let announced = try AnnouncementSet(
            stored: try await replica.read { try $0.announcements() },
            in: replica.folder,
            alliance: replica.alliance,
            cryptography: replica.cryptography
        )
        let own = announced.latest[replica.node]?.addresses ?? []
        let dialable = own.filter { (try? HostPort(dialable: $0)) != nil }
        if !dialable.isEmpty { return dialable }
        throw Failure(
            .noAddressToDial,
            "this node has no address that a newcomer could dial",
            fix: .advertise
        )
    }
}

/// Signs a voucher with the organization's key. It runs in the asking process, which has the passphrase.
package enum OwnInvitation {
    /// - Parameters:
    ///   - alliance: The alliance's id, 64 hexadecimal digits.
    ///   - organization: The own organization's id, likewise.
    package static func command(
        folder: DataFolder,
        passphrase: [UInt8]?,
        alliance: String,
        organization: String,
        expiresSeconds: UInt64
    ) throws -> InviteCommand {
        guard let alliance = AllianceID(hex: alliance), let organization = OrganizationID(hex: organization) else {
            throw Failure(.internal, "the node gave ids that are none")
        }
        let key = try folder.loadOrganizationKey(passphrase: passphrase)
        guard OrganizationID(firstKey: key.publicKey, hasher: SystemCryptography()) == organization else {
            throw Failure(.wrongKey, "\(folder.organizationKey) is not the key of this node's organization")
        }
        let seed = try SystemRandom.bytes(count: 32)
        let oneTime = KeySigner(try Ed25519PrivateKey(seed: seed))
        let voucher = try Statement.voucher(
            for: oneTime.publicKey,
            organization: organization,
            alliance: alliance,
            organizationKey: key
        )
        return InviteCommand(
            expiresSeconds: expiresSeconds,
            expectedName: nil,
            ownSeed: seed.data,
            ownVoucher: try voucher.serializedData()
        )
    }
}
