import NIOCore
package import OpenSSLKit
import Synchronization

/// An authenticated connection to a peer that carries frames.
///
/// `PeerTransport.dial` and `PeerListener.connections` provide connections. The receiver must close it; releasing the
/// last reference does not.
///
/// Isolation: any task or thread may call any method, but `inbound` has one consumer at a time.
package final class PeerConnection: Sendable {
    /// The side that started the connection.
    package enum Direction: Hashable, Sendable {
        /// The peer dialled this node.
        case inbound
        /// This node dialled the peer.
        case outbound
    }

    /// The key that the peer proved in the handshake.
    package let peerKey: Ed25519PublicKey

    /// The address of the peer's end of the socket.
    package let remoteAddress: PeerAddress

    /// The side that started the connection.
    package let direction: Direction

    /// Runs tasks on the connection's event loop.
    package let executor: EventLoopExecutor

    private let frameBytesMax: Int
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<PeerConnectionHandler>
    private let state: Mutex<PeerConnectionState>
    private let ledger: ByteLedger
    private let account = Mutex<[UInt8]>([])
    private let ending: @Sendable () -> Void

    /// - Parameters:
    ///   - ledger: Receives the number of bytes that the connection holds in memory.
    ///   - ending: Called once, when the connection starts to end.
    init(
        peerKey: Ed25519PublicKey,
        remoteAddress: PeerAddress,
        direction: Direction,
        configuration: TransportConfiguration,
        eventLoop: any EventLoop,
        handler: PeerConnectionHandler,
        ledger: ByteLedger,
        ending: @escaping @Sendable () -> Void
    ) {
        self.peerKey = peerKey
        self.remoteAddress = remoteAddress
        self.direction = direction
        self.frameBytesMax = configuration.frameBytesMax
        self.eventLoop = eventLoop
        executor = EventLoopExecutor(eventLoop)
        self.ledger = ledger
        self.ending = ending
        self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
        self.state = Mutex(
            PeerConnectionState(
                inboundBytesMax: configuration.inboundBytesMax,
                outboundBytesMax: configuration.outboundBytesMax
            )
        )
    }

    deinit {
        // Removes the received frames that nobody took from the budget.
        ledger.inbound.remove(ObjectIdentifier(self), account: account.withLock { $0 })
        ledger.outbound.remove(ObjectIdentifier(self), account: account.withLock { $0 })
    }

    // MARK: Sending

    /// Queues a frame of 1 byte up to `frameBytesMax` and returns at once. Frames are sent in the order of queueing.
    ///
    /// A frame of another length closes the connection (`.unsendableFrame`).
    ///
    /// - Returns: False if the frame was not queued: the connection is closed, the queue would exceed
    ///   `outboundBytesMax`, or a `send` is waiting. For a peer that does not read, the caller may drop the frame or
    ///   call `abort(.slowReader)`.
    package func enqueue(_ frame: [UInt8]) -> Bool {
        guard hasLength(frame) else { return false }
        let (result, report) = state.withLock { ($0.enqueue(frame), $0.outboundReport()) }
        if let report { tell(report, to: ledger.outbound) }
        guard case .accepted(let scheduleDrain) = result else { return false }
        if scheduleDrain { drain() }
        return true
    }

    /// Queues a frame of 1 byte up to `frameBytesMax` and waits until there is room. On return the frame is queued, not
    /// delivered; only an answer by the peer proves delivery.
    ///
    /// A frame of another length closes the connection (`.unsendableFrame`).
    ///
    /// - Throws: `CloseReason` if the connection is closed or closes while waiting; `.cancelled` if the task is
    ///   cancelled while waiting. The frame is then not queued.
    package func send(_ frame: [UInt8]) async throws(CloseReason) {
        guard hasLength(frame) else { throw .unsendableFrame(frame.count) }
        let id = state.withLock { $0.makeID() }
        let refusal = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: PeerConnectionState.Sender) in
                // Cancelled earlier: the cancellation handler ran and found no sender.
                if Task.isCancelled {
                    continuation.resume(returning: .cancelled)
                    return
                }
                switch state.withLock({ $0.enqueueOrWait(frame, id: id, continuation: continuation) }) {
                case .accepted(let scheduleDrain):
                    continuation.resume(returning: nil)
                    if scheduleDrain { drain() }
                case .closed(let reason):
                    continuation.resume(returning: reason)
                case .full:
                    // Cancelled between the check and the registration: the cancellation handler may have missed the
                    // sender.
                    if Task.isCancelled { cancelSend(id) }
                }
            }
        } onCancel: {
            cancelSend(id)
        }
        if let report = state.withLock({ $0.outboundReport() }) { tell(report, to: ledger.outbound) }
        if let refusal { throw refusal }
    }

    private func cancelSend(_ id: UInt64) {
        state.withLock { $0.cancelSend(id: id) }?.resume(returning: .cancelled)
    }

    /// The size of the frames that wait to be sent in bytes, including some 64 bytes of overhead per frame.
    package var queuedBytes: Int { state.withLock { $0.outboundBytes } }

    /// Checks a frame's length. A wrong length is a bug of this program; it closes only this connection.
    private func hasLength(_ frame: [UInt8]) -> Bool {
        if (1...frameBytesMax).contains(frame.count) { return true }
        abort(.unsendableFrame(frame.count))
        return false
    }

    private func drain() {
        eventLoop.execute { self.handler.value.drain() }
    }

    // MARK: Receiving

    /// The received frames, in order, until the connection ends; `closed()` then returns the reason.
    ///
    /// One consumer at a time. Frames that the consumer has not taken are held up to `inboundBytesMax`; then the peer
    /// must wait.
    package var inbound: Inbound { Inbound(connection: self) }

    /// A connection's received frames.
    package struct Inbound: AsyncSequence, Sendable {
        /// A frame's payload.
        package typealias Element = [UInt8]
        /// The sequence ends without an error; see `PeerConnection.closed()`.
        package typealias Failure = Never

        fileprivate let connection: PeerConnection

        /// Creates an iterator, which continues where an earlier iterator stopped.
        package func makeAsyncIterator() -> Iterator { Iterator(connection: connection) }

        /// Iterates over the received frames.
        package struct Iterator: AsyncIteratorProtocol {
            fileprivate let connection: PeerConnection

            /// The next frame; nil after the connection has ended or the task is cancelled.
            package mutating func next(isolation actor: isolated (any Actor)? = #isolation) async -> [UInt8]? {
                await connection.nextFrame(isolation: actor)
            }
        }
    }

    /// The size of the received frames that nobody has taken in bytes, including some 64 bytes of overhead per frame.
    package var unreadBytes: Int { state.withLock { $0.inboundBytes } }

    private func nextFrame(isolation actor: isolated (any Actor)?) async -> [UInt8]? {
        let frame: [UInt8]? = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: PeerConnectionState.Consumer) in
                let (next, report) = state.withLock { ($0.next(continuation), $0.inboundReport()) }
                if let report { tell(report, to: ledger.inbound) }
                switch next {
                case .frame(let frame, let resumeReading):
                    if resumeReading { eventLoop.execute { self.handler.value.resumeReading() } }
                    continuation.resume(returning: frame)
                case .ended:
                    continuation.resume(returning: nil)
                case .wait:
                    break
                }
            }
        } onCancel: {
            state.withLock { $0.cancelConsumer() }?.resume(returning: nil)
        }
        state.withLock { $0.consumerLeft() }
        return frame
    }

    // MARK: Ending

    /// Closes in an orderly way and returns at once; `closed()` waits for the end.
    ///
    /// `inbound` ends immediately and no further frame can be queued. Queued frames are still sent if the peer reads
    /// them within the close timeout. The first reason stays.
    package func close(_ reason: CloseReason = .localShutdown) {
        end(state.withLock { $0.closeLocally(reason, discarding: false) })
        eventLoop.execute { self.handler.value.close(discarding: false) }
    }

    /// Closes at once: like `close`, but drops the queued frames.
    package func abort(_ reason: CloseReason) {
        end(state.withLock { $0.closeLocally(reason, discarding: true) })
        eventLoop.execute { self.handler.value.close(discarding: true) }
    }

    /// Closes at once, releases all memory and sends nothing to the peer.
    func cut(_ reason: CloseReason) {
        end(state.withLock { $0.closeLocally(reason, discarding: true) })
        eventLoop.execute { self.handler.value.cut(reason) }
    }

    /// The reason why the connection is ending or has ended; nil while it is open.
    package var closeReason: CloseReason? { state.withLock { $0.closeReason } }

    /// Waits until the socket is closed and returns the reason. Several tasks may wait. Cancellation does not end the
    /// wait; close the connection instead.
    package func closed() async -> CloseReason {
        await withCheckedContinuation { (continuation: PeerConnectionState.Watcher) in
            if let reason = state.withLock({ $0.watch(continuation) }) { continuation.resume(returning: reason) }
        }
    }

    /// Resumes all waiting tasks of an ended connection.
    private func end(_ ended: PeerConnectionState.Ended) {
        let (reason, inbound, outbound) = state.withLock {
            ($0.closeReason ?? .localShutdown, $0.inboundReport(), $0.outboundReport())
        }
        if let inbound { tell(inbound, to: ledger.inbound) }
        if let outbound { tell(outbound, to: ledger.outbound) }
        if ended.isFirst { ending() }
        ended.consumer?.resume(returning: nil)
        for sender in ended.senders { sender.resume(returning: reason) }
        for watcher in ended.watchers { watcher.resume(returning: reason) }
    }

    private func tell(_ bytes: Int, to account: ByteLedger.Side) {
        account.set(bytes, of: self, account: self.account.withLock { $0 })
    }

    // MARK: For the transport, on the event loop

    /// Applies the peer's terms. Called before the first frame is received.
    func begin(on terms: PeerTerms) {
        account.withLock { $0 = terms.account }
        state.withLock { $0.outboundBytesMax = min($0.outboundBytesMax, terms.peerClass.outboundBytesMax) }
        handler.value.begin(on: terms.peerClass)
    }

    // MARK: For the handler, on the event loop

    /// True if the socket should be read.
    var wantsRead: Bool { state.withLock { !$0.readingPaused } }

    func received(_ frame: [UInt8]) {
        let (consumer, report) = state.withLock { ($0.received(frame), $0.inboundReport()) }
        consumer?.resume(returning: frame)
        if let report { tell(report, to: ledger.inbound) }
    }

    /// Reports the number of received bytes of an incomplete frame.
    func holdsPartialFrame(_ bytes: Int) {
        let report = state.withLock { state in
            state.partialBytes = bytes
            return state.inboundReport()
        }
        if let report { tell(report, to: ledger.inbound) }
    }

    func popOutbound() -> [UInt8]? { state.withLock { $0.popOutbound() } }

    func drainStopped() { state.withLock { $0.drainStopped() } }

    func written(_ bytes: Int) {
        let (progress, report) = state.withLock { ($0.written(bytes), $0.outboundReport()) }
        if let report { tell(report, to: ledger.outbound) }
        for sender in progress.senders { sender.resume(returning: nil) }
        if progress.scheduleDrain { drain() }
    }

    func closingRemotely(_ reason: CloseReason) { end(state.withLock { $0.closeRemotely(reason) }) }

    func channelClosed() { end(state.withLock { $0.closed() }) }
}
