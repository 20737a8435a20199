package import Catalog
package import DeltaLog
import OpenSSLKit
import Store
import SwiftProtobuf

/// How an organization's key file is protected.
package enum KeyProtection: Sendable {
    case passphrase([UInt8])
    /// Whoever reads the file has the key.
    case none
}

/// Making a node: founding an alliance, and what founding and joining share.
package enum NodeFolder {
    /// What was made.
    package struct Made: Sendable {
        package let alliance: AllianceID
        package let allianceName: String
        package let organization: OrganizationID
        package let organizationName: String
        package let node: NodeKey
        package let folder: String
        package let listen: String
        /// Nil for a further node of an organization, whose key lies elsewhere.
        package let organizationKeyFile: String?
    }

    /// Founds an alliance with one organization and one node.
    ///
    /// - Throws: ``HansaError``: ``ExitCode/usage`` for names or addresses that cannot be, ``ExitCode/inUse`` where the
    ///   folder holds a node already, ``ExitCode/disk``.
    package static func found(
        alliance name: String,
        organization organizationName: String,
        settings: Settings,
        protection: KeyProtection,
        in folder: DataFolder
    ) async throws -> Made {
        try check(name: name, what: "alliance")
        try check(name: organizationName, what: "organization")
        try settings.check()
        try prepare(folder)
        let organizationKey = try ownOrganizationKey(in: folder, protection: protection)
        let nodeKey = try ownNodeKey(in: folder)
        let cryptography = SystemCryptography()
        let charter = Charter(
            name: name,
            founders: [Charter.Founder(name: organizationName, key: organizationKey.publicKey)],
            nonce: try SystemRandom.bytes(count: 16)
        )
        let alliance = charter.alliance(cryptography)
        let organization = OrganizationID(firstKey: organizationKey.publicKey, hasher: cryptography)
        let enrolment: [UInt8] = try Statement.enrolment(
            of: nodeKey,
            organization: organization,
            alliance: alliance,
            voucher: nil,
            signer: organizationKey
        ).serializedBytes()
        let contents = Contents(
            charter: charter,
            organization: organization,
            node: NodeKey(nodeKey.publicKey),
            statements: [try Statement(verifying: enrolment, alliance: alliance, cryptography: cryptography)],
            announcements: try announcement(settings, alliance: alliance, nodeKey: nodeKey, cryptography: cryptography)
        )
        return try await fill(
            folder,
            with: contents,
            settings: settings,
            organizationName: organizationName,
            isNewOrganization: true
        )
    }

    /// What a new folder begins with.
    package struct Contents {
        package let charter: Charter
        package let organization: OrganizationID
        package let node: NodeKey
        package let statements: [Statement]
        package let announcements: [Announcement]
    }

    /// Writes the settings and the database in one transaction, and the organization's own record.
    static func fill(
        _ folder: DataFolder,
        with contents: Contents,
        settings: Settings,
        organizationName: String,
        isNewOrganization: Bool
    ) async throws -> Made {
        try settings.save(folder)
        try Directory.translating {
            let store = try Store.create(in: folder.path)
            defer { try? store.close() }
            try store.write { transaction in
                try transaction.setMeta(Directory.MetaKey.charter, contents.charter.bytes())
                try transaction.setMeta(Directory.MetaKey.organization, contents.organization.bytes)
                try transaction.setMeta(Directory.MetaKey.node, contents.node.bytes)
                try transaction.add(contents.statements)
                for announcement in contents.announcements { try transaction.set(announcement) }
            }
        }
        let directory = try Directory(opening: folder)
        defer { directory.close() }
        if isNewOrganization {
            _ = try await directory.upsert(
                RecordIdentity(kind: "organization", localID: "self"),
                changes: [(FieldPath(unchecked: "name/und"), .set(.text(organizationName)))],
                settling: .settles
            )
        }
        return Made(
            alliance: directory.alliance,
            allianceName: directory.charter.name,
            organization: directory.organization,
            organizationName: organizationName,
            node: directory.node,
            folder: folder.path,
            listen: settings.listen,
            organizationKeyFile: isNewOrganization ? folder.organizationKey : nil
        )
    }

    // MARK: - Keys

    static func prepare(_ folder: DataFolder) throws {
        guard !folder.exists else {
            throw HansaError(.inUse, "\(folder.path) holds a node already; name another folder with --data")
        }
        try folder.create()
    }

    /// The organization's key; one that an interrupted attempt has left here is used again.
    static func ownOrganizationKey(in folder: DataFolder, protection: KeyProtection) throws -> KeySigner {
        var passphrase: [UInt8]?
        if case .passphrase(let bytes) = protection { passphrase = bytes }
        if try folder.read(folder.organizationKey) != nil {
            return try folder.loadOrganizationKey(passphrase: passphrase)
        }
        let key = try Ed25519PrivateKey.generate()
        let pem = try passphrase.map { try key.encryptedPEM(passphrase: $0) } ?? key.unencryptedPEM()
        try folder.write(pem, to: folder.organizationKey, mode: 0o600)
        return KeySigner(key)
    }

    static func ownNodeKey(in folder: DataFolder) throws -> KeySigner {
        if try folder.read(folder.nodeKey) != nil { return try folder.loadNodeKey() }
        let key = try Ed25519PrivateKey.generate()
        try folder.write(try key.unencryptedPEM(), to: folder.nodeKey, mode: 0o600)
        return KeySigner(key)
    }

    // MARK: - Checks

    static func check(name: String, what: String) throws {
        guard Statement.isName(name) else {
            throw HansaError(
                .usage,
                "the \(what)'s name must be 1 to 200 bytes without '/', control characters or blanks at its ends"
            )
        }
    }

    /// The announcement that the settings give; none where they name no address that could be dialled.
    static func announcement(
        _ settings: Settings,
        alliance: AllianceID,
        nodeKey: KeySigner,
        cryptography: SystemCryptography
    ) throws -> [Announcement] {
        let listen = try HostPort(settings.listen)
        let addresses: [String]
        if !settings.advertise.isEmpty {
            addresses = settings.advertise
        } else if listen.undialableReason != nil {
            return []
        } else {
            addresses = [listen.description]
        }
        let bytes = try Announcement.sign(
            addresses: addresses,
            version: WallClock.milliseconds,
            alliance: alliance,
            node: nodeKey
        )
        return [try Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography)]
    }
}
