import Foundation
import Glibc
import Replica

/// The input of an import: a named file, or the bytes of a pipe.
enum ImportInput {
    /// Opens a file, a pipe or standard input.
    ///
    /// - Parameter name: The input's name in messages.
    /// - Throws: ``Failure`` with ``Reason/fileUnreadable``, also for a device, which may have no end.
    static func open(_ file: String, called name: String) throws -> ReadableFile {
        guard file != "-" else {
            let descriptor = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
            guard descriptor >= 0 else { throw unreadable(name) }
            let input = ReadableFile(owning: descriptor, name: name, isStream: true)
            if let mode = mode({ fstat(descriptor, $0) }), mode & S_IFMT != S_IFREG { try requirePipe(mode, name) }
            return input
        }
        let path = NSString(string: file).expandingTildeInPath
        guard let mode = mode({ stat(path, $0) }), mode & S_IFMT != S_IFREG else {
            return try ReadableFile(path: path, name: name)
        }
        try requirePipe(mode, name)
        // A pipe may block until a writer opens it, so it is opened here, while the user waits.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(name) }
        return ReadableFile(owning: descriptor, name: name)
    }

    private static func mode(_ look: (UnsafeMutablePointer<stat>) -> Int32) -> mode_t? {
        var status = stat()
        return look(&status) == 0 ? status.st_mode : nil
    }

    private static func unreadable(_ name: String) -> Failure {
        Failure(.fileUnreadable, "\(name) cannot be opened: \(String(cString: strerror(errno)))")
    }

    private static func requirePipe(_ mode: mode_t, _ name: String) throws {
        guard mode & S_IFMT != S_IFIFO, mode & S_IFMT != S_IFSOCK else { return }
        let what = mode & S_IFMT == S_IFDIR ? "a directory" : "a device"
        throw Failure(.fileUnreadable, "\(name) is \(what); give a file or a pipe")
    }
}
