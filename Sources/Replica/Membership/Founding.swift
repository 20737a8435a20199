package import Catalog
package import Governance
import OpenSSLKit
import Store
import SwiftProtobuf

/// How an organization's key file is protected.
package enum KeyProtection: Sendable {
    case passphrase([UInt8])
    /// Anybody who can read the file has the key.
    case none
}

/// Creates nodes: founds an alliance, and holds the steps that founding and joining share.
package enum NodeFolder {
    /// The new node.
    package struct Made: Sendable {
        package let alliance: AllianceID
        package let allianceName: String
        package let organization: OrganizationID
        package let organizationName: String
        package let node: NodeKey
        package let folder: String
        package let listen: String
        /// Nil for a further node of an organization, whose key is kept elsewhere.
        package let organizationKeyFile: String?
    }

    /// Founds an alliance with one organization and one node.
    ///
    /// - Throws: ``Failure``: ``Reason/badName``, ``Reason/badAddress``, ``Reason/badSetting``, ``Reason/nodeHereAlready``,
    ///   and the disk's errors.
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

    /// The first contents of a new folder.
    package struct Contents {
        package let charter: Charter
        package let organization: OrganizationID
        package let node: NodeKey
        package let statements: [Statement]
        package let announcements: [Announcement]

        package init(
            charter: Charter,
            organization: OrganizationID,
            node: NodeKey,
            statements: [Statement],
            announcements: [Announcement]
        ) {
            self.charter = charter
            self.organization = organization
            self.node = node
            self.statements = statements
            self.announcements = announcements
        }
    }

    /// Writes the settings and the database in one transaction, and the organization's own record.
    package static func fill(
        _ folder: DataFolder,
        with contents: Contents,
        settings: Settings,
        organizationName: String,
        isNewOrganization: Bool
    ) async throws -> Made {
        try settings.save(folder)
        try Replica.translating {
            let store = try Store.create(in: folder.path)
            defer { try? store.close() }
            try store.write { transaction in
                try transaction.setMeta(Replica.MetaKey.charter, contents.charter.bytes())
                try transaction.setMeta(Replica.MetaKey.organization, contents.organization.bytes)
                try transaction.setMeta(Replica.MetaKey.node, contents.node.bytes)
                try transaction.add(contents.statements)
                for announcement in contents.announcements { try transaction.set(announcement) }
            }
        }
        let replica = try Replica(opening: folder)
        defer { replica.close() }
        if isNewOrganization {
            _ = try await replica.upsert(
                RecordIdentity(kind: "organization", localID: "self"),
                changes: [(FieldPath(unchecked: "name/und"), .set(.text(organizationName)))],
                settling: .settles
            )
        }
        return Made(
            alliance: replica.alliance,
            allianceName: replica.charter.name,
            organization: replica.organization,
            organizationName: organizationName,
            node: replica.node,
            folder: folder.path,
            listen: settings.listen,
            organizationKeyFile: isNewOrganization ? folder.organizationKey : nil
        )
    }

    // MARK: - Keys

    /// Creates the folder of a new node.
    ///
    /// - Throws: ``Failure`` if the folder holds a node or cannot be written.
    package static func prepare(_ folder: DataFolder) throws {
        try requireEmpty(folder)
        try folder.create()
    }

    /// The organization's key. A key that an interrupted attempt has left here is used again.
    package static func ownOrganizationKey(in folder: DataFolder, protection: KeyProtection) throws -> KeySigner {
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

    /// The node's key. A key that an interrupted attempt has left here is used again.
    package static func ownNodeKey(in folder: DataFolder) throws -> KeySigner {
        if try folder.read(folder.nodeKey) != nil { return try folder.loadNodeKey() }
        let key = try Ed25519PrivateKey.generate()
        try folder.write(try key.unencryptedPEM(), to: folder.nodeKey, mode: 0o600)
        return KeySigner(key)
    }

    // MARK: - Checks

    /// Checks a name that is to be signed.
    ///
    /// - Parameter what: The thing that has the name, for the message.
    /// - Throws: ``Failure``.
    package static func check(name: String, what: String) throws {
        guard Statement.isName(name) else {
            throw Failure(
                .badName,
                "the \(what)'s name must be 1 to 200 bytes without '/', control characters or blanks at its ends"
            )
        }
    }

    /// The announcement of the addresses in the settings; empty if none of them can be dialled.
    package static func announcement(
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
