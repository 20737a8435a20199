import Glibc

/// A copy in the data folder of bytes that arrive once and are read twice. The file has no name, so nothing remains of
/// it when the process ends.
///
/// It buffers nothing in memory. The copy may take half of the free room on the folder's disk, so that an endless pipe
/// cannot fill the disk.
package final class SpoolFile {
    private let folder: String
    private let name: String
    private let descriptor: CInt
    private var isTaken = false
    /// Bytes written.
    package private(set) var byteCount = 0

    /// The block size for callers that collect bytes; each write checks the free room once.
    package static let blockBytes = 1 << 20

    /// Begins a copy.
    ///
    /// - Parameter name: The name of the copied file in messages.
    /// - Throws: ``Failure`` if the disk refuses.
    package init(in folder: DataFolder, name: String) throws {
        self.folder = folder.spool
        self.name = name
        guard mkdir(folder.spool, 0o700) == 0 || errno == EEXIST else {
            throw Failure(system: "cannot write \(folder.spool)")
        }
        var path = Array("\(folder.spool)/import-XXXXXX".utf8CString)
        descriptor = mkstemp(&path)
        guard descriptor >= 0 else { throw Failure(system: "cannot write \(folder.spool)") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(path)
    }

    deinit { if !isTaken { close(descriptor) } }

    /// Appends bytes.
    ///
    /// - Throws: ``Failure``: ``Reason/noRoom`` if the copy would take more than half of the room; others if the disk
    ///   refuses.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        try requireRoom(for: bytes.count)
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(system: "cannot write \(folder)") }
            written += count
        }
        byteCount += bytes.count
    }

    private func requireRoom(for count: Int) throws {
        var status = statvfs()
        guard fstatvfs(descriptor, &status) == 0 else { return }
        let (free, isHuge) = Int(clamping: status.f_bavail).multipliedReportingOverflow(
            by: Int(clamping: status.f_frsize)
        )
        guard !isHuge, byteCount + count > free else { return }
        throw Failure(
            .noRoom,
            "\(name) is too long: no more of it can be kept in \(folder) without filling the disk; free some room, "
                + "or stop the node and import a file, which is then read where it lies"
        )
    }

    /// Copies a pipe to its end.
    ///
    /// - Throws: As ``write(_:)`` and ``ReadableFile/read(into:isCancelled:)``.
    package func copy(_ pipe: ReadableFile, isCancelled: () -> Bool) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.blockBytes, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try pipe.read(into: buffer, isCancelled: isCancelled)
            guard count > 0 else { return }
            try write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Ends the copy and returns it for reading. No write may follow.
    package func finish() -> ReadableFile {
        isTaken = true
        return ReadableFile(owning: descriptor, name: name)
    }
}
