package import NIOCore
import NIOPosix

/// The event loop of this process's local connections and of the tasks that serve them. A request passes no other
/// thread between reading, the node's queues and the answer.
///
/// Blocking work belongs on those queues, and long work on a thread of the pool (``Command/isBrief``).
package enum LocalLoop {
    /// Created on first use; never shut down.
    package static let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
    /// Runs tasks on the loop.
    package static let executor = EventLoopExecutor(eventLoop)
}
