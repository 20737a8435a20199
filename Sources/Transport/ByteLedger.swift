import Synchronization

/// The budgets of a transport's connections, for what has come and for what waits to be sent.
final class ByteLedger: Sendable {
    /// One of the two.
    final class Side: Sendable {
        private let budget: Mutex<ByteBudget<PeerConnection>>

        init(bytesMax: Int) {
            budget = Mutex(ByteBudget(bytesMax: bytesMax))
        }

        /// A connection holds so many bytes now. Closes one where all hold too much.
        func set(_ bytes: Int, of connection: PeerConnection, account: [UInt8]) {
            let victim = budget.withLock { $0.set(bytes, of: connection, account: account) }
            victim?.cut(.overBudget)
        }

        /// A connection is no more.
        func remove(_ id: ObjectIdentifier, account: [UInt8]) {
            budget.withLock { $0.remove(id, account: account) }
        }
    }

    let inbound: Side
    let outbound: Side

    init(configuration: TransportConfiguration) {
        inbound = Side(bytesMax: configuration.inboundBytesTotalMax)
        outbound = Side(bytesMax: configuration.outboundBytesTotalMax)
    }
}
