import NIOCore
import OpenSSLKit

/// The shared state of the application's tasks and the channel's event loop.
///
/// A pure state machine. A lock guards it, and callers act on its results after they release the lock.
struct PeerConnectionState {
    typealias Consumer = CheckedContinuation<[UInt8]?, Never>
    typealias Sender = CheckedContinuation<CloseReason?, Never>
    typealias Watcher = CheckedContinuation<CloseReason, Never>

    private struct WaitingSend {
        let id: UInt64
        let frame: [UInt8]
        let continuation: Sender
    }

    /// The overhead of a frame in bytes (an array's header and slot). It bounds the number of tiny frames too.
    static let frameOverheadBytes = 64

    private let inboundBytesMax: Int
    var outboundBytesMax: Int
    /// The minimum change in bytes that is reported to the transport's budgets.
    private static let reportStepBytes = 64 * 1024
    private var reportedInboundBytes = 0
    private var reportedOutboundBytes = 0
    /// The number of received bytes of an incomplete frame.
    var partialBytes = 0

    private var inbound = CircularBuffer<[UInt8]>()
    /// The size of received frames that nobody has taken in bytes.
    private(set) var inboundBytes = 0
    private var inboundEnded = false
    private var consumer: Consumer?
    private var consumerCancelled = false
    private(set) var readingPaused = false

    private var outbound = CircularBuffer<[UInt8]>()
    /// The size of frames that are queued, or passed to the channel but not yet written to the socket, in bytes.
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

    /// Adds a received frame. Returns the consumer that takes it; nil if the frame was queued or dropped.
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

    /// Returns the next frame for the consumer; registers the consumer for `.wait`.
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

    /// Handles cancellation of the consumer's task, which may precede its wait.
    mutating func cancelConsumer() -> Consumer? {
        guard let consumer else {
            consumerCancelled = true
            return nil
        }
        self.consumer = nil
        return consumer
    }

    /// Ends the consumer's wait; a late cancellation then has no effect.
    mutating func consumerLeft() {
        consumerCancelled = false
    }

    // MARK: Outbound

    enum Enqueued: Equatable {
        case accepted(scheduleDrain: Bool)
        case full
        case closed(CloseReason)
    }

    /// Queues a frame if it fits and no sender is waiting.
    mutating func enqueue(_ frame: [UInt8]) -> Enqueued {
        if let closeReason { return .closed(closeReason) }
        guard waitingSends.isEmpty, hasRoom(for: frame) else { return .full }
        append(frame)
        return .accepted(scheduleDrain: scheduleDrain())
    }

    /// Returns an id for the next waiting sender.
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

    /// Removes a cancelled sender; nil if it no longer waits.
    mutating func cancelSend(id: UInt64) -> Sender? {
        guard let index = waitingSends.firstIndex(where: { $0.id == id }) else { return nil }
        return waitingSends.remove(at: index).continuation
    }

    /// Returns the next frame for the channel. If there is none, returns nil and ends the scheduled drain.
    mutating func popOutbound() -> [UInt8]? {
        guard let frame = outbound.popFirst() else {
            drainScheduled = false
            return nil
        }
        return frame
    }

    /// Ends the scheduled drain because the channel is full; a writability change continues it.
    mutating func drainStopped() {
        drainScheduled = false
    }

    /// Handles bytes written to the socket. Returns the senders to resume, whose frames are now queued.
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

    /// The number of bytes to report to a budget; nil if the last report was close enough.
    private static func report(_ bytes: Int, reported: inout Int) -> Int? {
        guard abs(bytes - reported) >= reportStepBytes || bytes == 0 && reported != 0 else { return nil }
        reported = bytes
        return bytes
    }

    /// The number of received bytes to report to the budget; nil if no report is due.
    mutating func inboundReport() -> Int? {
        Self.report(inboundBytes + partialBytes, reported: &reportedInboundBytes)
    }

    /// The number of bytes waiting to be sent to report to the budget; nil if no report is due.
    mutating func outboundReport() -> Int? { Self.report(outboundBytes, reported: &reportedOutboundBytes) }

    // MARK: Ending

    /// The tasks to resume when a connection ends.
    struct Ended {
        var isFirst = false
        var consumer: Consumer?
        var senders: [Sender] = []
        var watchers: [Watcher] = []
    }

    /// Closes from this node's side: drops received frames, and frames to be sent if `discarding` is true.
    mutating func closeLocally(_ reason: CloseReason, discarding: Bool) -> Ended {
        inbound.removeAll()
        inboundBytes = 0
        if discarding { discardOutbound() }
        return end(reason)
    }

    /// Closes from the side of the peer or network: received frames stay available.
    mutating func closeRemotely(_ reason: CloseReason) -> Ended {
        discardOutbound()
        return end(reason)
    }

    /// Handles the closed channel.
    mutating func closed() -> Ended {
        discardOutbound()
        var ended = end(.localShutdown)
        fullyClosed = true
        ended.watchers = watchers
        watchers = []
        return ended
    }

    /// Registers a watcher; returns the reason at once if the channel is already closed.
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
