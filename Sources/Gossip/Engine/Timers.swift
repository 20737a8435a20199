/// The due times of recurring work, and the moment to which the engine's timer is set.
struct Timers: Sendable {
    /// When a changed state is sent to neighbours.
    var stateChangedAt: Instant?
    /// When the unchanged state is sent to neighbours; nil before the first step.
    var heartbeatAt: Instant?
    /// When a random neighbour is asked for its state; nil before the first step.
    var antiEntropyAt: Instant?
    /// When a node that is no neighbour is dialled; nil before the first step.
    var nonNeighbourAt: Instant?
    /// When waiting statements and announcements are passed on; nil while none waits.
    var relayAt: Instant?
    /// The moment to which the timer is set; nil while it is not set.
    private var setTo: Instant?
    /// The wall clock at this step; it is only sent to peers and compared with theirs.
    var wallMilliseconds: UInt64 = 0

    func isDue(_ instant: Instant?, now: Instant) -> Bool { instant.map { $0 <= now } ?? false }

    /// The earliest of the due times; nil before the first step.
    var earliest: Instant? {
        guard let heartbeatAt, let antiEntropyAt, let nonNeighbourAt else { return nil }
        var earliest = min(heartbeatAt, antiEntropyAt, nonNeighbourAt)
        if let stateChangedAt, stateChangedAt < earliest { earliest = stateChangedAt }
        if let relayAt, relayAt < earliest { earliest = relayAt }
        return earliest
    }

    /// Notes that the timer has fired, if it has.
    mutating func fired(now: Instant) {
        if isDue(setTo, now: now) { setTo = nil }
    }

    /// Sets the timer.
    ///
    /// - Returns: The moment to set it to; nil if it is already set to an earlier one.
    mutating func set(to next: Instant, now: Instant) -> Instant? {
        if let setTo, setTo > now, setTo <= next { return nil }
        setTo = next
        return next
    }
}
