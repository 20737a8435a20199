import Foundation
import Glibc
import Node

/// A copy of what comes on a pipe, in the data folder, for the time of an import: the import reads its input twice, and
/// a running node cannot read this process's.
struct Spool {
    let path: String

    private static let blockBytes = 1 << 20

    /// A copy of standard input or of what is no ordinary file; nil where the file can be read where it is.
    ///
    /// - Throws: ``HansaError`` with `usage` where there is no node, and `disk`.
    static func ifNeeded(_ file: String, in folder: DataFolder) throws -> Spool? {
        let input: Int32
        if file == "-" {
            input = STDIN_FILENO
        } else {
            input = open(NSString(string: file).expandingTildeInPath, O_RDONLY | O_CLOEXEC)
            // What cannot be opened is told by whoever reads it; what can be read twice is read where it is.
            guard input >= 0 else { return nil }
            guard lseek(input, 0, SEEK_CUR) < 0, errno == ESPIPE else {
                close(input)
                return nil
            }
        }
        defer { if input != STDIN_FILENO { close(input) } }
        try NodeFolder.requireNode(folder)
        return try Spool(copying: input, to: folder)
    }

    private init(copying input: Int32, to folder: DataFolder) throws {
        guard mkdir(folder.spool, 0o700) == 0 || errno == EEXIST else { throw Self.failure(folder.spool) }
        Self.removeOrphans(in: folder.spool)
        path = "\(folder.spool)/import-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let output = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw Self.failure(path) }
        defer { close(output) }
        var buffer = [UInt8](repeating: 0, count: Self.blockBytes)
        do {
            while true {
                let count = read(input, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else {
                    throw HansaError(.usage, "cannot read the input: \(String(cString: strerror(errno)))")
                }
                if count == 0 { break }
                try Console.write(Array(buffer[..<count]), to: output)
            }
        } catch {
            unlink(path)
            throw error
        }
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

    private static func failure(_ path: String) -> HansaError {
        HansaError(.disk, "cannot write \(path): \(String(cString: strerror(errno)))")
    }
}
