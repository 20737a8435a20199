import Catalog

/// Heads that wait to be announced to peers, collected for a while: the lazy half of the broadcast.
struct Announcing: Sendable {
    /// Logs whose heads are to be announced.
    private(set) var logs: Set<LogID> = []
    /// The last delta pushed of each log, with the number of links that it will have passed on arrival.
    private var pushed: [LogID: (sequence: UInt64, hops: UInt32)] = [:]
    /// When the heads are announced.
    private(set) var at: Instant?

    func isDue(now: Instant) -> Bool { at.map { $0 <= now } ?? false }

    /// Adds logs whose heads have changed.
    mutating func add(_ changed: [LogID]) { logs.formUnion(changed) }

    /// Notes that a delta was pushed.
    mutating func notePushed(_ log: LogID, _ sequence: UInt64, hops: UInt32) { pushed[log] = (sequence, hops) }

    /// Sets the moment of the announcement, if none is set yet.
    mutating func schedule(at instant: Instant) {
        if at == nil { at = instant }
    }

    /// Removes and returns the logs to be announced, ascending, with the pushed deltas among them.
    mutating func take() -> (logs: [LogID], pushed: [LogID: (sequence: UInt64, hops: UInt32)]) {
        defer { self = Announcing() }
        return (logs.sorted(), pushed)
    }
}
