import Gossip

/// The network's behaviour in a run, the same for all links.
package struct NetworkSettings: Hashable, Sendable {
    package var latency = LatencyModel.uniform(1...40)
    /// Lost packets per thousand. A lost packet is sent again after a timeout that doubles, and later data waits for
    /// it.
    package var lossPermille: UInt64 = 0
    /// Broadcast messages per thousand that are dropped for good, as by a node's full queue for a peer.
    package var pushLossPermille: UInt64 = 0
    /// Broadcast messages per thousand that arrive twice.
    package var duplicatePermille: UInt64 = 0
    /// Broadcast messages per thousand that are up to a second late, so that later messages overtake them.
    package var reorderPermille: UInt64 = 0
    /// The capacity of a link in bytes per second and direction; nil for no limit.
    package var bytesPerSecond: UInt64?
    /// The milliseconds after which an unanswered dial fails.
    package var dialTimeoutMilliseconds: UInt64 = 3_000
    /// The maximum number of connections of a node's machine; further dials get no answer. Nil for no limit.
    package var connectionsMax: Int?

    package init() {}
}

/// A message in flight.
final class Parcel {
    let message: PeerMessage
    let byteCount: Int

    init(message: PeerMessage, byteCount: Int) {
        self.message = message
        self.byteCount = byteCount
    }

    /// The reason why the frame's bytes do not decode as a message; nil if they do.
    var malformation: String? {
        do throws(MalformedMessage) {
            _ = try PeerMessage(decoding: message.encoded())
            return nil
        } catch {
            return error.what
        }
    }
}

/// A connection of two nodes, like TCP: messages arrive in order or not at all.
final class Connection {
    /// One side, with the messages in flight to it.
    final class Side {
        /// The index of its node.
        let node: Int
        /// True while the node knows of the connection.
        var isUp = false
        /// The arrival time of the last message that keeps its order.
        var lastArrival: UInt64 = 0
        /// The time at which the line is free for the next byte.
        var freeAt: UInt64 = 0
        /// The number of bytes sent and not yet read.
        var outstandingBytes = 0
        /// Messages that a block holds back.
        var held: [Parcel] = []
        /// Events that have arrived and are not yet handled.
        var inbox = Inbox()
        /// The node reads nothing before this time, in nanoseconds since the start.
        var readsAgainAt: UInt64 = 0
        /// A puppet's memory of the session; nil at any other node.
        var session: PuppetSession?

        init(node: Int) {
            self.node = node
        }

        /// Discards events that have arrived and are not yet handled, as a closed socket does.
        func discardUnread() {
            while let event = inbox.events.popFirst() {
                if case .arrival(_, _, let parcel) = event { outstandingBytes -= parcel.byteCount }
            }
            let isInTurn = inbox.isInTurn
            inbox = Inbox()
            inbox.isInTurn = isInTurn
        }
    }

    /// The side of the dialling node.
    private let first: Side
    private let second: Side
    /// True if the connection is broken; it delivers nothing more.
    var isBroken = false

    init(from: Int, to: Int) {
        first = Side(node: from)
        second = Side(node: to)
    }

    subscript(side: Int) -> Side { side == 0 ? first : second }

    /// True if one of its sides is this node.
    func joins(_ node: Int) -> Bool { first.node == node || second.node == node }
}

/// The network: connections, blocks and delays.
struct Network {
    var settings: NetworkSettings
    var random: SplitMix64
    var connections: [Connection] = []
    /// Directions in which nothing passes, as (from, to).
    private var blocked: Set<UInt64> = []
    /// The bytes per second of nodes whose line is clogged.
    var clogged: [Int: UInt64] = [:]

    /// The initial retransmission timeout (RFC 6298, section 2, with Linux's lower bound).
    private static let retransmissionNanoseconds: UInt64 = 200_000_000
    private static let packetBytes = 1_400
    /// The time given to an address before the node's next one is tried in parallel, in nanoseconds.
    static let addressPause: UInt64 = 1_000_000_000

