import Glibc
import Synchronization

/// The right to use a data folder: one process at a time. The system releases it when the process ends, so a stale lock
/// file is no obstacle.
package final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock; waits up to `patience` until another process releases it.
    ///
    /// - Throws: ``Failure`` with ``Reason/folderInUse`` and the other process's number, or what the disk refuses.
    package init(_ folder: DataFolder, patience: Duration = .zero) throws {
        // O_NOFOLLOW: the process number would otherwise be written into the file behind a link.
        var descriptor = open(folder.lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
        if descriptor < 0, errno == EROFS || errno == EACCES {
            // A lock needs no writing. The opening of the database reports what cannot be written.
            descriptor = open(folder.lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        }
        guard descriptor >= 0 else {
            throw Failure(system: "cannot open \(folder.lock)")
        }
        let deadline = ContinuousClock.now + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard ContinuousClock.now < deadline else {
                var text = [UInt8](repeating: 0, count: 32)
                let count = max(0, pread(descriptor, &text, text.count, 0))
                close(descriptor)
                let holder = String(decoding: text[..<count], as: UTF8.self).split(separator: "\n").first
                throw Failure(
                    .folderInUse,
                    "the data folder \(folder.path) is in use by process \(holder ?? "unknown")",
                    fix: .freeFolder
                )
            }
            usleep(20_000)
        }
        self.descriptor = descriptor
        let text = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 { pwrite(descriptor, text, text.count, 0) }
    }

    deinit {
        close(descriptor)
    }
}
