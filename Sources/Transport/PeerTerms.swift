/// A class of peers whose connections share the same limits.
package struct PeerClass: Hashable, Sendable {
    /// The name of the peers in log messages about limits: "members".
    package var name: String
    /// The maximum number of open connections of peers of this class.
    package var connectionsMax: Int
    /// The maximum number of open connections per account. Further ones are refused or replace the oldest one; see
    /// ``evictsOldest``.
    package var accountConnectionsMax: Int
    /// The behaviour at a limit: true closes the oldest connection, false refuses the new one.
    ///
    /// True suits short connections; false suits connections whose value grows with time.
    package var evictsOldest: Bool
    /// The maximum size in bytes of a frame that a peer of this class may send; at most ``Frame/bytesMax``.
    package var frameBytesMax: Int
    /// The maximum size in bytes of frames that wait to be sent to such a peer; see
    /// ``TransportConfiguration/outboundBytesMax``.
    package var outboundBytesMax: Int
    /// The time after which the connection is cut; nil for no limit.
    package var lifetime: Duration?

    /// Creates a class. The defaults add no limit to those of the transport.
    package init(
        name: String,
        connectionsMax: Int = .max,
        accountConnectionsMax: Int = .max,
        evictsOldest: Bool = false,
        frameBytesMax: Int = Frame.bytesMax,
        outboundBytesMax: Int = 8 * 1024 * 1024,
        lifetime: Duration? = nil
    ) {
        self.name = name
        self.connectionsMax = connectionsMax
        self.accountConnectionsMax = accountConnectionsMax
        self.evictsOldest = evictsOldest
        self.frameBytesMax = frameBytesMax
        self.outboundBytesMax = outboundBytesMax
        self.lifetime = lifetime
    }

    /// The class for peers of which only an accepted key is known.
    package static let plain = PeerClass(name: "peers")
}

/// The terms for the connections of a key.
package struct PeerTerms: Hashable, Sendable {
    /// The class of the peer.
    package var peerClass: PeerClass
    /// The party responsible for the key. Connections and bytes of equal accounts count together.
    package var account: [UInt8]

    /// Creates terms; by default those of the anonymous account.
    package init(_ peerClass: PeerClass = .plain, account: [UInt8] = []) {
        self.peerClass = peerClass
        self.account = account
    }
}
