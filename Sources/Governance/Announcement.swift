package import Catalog
package import DeltaLog
import SwiftProtobuf
import Wire

/// Where a node can be dialled, in its own words. Of several by one node the one with the highest version counts.
package struct Announcement: Hashable, Sendable {
    package let node: NodeKey
    /// Unix milliseconds when it was signed, or one more than the one before.
    package let version: UInt64
    /// `HOST:PORT` each; none for a node that can only dial out.
    package let addresses: [String]
    /// The bytes of a SignedAnnouncement message.
    package let encoded: [UInt8]

    /// Addresses in one announcement at most.
    package static let addressesMax = 16
    /// The longest address in bytes.
    package static let addressBytesMax = 300
    /// Versions are Unix milliseconds of 48 bits, as clocks are: one more than the highest never overflows.
    package static let versionMax: UInt64 = 0xFFFF_FFFF_FFFF

    /// 1 to 300 visible characters of ASCII, so that an address can be shown as it is.
    package static func isAddress(_ address: String) -> Bool {
        (1...addressBytesMax).contains(address.utf8.count) && address.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Checks a SignedAnnouncement message.
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

    /// The node and its addresses in a SignedAnnouncement message whose signature was checked before; nil for other bytes.
    package static func addresses(in encoded: [UInt8]) -> (node: NodeKey, addresses: [String])? {
        guard let signed = Hansa_V0_SignedAnnouncement(canonical: encoded),
            let announcement = Hansa_V0_Announcement(canonical: Array(signed.announcement)),
            let node = NodeKey(bytes: announcement.node)
        else { return nil }
        return (node, announcement.addresses)
    }

    /// Signs an announcement; returns the bytes of a SignedAnnouncement message.
    ///
    /// - Throws: ``StatementRefusal/malformed`` where everybody would refuse it, and what the signer throws.
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

    /// Ascending by node.
    package var sorted: [Announcement] { latest.values.sorted { $0.node < $1.node } }

    /// Takes an announcement that is newer than the one held of its node; of two with one version the greater bytes
    /// count, so that all agree. Returns false where it changes nothing.
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

    /// SHA-256 of "hansa/announcements\0" and each announcement's bytes behind their length, ascending by node.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/announcements")
        for announcement in sorted { fields.append(announcement.encoded) }
        return hasher.hash(fields.bytes)
    }
}
