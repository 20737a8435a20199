package import NIOCore

/// Runs tasks on an event loop's thread, where what they wait for comes from: no other thread has to be woken for it.
///
/// What runs there must not block, and be short.
package final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    /// - Parameter eventLoop: Runs at least until all tasks that prefer this executor have ended.
    package init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Has a task go on at the loop's next turn.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
