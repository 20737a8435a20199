package import NIOCore

/// Runs tasks on an event loop's thread. A task that waits for the loop's events then needs no wake-up of another
/// thread.
///
/// Tasks on this executor must be short and must not block.
package final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    /// - Parameter eventLoop: Must run until all tasks that prefer this executor have ended.
    package init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Continues a task in the loop's next iteration.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
