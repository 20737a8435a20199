/// What waits for the processor of one node, and who has the next turn.
///
/// Connections take turns, a quantum each, as tasks of one program do; timers, answers of the disk and handshakes have a
/// turn of their own. Within a connection everything is handled in order.
struct Processor {
    /// What has turns.
    enum Source: Hashable {
        case own
        case link(connection: Int, side: Int)
    }

    /// Timers, answers of the disk and handshakes.
    var own = Inbox()
    /// Sources with something to do.
    var turns = Fifo<Source>()
    /// True while an event is on its way that ends the present turn.
    var isWorking = false
    /// Nanoseconds that the last actions took; they are worked off before the next turn begins.
    var debt: UInt64 = 0
    /// Nanoseconds worked in all.
    var worked: UInt64 = 0
    /// When the node gets the processor; nil for always.
    var slices: Slices?

    /// Forgets all that waits: the node has stopped.
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
    /// True while it is in the queue of turns, or has its turn.
    var isInTurn = false
    /// What is left to do of the first event; nil where nothing is done yet.
    var left: InputCost?
}

/// The times at which a node gets the processor, as on a machine that does other work: `length` nanoseconds of every
/// `period`.
package struct Slices: Hashable, Sendable {
    let period: UInt64
    let length: UInt64
    let offset: UInt64

    /// - Parameters:
    ///   - period: Nanoseconds, more than 0.
    ///   - length: Nanoseconds of each period, 1 to `period`.
    ///   - offset: When a slice begins, in nanoseconds since the start.
    package init(period: UInt64, length: UInt64, offset: UInt64) {
        self.period = max(1, period)
        self.length = min(max(1, length), self.period)
        self.offset = offset
    }

    /// When work that begins at a moment is done.
    func end(of work: UInt64, from now: UInt64) -> UInt64 {
        let phase = (now + period - offset % period) % period
        let start = phase < length ? now : now + period - phase
        let room = phase < length ? length - phase : length
        guard work > room else { return start + work }
        let rest = work - room
        // The rest takes whole slices, and a part of the last one.
        let whole = (rest - 1) / length
        return start + room + (period - length) + whole * period + (rest - whole * length)
    }
}
