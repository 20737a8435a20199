import Catalog
import Gossip
import Synchronization
import Transport

/// A connection with a node, and the time until which the node reads nothing from it.
final class PeerSession: Sendable {
    let connection: PeerConnection
    let node: NodeKey
    /// Nanoseconds on the engine's clock.
    private let heldUntil = Atomic<UInt64>(0)
    private let refusal = Mutex<String?>(nil)
    private let sentBytes = Atomic<UInt64>(0)
    private let receivedBytes = Atomic<UInt64>(0)

    init(connection: PeerConnection, node: NodeKey) {
        self.connection = connection
        self.node = node
    }

    /// Counts a frame that was passed to the connection, including its length field.
    func countSent(frameBytes: Int) {
        sentBytes.wrappingAdd(UInt64(frameBytes + Traffic.lengthBytes), ordering: .relaxed)
    }

    /// Counts a received frame, including its length field.
    func countReceived(frameBytes: Int) {
        receivedBytes.wrappingAdd(UInt64(frameBytes + Traffic.lengthBytes), ordering: .relaxed)
    }

    /// The counts so far.
    var traffic: PeerTraffic {
        PeerTraffic(
            sentBytes: sentBytes.load(ordering: .relaxed),
            receivedBytes: receivedBytes.load(ordering: .relaxed)
        )
    }

    /// The reason with which the peer ended the session; nil without one.
    var refusalWords: String? {
        get { refusal.withLock { $0 } }
        set { refusal.withLock { $0 = newValue } }
    }

    /// Pauses reading until an instant.
    func hold(until instant: Gossip.Instant) { heldUntil.store(instant.nanoseconds, ordering: .relaxed) }

    /// True while reading pauses.
    var isHeld: Bool { EngineDriver.now.nanoseconds < heldUntil.load(ordering: .relaxed) }

    /// Returns once the session may be read again, or the connection has ended.
    func waitWhileHeld() async {
        while connection.closeReason == nil {
            let (now, until) = (EngineDriver.now.nanoseconds, heldUntil.load(ordering: .relaxed))
            guard now < until else { return }
            // Short naps, so that the end of the connection is noticed.
            let nap = min(until - now, 250_000_000)
            guard (try? await Task.sleep(for: .nanoseconds(Int64(nap)))) != nil else { return }
        }
    }
}
