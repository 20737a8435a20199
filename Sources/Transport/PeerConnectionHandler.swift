import NIOCore
import OpenSSLKit

/// The last handler of a peer's channel. It connects the frames on the event loop with `PeerConnection`, which other
/// code uses.
///
/// Isolation: the channel's event loop.
final class PeerConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = [UInt8]
    typealias OutboundOut = [UInt8]

    /// The result of establishing a connection.
    typealias Outcome = Result<PeerConnection, CloseReason>

    /// The approximate size of a batch of frames in bytes; a flush follows each batch.
    private static let batchBytes = 64 * 1024

    private let configuration: TransportConfiguration
    private let direction: PeerConnection.Direction
    private let progress: FrameProgress
    private let ledger: ByteLedger
    private var begun: ((Outcome) -> Void)?
    private let ending: @Sendable () -> Void
    private let gone: (PeerConnection) -> Void
    private var context: ChannelHandlerContext?
    private var connection: PeerConnection?
    private var isClosing = false
    private var isDraining = false
    private var idleTimer: Scheduled<Void>?
    private var frameTimer: Scheduled<Void>?
    private var lifeTimer: Scheduled<Void>?
    private var lastReceived = NIODeadline.now()
    private var reportedPartialBytes = 0

    /// - Parameters:
    ///   - progress: The progress of the channel's decoder.
    ///   - begun: Called once: with the connection after the handshake, or with the reason why there is none.
    ///   - ending: Called once on any thread, when the connection starts to end.
    ///   - gone: Called once for an established connection when its channel is closed, before any waiting task resumes.
    init(
        configuration: TransportConfiguration,
        direction: PeerConnection.Direction,
        progress: FrameProgress,
        ledger: ByteLedger,
        begun: @escaping (Outcome) -> Void,
        ending: @escaping @Sendable () -> Void,
        gone: @escaping (PeerConnection) -> Void
    ) {
        self.gone = gone
        self.configuration = configuration
        self.direction = direction
        self.progress = progress
        self.ledger = ledger
        self.begun = begun
        self.ending = ending
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        over(.localShutdown)
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        over(.truncated)
        context.fireChannelInactive()
    }

    private func over(_ reason: CloseReason) {
        isClosing = true
        for timer in [idleTimer, frameTimer, lifeTimer] { timer?.cancel() }
        (idleTimer, frameTimer, lifeTimer) = (nil, nil, nil)
        begin(.failure(reason))
        guard let connection else { return }
        self.connection = nil
        gone(connection)
        connection.channelClosed()
    }

    private func begin(_ outcome: Outcome) {
        guard let begun else { return }
        self.begun = nil
        // An established connection itself reports the start of its end.
        if case .failure = outcome, connection == nil { ending() }
        begun(outcome)
    }

    /// Applies the limits of the peer's class. Called after the handshake.
    func begin(on peerClass: PeerClass) {
        progress.bytesMax = min(configuration.frameBytesMax, peerClass.frameBytesMax)
        guard let lifetime = peerClass.lifetime, let context else { return }
        lifeTimer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(lifetime)) { [weak self] in
            self?.connection?.abort(.outlived)
        }
    }

    // MARK: From the channel

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event as? TLSHandlerEvent {
        case .handshakeCompleted(let peerKey):
            let connection = PeerConnection(
                peerKey: peerKey,
                remoteAddress: PeerAddress(context.channel.remoteAddress),
                direction: direction,
                configuration: configuration,
                eventLoop: context.eventLoop,
                handler: self,
                ledger: ledger,
                ending: ending
            )
            self.connection = connection
            startIdleTimer(context)
            begin(.success(connection))
            context.read()
        case .closing(let reason):
            isClosing = true
            connection?.closingRemotely(reason)
            begin(.failure(reason))
        case nil:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection?.received(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        lastReceived = .now()
        if let connection, !isClosing {
            if progress.partialBytes != reportedPartialBytes {
                reportedPartialBytes = progress.partialBytes
                connection.holdsPartialFrame(reportedPartialBytes)
            }
            if progress.partialBytes > 0, frameTimer == nil { scheduleFrameTimer(context) }
        }
        if !isClosing, let connection, connection.wantsRead { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { drain() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let reason =
            switch error {
            case let reason as CloseReason: reason
            case let error as IOError: CloseReason(error)
            // An incomplete frame remained when the connection ended; the reason is known already.
            case is ByteToMessageDecoderError: CloseReason.truncated
            default: CloseReason.failed("\(error)")
            }
        connection?.closingRemotely(reason)
        begin(.failure(reason))
        close(discarding: true)
    }

    // MARK: From the connection

    func resumeReading() {
        if !isClosing { context?.read() }
    }

    /// Passes queued frames to the channel while it is writable.
    func drain() {
        guard let context, let connection, !isClosing, !isDraining else { return }
        isDraining = true
        defer { isDraining = false }
        while context.channel.isWritable {
            guard writeBatch(context, connection, bytesMax: Self.batchBytes) else { return }
        }
        connection.drainStopped()
    }

    /// Passes frames of about `bytesMax` bytes to the channel and flushes; false if the queue is empty.
    private func writeBatch(_ context: ChannelHandlerContext, _ connection: PeerConnection, bytesMax: Int) -> Bool {
        var batchBytes = 0
        var last: [UInt8]?
        while batchBytes < bytesMax, let frame = connection.popOutbound() {
            if let last { context.write(wrapOutboundOut(last), promise: nil) }
            batchBytes += PeerConnectionState.cost(frame)
            last = frame
        }
        guard let last else { return false }
        // Writes complete in order, so the promise of the last write covers the whole batch.
        let promise = context.eventLoop.makePromise(of: Void.self)
        let batch = batchBytes
        promise.futureResult.assumeIsolated().whenComplete { result in
            connection.written(batch)
            if case .failure(let error as IOError) = result { connection.closingRemotely(CloseReason(error)) }
        }
        context.write(wrapOutboundOut(last), promise: promise)
        context.flush()
        return true
    }

    /// Closes the channel: after sending the queued frames, or at once if `discarding` is true.
    func close(discarding: Bool) {
        guard let context else { return }
        if discarding {
            isClosing = true
            context.triggerUserOutboundEvent(TLSAbort(), promise: nil)
            return
        }
        guard !isClosing, let connection else { return }
        isClosing = true
        // The queue is bounded already, and the close timeout of the TLS handler bounds the time.
        _ = writeBatch(context, connection, bytesMax: .max)
        context.close(promise: nil)
    }

    /// Closes the channel at once.
    func cut(_ reason: CloseReason) {
        isClosing = true
        context?.triggerUserOutboundEvent(TLSCut(reason: reason), promise: nil)
    }

    // MARK: Stalled frames

    /// Checks the frame in progress again at the time at which it must be complete.
    private func scheduleFrameTimer(_ context: ChannelHandlerContext) {
        let frame = progress.completed
        let bytesPerSecond = max(1, configuration.frameBytesPerSecondMin)
        let allowed = configuration.frameTimeout + .seconds(progress.announcedBytes / bytesPerSecond)
        frameTimer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(allowed)) { [weak self] in
            guard let self, let connection = self.connection, !self.isClosing else { return }
            self.frameTimer = nil
            guard self.progress.partialBytes > 0 else { return }
            // Not the peer's fault: the frame is complete by now, or this node's consumer delayed it.
            if self.progress.completed == frame, connection.wantsRead {
                connection.abort(.stalledFrame)
            } else {
                self.scheduleFrameTimer(context)
            }
        }
    }

    // MARK: Idleness

    private func startIdleTimer(_ context: ChannelHandlerContext) {
        guard let timeout = configuration.idleTimeout else { return }
        lastReceived = .now()
        scheduleIdleTimer(context, timeout: TimeAmount(timeout), deadline: lastReceived + TimeAmount(timeout))
    }

    private func scheduleIdleTimer(_ context: ChannelHandlerContext, timeout: TimeAmount, deadline: NIODeadline) {
        idleTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self, let connection = self.connection, !self.isClosing else { return }
            // Time during which this node's consumer blocks reading does not count as idle.
            if !connection.wantsRead { self.lastReceived = .now() }
            let next = self.lastReceived + timeout
            if next <= .now() {
                connection.abort(.idle)
            } else {
                self.scheduleIdleTimer(context, timeout: timeout, deadline: next)
            }
        }
    }
}
