/// A kind of peers whose connections are bounded alike, and together.
package struct PeerClass: Hashable, Sendable {
    /// How its peers are called where the log tells of a bound: "members".
    package var name: String
    /// Connections from peers of the class at a time.
    package var connectionsMax: Int
    /// The same for one account. Those beyond it are refused, or take the oldest one's place.
    package var accountConnectionsMax: Int
    /// At a bound: true closes the oldest connection, false refuses the new one. True suits connections that are short
    /// anyhow, false those that are worth more the longer they last.
    package var evictsOldest: Bool
    /// The longest frame that such a peer may send, in bytes; at most ``Frame/bytesMax``.
    package var frameBytesMax: Int
    /// Bytes of frames that may wait to be sent to such a peer; see ``TransportConfiguration/outboundBytesMax``.
    package var outboundBytesMax: Int
    /// After this time the connection is cut; nil for no bound.
    package var lifetime: Duration?

    /// A class. The defaults bound nothing beyond the transport's own limits.
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

    /// For peers of whom nothing is known but that their key is wanted.
    package static let plain = PeerClass(name: "peers")
}

/// On which terms a key's connections are taken.
package struct PeerTerms: Hashable, Sendable {
    /// The kind of peer.
    package var peerClass: PeerClass
    /// Names who answers for the key: connections and bytes of equal accounts count together.
    package var account: [UInt8]

    /// Terms; by default those of nobody in particular.
    package init(_ peerClass: PeerClass = .plain, account: [UInt8] = []) {
        self.peerClass = peerClass
        self.account = account
    }
}
