package import Catalog
package import DeltaLog
import Foundation
import Glibc
import Synchronization

/// Proof, in memory that a reboot clears, that a data folder is the very one that was last written here.
///
/// A log may only be continued by a folder that holds its latest entry. A folder that was restored, copied or rolled
/// back looks sound by itself; what it lacks is this token: the folder's path, this boot, and the head it holds or was
/// about to hold. Without it the next write begins a new log (a new incarnation), so two different continuations of
/// one log are never signed.
package final class VolatileToken: Sendable {
    /// Where it is.
    package let file: String
    private let path: String
    private let boot: String
    /// The open file; nil until it is first written.
    private let descriptor = Mutex<Int32?>(nil)

    /// The token of a folder; nil where no temporary file system is found, and every start begins a new log.
    package init?(folder: DataFolder, hasher: some CatalogHasher) {
        let places = [ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"], "/run", "/dev/shm"].compactMap { $0 }
        guard let place = places.first(where: Self.isTemporary),
            let boot = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        else { return nil }
        let name = hasher.hash(Array(folder.path.utf8)).hex.prefix(24)
        file = "\(place)/hansa-\(getuid())-\(name).token"
        path = folder.path
        self.boot = boot.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// True if the place lies on a tmpfs that may be written: the type of the mount with the longest fitting path.
    private static func isTemporary(_ place: String) -> Bool {
        let path = URL(fileURLWithPath: place).resolvingSymlinksInPath().path
        guard access(path, W_OK) == 0, let text = try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        else { return false }
        var best = (length: -1, type: Substring())
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count > 2 else { continue }
            let mount = parts[1]
            let fits = mount == "/" || path == mount || path.hasPrefix(mount + "/")
            // Of two mounts at one place the later one covers the other.
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

    /// Writes the head that the folder holds, and the one it is about to hold. Called before the commit with both, so
    /// that a kill between the two does not matter, and needs no flush: the token need not outlive the boot.
    package func note(log: LogID, head: Head?, intended: Head?) throws {
        // The last line ends, so that what a longer text leaves behind it belongs to none.
        let text = [
            path, boot, Hex.string(log.bytes), head?.hash.hex ?? "-", intended?.hash.hex ?? head?.hash.hex ?? "-", "",
        ].joined(separator: "\n")
        let bytes = Array(text.utf8)
        try descriptor.withLock { descriptor in
            let file = try descriptor.flatMap { Self.isLinked($0) ? $0 : nil } ?? openAgain(&descriptor)
            // In place: a kill cannot come in the midst of so few bytes, and a mixture would prove nothing.
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

    /// Where everybody may make files, one of this name may be somebody else's.
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

    /// Writes that the head that was intended is the one that the folder holds, so that the one before it proves nothing
    /// any more. Called once the commit is done. Where it cannot be written the token goes, which costs a new log.
    package func settle(log: LogID, head: Head?) {
        do {
            try note(log: log, head: head, intended: nil)
        } catch {
            unlink(file)
        }
    }
}