    init(settings: NetworkSettings, seed: UInt64) {
        self.settings = settings
        random = SplitMix64(seed: seed)
    }

    // MARK: - Links

    /// The link of a connection's side.
    static func link(_ connection: Int, side: Int) -> LinkID { LinkID(UInt64(connection) << 1 | UInt64(side)) }
    static func connection(of link: LinkID) -> Int { Int(link.number >> 1) }
    static func side(of link: LinkID) -> Int { Int(link.number & 1) }

    // MARK: - Blocks

    private static func key(_ from: Int, _ to: Int) -> UInt64 { UInt64(from) << 32 | UInt64(to) }

    func isBlocked(from: Int, to: Int) -> Bool { !blocked.isEmpty && blocked.contains(Self.key(from, to)) }
    mutating func block(from: Int, to: Int) { blocked.insert(Self.key(from, to)) }
    mutating func unblock(from: Int, to: Int) { blocked.remove(Self.key(from, to)) }
    mutating func unblockAll() { blocked = [] }

    // MARK: - Time

    /// The current travel time of a packet.
    mutating func delay(from: Int, to: Int) -> UInt64 {
        settings.latency.nanoseconds(from: from, to: to, using: &random)
    }

    mutating func isDrawn(_ permille: UInt64) -> Bool { permille > 0 && random.next() % 1000 < permille }

    /// The arrival times of a message at a side of a connection: none if it is lost, a second one if it is duplicated.
    mutating func arrivals(
        of parcel: Parcel,
        on connection: Connection,
        side: Int,
        now: UInt64
    ) -> (first: UInt64?, again: UInt64?) {
        let byteCount = parcel.byteCount
        let isBroadcast = parcel.message.isBroadcast
        if isBroadcast, isDrawn(settings.pushLossPermille) { return (nil, nil) }
        let receiver = connection[side]
        let from = connection[1 - side].node
        let to = receiver.node
        var departure = now
        if let rate = bytesPerSecond(from, to) {
            let free = max(now, receiver.freeAt)
            departure = free + UInt64(byteCount) * 1_000_000_000 / max(rate, 1)
            receiver.freeAt = departure
        }
        let passage = delay(from: from, to: to)
        var arrival = departure + passage + waitForLost(byteCount: byteCount, passage: passage)
        arrival = max(arrival, receiver.lastArrival)
        if isBroadcast, isDrawn(settings.reorderPermille) {
            return (arrival + random.next() % 1_000_000_000, nil)
        }
        receiver.lastArrival = arrival
        guard isBroadcast, isDrawn(settings.duplicatePermille) else { return (arrival, nil) }
        return (arrival, arrival + random.next() % 1_000_000_000)
    }

    private func bytesPerSecond(_ from: Int, _ to: Int) -> UInt64? {
        guard settings.bytesPerSecond != nil || !clogged.isEmpty else { return nil }
        return [settings.bytesPerSecond, clogged[from], clogged[to]].compactMap { $0 }.min()
    }

    /// The delay of a message by lost packets. For a long message the receiver reports the gap at once (RFC 5681,
    /// section 3.2); for a short one the timeout expires.
    private mutating func waitForLost(byteCount: Int, passage: UInt64) -> UInt64 {
        guard settings.lossPermille > 0 else { return 0 }
        let packets = 1 + byteCount / Self.packetBytes
        var isLost = false
        for _ in 0..<min(packets, 16) where isDrawn(settings.lossPermille) { isLost = true }
        guard isLost else { return 0 }
        var timeout = Self.retransmissionNanoseconds + 2 * passage
        var wait = packets >= 4 ? 2 * passage : timeout
        while isDrawn(settings.lossPermille) {
            timeout = min(timeout * 2, 60_000_000_000)
            wait += timeout
        }
        return wait
    }
}
