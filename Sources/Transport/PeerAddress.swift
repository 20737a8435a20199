import NIOCore

/// The address of a socket: an IP address or, for dialling, a host name; and a port.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// An IP address in text, without brackets, or a host name.
    package let host: String

    /// The port, 0 to 65,535. Port 0 listens on any free port.
    package let port: Int

    /// Creates an address.
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Converts a NIO address; an unavailable one gives an empty host and port 0.
    init(_ address: SocketAddress?) {
        host = address?.ipAddress ?? ""
        port = address?.port ?? 0
    }

    /// `host:port`, with brackets around an IPv6 address.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
