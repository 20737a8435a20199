/// When what recurs is due, and for when the engine's timer is set.
struct Timers: Sendable {
    /// When neighbours are told of a changed state.
    var stateChangedAt: Instant?
    /// When neighbours are told the state though nothing changes; nil before the first step.
    var heartbeatAt: Instant?
    /// When a random neighbour is asked for its state; nil before the first step.
    var antiEntropyAt: Instant?
    /// When a node that is no neighbour is dialled; nil before the first step.
    var nonNeighbourAt: Instant?
    /// When statements and announcements that wait are passed on; nil while none waits.
    var relayAt: Instant?
    /// What the timer is set to; nil while it is not set.
    private var setTo: Instant?
    /// The wall clock at this step; only told to peers and compared with theirs.
    var wallMilliseconds: UInt64 = 0

    func isDue(_ instant: Instant?, now: Instant) -> Bool { instant.map { $0 <= now } ?? false }

    /// The earliest of them; nil before the first step.
    var earliest: Instant? {
        guard let heartbeatAt, let antiEntropyAt, let nonNeighbourAt else { return nil }
        var earliest = min(heartbeatAt, antiEntropyAt, nonNeighbourAt)
        if let stateChangedAt, stateChangedAt < earliest { earliest = stateChangedAt }
        if let relayAt, relayAt < earliest { earliest = relayAt }
        return earliest
    }

    /// Notes that the timer has fired, where it has.
    mutating func fired(now: Instant) {
        if isDue(setTo, now: now) { setTo = nil }
    }

    /// Sets the timer.
    ///
    /// - Returns: What it is to be set to; nil where it is set to an earlier moment.
    mutating func set(to next: Instant, now: Instant) -> Instant? {
        if let setTo, setTo > now, setTo <= next { return nil }
        setTo = next
        return next
    }
}
