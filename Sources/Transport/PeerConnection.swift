import NIOCore
package import OpenSSLKit
import Synchronization

/// An authenticated connection to a peer, carrying frames.
///
/// Made by `PeerTransport.dial` or taken from `PeerListener.connections`. Whoever has it closes it: letting go of the last
/// reference doesn't.
///
/// Isolation: any task or thread may call anything, except that `inbound` has one consumer at a time.
package final class PeerConnection: Sendable {
    /// Who began the connection.
    package enum Direction: Hashable, Sendable {
        /// The peer dialled us.
        case inbound
        /// We dialled the peer.
        case outbound
    }

    /// The key that the peer has proven in the handshake.
    package let peerKey: Ed25519PublicKey

    /// The peer's end of the socket.
    package let remoteAddress: PeerAddress

    /// Who began the connection.
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
    ///   - ledger: Told what the connection holds in memory.
    ///   - ending: Called once, when the connection begins to end.
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
        // Received frames that nobody has taken go with the connection.
        ledger.inbound.remove(ObjectIdentifier(self), account: account.withLock { $0 })
        ledger.outbound.remove(ObjectIdentifier(self), account: account.withLock { $0 })
    }

    // MARK: Sending

    /// Queues a frame of 1 byte up to `frameBytesMax` and returns at once. Frames go out in the order they were queued.
    ///
    /// - Returns: false if it was not queued: the connection is closed, or more than `outboundBytesMax` would wait to be
    ///   sent, or a `send` waits before it. What to do about a peer that does not read is the caller's choice: drop the
    ///   frame, or `abort(.slowReader)`. A frame of another length closes the connection (`.unsendableFrame`).
    package func enqueue(_ frame: [UInt8]) -> Bool {
        guard hasLength(frame) else { return false }
        let (result, report) = state.withLock { ($0.enqueue(frame), $0.outboundReport()) }
        if let report { tell(report, to: ledger.outbound) }
        guard case .accepted(let scheduleDrain) = result else { return false }
        if scheduleDrain { drain() }
        return true
    }

    /// Queues a frame of 1 byte up to `frameBytesMax`, waiting for room if need be. When it returns the frame is queued,
    /// not delivered: what proves delivery is an answer by the peer.
    ///
    /// - Throws: `CloseReason` if the connection is or gets closed; `.cancelled` if the task is cancelled while it waits. The
    ///   frame is then not queued. A frame of another length closes the connection (`.unsendableFrame`).
    package func send(_ frame: [UInt8]) async throws(CloseReason) {
        guard hasLength(frame) else { throw .unsendableFrame(frame.count) }
        let id = state.withLock { $0.makeID() }
        let refusal = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: PeerConnectionState.Sender) in
                // Cancelled before: the handler has run and found nothing.
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
                    // Cancelled between the check and the registration: the handler may have missed it.
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

    /// Bytes of frames that wait to be sent, some 64 bytes per frame included.
    package var queuedBytes: Int { state.withLock { $0.outboundBytes } }

    /// A frame of another length is this program's fault, of which only the connection dies.
    private func hasLength(_ frame: [UInt8]) -> Bool {
        if (1...frameBytesMax).contains(frame.count) { return true }
        abort(.unsendableFrame(frame.count))
        return false
    }

    private func drain() {
        eventLoop.execute { self.handler.value.drain() }
    }

    // MARK: Receiving

    /// The frames that the peer sends, in order, until the connection ends; then `closed()` tells why. One consumer at a
    /// time. While it does not take them, at most `inboundBytesMax` are held and the peer is made to wait.
    package var inbound: Inbound { Inbound(connection: self) }

    /// A connection's received frames.
    package struct Inbound: AsyncSequence, Sendable {
        /// A frame's payload.
        package typealias Element = [UInt8]
        /// The end carries no error; see `PeerConnection.closed()`.
        package typealias Failure = Never

        fileprivate let connection: PeerConnection

        /// Takes frames; goes on where an earlier iterator stopped.
        package func makeAsyncIterator() -> Iterator { Iterator(connection: connection) }

        /// Takes frames.
        package struct Iterator: AsyncIteratorProtocol {
            fileprivate let connection: PeerConnection

            /// The next frame; nil when the connection has ended or the task is cancelled.
            package mutating func next(isolation actor: isolated (any Actor)? = #isolation) async -> [UInt8]? {
                await connection.nextFrame(isolation: actor)
            }
        }
    }

    /// Bytes of frames that have come and wait to be taken, some 64 bytes per frame included.
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

    /// Closes in order: `inbound` ends and nothing more can be queued at once; what is queued is still sent, if the peer
    /// reads it within the close timeout. The first reason given stays. Returns at once; `closed()` waits for the end.
    package func close(_ reason: CloseReason = .localShutdown) {
        end(state.withLock { $0.closeLocally(reason, discarding: false) })
        eventLoop.execute { self.handler.value.close(discarding: false) }
    }

    /// Closes at once: as `close`, but what is queued is dropped.
    package func abort(_ reason: CloseReason) {
        end(state.withLock { $0.closeLocally(reason, discarding: true) })
        eventLoop.execute { self.handler.value.close(discarding: true) }
    }

    /// Closes at once and lets go of all that it holds; the peer is told nothing.
    func cut(_ reason: CloseReason) {
        end(state.withLock { $0.closeLocally(reason, discarding: true) })
        eventLoop.execute { self.handler.value.cut(reason) }
    }

    /// Why the connection ends or has ended; nil while it is open.
    package var closeReason: CloseReason? { state.withLock { $0.closeReason } }

    /// Waits until the socket is closed, and tells why. Any number of tasks may wait. Cancellation does not end the wait:
    /// close the connection instead.
    package func closed() async -> CloseReason {
        await withCheckedContinuation { (continuation: PeerConnectionState.Watcher) in
            if let reason = state.withLock({ $0.watch(continuation) }) { continuation.resume(returning: reason) }
        }
    }

    /// Wakes whoever waits for what will not come.
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

    /// Holds the peer to terms from now on. Called before anything is received.
    func begin(on terms: PeerTerms) {
        account.withLock { $0 = terms.account }
        state.withLock { $0.outboundBytesMax = min($0.outboundBytesMax, terms.peerClass.outboundBytesMax) }
        handler.value.begin(on: terms.peerClass)
    }

    // MARK: For the handler, on the event loop

    /// Whether to ask the socket for more.
    var wantsRead: Bool { state.withLock { !$0.readingPaused } }

    func received(_ frame: [UInt8]) {
        let (consumer, report) = state.withLock { ($0.received(frame), $0.inboundReport()) }
        consumer?.resume(returning: frame)
        if let report { tell(report, to: ledger.inbound) }
    }

    /// So many bytes have come of a frame that is not complete.
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
