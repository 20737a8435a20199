import Logging
import Replica
import Store
import Synchronization

/// Ends the node: after the first failure that prevents it from continuing, or on request.
///
/// Isolation: any task may call anything; `requests` has one consumer.
final class NodeStop: Sendable {
    /// Finishes when the node is to stop.
    let requests: AsyncStream<Void>

    private let continuation: AsyncStream<Void>.Continuation
    private let state = Mutex<Failure?>(nil)
    private let replica: Replica
    private let logger: Logger

    init(replica: Replica, logger: Logger) {
        (requests, continuation) = AsyncStream.makeStream()
        self.replica = replica
        self.logger = logger
    }

    /// The first failure; nil for none.
    var failure: Failure? { state.withLock { $0 } }

    /// Stops the node without a failure.
    func request() { continuation.finish() }

    /// Stops the node after a failure from which it cannot continue.
    func fail(_ cause: any Error) {
        let error = Failure(cause: cause)
        let isFirst = state.withLock { failure in
            defer { failure = failure ?? error }
            return failure == nil
        }
        if isFirst { logger.critical("stopping", metadata: ["reason": "\(error.message)"]) }
        continuation.finish()
    }

    /// Stops the node after a failure. Ignores another program's lock if the node stops already: nobody was promised the
    /// write that waited for the lock, and the write comes again.
    func failUnlessStopping(_ cause: any Error) {
        let isPassing = (cause as? StoreError)?.isPassing == true
        if !(isPassing && replica.isStopping) { fail(cause) }
    }
}
