import NIOCore

/// Where a socket is: an IP address or, to dial, a host name; and a port.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// An IP address in text, without brackets, or a host name.
    package let host: String

    /// The port, 0 to 65,535; 0 to listen on any that is free.
    package let port: Int

    /// An address.
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// What NIO knows about a socket; empty and 0 if it is gone already.
    init(_ address: SocketAddress?) {
        host = address?.ipAddress ?? ""
        port = address?.port ?? 0
    }

    /// `host:port`, with brackets around an IPv6 address.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
