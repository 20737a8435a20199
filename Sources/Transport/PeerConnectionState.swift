import NIOCore
import OpenSSLKit

/// What a connection's two sides share: the application's tasks on one, the channel's event loop on the other. A pure
/// state machine: kept under a lock, its answers acted upon after the lock is released.
struct PeerConnectionState {
    typealias Consumer = CheckedContinuation<[UInt8]?, Never>
    typealias Sender = CheckedContinuation<CloseReason?, Never>
    typealias Watcher = CheckedContinuation<CloseReason, Never>

    private struct WaitingSend {
        let id: UInt64
        let frame: [UInt8]
        let continuation: Sender
    }

    /// What a frame costs besides its bytes, so that many tiny ones are bounded too (an array's header and slot).
    static let frameOverheadBytes = 64

    private let inboundBytesMax: Int
    var outboundBytesMax: Int
    /// What is held is told to the transport's budgets in steps of at least so many bytes.
    private static let reportStepBytes = 64 * 1024
    private var reportedInboundBytes = 0
    private var reportedOutboundBytes = 0
    /// Bytes that have come of a frame that is not complete.
    var partialBytes = 0

    private var inbound = CircularBuffer<[UInt8]>()
    /// Received, and not yet taken.
    private(set) var inboundBytes = 0
    private var inboundEnded = false
    private var consumer: Consumer?
    private var consumerCancelled = false
    private(set) var readingPaused = false

    private var outbound = CircularBuffer<[UInt8]>()
    /// Queued, and handed to the channel but not yet written to the socket.
    private(set) var outboundBytes = 0
    private var drainScheduled = false
    private var waitingSends = CircularBuffer<WaitingSend>()
    private var nextID: UInt64 = 0

    private(set) var closeReason: CloseReason?
    private var fullyClosed = false
    private var watchers: [Watcher] = []

    init(inboundBytesMax: Int, outboundBytesMax: Int) {
        self.inboundBytesMax = inboundBytesMax
        self.outboundBytesMax = outboundBytesMax
    }

    // MARK: Inbound

    /// A frame has come. The answer is the consumer to hand it to; nil if it was kept or dropped.
    mutating func received(_ frame: [UInt8]) -> Consumer? {
        if inboundEnded { return nil }
        if let consumer {
            self.consumer = nil
            return consumer
        }
        inbound.append(frame)
        inboundBytes += frame.count + Self.frameOverheadBytes
        if inboundBytes >= inboundBytesMax { readingPaused = true }
        return nil
    }

    enum NextFrame {
        case frame([UInt8], resumeReading: Bool)
        case ended
        case wait
    }

    /// The consumer wants a frame; on `.wait` it has been registered.
    mutating func next(_ continuation: Consumer) -> NextFrame {
        precondition(consumer == nil, "a connection's inbound frames have one consumer")
        if let frame = inbound.popFirst() {
            inboundBytes -= frame.count + Self.frameOverheadBytes
            let resume = readingPaused && inboundBytes <= inboundBytesMax / 2
            if resume { readingPaused = false }
            return .frame(frame, resumeReading: resume)
        }
        if inboundEnded { return .ended }
        if consumerCancelled {
            consumerCancelled = false
            return .ended
        }
        consumer = continuation
        return .wait
    }

    /// The consumer's task was cancelled, perhaps before it has come to wait.
    mutating func cancelConsumer() -> Consumer? {
        guard let consumer else {
            consumerCancelled = true
            return nil
        }
        self.consumer = nil
        return consumer
    }

    /// The consumer's wait is over: a cancellation that came too late no longer concerns anybody.
    mutating func consumerLeft() {
        consumerCancelled = false
    }

    // MARK: Outbound

    enum Enqueued: Equatable {
        case accepted(scheduleDrain: Bool)
        case full
        case closed(CloseReason)
    }

    /// Queues a frame if it fits and nobody waits before it.
    mutating func enqueue(_ frame: [UInt8]) -> Enqueued {
        if let closeReason { return .closed(closeReason) }
        guard waitingSends.isEmpty, hasRoom(for: frame) else { return .full }
        append(frame)
        return .accepted(scheduleDrain: scheduleDrain())
    }

    /// A number for the next waiting send.
    mutating func makeID() -> UInt64 {
        nextID += 1
        return nextID
    }

