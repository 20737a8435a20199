import Gossip
import Synchronization
import Transport

/// Counts the messages that a node has sent to peers and received from them since it started, by kind. Counting takes no
/// lock, and the table has a fixed size.
final class Traffic: Sendable {
    /// A row of the table.
    enum Row: Hashable, CaseIterable {
        case message(PeerMessage.Kind)
        /// A newcomer's request to join, and its answer.
        case join
        /// A frame that is no message.
        case unknown

        static let allCases = PeerMessage.Kind.allCases.map(Row.message) + [.join, .unknown]

        /// Its index in the table.
        var index: Int {
            switch self {
            case .message(let kind): Int(kind.rawValue)
            case .join: PeerMessage.Kind.count
            case .unknown: PeerMessage.Kind.count + 1
            }
        }

        var name: String {
            switch self {
            case .message(let kind): kind.name
            case .join: "join"
            case .unknown: "unknown"
            }
        }
    }

    private final class Cell: Sendable {
        let messages = Atomic<UInt64>(0)
        let bytes = Atomic<UInt64>(0)

        func add(_ count: Int) {
            messages.wrappingAdd(1, ordering: .relaxed)
            bytes.wrappingAdd(UInt64(count), ordering: .relaxed)
        }
    }

    private let sent = Row.allCases.map { _ in Cell() }
    private let received = Row.allCases.map { _ in Cell() }

    /// The bytes of a frame's length field, which count as part of the frame.
    static let lengthBytes = 4

    /// Counts a frame that was passed to its connection.
    func countSent(_ row: Row, frameBytes: Int) { sent[row.index].add(frameBytes + Self.lengthBytes) }

    /// Counts a received frame.
    func countReceived(_ row: Row, frameBytes: Int) { received[row.index].add(frameBytes + Self.lengthBytes) }

    /// The counts so far.
    func counts(_ sockets: SocketBytes) -> TrafficCounts {
        TrafficCounts(
            sent: Self.direction(sent, socketBytes: sockets.sent),
            received: Self.direction(received, socketBytes: sockets.received)
        )
    }

    private static func direction(_ cells: [Cell], socketBytes: UInt64) -> TrafficCounts.Direction {
        var messages: [String: TrafficCounts.Count] = [:]
        for row in Row.allCases {
            let cell = cells[row.index]
            messages[row.name] = TrafficCounts.Count(
                messages: cell.messages.load(ordering: .relaxed),
                bytes: cell.bytes.load(ordering: .relaxed)
            )
        }
        return TrafficCounts.Direction(
            messages: messages.values.reduce(0) { $0 + $1.messages },
            bytes: messages.values.reduce(0) { $0 + $1.bytes },
            socketBytes: socketBytes,
            byMessage: messages
        )
    }
}

/// The messages that a node has sent to peers and received from them since it started.
package struct TrafficCounts: Codable, Hashable, Sendable {
    /// Messages of one kind, and the bytes of their frames including the 4 bytes of length.
    package struct Count: Codable, Hashable, Sendable {
        package let messages: UInt64
        package let bytes: UInt64
    }

    /// One direction.
    package struct Direction: Codable, Hashable, Sendable {
        /// Messages of all kinds.
        package let messages: UInt64
        /// Bytes of frames of all kinds, before TLS.
        package let bytes: UInt64
        /// Bytes on the sockets: TLS records and handshakes, including those of refused connections; without TCP and IP
        /// headers.
        package let socketBytes: UInt64
        /// Counts by the name of the kind (``PeerMessage/Kind``). `join` are newcomers' requests and answers; `unknown` are
        /// frames that are no message. Every kind is present.
        package let byMessage: [String: Count]
    }

    package let sent: Direction
    package let received: Direction
}

/// Bytes of frames exchanged between this node and one other, including the 4 bytes of length.
package struct PeerTraffic: Hashable, Sendable {
    package var sentBytes: UInt64 = 0
    package var receivedBytes: UInt64 = 0

    static func += (left: inout PeerTraffic, right: PeerTraffic) {
        left.sentBytes += right.sentBytes
        left.receivedBytes += right.receivedBytes
    }
}
