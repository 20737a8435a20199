import Glibc
import Interchange

/// An open file that one reader reads at a time: a regular file, a pipe, or an unnamed copy.
package final class ReadableFile: Sendable {
    /// Open for reading.
    package let descriptor: CInt
    /// The size in bytes; nil for a stream, which has an unknown length and can be read only once.
    package let byteCount: Int?
    /// The file's name in messages.
    package let name: String
    private let changedAt: (seconds: Int, nanoseconds: Int)

    /// Takes an open file.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor; this object closes it.
    ///   - name: The file's name in messages.
    ///   - isStream: True to read it once and from its present position, as a pipe.
    package init(owning descriptor: CInt, name: String, isStream: Bool = false) {
        self.descriptor = descriptor
        self.name = name
        var status = stat()
        let isRegular = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        byteCount = isRegular && !isStream ? Int(status.st_size) : nil
        changedAt = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
    }

    /// Opens a regular file.
    ///
    /// - Throws: ``Failure`` with ``Reason/fileUnreadable``, also if the path is not a regular file.
    package convenience init(path: String, name: String) throws {
        let descriptor: CInt
        do {
            descriptor = try InputFile.open(path: path, shownName: name)
        } catch {
            throw Failure(cause: error)
        }
        self.init(owning: descriptor, name: name)
    }

    deinit { close(descriptor) }

    /// True if the size or modification time of a regular file has changed since it was opened.
    package var hasChanged: Bool {
        var status = stat()
        guard let byteCount, fstat(descriptor, &status) == 0 else { return false }
        return Int(status.st_size) != byteCount
            || (status.st_mtim.tv_sec, status.st_mtim.tv_nsec) != changedAt
    }

    /// Reads the next bytes into `buffer` and returns their number; 0 at the end. Blocks while a pipe is empty, until
    /// `isCancelled` returns true.
    ///
    /// - Throws: ``Failure`` with ``Reason/fileUnreadable``; `CancellationError`.
    package func read(into buffer: UnsafeMutableRawBufferPointer, isCancelled: () -> Bool) throws -> Int {
        while true {
            if isCancelled() { throw CancellationError() }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&entry, 1, Self.patienceMilliseconds)
            if ready == 0 || (ready < 0 && errno == EINTR) { continue }
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            guard errno == EINTR || errno == EAGAIN else {
                throw Failure(.fileUnreadable, "\(name) cannot be read: \(String(cString: strerror(errno)))")
            }
        }
    }

    /// The time that a read waits before it checks for cancellation.
    private static let patienceMilliseconds: CInt = 100

    /// A separate reader of the file's bytes, from the beginning.
    ///
    /// - Throws: ``Failure`` with ``Reason/fileUnreadable``.
    func input() throws -> InputFile {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else {
            throw Failure(.fileUnreadable, "\(name) cannot be read: \(String(cString: strerror(errno)))")
        }
        do {
            return try InputFile(owning: copy, name: name)
        } catch {
            throw Failure(cause: error)
        }
    }
}
