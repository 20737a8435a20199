package import NIOCore
import NIOPosix

/// The event loop of this process's local connections, which also runs the tasks that serve them: a request is read,
/// handed to the node's queues and answered without another thread in between.
///
/// What blocks belongs on those queues, and what takes long on a thread of the pool (``Command/isBrief``).
package enum LocalLoop {
    /// Made when it is first needed, and there until the process ends.
    package static let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
    /// Runs tasks on the loop.
    package static let executor = EventLoopExecutor(eventLoop)
}
