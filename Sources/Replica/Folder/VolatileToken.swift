package import Catalog
package import DeltaLog
import Foundation
import Glibc
import Synchronization

/// Proof, in memory that a reboot clears, that a data folder is the one last written on this machine.
///
/// A log may be continued only by a folder that holds its latest delta. A restored, copied or rolled-back folder looks
/// sound but lacks this token. The token names the folder's path, this boot, and the head that the folder holds or was
/// about to hold. Without the token the next write begins a new log (a new incarnation), so a node never signs two
/// different continuations of one log.
package final class VolatileToken: Sendable {
    /// The token's path.
    package let file: String
    private let path: String
    private let boot: String
    /// The open file; nil until the first write.
    private let descriptor = Mutex<Int32?>(nil)

    /// The token of a folder; nil if the machine has no temporary file system. Every start then begins a new log.
    package init?(folder: DataFolder, hasher: some CatalogHasher) {
        let parents = [ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"], "/run", "/dev/shm"].compactMap { $0 }
        guard let parent = parents.first(where: Self.isTemporary),
            let boot = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        else { return nil }
        let name = hasher.hash(Array(folder.path.utf8)).hex.prefix(24)
        file = "\(parent)/hansa-\(getuid())-\(name).token"
        path = folder.path
        self.boot = boot.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// True if the folder is on a writable tmpfs. The mount with the longest matching path decides.
    private static func isTemporary(_ parent: String) -> Bool {
        let path = URL(fileURLWithPath: parent).resolvingSymlinksInPath().path
        guard access(path, W_OK) == 0, let text = try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        else { return false }
        var best = (length: -1, type: Substring())
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count > 2 else { continue }
            let mount = parts[1]
            let fits = mount == "/" || path == mount || path.hasPrefix(mount + "/")
            // The later of two mounts at one path covers the other.
            if fits, mount.utf8.count >= best.length { best = (mount.utf8.count, parts[2]) }
        }
        return best.type == "tmpfs"
    }

    /// True if the token names this folder, this boot, and a log with this head, held or intended.
    package func proves(log: LogID, head: Head?) -> Bool {
        var status = stat()
        guard lstat(file, &status) == 0, Self.isOwn(status),
            let text = try? String(contentsOfFile: file, encoding: .utf8)
        else { return false }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count >= 5, lines[0] == path, lines[1] == boot, lines[2] == Hex.string(log.bytes) else {
            return false
        }
        let wanted = head?.hash.hex ?? "-"
        return lines[3] == wanted || lines[4] == wanted
    }

    /// Writes the head that the folder holds and the one that it is about to hold. Call it with both before the commit, so
    /// that a kill between the two is harmless. It needs no flush, since the token need not outlive the boot.
    package func note(log: LogID, head: Head?, intended: Head?) throws {
        // The last line ends with a break, so that the remains of a longer text are lines of their own.
        let text = [
            path, boot, Hex.string(log.bytes), head?.hash.hex ?? "-", intended?.hash.hex ?? head?.hash.hex ?? "-", "",
        ].joined(separator: "\n")
        let bytes = Array(text.utf8)
        try descriptor.withLock { descriptor in
            let file = try descriptor.flatMap { Self.isLinked($0) ? $0 : nil } ?? openAgain(&descriptor)
            // Overwritten without truncation: a kill cannot divide so short a write, and a mixture would prove nothing.
            guard pwrite(file, bytes, bytes.count, 0) == bytes.count else {
                throw Failure(system: "cannot write \(self.file)")
            }
        }
    }

    private func openAgain(_ descriptor: inout Int32?) throws -> Int32 {
        if let old = descriptor.take() { close(old) }
        let opened = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard opened >= 0 else {
            throw Failure(system: "cannot write \(file)")
        }
        var status = stat()
        guard fstat(opened, &status) == 0, Self.isOwn(status) else {
            close(opened)
            throw Failure(
                .diskRefused,
                "\(file) belongs to another user; have it removed, so that this node can write its own"
            )
        }
        descriptor = opened
        return opened
    }

    /// True for a regular file of this user. Every user may create files in these folders, so one of this name may be
    /// foreign.
    private static func isOwn(_ status: stat) -> Bool {
        status.st_mode & S_IFMT == S_IFREG && status.st_uid == geteuid()
    }

    /// False for a file that somebody has removed.
    private static func isLinked(_ descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink > 0
    }

    deinit {
        descriptor.withLock { if let file = $0 { close(file) } }
    }

    /// Writes that the folder holds the intended head, so that the head before it proves nothing any more. Call it after
    /// the commit. Removes the token if it cannot be written; a start without it begins a new log.
    package func settle(log: LogID, head: Head?) {
        do {
            try note(log: log, head: head, intended: nil)
        } catch {
            unlink(file)
        }
    }
}
