import Synchronization

/// Counts what the node did since it started. Any task may count.
final class NodeCounters: Sendable {
    private let counts = Mutex(NodeService.Counters())

    /// Changes several counts in one atomic step.
    func count(_ body: (inout NodeService.Counters) -> Void) { counts.withLock { body(&$0) } }

    /// The counts so far.
    var current: NodeService.Counters { counts.withLock { $0 } }
}
