import Foundation
package import Glibc

/// The location of the socket of a data folder's node: a short path, in a folder that only its owner can enter.
package enum RuntimeSocket {
    /// A Unix socket's path has at most 107 bytes on Linux; the rest is room for the name.
    private static let folderBytesMax = 80

    /// The paths at which a node of this folder may listen, the likeliest first. The list includes the path that the node
    /// has noted: a service and a shell may have started the node and a command with different environments.
    ///
    /// The paths are those of the folder's owner, so that root finds another user's node.
    package static func candidates(for folder: DataFolder) -> [String] {
        let name = name(of: folder)
        var paths = folders(of: owner(of: folder)).map { "\($0)/\(name)" }
        // The name is a hash of the folder's path, so the note in a copied folder is ignored.
        if let noted = try? String(contentsOfFile: note(in: folder), encoding: .utf8), noted.hasPrefix("/"),
            noted.hasSuffix("/\(name)"), !paths.contains(noted)
        {
            paths.append(noted)
        }
        return paths
    }

    /// The file in which a node notes the path of its socket; it may be stale.
    private static func note(in folder: DataFolder) -> String { folder.path + "/socket" }

    /// The owner of a data folder; this process's user if the folder does not exist.
    package static func owner(of folder: DataFolder) -> uid_t {
        status(folder.path)?.owner ?? geteuid()
    }

    /// Chooses the path at which to listen and notes it in the data folder. Creates the last candidate, an own folder in
    /// `/tmp`.
    ///
    /// - Throws: ``Failure`` with ``Reason/otherUser`` if another user has taken that folder's name, and the disk's errors.
    package static func prepare(for folder: DataFolder) throws -> String {
        let path = try choose(for: folder)
        try folder.write(Array(path.utf8), to: note(in: folder), mode: 0o600)
        return path
    }

    private static func choose(for folder: DataFolder) throws -> String {
        let name = name(of: folder)
        let parents = folders(of: geteuid())
        for parent in parents.dropLast() where isOurs(parent) { return "\(parent)/\(name)" }
        // The list is never empty.
        let last = parents[parents.count - 1]
        guard mkdir(last, 0o700) == 0 || errno == EEXIST else {
            throw Failure(system: "cannot create \(last)")
        }
        guard isOurs(last), chmod(last, 0o700) == 0 else {
            throw Failure(
                .otherUser,
                "\(last) belongs to another user; remove it, or set XDG_RUNTIME_DIR to a folder of your own"
            )
        }
        return "\(last)/\(name)"
    }

    private static func name(of folder: DataFolder) -> String {
        "hansa-\(folder.tag).sock"
    }

    private static func folders(of user: uid_t) -> [String] {
        var parents: [String] = []
        if let parent = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"], parent.hasPrefix("/"),
            parent.utf8.count <= folderBytesMax
        {
            parents.append(parent)
        }
        let standard = "/run/user/\(user)"
        if !parents.contains(standard) { parents.append(standard) }
        parents.append("/tmp/hansa-\(user)")
        return parents
    }

    /// True for a directory, not a symbolic link, that this user owns and nobody else can write.
    private static func isOurs(_ parent: String) -> Bool {
        guard let status = status(parent) else { return false }
        return status.type == .typeDirectory && status.owner == geteuid() && status.mode & 0o022 == 0
            && access(parent, W_OK | X_OK) == 0
    }

    /// True if the path is a socket, whether or not a process listens at it.
    package static func isSocket(_ path: String) -> Bool { status(path)?.type == .typeSocket }

    /// The type, owner and mode of a path, symbolic links not followed; nil if nothing has this path.
    private static func status(_ path: String) -> (type: FileAttributeType, owner: uid_t, mode: Int)? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let type = attributes[.type] as? FileAttributeType,
            let owner = attributes[.ownerAccountID] as? NSNumber,
            let mode = attributes[.posixPermissions] as? NSNumber
        else { return nil }
        return (type, owner.uint32Value, mode.intValue)
    }
}
