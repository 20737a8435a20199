package import Foundation
import Glibc
import OpenSSLKit

/// The data folder of one node, and the files in it.
package struct DataFolder: Sendable {
    /// Absolute, without symbolic links where it exists.
    package let path: String

    package init(_ path: String) {
        let expanded = NSString(string: path).expandingTildeInPath
        let absolute = URL(fileURLWithPath: expanded).standardizedFileURL.path
        self.path = URL(fileURLWithPath: absolute).resolvingSymlinksInPath().path
    }

    private func file(_ name: String) -> String { path + "/" + name }
    package var database: String { file("directory.sqlite") }
    package var nodeKey: String { file("node.key") }
    package var organizationKey: String { file("organization.key") }
    package var configuration: String { file("config.json") }
    package var lock: String { file("lock") }
    package var spool: String { file("spool") }

    /// True if a node was founded or joined here. Also true if this user may not enter the folder: the attempt to open it
    /// then reports the reason.
    package var exists: Bool { access(database, F_OK) == 0 || errno == EACCES }

    /// Creates the folder, for its owner only.
    package func create() throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw Self.failure("cannot create the data folder \(path)", error)
        }
    }

    /// Writes a whole file durably: to a temporary file first, which then replaces the old one.
    ///
    /// - Parameter mode: 0600 for anything secret.
    package func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws {
        let file = try NewFile(path, mode: mode)
        try file.write(bytes)
        try file.finish()
    }

    /// Reads a whole file; nil where there is none.
    package func read(_ path: String) throws -> [UInt8]? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure(system: "cannot read \(path)")
        }
        return Array(data)
    }

    private static func failure(_ what: String, _ error: any Error) -> Failure {
        let outer = error as NSError
        for error in [outer, outer.userInfo[NSUnderlyingErrorKey] as? NSError].compactMap({ $0 })
        where error.domain == NSPOSIXErrorDomain {
            return Failure(system: what, Int32(error.code))
        }
        switch CocoaError.Code(rawValue: outer.code) {
        case .fileWriteNoPermission, .fileReadNoPermission: return Failure(system: what, EACCES)
        case .fileWriteOutOfSpace: return Failure(system: what, ENOSPC)
        case .fileWriteVolumeReadOnly: return Failure(system: what, EROFS)
        default: return Failure(.diskRefused, "\(what): \(outer.localizedDescription)")
        }
    }

    /// Says why a key file holds no usable key.
    private static func fault(_ error: any Error) -> String {
        switch error as? PrivateKeyFileError {
        case .otherType(let type): "it is of the type \(type), and Ed25519 is needed"
        case .passphraseNeeded, .wrongPassphrase: "it is protected by a passphrase"
        case .damaged, nil: "it is no private key in PEM"
        }
    }

    /// The node's own key.
    package func loadNodeKey() throws -> KeySigner {
        guard let pem = try read(nodeKey) else {
            throw Failure(.keyMissing, "\(nodeKey) is missing; without it this folder is no node any more")
        }
        let attributes = try? FileManager.default.attributesOfItem(atPath: nodeKey)
        if let mode = attributes?[.posixPermissions] as? Int, mode & 0o077 != 0 {
            throw Failure(.keyExposed, "\(nodeKey) can be read by others", fix: .hideFile(path: nodeKey))
        }
        do {
            return KeySigner(try Ed25519PrivateKey(pem: pem))
        } catch {
            throw Failure(.keyDamaged, "\(nodeKey) holds no usable key: \(Self.fault(error))")
        }
    }

    /// The organization's key, which may be kept elsewhere.
    package func loadOrganizationKey(passphrase: [UInt8]?) throws -> KeySigner {
        guard let pem = try read(organizationKey) else {
            throw Failure(
                .keyElsewhere,
                "\(organizationKey) is not here; bring it back from where it is kept, or do this on the node that has it"
            )
        }
        do {
            return KeySigner(try Ed25519PrivateKey(pem: pem, passphrase: passphrase))
        } catch PrivateKeyFileError.wrongPassphrase {
            throw Failure(.wrongPassphrase, "wrong passphrase for \(organizationKey)")
        } catch PrivateKeyFileError.passphraseNeeded {
            throw Failure(.passphraseNeeded, "\(organizationKey) needs its passphrase")
        } catch {
            throw Failure(.keyDamaged, "\(organizationKey) holds no usable key: \(Self.fault(error))")
        }
    }
}
