import Foundation
import Glibc
import Replica

/// A copy of what comes on a pipe, in the data folder, for the time of an import: the import reads its input twice, and
/// a running node cannot read this process's.
struct Spool {
    let path: String

    private static let blockBytes = 1 << 20

    /// The room that is left on the data folder's disk: a pipe may have no end, and a node cannot write on a full disk. A tenth
    /// of the disk, and no more than 1 GiB.
    private static let freeShare = 10
    private static let freeBytesMax = 1 << 30

    /// A copy of standard input or of a pipe; nil where the file can be read where it is.
    ///
    /// - Parameter name: How messages call the file.
    /// - Throws: ``Failure``: ``Reason/noNodeHere``, ``Reason/fileUnreadable`` also for a device, which may have no end, ``Reason/noRoom``
    ///   and what the disk refuses.
    static func ifNeeded(
        _ file: String,
        called name: String,
        in folder: DataFolder,
        _ interruption: Interruption
    ) throws -> Spool? {
        var input = STDIN_FILENO
        if file != "-" {
            let path = NSString(string: file).expandingTildeInPath
            // What cannot be looked at is told by whoever reads it; a regular file is read where it is.
            guard let mode = mode({ stat(path, $0) }), mode & S_IFMT != S_IFREG else { return nil }
            try requirePipe(mode, name)
            // Here, where the user waits: opening a pipe may take until somebody writes to it.
            input = open(path, O_RDONLY | O_CLOEXEC)
            guard input >= 0 else {
                throw Failure(.fileUnreadable, "\(name) cannot be opened: \(String(cString: strerror(errno)))")
            }
        }
        defer { if input != STDIN_FILENO { close(input) } }
        guard let mode = mode({ fstat(input, $0) }) else {
            throw Failure(.fileUnreadable, "\(name) cannot be read: \(String(cString: strerror(errno)))")
        }
        if mode & S_IFMT != S_IFREG { try requirePipe(mode, name) }
        try NodeFolder.requireNode(folder)
        return try Spool(copying: input, to: folder, interruption)
    }

    private static func mode(_ look: (UnsafeMutablePointer<stat>) -> Int32) -> mode_t? {
        var status = stat()
        return look(&status) == 0 ? status.st_mode : nil
    }

    private static func requirePipe(_ mode: mode_t, _ name: String) throws {
        let what: String
        switch mode & S_IFMT {
        case S_IFIFO, S_IFSOCK: return
        case S_IFDIR: what = "a directory"
        default: what = "a device"
        }
        throw Failure(.fileUnreadable, "\(name) is \(what); give a file or a pipe")
    }

    private init(copying input: Int32, to folder: DataFolder, _ interruption: Interruption) throws {
        guard mkdir(folder.spool, 0o700) == 0 || errno == EEXIST else { throw Self.failure(folder.spool) }
        Self.removeOrphans(in: folder.spool)
        let path = "\(folder.spool)/import-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        self.path = path
        let output = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw Self.failure(path) }
        defer { close(output) }
        // Reading waits for whoever writes to the pipe, so there is nothing to cancel.
        interruption.onFirst {
            unlink(path)
            Console.printError("hansa: interrupted, nothing was written")
            _exit(interruption.exitCode ?? ExitStatus.internal.rawValue)
        }
        defer { interruption.onFirst(nil) }
        var buffer = [UInt8](repeating: 0, count: Self.blockBytes)
        do {
            while true {
                let count = read(input, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else {
                    throw Failure(.fileUnreadable, "cannot read the input: \(String(cString: strerror(errno)))")
                }
                if count == 0 { break }
                try Self.requireRoom(output, for: folder)
                try Console.write(Array(buffer[..<count]), to: output)
            }
        } catch {
            unlink(path)
            throw error
        }
    }

    private static func requireRoom(_ output: Int32, for folder: DataFolder) throws {
        var status = statvfs()
        guard fstatvfs(output, &status) == 0 else { return }
        let block = Int(clamping: status.f_frsize)
        func bytes(_ blocks: UInt) -> Int { Int(clamping: blocks).multipliedReportingOverflow(by: block).partialValue }
        guard bytes(status.f_bavail) < min(bytes(status.f_blocks) / freeShare, freeBytesMax) else { return }
        throw Failure(
            .noRoom,
            "the input is too long: no more of it can be kept in \(folder.spool) without filling the disk; "
                + "save it to a file on another disk, and import that"
        )
    }

    /// Deletes the copy.
    func remove() { unlink(path) }

    /// Deletes what killed processes have left.
    private static func removeOrphans(in folder: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            let parts = name.split(separator: "-")
            guard parts.count == 3, parts[0] == "import", let process = pid_t(parts[1]) else { continue }
            if kill(process, 0) != 0, errno == ESRCH { unlink("\(folder)/\(name)") }
        }
    }

    private static func failure(_ path: String) -> Failure {
        Failure(system: "cannot write \(path)")
    }
}
