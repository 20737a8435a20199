import Synchronization

/// How far a long piece of work has come.
package struct WorkProgress: Codable, Hashable, Sendable {
    /// What is being done.
    package enum Phase: String, Codable, Sendable {
        /// A file comes over the socket; counts bytes.
        case receiving
        /// A file is checked; counts bytes.
        case checking
        /// Rows are compared with the directory, and what differs is written; counts rows.
        case writing
        /// Derived tables are rebuilt; counts operations.
        case rebuilding
        /// The log and derived tables are verified; counts operations.
        case verifying
        /// Records are exported; counts records.
        case exporting
    }

    package let phase: Phase
    /// How many are done, 0 or more; never less than before in the same phase.
    package let done: Int
    /// How many there are in all; nil where that is not known.
    package let total: Int?

    package init(_ phase: Phase, done: Int, total: Int?) {
        self.phase = phase
        self.done = done
        self.total = total
    }
}

/// Passes on the progress of one piece of work: the first report of each phase, and then about four a second.
package final class ProgressReporter: Sendable {
    private let receive: @Sendable (WorkProgress) -> Void
    private let last = Mutex<(phase: WorkProgress.Phase, time: ContinuousClock.Instant)?>(nil)

    /// The time between two reports of a phase.
    private static let interval = Duration.milliseconds(250)

    /// - Parameter receive: Takes what is passed on, on the thread that reports. It must not block.
    package init(_ receive: @escaping @Sendable (WorkProgress) -> Void) { self.receive = receive }

    /// Reports; costs one look at the clock where nothing is passed on.
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
