import Synchronization

/// The byte budgets of a transport's connections: one for received frames, one for frames to be sent.
final class ByteLedger: Sendable {
    /// One of the two budgets.
    final class Side: Sendable {
        private let budget: Mutex<ByteBudget<PeerConnection>>

        init(bytesMax: Int) {
            budget = Mutex(ByteBudget(bytesMax: bytesMax))
        }

        /// Sets the number of bytes that a connection holds now. Closes the connection that the budget selects if the
        /// total exceeds the bound.
        func set(_ bytes: Int, of connection: PeerConnection, account: [UInt8]) {
            let victim = budget.withLock { $0.set(bytes, of: connection, account: account) }
            victim?.cut(.overBudget)
        }

        /// Removes a connection that no longer exists.
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
