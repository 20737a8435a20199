import Foundation
import Glibc

/// A connection to a node's local socket that sends arbitrary text.
package final class LocalSocket {
    private let descriptor: Int32

    /// The path of a running node's socket, as the node recorded it.
    package static func path(of node: HansaProcess) throws -> String {
        try String(contentsOfFile: node.folder + "/socket", encoding: .utf8)
    }

    /// Nil if no process listens.
    package init?(path: String) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // Returning nil closes the socket through `deinit`.
        guard code == 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Sends a text.
    package func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Receives everything until the end, or until half a minute passes without data.
    package func readAll() -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&entry, 1, 30_000) > 0 {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
