import Gossip

/// The node at an end of a connection.
enum End: Hashable {
    /// An index among the honest nodes.
    case honest(Int)
    /// An index among the hostile peers.
    case hostile(Int)
}

/// A connection in memory: frames arrive in order, some virtual milliseconds later.
final class Connection {
    let number: Int
    /// The two ends; the dialling one comes first.
    let ends: [End]
    var isUp = [false, false]
    /// The link ids of the honest nodes on either side.
    var links: [LinkID] { [LinkID(UInt64(2 * number + 1)), LinkID(UInt64(2 * number + 2))] }
    /// The arrival time of the last frame to each side, in nanoseconds.
    var lastArrival: [UInt64] = [0, 0]
    /// The time until which each side reads nothing, in nanoseconds.
    var heldUntil: [UInt64] = [0, 0]
    /// The epochs of the nodes at both sides when the connection was made; 0 for hostile peers.
    let epochs: [UInt64]

    /// The dialled address.
    let address: String?

    init(number: Int, ends: [End], address: String?, epochs: [UInt64]) {
        self.number = number
        self.ends = ends
        self.address = address
        self.epochs = epochs
    }

    /// The connection and the side with this link id.
    static func nodeIndex(of link: LinkID) -> (number: Int, side: Int) {
        (Int(link.number - 1) / 2, Int(link.number - 1) % 2)
    }
}
