import Gossip
import Synchronization
import Transport

/// What a node has sent to peers and received from them since it started, by kind of message. Counting takes no lock, and
/// the table never grows.
final class Traffic: Sendable {
    /// A row of the table.
    enum Row: Hashable, CaseIterable {
        case message(PeerMessage.Kind)
        /// A newcomer's request to join, and its answer.
        case join
        /// A frame that is no message.
        case unknown

        static let allCases = PeerMessage.Kind.allCases.map(Row.message) + [.join, .unknown]

        /// Its place in the table.
        var place: Int {
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

    /// The bytes of a frame's length, which are counted with it.
    static let lengthBytes = 4

    /// Counts a frame that was handed to its connection.
    func countSent(_ row: Row, frameBytes: Int) { sent[row.place].add(frameBytes + Self.lengthBytes) }

    /// Counts a frame that came.
    func countReceived(_ row: Row, frameBytes: Int) { received[row.place].add(frameBytes + Self.lengthBytes) }

    /// What was counted so far.
    func counts(_ sockets: SocketBytes) -> TrafficCounts {
        TrafficCounts(
            sent: Self.direction(sent, socketBytes: sockets.sent),
            received: Self.direction(received, socketBytes: sockets.received)
        )
    }

    private static func direction(_ cells: [Cell], socketBytes: UInt64) -> TrafficCounts.Direction {
        var messages: [String: TrafficCounts.Count] = [:]
        for row in Row.allCases {
            let cell = cells[row.place]
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

/// What a node has sent to peers and received from them since it started.
package struct TrafficCounts: Codable, Hashable, Sendable {
    /// Messages of one kind, and the bytes of their frames with the 4 bytes of length.
    package struct Count: Codable, Hashable, Sendable {
        package let messages: UInt64
        package let bytes: UInt64
    }

    /// One way.
    package struct Direction: Codable, Hashable, Sendable {
        /// Of all kinds.
        package let messages: UInt64
        /// Of all kinds: frames, before TLS.
        package let bytes: UInt64
        /// What passed the sockets: TLS records, with handshakes, also of those who were turned away; without the headers
        /// of TCP and IP.
        package let socketBytes: UInt64
        /// By the name of the kind (``PeerMessage/Kind``); `join` are newcomers' requests and answers, `unknown` frames
        /// that are no message. Every kind is there.
        package let byMessage: [String: Count]
    }

    package let sent: Direction
    package let received: Direction
}

/// What has passed between this node and one other, in bytes of frames with the 4 bytes of length.
package struct PeerTraffic: Hashable, Sendable {
    package var sentBytes: UInt64 = 0
    package var receivedBytes: UInt64 = 0

    static func += (left: inout PeerTraffic, right: PeerTraffic) {
        left.sentBytes += right.sentBytes
        left.receivedBytes += right.receivedBytes
    }
}
