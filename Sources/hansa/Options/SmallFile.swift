import Foundation
import Glibc
import Replica

/// Files named on the command line that are read whole: tickets and passphrases.
enum SmallFile {
    private static let bytesMax = 1 << 20

    /// Reads a file, a pipe or a device.
    ///
    /// - Parameters:
    ///   - path: `-` for standard input.
    ///   - what: The file's name in messages.
    /// - Throws: ``Failure`` with ``Reason/fileUnreadable``.
    static func read(_ path: String, what: String) throws -> [UInt8] {
        let isInput = path == "-"
        let descriptor =
            isInput ? STDIN_FILENO : open(NSString(string: path).expandingTildeInPath, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path, what) }
        defer { if !isInput { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(path, what) }
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= bytesMax else {
                throw Failure(.fileUnreadable, "\(what) \(path) is longer than 1 MiB")
            }
        }
    }

    private static func failure(_ path: String, _ what: String) -> Failure {
        Failure(.fileUnreadable, "cannot read \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
