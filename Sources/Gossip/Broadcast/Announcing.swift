import Catalog

/// Heads that wait to be announced to peers, gathered for a while: the lazy half of the broadcast.
struct Announcing: Sendable {
    /// Logs whose heads are to be announced.
    private(set) var logs: Set<LogID> = []
    /// The last deltas that were pushed, with the links that they will have passed on arrival.
    private var pushed: [LogID: (sequence: UInt64, hops: UInt32)] = [:]
    /// When they are announced.
    private(set) var at: Instant?

    func isDue(now: Instant) -> Bool { at.map { $0 <= now } ?? false }

    /// Adds logs whose heads have changed.
    mutating func add(_ changed: [LogID]) { logs.formUnion(changed) }

    /// Notes that a delta was pushed.
    mutating func notePushed(_ log: LogID, _ sequence: UInt64, hops: UInt32) { pushed[log] = (sequence, hops) }

    /// Sets when to announce, where that is not set yet.
    mutating func schedule(at instant: Instant) {
        if at == nil { at = instant }
    }

    /// The logs to be announced, ascending, and how those that were pushed will arrive. Nothing waits from then on.
    mutating func take() -> (logs: [LogID], pushed: [LogID: (sequence: UInt64, hops: UInt32)]) {
        defer { self = Announcing() }
        return (logs.sorted(), pushed)
    }
}
