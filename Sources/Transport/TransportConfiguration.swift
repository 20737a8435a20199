#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Limits and deadlines of connections between peers.
package struct TransportConfiguration: Sendable {
    /// Longest payload of a frame, in bytes. Default and upper end 4 MiB, the protocol's limit (Protocol.md, section 11).
    package var frameBytesMax = Frame.bytesMax

    /// How long a connection may take for its TLS handshake. Default 10 s (a guess: several lost packets on a slow link).
    /// Longer lets silent strangers hold a place for longer.
    package var handshakeTimeout: Duration = .seconds(10)

    /// How long an orderly close may take, sending what is queued included, before the connection is cut. Default 2 s
    /// (a guess). Longer holds the memory of connections whose peer is gone.
    package var closeTimeout: Duration = .seconds(2)

    /// Closes a connection on which nothing came for this long, while we were ready to read. Default nil: never.
    package var idleTimeout: Duration?

    /// Bytes of received frames held for the application before reading from the peer stops; it goes on at half. The
    /// most that is ever held is this, one frame, and what the kernel had received. Default 1 MiB: four of the messages
    /// that carry deltas. More memory per peer against fewer stops.
    package var inboundBytesMax = 1024 * 1024

    /// Bytes of frames waiting to be sent, per connection, beyond which `enqueue` refuses and `send` waits; a single
    /// frame is always taken when none waits. Default 8 MiB: two of the longest frames.
    package var outboundBytesMax = 8 * 1024 * 1024

    /// `inboundBytesMax` for all connections together, unfinished frames included. Beyond it the connection that holds most, of
    /// the account that holds most, is closed. Each may hold 64 KiB that are not counted. Default 64 MiB: 16 of the longest
    /// frames at once, while honest peers' frames are complete within seconds.
    package var inboundBytesTotalMax = 64 * 1024 * 1024

    /// Bytes of frames waiting to be sent to all peers together; beyond it as for `inboundBytesTotalMax`. Default 256 MiB (a
    /// guess): dozens of peers that catch up at once.
    package var outboundBytesTotalMax = 256 * 1024 * 1024

    /// A frame that has begun to come must be complete after `frameTimeout` and the time that its bytes take at
    /// `frameBytesPerSecondMin`, else the connection is closed. Default 30 s and 32 KiB a second (guesses: a bad mobile
    /// link).
    package var frameTimeout: Duration = .seconds(30)

    /// See `frameTimeout`.
    package var frameBytesPerSecondMin = 32 * 1024

    /// Connections at a time, of all kinds. Default 768: as many as 1,024 descriptors leave room for, beside files and
    /// local commands.
    package var connectionsMax = 768

    /// Connections that came in and whose handshake is not done. At the bound the oldest one of the address that has most
    /// makes room. Default 192 (a guess): some 50 KiB each, and as many as a handshake of 200 ms needs at a thousand new
    /// connections a second.
    package var unauthenticatedMax = 192

    /// The same, per remote address (``AddressGroup``). Default 32: the nodes behind one address start at once.
    package var unauthenticatedPerAddressMax = 32

    /// Connections per listener whose handshake is done and that nobody has taken from the listener's sequence yet.
    /// Default 64 (a guess).
    package var acceptQueueMax = 64

    /// The application protocol in the TLS handshake (RFC 7301).
    package var applicationProtocol = "hansa/1"

    /// How far the peer's certificate dates are stretched, in seconds: see `TLSEngine.Configuration`. Default 86,400.
    package var certificateClockToleranceSeconds: Int64 = 86_400

    /// The wall clock that certificates' dates are held against, in seconds since 1970 UTC. Default: the system's.
    package var wallSeconds: @Sendable () -> Int64 = { Int64(time(nil)) }

    /// The defaults.
    package init() {}
}
