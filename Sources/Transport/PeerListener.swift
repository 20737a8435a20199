import NIOCore
import OpenSSLKit
import Synchronization

/// The reason why listening failed.
package enum ListenError: Error, Hashable, Sendable {
    /// The socket could not be created or bound, or the host name could not be resolved.
    case failed(SocketFailure)
    /// The transport was shut down.
    case shutDown
}

/// A listening socket and its authenticated connections, created by `PeerTransport.listen`.
///
/// Isolation: any task may call any method, but `connections` has one consumer.
package final class PeerListener: Sendable {
    /// The listening address. If port 0 was requested, this contains the port that the system chose.
    package let localAddress: PeerAddress

    /// The connections whose handshake is complete, until the listener closes.
    ///
    /// At most `acceptQueueMax` connections wait here; further ones are closed at once. Take them promptly and close
    /// each after use.
    package let connections: AsyncStream<PeerConnection>

    private let channel: any Channel
    private let intake: Intake

    init(channel: any Channel, intake: Intake) {
        self.channel = channel
        self.intake = intake
        localAddress = PeerAddress(channel.localAddress)
        connections = intake.stream
    }

    /// Stops listening and ends `connections`; returns when the port is free. Established connections stay open; those
    /// in their handshake are closed.
    package func close() async {
        intake.close()
        // Fails only if the channel is already closed.
        try? await channel.close().get()
    }

    /// The state that the accepted channels of one listener share.
    final class Intake: Sendable {
        let stream: AsyncStream<PeerConnection>
        private let continuation: AsyncStream<PeerConnection>.Continuation

        private struct State {
            var handshaking: [ObjectIdentifier: any Channel] = [:]
            var isClosed = false
        }

        private let state = Mutex(State())

        init(configuration: TransportConfiguration) {
            (stream, continuation) = AsyncStream.makeStream(
                of: PeerConnection.self,
                bufferingPolicy: .bufferingOldest(configuration.acceptQueueMax)
            )
        }

        /// Registers a channel for the time of its handshake, so closing the listener closes it. Returns false if the
        /// listener is closed.
        func admit(_ channel: any Channel) -> Bool {
            state.withLock { state in
                guard !state.isClosed else { return false }
                state.handshaking[ObjectIdentifier(channel)] = channel
                return true
            }
        }

        /// Removes a channel whose handshake has ended, successfully or not.
        func leave(_ channel: any Channel) {
            state.withLock { $0.handshaking[ObjectIdentifier(channel)] = nil }
        }

        func accept(_ connection: PeerConnection) {
            switch continuation.yield(connection) {
            case .enqueued: break
            case .dropped: connection.abort(.tooManyConnections)
            case .terminated: connection.abort(.localShutdown)
            @unknown default: connection.abort(.localShutdown)
            }
        }

        func close() {
            let channels = state.withLock { state in
                state.isClosed = true
                return Array(state.handshaking.values)
            }
            for channel in channels { channel.close(promise: nil) }
            continuation.finish()
        }
    }
}
