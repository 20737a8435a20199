import Logging
import Synchronization
import Transport

/// Tells of strangers: who came to the port and did not get past the handshake.
final class HandshakeLog: Sendable {
    private let logger: Logger
    private let failed = Mutex(0)

    init(logger: Logger) {
        self.logger = logger
    }

    /// Handshakes that failed since the node started.
    var count: Int { failed.withLock { $0 } }

    func refused(_ address: PeerAddress, _ reason: CloseReason) {
        // A node that stops refuses nobody.
        guard reason != .localShutdown else { return }
        failed.withLock { $0 += 1 }
        logger.notice(
            "connection refused",
            metadata: ["address": "\(address)", "reason": "\(reason.words)"]
        )
    }
}
