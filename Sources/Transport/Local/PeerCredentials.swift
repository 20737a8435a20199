package import Glibc
package import NIOCore

/// Who is at the other end of a Unix socket, by the system's word.
package enum PeerCredentials {
    /// The system's `struct ucred`.
    private struct Credentials {
        var process: pid_t = 0
        var user: uid_t = 0
        var group: gid_t = 0
    }

    /// The user at the other end.
    ///
    /// - Throws: The system's error; a channel that is no socket gives one too.
    package static func user(of channel: any Channel) async throws -> uid_t { try await read(channel).user }

    /// User and process at the other end; of a listener, those that began to listen. The process is 0 where it cannot be
    /// seen from here.
    ///
    /// - Throws: As ``user(of:)``.
    package static func userAndProcess(of channel: any Channel) async throws -> (user: uid_t, process: pid_t) {
        let credentials = try await read(channel)
        return (credentials.user, credentials.process)
    }

    private static func read(_ channel: any Channel) async throws -> Credentials {
        guard let provider = channel as? any SocketOptionProvider else {
            throw ChannelError.operationUnsupported
        }
        // SO_PEERCRED fills exactly this structure.
        return try await provider.unsafeGetSocketOption(
            level: NIOBSDSocket.OptionLevel(rawValue: SOL_SOCKET),
            name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        ).get()
    }
}
