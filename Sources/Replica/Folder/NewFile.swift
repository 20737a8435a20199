import Foundation
package import Glibc

/// A file that is written beside its place under a name nobody knows, and put there when it is whole and on the disk.
///
/// Whoever may write in the same folder can neither have it follow a link of theirs nor read or change it meanwhile: the name
/// is random, there must be no such file, and only its owner may open it.
package final class NewFile {
    /// Where it goes.
    package let path: String
    /// Where it is written; whoever ends the process meanwhile may remove it.
    package let temporaryPath: String
    private let mode: mode_t
    private var descriptor: Int32

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - path: What lies there stays until ``finish()``; a link is replaced, not followed.
    ///   - mode: The mode that it has in the end; nil for that of the file that it replaces, else what the umask leaves of
    ///     0666.
    /// - Throws: ``Failure`` with ``Reason/badPath`` where there is no such folder, or a directory in its place, and what the
    ///   disk refuses.
    package init(_ path: String, mode: mode_t? = nil) throws {
        self.path = path
        var status = stat()
        let isThere = lstat(path, &status) == 0
        guard !isThere || status.st_mode & S_IFMT != S_IFDIR else {
            throw Failure(.badPath, "cannot write \(path): it is a directory")
        }
        let isOwnFile = isThere && status.st_mode & S_IFMT == S_IFREG && status.st_uid == geteuid()
        self.mode = mode ?? (isOwnFile ? status.st_mode & 0o777 : 0o666 & ~Self.creationMask)
        let folder = (path as NSString).deletingLastPathComponent
        let name = "hansa-\(String(UInt64.random(in: 0...UInt64.max), radix: 16)).part"
        temporaryPath = folder.isEmpty ? name : (folder as NSString).appendingPathComponent(name)
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path) }
    }

    deinit {
        abandon()
    }

    /// What new files of this process may not allow. There is no call that only reads it.
    private static var creationMask: mode_t {
        let mask = umask(0o077)
        umask(mask)
        return mask
    }

    private static func failure(_ path: String) -> Failure {
        let number = errno
        let failure = Failure(system: "cannot write \(path)", number)
        return [ENOENT, ENOTDIR, EISDIR].contains(number) ? Failure(.badPath, failure.message) : failure
    }

    /// Appends bytes.
    ///
    /// - Throws: ``Failure`` where the disk refuses.
    package func write(_ bytes: [UInt8]) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path) }
            written += count
        }
    }

    /// Puts the file in its place. When this returns, it is on the disk, and so is its name.
    ///
    /// - Throws: ``Failure`` where the disk refuses; then what lay there lies there still.
    package func finish() throws {
        guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else {
            let failure = Self.failure(path)
            abandon()
            throw failure
        }
        close(descriptor)
        descriptor = -1
        let parent = (path as NSString).deletingLastPathComponent
        let folder = open(parent.isEmpty ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    /// Removes what was written, unless it is in its place.
    package func abandon() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        unlink(temporaryPath)
    }
}
