package import Glibc
package import NIOCore

/// The identity of the process at the other end of a Unix socket, as the system reports it.
package enum PeerCredentials {
    /// The system's `struct ucred`.
    private struct Credentials {
        var process: pid_t = 0
        var user: uid_t = 0
        var group: gid_t = 0
    }

    /// The user at the other end.
    ///
    /// - Throws: The system's error, for example if the channel is no socket.
    package static func user(of channel: any Channel) async throws -> uid_t { try await read(channel).user }

    /// The user and process at the other end; for a listening socket, those that started listening.
    ///
    /// The process is 0 if this process cannot see it.
    ///
    /// - Throws: Like ``user(of:)``.
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
