import Foundation
package import Glibc

/// A file that is written under a temporary name and moved to its path when it is whole and on the disk.
///
/// Other users who may write in the same folder can neither redirect it by a link nor read or change it meanwhile. The name
/// is random, the file must be new, and only its owner may open it.
package final class NewFile {
    /// The final path.
    package let path: String
    /// The path during writing. Code that ends the process meanwhile may remove the file.
    package let temporaryPath: String
    private let mode: mode_t
    private var descriptor: Int32

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - path: The old file stays until ``finish()``; a link is replaced, not followed.
    ///   - mode: The final mode; nil for the mode of the file that it replaces, else for 0666 without the umask's bits.
    /// - Throws: ``Failure`` with ``Reason/badPath`` if the folder is missing or a directory has this path, and the disk's
    ///   errors.
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

    /// The permissions that the umask takes from new files of this process. No system call only reads it.
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
    /// - Throws: ``Failure`` with the disk's error.
    package func write(_ bytes: [UInt8]) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path) }
            written += count
        }
    }

    /// Moves the file to its path. When this returns, the file and its name are on the disk.
    ///
    /// - Throws: ``Failure`` with the disk's error; the old file is then unchanged.
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

    /// Removes the temporary file, unless ``finish()`` has moved it.
    package func abandon() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        unlink(temporaryPath)
    }
}
