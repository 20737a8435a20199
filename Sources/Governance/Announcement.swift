package import Catalog
package import DeltaLog
import SwiftProtobuf
import Wire

/// The addresses under which a node can be dialled, as the node states them. A node's announcement with the highest
/// version counts.
package struct Announcement: Hashable, Sendable {
    package let node: NodeKey
    /// The time of signing in Unix milliseconds, or the previous version plus one.
    package let version: UInt64
    /// Addresses of the form `HOST:PORT`; empty for a node that can only dial out.
    package let addresses: [String]
    /// The bytes of a SignedAnnouncement message.
    package let encoded: [UInt8]

    /// The maximum number of addresses in one announcement.
    package static let addressesMax = 16
    /// The maximum length of an address in bytes.
    package static let addressBytesMax = 300
    /// The maximum version: 48 bits of Unix milliseconds, as in clock stamps. One more never overflows.
    package static let versionMax: UInt64 = 0xFFFF_FFFF_FFFF

    /// True for 1 to 300 visible ASCII characters, which can be displayed without escaping.
    package static func isAddress(_ address: String) -> Bool {
        (1...addressBytesMax).contains(address.utf8.count) && address.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Verifies a SignedAnnouncement message.
    ///
    /// - Throws: The first rule that the message breaks.
    package init(
        verifying encoded: [UInt8],
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(StatementRefusal) {
        guard encoded.count <= Statement.bytesMax else { throw .tooLarge }
        guard let signed = Hansa_V0_SignedAnnouncement(canonical: encoded),
            let announcement = Hansa_V0_Announcement(canonical: Array(signed.announcement)),
            let node = NodeKey(bytes: announcement.node), announcement.addresses.count <= Self.addressesMax,
            announcement.version <= Self.versionMax, announcement.addresses.allSatisfy(Self.isAddress)
        else { throw .malformed }
        guard announcement.alliance == alliance.data else { throw .foreignAlliance }
        let message = SignatureTag.announcement.message(signed.announcement)
        guard cryptography.isValid(Array(signed.signature), of: message, by: node.hash) else { throw .badSignature }
        self.node = node
        version = announcement.version
        addresses = announcement.addresses
        self.encoded = encoded
    }

    /// The node and its addresses in an already verified SignedAnnouncement message; nil for other bytes.
    package static func addresses(in encoded: [UInt8]) -> (node: NodeKey, addresses: [String])? {
        guard let signed = Hansa_V0_SignedAnnouncement(canonical: encoded),
            let announcement = Hansa_V0_Announcement(canonical: Array(signed.announcement)),
            let node = NodeKey(bytes: announcement.node)
        else { return nil }
        return (node, announcement.addresses)
    }

    /// Signs an announcement; returns the bytes of a SignedAnnouncement message.
    ///
    /// - Throws: ``StatementRefusal/malformed`` if peers would refuse the announcement; also the signer's errors.
    package static func sign(
        addresses: [String],
        version: UInt64,
        alliance: AllianceID,
        node: some Signer
    ) throws -> [UInt8] {
        guard version <= versionMax, addresses.count <= addressesMax, addresses.allSatisfy(isAddress) else {
            throw StatementRefusal.malformed
        }
        let announcement: Hansa_V0_Announcement = .with {
            $0.alliance = alliance.data
            $0.node = node.publicKey.data
            $0.version = version
            $0.addresses = addresses
        }
        let bytes: [UInt8] = try announcement.serializedBytes()
        let signature = try node.sign(SignatureTag.announcement.message(bytes))
        let signed: Hansa_V0_SignedAnnouncement = .with {
            $0.announcement = bytes.data
            $0.signature = signature.data
        }
        return try signed.serializedBytes()
    }
}

/// The latest announcement of each node.
package struct AnnouncementSet: Hashable, Sendable {
    package private(set) var latest: [NodeKey: Announcement] = [:]

    package init() {}

    /// The set of stored announcements, each checked.
    ///
    /// - Throws: ``StatementRefusal`` where one is damaged.
    package init(
        verifying stored: some Sequence<[UInt8]>,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(StatementRefusal) {
        for bytes in stored {
            _ = insert(try Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography))
        }
    }

    /// The announcements in ascending order of their nodes.
    package var sorted: [Announcement] { latest.values.sorted { $0.node < $1.node } }

    /// Inserts an announcement that is newer than the node's present one. Of two with the same version the one with the
    /// greater bytes counts, so all nodes agree.
    ///
    /// - Returns: False if nothing changed.
    package mutating func insert(_ announcement: Announcement) -> Bool {
        if let held = latest[announcement.node] {
            guard announcement.version >= held.version, announcement != held else { return false }
            if announcement.version == held.version,
                !held.encoded.lexicographicallyPrecedes(announcement.encoded)
            {
                return false
            }
        }
        latest[announcement.node] = announcement
        return true
    }

    /// SHA-256 of "hansa/announcements\0" and each announcement's bytes with a length prefix, in ascending order of
    /// nodes.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/announcements")
        for announcement in sorted { fields.append(announcement.encoded) }
        return hasher.hash(fields.bytes)
    }
}
