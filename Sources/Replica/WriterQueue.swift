import Catalog
import DeltaLog
import Dispatch
import Store
import Synchronization

/// The queue on which everything is written to the store, in order. Every write passes through it, so it reports a disk or
/// a file that can no longer be trusted, whichever part asked for the write.
///
/// Isolation: any task may call it. Methods whose comments say so run on the queue.
final class WriterQueue: Sendable {
    private let store: Store
    private let queue = DispatchQueue(label: "hansa.writer")
    private let turns = Mutex(Turns())
    private let listener = Mutex(Listener())

    /// Commands that wait for their turn on the queue. They fail if another program's lock blocks the queue.
    private struct Turns: Sendable {
        var next: UInt64 = 0
        var givesUp: [UInt64: @Sendable (any Error) -> Void] = [:]
        /// True after the process began to stop.
        var isOver = false
    }

    /// A type of its own: Swift wraps a closure once more each time it is taken out of a generic type.
    private struct Listener: Sendable {
        var failed: (@Sendable (Failure) -> Void)?
    }

    init(_ store: Store) {
        self.store = store
    }

    /// Calls `body` when a write meets a disk or a file that can no longer be trusted. The process should end then.
    func onFailure(_ body: @escaping @Sendable (Failure) -> Void) {
        listener.withLock { $0.failed = body }
    }

    // MARK: - Taking a turn

    /// Runs a body on the queue.
    ///
    /// - Throws: Errors of the body; ``Failure`` with ``Reason/databaseLocked`` if another program's lock blocked the
    ///   queue for too long. The body did not run then.
    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let turn = turns.withLock { turns in
                turns.next += 1
                turns.givesUp[turns.next] = { continuation.resume(throwing: $0) }
                return turns.next
            }
            queue.async { [self] in
                guard turns.withLock({ $0.givesUp.removeValue(forKey: turn) }) != nil else { return }
                continuation.resume(with: Swift.Result { try Replica.translating(body) })
            }
        }
    }

    /// Queues a body without waiting for it.
    func enqueue(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

    /// Prepares the search terms of operations on the caller's thread, for the transaction that stores them.
    func prepare(_ operations: [VerifiedOperation], root: Hash256) { store.prepare(operations, root: root) }

    // MARK: - On the queue

    /// Runs a body that writes to the store. Call it on the queue.
    ///
    /// - Throws: Errors of the body. A fatal ``StoreError`` is reported to the listener first.
    func access<Result>(_ body: (Store) throws -> Result) throws -> Result {
        dispatchPrecondition(condition: .onQueue(queue))
        do {
            return try body(store)
        } catch let error as StoreError where error.isFatal {
            listener.withLock { $0.failed }?(Failure(storeError: error))
            throw error
        }
    }

    /// Runs one transaction. Call it on the queue.
    func write<Result>(_ body: (inout WriteTransaction) throws -> Result) throws -> Result {
        try access { try $0.write(body) }
    }

    /// Repeats a body while another program's lock blocks it. Call it on the queue: later writes keep their order, and
    /// waiting commands fail with the advice to try again.
    ///
    /// - Throws: Errors of the body; the lock's error after ``stopWaiting()`` was called.
    func awaitingLock<Result>(_ body: () throws -> Result) throws -> Result {
        while true {
            do {
                return try body()
            } catch let error as StoreError where error.isPassing {
                let (waiting, isOver) = turns.withLock { turns in
                    defer { turns.givesUp = [:] }
                    return (turns.givesUp.values, turns.isOver)
                }
                for giveUp in waiting { giveUp(Failure(storeError: error)) }
                if isOver { throw error }
            }
        }
    }

    // MARK: - Ending

    /// Ends all waits for another program's lock, present and future, because the process stops.
    func stopWaiting() {
        turns.withLock { $0.isOver = true }
        store.endWaiting()
    }

    /// True after ``stopWaiting()`` was called.
    var isStopping: Bool { turns.withLock { $0.isOver } }

    /// Waits for queued writes and closes the store.
    func close() {
        stopWaiting()
        // Pages that could not be checkpointed stay in the write-ahead log; the next opening reads them there.
        queue.sync { try? store.close() }
    }
}
