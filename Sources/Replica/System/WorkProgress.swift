import Synchronization

/// The progress of a long piece of work.
package struct WorkProgress: Codable, Hashable, Sendable {
    /// The present kind of work.
    package enum Phase: String, Codable, Sendable {
        /// A file is received over the socket; counts bytes.
        case receiving
        /// A file is checked; counts bytes.
        case checking
        /// Rows are compared with the directory, and differences are written; counts rows.
        case writing
        /// Derived tables are rebuilt; counts operations.
        case rebuilding
        /// The log and derived tables are verified; counts operations.
        case verifying
        /// Records are exported; counts records.
        case exporting
    }

    package let phase: Phase
    /// The number of finished units, 0 or more; it never decreases within a phase.
    package let done: Int
    /// The total number of units; nil if unknown.
    package let total: Int?

    package init(_ phase: Phase, done: Int, total: Int?) {
        self.phase = phase
        self.done = done
        self.total = total
    }
}

/// Forwards the progress of one piece of work: the first report of each phase, then about four per second.
package final class ProgressReporter: Sendable {
    private let receive: @Sendable (WorkProgress) -> Void
    private let last = Mutex<(phase: WorkProgress.Phase, time: ContinuousClock.Instant)?>(nil)

    /// The time between two reports of a phase.
    private static let interval = Duration.milliseconds(250)

    /// - Parameter receive: Receives the forwarded reports on the reporting thread. It must not block.
    package init(_ receive: @escaping @Sendable (WorkProgress) -> Void) { self.receive = receive }

    /// Reports progress. A report that is not forwarded costs one reading of the clock.
    package func report(_ phase: WorkProgress.Phase, done: Int, total: Int?) {
        let now = ContinuousClock.now
        let isDue = last.withLock { last in
            if let before = last, before.phase == phase, now < before.time + Self.interval { return false }
            last = (phase, now)
            return true
        }
        if isDue { receive(WorkProgress(phase, done: done, total: total)) }
    }
}
