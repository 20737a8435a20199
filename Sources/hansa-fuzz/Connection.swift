import Gossip

/// Who is at an end of a connection.
enum End: Hashable {
    /// By place among the honest nodes.
    case honest(Int)
    /// By place among the hostile peers.
    case hostile(Int)
}

/// A connection in memory: what is sent on it arrives in order, some virtual milliseconds later.
final class Connection {
    let number: Int
    /// The one that dialled comes first.
    let ends: [End]
    var isUp = [false, false]
    /// What honest nodes call it on either side.
    var links: [LinkID] { [LinkID(UInt64(2 * number + 1)), LinkID(UInt64(2 * number + 2))] }
    /// When the last thing sent to a side arrives, in nanoseconds.
    var lastArrival: [UInt64] = [0, 0]
    /// Until when a side reads nothing, in nanoseconds.
    var heldUntil: [UInt64] = [0, 0]
    /// The start of an honest node at a side, when the connection was made.
    let epochs: [UInt64]

    /// What was dialled.
    let address: String?

    init(number: Int, ends: [End], address: String?, epochs: [UInt64]) {
        self.number = number
        self.ends = ends
        self.address = address
        self.epochs = epochs
    }

    /// The connection and the side that a node calls by that name.
    static func place(of link: LinkID) -> (number: Int, side: Int) {
        (Int(link.number - 1) / 2, Int(link.number - 1) % 2)
    }
}
