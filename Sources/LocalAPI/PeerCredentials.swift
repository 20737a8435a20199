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
    package static func user(of channel: any Channel) async throws -> uid_t {
        guard let provider = channel as? any SocketOptionProvider else {
            throw ChannelError.operationUnsupported
        }
        // SO_PEERCRED fills exactly this structure.
        let credentials: Credentials = try await provider.unsafeGetSocketOption(
            level: NIOBSDSocket.OptionLevel(rawValue: SOL_SOCKET),
            name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        ).get()
        return credentials.user
    }
}