    /// Queues a frame, or registers the sender to wait for room (`.full`).
    mutating func enqueueOrWait(_ frame: [UInt8], id: UInt64, continuation: Sender) -> Enqueued {
        let result = enqueue(frame)
        if result == .full {
            waitingSends.append(WaitingSend(id: id, frame: frame, continuation: continuation))
        }
        return result
    }

    /// The sender's task was cancelled; nil if it no longer waits.
    mutating func cancelSend(id: UInt64) -> Sender? {
        guard let index = waitingSends.firstIndex(where: { $0.id == id }) else { return nil }
        return waitingSends.remove(at: index).continuation
    }

    /// The next frame for the channel; nil, and no drain is scheduled any more, if there is none.
    mutating func popOutbound() -> [UInt8]? {
        guard let frame = outbound.popFirst() else {
            drainScheduled = false
            return nil
        }
        return frame
    }

    /// The channel takes no more for now; its own signal will go on.
    mutating func drainStopped() {
        drainScheduled = false
    }

    /// Bytes have reached the socket: the senders that may now go on, their frames queued.
    mutating func written(_ bytes: Int) -> (senders: [Sender], scheduleDrain: Bool) {
        outboundBytes -= bytes
        var senders: [Sender] = []
        while closeReason == nil, let first = waitingSends.first, hasRoom(for: first.frame) {
            waitingSends.removeFirst()
            append(first.frame)
            senders.append(first.continuation)
        }
        return (senders, senders.isEmpty ? false : scheduleDrain())
    }

    static func cost(_ frame: [UInt8]) -> Int { frame.count + frameOverheadBytes }

    private func hasRoom(for frame: [UInt8]) -> Bool {
        outboundBytes == 0 || outboundBytes + Self.cost(frame) <= outboundBytesMax
    }

    private mutating func append(_ frame: [UInt8]) {
        outbound.append(frame)
        outboundBytes += Self.cost(frame)
    }

    private mutating func scheduleDrain() -> Bool {
        if drainScheduled { return false }
        drainScheduled = true
        return true
    }

    // MARK: Budgets

    /// What a budget has to be told, or nil where it has been told nearly that.
    private static func report(_ bytes: Int, reported: inout Int) -> Int? {
        guard abs(bytes - reported) >= reportStepBytes || bytes == 0 && reported != 0 else { return nil }
        reported = bytes
        return bytes
    }

    /// What is held of received bytes, where the budget has to be told.
    mutating func inboundReport() -> Int? {
        Self.report(inboundBytes + partialBytes, reported: &reportedInboundBytes)
    }

    /// What waits to be sent, where the budget has to be told.
    mutating func outboundReport() -> Int? { Self.report(outboundBytes, reported: &reportedOutboundBytes) }

    // MARK: Ending

    /// Whom to wake when a connection ends, and with what.
    struct Ended {
        var isFirst = false
        var consumer: Consumer?
        var senders: [Sender] = []
        var watchers: [Watcher] = []
    }

    /// This node closes: received frames that nobody has taken are dropped, and if `discarding` those to be sent too.
    mutating func closeLocally(_ reason: CloseReason, discarding: Bool) -> Ended {
        inbound.removeAll()
        inboundBytes = 0
        if discarding { discardOutbound() }
        return end(reason)
    }

    /// The peer or the network ends it: received frames stay to be taken.
    mutating func closeRemotely(_ reason: CloseReason) -> Ended {
        discardOutbound()
        return end(reason)
    }

    /// The channel is gone.
    mutating func closed() -> Ended {
        discardOutbound()
        var ended = end(.localShutdown)
        fullyClosed = true
        ended.watchers = watchers
        watchers = []
        return ended
    }

    /// Registers a watcher; the reason at once if the channel is gone already.
    mutating func watch(_ watcher: Watcher) -> CloseReason? {
        if fullyClosed, let closeReason { return closeReason }
        watchers.append(watcher)
        return nil
    }

    private mutating func end(_ reason: CloseReason) -> Ended {
        var ended = Ended()
        partialBytes = 0
        if closeReason == nil {
            closeReason = reason
            ended.isFirst = true
        }
        inboundEnded = true
        readingPaused = false
        ended.consumer = consumer
        consumer = nil
        ended.senders = waitingSends.map(\.continuation)
        waitingSends.removeAll()
        return ended
    }

    private mutating func discardOutbound() {
        for frame in outbound { outboundBytes -= Self.cost(frame) }
        outbound.removeAll()
    }
}
