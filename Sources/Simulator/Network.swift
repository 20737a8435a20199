import Gossip

/// How the network of a run behaves, for all links alike.
package struct NetworkSettings: Hashable, Sendable {
    package var latency = LatencyModel.uniform(1...40)
    /// Packets lost of a thousand: what is lost is sent again after a time that doubles, and what is behind it waits.
    package var lossPermille: UInt64 = 0
    /// Broadcast messages of a thousand that are dropped for good, as where a node's queue for a peer is full.
    package var pushLossPermille: UInt64 = 0
    /// Broadcast messages of a thousand that come twice.
    package var duplicatePermille: UInt64 = 0
    /// Broadcast messages of a thousand that are up to a second late, so that what was sent after them overtakes them.
    package var reorderPermille: UInt64 = 0
    /// Bytes that a link passes in a second and direction; nil for any number.
    package var bytesPerSecond: UInt64?
    /// Milliseconds after which a dial that nobody answers has failed.
    package var dialTimeoutMilliseconds: UInt64 = 3_000
    /// Connections that a node's machine can hold: beyond them a dial gets no answer. Nil for any number.
    package var connectionsMax: Int?

    package init() {}
}

/// A message on its way.
final class Parcel {
    let message: PeerMessage
    let byteCount: Int

    init(message: PeerMessage, byteCount: Int) {
        self.message = message
        self.byteCount = byteCount
    }

    /// Why the bytes of its frame are no message of the protocol; nil where they are one.
    var malformation: String? {
        do throws(MalformedMessage) {
            _ = try PeerMessage(decoding: message.encoded())
            return nil
        } catch {
            return error.what
        }
    }
}

/// A connection of two nodes, like TCP: what is sent arrives in order or not at all.
final class Connection {
    /// One side, with what is on its way to it.
    final class Side {
        /// The place of its node.
        let node: Int
        /// True while the node knows of the connection.
        var isUp = false
        /// When the last message that keeps its place arrives.
        var lastArrival: UInt64 = 0
        /// When the line is free for the next byte.
        var freeAt: UInt64 = 0
        /// Bytes sent that have not arrived.
        var outstandingBytes = 0
        /// What a block holds back.
        var held: [Parcel] = []
        /// What has come and is not handled yet.
        var inbox = Inbox()
        /// Nothing is read before then, in nanoseconds since the start.
        var readsAgainAt: UInt64 = 0
        /// What a puppet remembers of the session; nil at any other node.
        var session: PuppetSession?

        init(node: Int) {
            self.node = node
        }

        /// Forgets what has come and is not handled, as a socket does that is closed.
        func discardUnread() {
            while let event = inbox.events.popFirst() {
                if case .arrival(_, _, let parcel) = event { outstandingBytes -= parcel.byteCount }
            }
            let isInTurn = inbox.isInTurn
            inbox = Inbox()
            inbox.isInTurn = isInTurn
        }
    }

    /// The first one dialled.
    private let first: Side
    private let second: Side
    /// Nothing more passes.
    var isBroken = false

    init(from: Int, to: Int) {
        first = Side(node: from)
        second = Side(node: to)
    }

    subscript(side: Int) -> Side { side == 0 ? first : second }

    /// True if one of its sides is there.
    func joins(_ node: Int) -> Bool { first.node == node || second.node == node }
}

/// The network: connections, what is blocked, and how long things take.
struct Network {
    var settings: NetworkSettings
    var random: SplitMix64
    var connections: [Connection] = []
    /// Directions in which nothing passes, as (from, to).
    private var blocked: Set<UInt64> = []
    /// Bytes a second of nodes whose line is clogged.
    var clogged: [Int: UInt64] = [:]

    /// The first wait for an acknowledgement (RFC 6298, section 2, with the lower bound that Linux uses).
    private static let retransmissionNanoseconds: UInt64 = 200_000_000
    private static let packetBytes = 1_400
    /// How long an address has before the next one of its node is tried beside it, in nanoseconds.
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

    /// How long a packet takes now.
    mutating func delay(from: Int, to: Int) -> UInt64 {
        settings.latency.nanoseconds(from: from, to: to, using: &random)
    }

    mutating func isDrawn(_ permille: UInt64) -> Bool { permille > 0 && random.next() % 1000 < permille }

    /// When a message arrives, at a side of a connection: never where it is lost, and once more where it comes twice.
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

    /// How much later a message comes because packets of it were lost. Of a long one the receiver tells at once what is
    /// missing (RFC 5681, section 3.2); of a short one only the clock does.
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
