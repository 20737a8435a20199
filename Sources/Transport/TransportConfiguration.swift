#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Limits and deadlines of connections between peers.
package struct TransportConfiguration: Sendable {
    /// The maximum size of a frame's payload in bytes. Default and maximum: 4 MiB, the protocol's limit (Protocol.md,
    /// section 11).
    package var frameBytesMax = Frame.bytesMax

    /// The maximum time for a TLS handshake. Default 10 s (a guess: several lost packets on a slow link). A longer time
    /// lets silent unauthenticated connections hold a slot longer.
    package var handshakeTimeout: Duration = .seconds(10)

    /// The maximum time for an orderly close, including sending queued frames; then the connection is cut. Default 2 s
    /// (a guess). A longer time holds the memory of connections to dead peers longer.
    package var closeTimeout: Duration = .seconds(2)

    /// Closes a connection that received nothing for this time although this node was ready to read. Default nil:
    /// never.
    package var idleTimeout: Duration?

    /// The size in bytes of received frames held for the application at which reading from the peer stops. Reading
    /// continues at half.
    ///
    /// The maximum ever held is this size, one frame, and the data in the kernel's buffer. Default 1 MiB: four of the
    /// messages that carry deltas. A larger size costs memory per peer and saves stops.
    package var inboundBytesMax = 1024 * 1024

    /// The maximum size in bytes of frames waiting to be sent per connection. Beyond it `enqueue` refuses and `send`
    /// waits. A single frame is always accepted when none is waiting. Default 8 MiB: two frames of the maximum size.
    package var outboundBytesMax = 8 * 1024 * 1024

    /// The maximum of `inboundBytesMax` for all connections together, including incomplete frames.
    ///
    /// Beyond it the transport closes the connection with the most bytes, of the account with the most bytes. Each
    /// connection may hold 64 KiB that are not counted. Default 64 MiB: 16 frames of the maximum size at once; frames
    /// of honest peers are complete within seconds.
    package var inboundBytesTotalMax = 64 * 1024 * 1024

    /// The maximum size in bytes of frames waiting to be sent to all peers together. Beyond it, see
    /// `inboundBytesTotalMax`. Default 256 MiB (a guess): dozens of peers that catch up at once.
    package var outboundBytesTotalMax = 256 * 1024 * 1024

    /// The base time for receiving a frame. A frame must be complete within `frameTimeout` plus the time for its bytes
    /// at `frameBytesPerSecondMin`; otherwise the connection is closed.
    ///
    /// Default 30 s and 32 KiB per second (guesses: a bad mobile link).
    package var frameTimeout: Duration = .seconds(30)

    /// The minimum rate for receiving a frame; see `frameTimeout`.
    package var frameBytesPerSecondMin = 32 * 1024

    /// The maximum number of connections of all kinds. Default 768: 1,024 descriptors leave room for so many, besides
    /// files and local commands.
    package var connectionsMax = 768

    /// The maximum number of incoming connections whose handshake is not complete. At the limit, the oldest one of the
    /// address with the most such connections makes room.
    ///
    /// Default 192 (a guess): some 50 KiB each, and enough for handshakes of 200 ms at a thousand new connections per
    /// second.
    package var unauthenticatedMax = 192

    /// The same per remote address (``AddressGroup``). Default 32: all nodes behind one address may start at once.
    package var unauthenticatedPerAddressMax = 32

    /// The maximum number of connections per listener that nobody has taken from its sequence. Default 64 (a guess).
    package var acceptQueueMax = 64

    /// The application protocol in the TLS handshake (RFC 7301).
    package var applicationProtocol = "hansa/1"

    /// The tolerance for the validity dates of the peer's certificate in seconds; see `TLSEngine.Configuration`.
    /// Default 86,400.
    package var certificateClockToleranceSeconds: Int64 = 86_400

    /// The wall clock for checking certificates' dates, in seconds since 1970 UTC. Default: the system's.
    package var wallSeconds: @Sendable () -> Int64 = { Int64(time(nil)) }

    /// Creates a configuration with the defaults.
    package init() {}
}
