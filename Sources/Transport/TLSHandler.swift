package import NIOCore
package import OpenSSLKit

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// User inbound events that a `TLSHandler` sends to the application's handlers.
package enum TLSHandlerEvent: Hashable, Sendable {
    /// The handshake is complete and the peer has proved this key. Plaintext may now pass.
    case handshakeCompleted(peerKey: Ed25519PublicKey)
    /// The connection ends for this reason. Sent once, before `channelInactive`. No plaintext follows.
    case closing(CloseReason)
}

/// User outbound event for `TLSHandler`: ends a connection without sending queued data.
///
/// The peer still receives a `close_notify` if its window has room within the close timeout.
package struct TLSAbort: Sendable {
    /// Creates the event.
    package init() {}
}

/// User outbound event for `TLSHandler`: ends a connection at once in any state, to make room for others.
struct TLSCut: Sendable {
    /// The reason to report, unless another was reported before.
    let reason: CloseReason
}

/// TLS on a channel: ciphertext towards the socket, plaintext towards the application.
///
/// **Reading** follows `read()`: each call by the application's handlers gives at most one buffer of plaintext (64 KiB)
/// and one `channelReadComplete`. The handler reads the socket only when the ciphertext that it holds yields no
/// plaintext. The channel must have `autoRead` off; otherwise it would issue reads that nobody requested.
///
/// **Writing** encrypts flushed data while the channel is writable, and keeps the rest as plaintext. The writer must
/// respect writability to bound that. Small writes of one flush share records.
///
/// **Closing** by the application sends flushed data, then `close_notify`, then waits for the peer's end, all within
/// the close timeout. A peer's `close_notify` is answered and ends the connection; TLS half-closure is not supported.
///
/// **A failure** sends the alert, if there is one, and stops writing. The handler then reads and discards until the
/// peer's end: closing a socket with unread bytes resets it and may destroy the alert in transit.
///
/// Isolation: the channel's event loop.
package final class TLSHandler: ChannelDuplexHandler {
    /// Ciphertext.
    package typealias InboundIn = ByteBuffer
    /// Plaintext.
    package typealias InboundOut = ByteBuffer
    /// Plaintext.
    package typealias OutboundIn = ByteBuffer
    /// Ciphertext.
    package typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// The channel is not active yet.
        case idle
        case handshaking
        case open
        /// Closed by the application: sending the remaining data.
        case closing
        /// Nothing more is sent. Received data is discarded until the peer's end or the deadline.
        case draining
        case closed
    }

    private struct PendingWrite {
        var buffer: ByteBuffer
        let promise: EventLoopPromise<Void>?
    }

    /// The maximum plaintext per `read()`, and the maximum encrypted at a time, in bytes.
    private static let chunkBytes = TLSEngine.bufferBytesMax

    /// The maximum plaintext of a record in bytes (RFC 8446, section 5.1). Smaller writes are combined up to this size.
    private static let recordBytes = 16 * 1024

    /// The minimum space for plaintext given to the engine, in bytes. A longer record is read in parts.
    private static let readBytesMin = 1024

    /// The maximum size in bytes of records that the peer makes this node send (answers to key updates) without reading
    /// them. More is abuse.
    private static let unsolicitedBytesMax = 64 * 1024

    private let engine: TLSEngine
    private let handshakeTimeout: TimeAmount
    private let closeTimeout: TimeAmount

    private var phase = Phase.idle
    private var reportedReason = false
    private var deadline: Scheduled<Void>?
    private var closePromise: EventLoopPromise<Void>?

    private var incoming = CircularBuffer<ByteBuffer>()
    private var socketReadOutstanding = false
    private var plaintextWanted = false
    private var isPumping = false

    private var pending = CircularBuffer<PendingWrite>()
    private var flushedCount = 0
    private var isEncrypting = false
    private var unsolicitedBytes = 0

    /// Creates a handler for one connection. The engine must not have been started; this handler owns it from now on.
    package init(engine: TLSEngine, handshakeTimeout: Duration, closeTimeout: Duration) {
        self.engine = engine
        self.handshakeTimeout = TimeAmount(handshakeTimeout)
        self.closeTimeout = TimeAmount(closeTimeout)
    }

    // MARK: Lifecycle

    /// Starts the handshake if the channel is already active.
    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    /// Starts the handshake.
    package func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard phase == .idle else { return }
        phase = .handshaking
        schedule(context, in: handshakeTimeout) { handler, context in
            guard handler.phase == .handshaking else { return }
            handler.end(context, .handshakeTimedOut)
            context.close(promise: nil)
        }
        do throws(TLSFailure) {
            try engine.start()
            sendOutgoing(context)
            requestSocketRead(context)
        } catch {
            fail(context, CloseReason(error))
        }
    }

    /// Handles the end of the socket. Received data is decrypted and delivered without waiting for `read()`, since the
    /// kernel's buffer bounds it. The end follows.
    package func channelInactive(context: ChannelHandlerContext) {
        if phase == .handshaking || phase == .open {
            do throws(TLSFailure) {
                // The end comes after the data in `incoming`, which `pump` delivers.
                plaintextWanted = true
                pump(context, atEnd: true)
                if phase == .handshaking || phase == .open {
                    try engine.receiveEndOfInput()
                    tell(context, .truncated)
                }
            } catch {
                tell(context, CloseReason(error))
            }
        }
        tell(context, .localShutdown)  // has no effect if a reason was reported
        phase = .closed
        finish(context)
        context.fireChannelInactive()
    }

    /// Releases all resources.
    package func handlerRemoved(context: ChannelHandlerContext) {
        phase = .closed
        finish(context)
    }

    /// Reports a socket error as the reason.
    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else {
            context.fireErrorCaught(error)
            return
        }
        guard phase != .closed else { return }
        end(context, CloseReason(error))
        context.close(promise: nil)
    }

    // MARK: Reading

    /// Requests plaintext once.
    package func read(context: ChannelHandlerContext) {
        plaintextWanted = true
        pump(context)
    }

    /// Stores ciphertext until the batch is complete.
    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch phase {
        case .handshaking, .open: incoming.append(unwrapInboundIn(data))
        case .idle, .closing, .draining, .closed: break
        }
    }

    /// Decrypts if plaintext is requested.
    package func channelReadComplete(context: ChannelHandlerContext) {
        socketReadOutstanding = false
        switch phase {
        case .handshaking, .open: pump(context)
        case .closing, .draining: requestSocketRead(context)
        case .idle, .closed: break
        }
    }

    private func requestSocketRead(_ context: ChannelHandlerContext) {
        guard !socketReadOutstanding else { return }
        socketReadOutstanding = true
        context.read()
    }

    /// Moves ciphertext into the engine and plaintext out of it, until no plaintext is requested or no ciphertext is
    /// left.
    ///
    /// Handlers called from here may call back. The running call then sees their requests in its next round.
    private func pump(_ context: ChannelHandlerContext, atEnd: Bool = false) {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        do throws(TLSFailure) {
            while true {
                switch phase {
                case .handshaking:
                    let fed = try feedEngine()
                    sendOutgoing(context)
                    if engine.state == .established {
                        phase = .open
                        deadline?.cancel()
                        deadline = nil
                        let key = engine.peerPublicKey
                        if let key {
                            context.fireUserInboundEventTriggered(TLSHandlerEvent.handshakeCompleted(peerKey: key))
                        }
                        encryptPending(context)
                    } else if !fed {
                        if !atEnd { requestSocketRead(context) }
                        return
                    }
                case .open:
                    guard plaintextWanted || atEnd else { return }
                    guard try deliver(context) else {
                        if !atEnd { requestSocketRead(context) }
                        return
                    }
                case .idle, .closing, .draining, .closed:
                    return
                }
            }
        } catch {
            fail(context, CloseReason(error))
        }
    }

    /// Passes the oldest ciphertext to the engine, as much as it accepts; false if there is none.
    private func feedEngine() throws(TLSFailure) -> Bool {
        guard !incoming.isEmpty else { return false }
        let result = incoming[incoming.startIndex].readableBytesView.withUnsafeBytes { bytes in
            Result { () throws(TLSFailure) in try engine.receive(bytes) }
        }
        let taken = try result.get()
        incoming[incoming.startIndex].moveReaderIndex(forwardBy: taken)
        if incoming[incoming.startIndex].readableBytes == 0 { incoming.removeFirst() }
        return true
    }

    /// Answers one request for plaintext, or the peer's close; false if this needs more ciphertext from the socket.
    private func deliver(_ context: ChannelHandlerContext) throws(TLSFailure) -> Bool {
        let waiting = incoming.first?.readableBytes ?? 0
        var plaintext = context.channel.allocator.buffer(capacity: min(waiting + Self.readBytesMin, Self.chunkBytes))
        var peerClosed = false
        while plaintext.readableBytes < Self.chunkBytes {
            var outcome: Result<TLSEngine.ReadResult, TLSFailure> = .success(.needsInput)
            plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.readBytesMin) { space in
                outcome = Result { () throws(TLSFailure) in try engine.read(into: space) }
                if case .success(.bytes(let count)) = outcome { return count }
                return 0
            }
            // The next call reports the failure again, after the plaintext before it has been delivered.
            if case .failure(let failure) = outcome {
                if plaintext.readableBytes == 0 { throw failure }
                break
            }
            if outcome == .success(.closed) {
                peerClosed = true
                break
            }
            if outcome == .success(.needsInput), try !feedEngine() { break }
        }
        sendOutgoing(context)
        if !context.channel.isWritable, unsolicitedBytes > Self.unsolicitedBytesMax {
            throw .protocolError("too many key updates")
        }
        if plaintext.readableBytes > 0 {
            plaintextWanted = false
            context.fireChannelRead(wrapInboundOut(plaintext))
            context.fireChannelReadComplete()
            return true
        }
        if peerClosed {
            end(context, .closedByPeer)
            engine.shutdown()
            sendOutgoing(context)
            context.close(promise: nil)
            return true
        }
        return false
    }

    // MARK: Writing

    /// Stores plaintext until it is flushed.
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch phase {
        case .idle, .handshaking, .open:
            pending.append(PendingWrite(buffer: unwrapOutboundIn(data), promise: promise))
        case .closing, .draining, .closed:
            promise?.fail(ChannelError.ioOnClosedChannel)
        }
    }

    /// Encrypts the plaintext written so far while the channel is writable.
    package func flush(context: ChannelHandlerContext) {
        flushedCount = pending.count
        encryptPending(context)
    }

    /// Continues encrypting.
    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            unsolicitedBytes = 0
            encryptPending(context)
        }
        context.fireChannelWritabilityChanged()
    }

    private func encryptPending(_ context: ChannelHandlerContext) {
        guard phase == .open || phase == .closing, !isEncrypting else { return }
        isEncrypting = true
        do throws(TLSFailure) {
            while flushedCount > 0, context.channel.isWritable {
                while flushedCount > 0, context.channel.isWritable { try encryptChunk(context) }
                // The flush may make the channel writable again at once.
                context.flush()
            }
        } catch {
            isEncrypting = false
            fail(context, CloseReason(error))
            return
        }
        isEncrypting = false
        if phase == .closing, flushedCount == 0 { sendCloseNotify(context) }
    }

    /// Encrypts and writes at most `chunkBytes` of the oldest write, or several small writes as one record.
    private func encryptChunk(_ context: ChannelHandlerContext) throws(TLSFailure) {
        var promise: EventLoopPromise<Void>?
        if pending[pending.startIndex].buffer.readableBytes >= Self.recordBytes || flushedCount == 1 {
            let chunk = pending[pending.startIndex].buffer.readableBytesView.prefix(Self.chunkBytes)
            let taken = try encrypt(chunk)
            pending[pending.startIndex].buffer.moveReaderIndex(forwardBy: taken)
            if pending[pending.startIndex].buffer.readableBytes == 0 {
                promise = pending.removeFirst().promise
                flushedCount -= 1
            }
        } else {
            var record = context.channel.allocator.buffer(capacity: Self.recordBytes)
            while flushedCount > 0, var next = pending.first?.buffer,
                record.readableBytes + next.readableBytes <= Self.recordBytes
            {
                record.writeBuffer(&next)
                if let follower = pending.removeFirst().promise {
                    if let promise { promise.futureResult.cascade(to: follower) } else { promise = follower }
                }
                flushedCount -= 1
            }
            // The engine accepts all of it: its outgoing buffer is empty before every call.
            do throws(TLSFailure) {
                _ = try encrypt(record.readableBytesView)
            } catch {
                promise?.fail(error)
                throw error
            }
        }
        context.write(wrapOutboundOut(takeOutgoing(context)), promise: promise)
    }

    private func encrypt(_ plaintext: ByteBufferView) throws(TLSFailure) -> Int {
        let result = plaintext.withUnsafeBytes { bytes in
            Result { () throws(TLSFailure) in try engine.write(bytes) }
        }
        return try result.get()
    }

    private func takeOutgoing(_ context: ChannelHandlerContext) -> ByteBuffer {
        let count = engine.outgoingCount
        var buffer = context.channel.allocator.buffer(capacity: count)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { engine.takeOutgoing(into: $0) }
        return buffer
    }

    /// Sends data that the engine produced itself: handshake, alerts, key updates.
    private func sendOutgoing(_ context: ChannelHandlerContext) {
        guard engine.outgoingCount > 0 else { return }
        let buffer = takeOutgoing(context)
        if !context.channel.isWritable { unsolicitedBytes += buffer.readableBytes }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    // MARK: Ending

    /// Closes in an orderly way; a second call before the end cuts the connection. Half-closing is refused.
    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        switch phase {
        case .open:
            tell(context, .localShutdown)
            phase = .closing
            closePromise = promise
            incoming.removeAll()
            schedule(context, in: closeTimeout) { _, context in context.close(promise: nil) }
            flushedCount = pending.count
            encryptPending(context)
            // A peer may want this node to read before it reads itself.
            requestSocketRead(context)
        case .idle, .handshaking:
            end(context, .localShutdown)
            context.close(promise: promise)
        case .closing, .draining, .closed:
            context.close(promise: promise)
        }
    }

    /// Handles `TLSAbort` and `TLSCut`; forwards other events.
    package func triggerUserOutboundEvent(
        context: ChannelHandlerContext,
        event: Any,
        promise: EventLoopPromise<Void>?
    ) {
        if let cut = event as? TLSCut {
            end(context, cut.reason)
            context.close(promise: promise)
            return
        }
        guard event is TLSAbort else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        failPending(ChannelError.ioOnClosedChannel)
        switch phase {
        case .idle, .handshaking, .open: close(context: context, mode: .all, promise: nil)
        case .closing: encryptPending(context)  // nothing is left, so this sends close_notify
        case .draining, .closed: break  // the end is in progress and bounded
        }
        promise?.succeed()
    }

    private func sendCloseNotify(_ context: ChannelHandlerContext) {
        engine.shutdown()
        drain(context)
    }

    /// Sends the last bytes and this node's end, then waits for the peer's end.
    private func drain(_ context: ChannelHandlerContext) {
        phase = .draining
        sendOutgoing(context)
        context.close(mode: .output, promise: nil)
        requestSocketRead(context)
    }

    /// Ends a failed connection: reports the reason, sends the alert if there is one, and waits for the peer's end
    /// within the close timeout.
    private func fail(_ context: ChannelHandlerContext, _ reason: CloseReason) {
        guard phase != .draining, phase != .closed else { return }
        end(context, reason)
        guard context.channel.isActive, engine.outgoingCount > 0 else {
            context.close(promise: nil)
            return
        }
        schedule(context, in: closeTimeout) { _, context in context.close(promise: nil) }
        drain(context)
    }

    /// Reports the reason and drops queued data.
    private func end(_ context: ChannelHandlerContext, _ reason: CloseReason) {
        phase = .closed
        deadline?.cancel()
        deadline = nil
        tell(context, reason)
        incoming.removeAll()
        failPending(reason)
    }

    private func tell(_ context: ChannelHandlerContext, _ reason: CloseReason) {
        guard !reportedReason else { return }
        reportedReason = true
        context.fireUserInboundEventTriggered(TLSHandlerEvent.closing(reason))
    }

    private func failPending(_ error: any Error) {
        flushedCount = 0
        let writes = pending
        pending.removeAll()
        for write in writes { write.promise?.fail(error) }
    }

    private func finish(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
        incoming.removeAll()
        failPending(ChannelError.ioOnClosedChannel)
        closePromise?.succeed()
        closePromise = nil
    }

    private func schedule(
        _ context: ChannelHandlerContext,
        in delay: TimeAmount,
        _ body: @escaping (TLSHandler, ChannelHandlerContext) -> Void
    ) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            guard let self, self.phase != .closed || context.channel.isActive else { return }
            body(self, context)
        }
    }
}

extension CloseReason {
    /// Converts a system error.
    init(_ error: IOError) {
        switch error.errnoCode {
        case ECONNRESET, EPIPE, ECONNABORTED: self = .reset
        default: self = .failed(error.description)
        }
    }
}
