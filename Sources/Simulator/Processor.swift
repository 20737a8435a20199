/// The events that wait for one node's processor, and the order of turns.
///
/// Connections take turns of one quantum each, like tasks of one program. Timers, disk answers and handshakes have a
/// turn of their own. Within a connection, events are handled in order.
struct Processor {
    /// A source of events that takes turns.
    enum Source: Hashable {
        case own
        case link(connection: Int, side: Int)
    }

    /// Timers, disk answers and handshakes.
    var own = Inbox()
    /// Sources with pending events.
    var turns = Fifo<Source>()
    /// True while the event that ends the current turn is scheduled.
    var isWorking = false
    /// The nanoseconds that the last actions took; the next turn is longer by this time.
    var debt: UInt64 = 0
    /// The total nanoseconds worked.
    var worked: UInt64 = 0
    /// The times at which the node gets the processor; nil for always.
    var slices: Slices?

    /// Discards all waiting events, because the node has stopped.
    mutating func stop() {
        own = Inbox()
        turns = Fifo()
        isWorking = false
        debt = 0
    }
}

/// Events that wait for the processor, in order.
struct Inbox {
    var events = Fifo<Simulation.Event>()
    /// True while it is in the queue of turns or has its turn.
    var isInTurn = false
    /// The remaining cost of the first event; nil if its handling has not begun.
    var left: InputCost?
}

/// The times at which a node gets the processor, as on a machine that does other work: `length` nanoseconds of every
/// `period`.
package struct Slices: Hashable, Sendable {
    let period: UInt64
    let length: UInt64
    let offset: UInt64

    /// - Parameters:
    ///   - period: nanoseconds, more than 0.
    ///   - length: nanoseconds of each period, 1 to `period`.
    ///   - offset: the start of a slice, in nanoseconds since the start.
    package init(period: UInt64, length: UInt64, offset: UInt64) {
        self.period = max(1, period)
        self.length = min(max(1, length), self.period)
        self.offset = offset
    }

    /// The time at which work that begins now is done.
    func end(of work: UInt64, from now: UInt64) -> UInt64 {
        let phase = (now + period - offset % period) % period
        let start = phase < length ? now : now + period - phase
        let room = phase < length ? length - phase : length
        guard work > room else { return start + work }
        let rest = work - room
        // The rest takes whole slices and a part of the last one.
        let whole = (rest - 1) / length
        return start + room + (period - length) + whole * period + (rest - whole * length)
    }
}
