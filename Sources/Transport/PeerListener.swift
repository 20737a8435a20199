import NIOCore
import OpenSSLKit
import Synchronization

/// Why listening could not begin.
package enum ListenError: Error, Hashable, Sendable {
    /// The socket could not be made, named or bound.
    case failed(SocketFailure)
    /// The transport has been shut down.
    case shutDown
}

/// A listening socket, and the authenticated connections that come from it. Made by `PeerTransport.listen`.
///
/// Isolation: any task may call anything, except that `connections` has one consumer.
package final class PeerListener: Sendable {
    /// Where it listens, with the port that the system has chosen if 0 was asked for.
    package let localAddress: PeerAddress

    /// The connections whose handshake is done, until the listener closes. At most `acceptQueueMax` wait here; more are
    /// closed at once. Take them promptly and close each when done with it.
    package let connections: AsyncStream<PeerConnection>

    private let channel: any Channel
    private let intake: Intake

    init(channel: any Channel, intake: Intake) {
        self.channel = channel
        self.intake = intake
        localAddress = PeerAddress(channel.localAddress)
        connections = intake.stream
    }

    /// Stops listening and ends `connections`; returns when the port is free. Connections already made stay, those still
    /// in their handshake are closed.
    package func close() async {
        intake.close()
        // Fails only if it is closed already.
        try? await channel.close().get()
    }

    /// What the accepted channels of one listener share.
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

        /// Keeps a channel, to be closed with the listener while its handshake is under way; false if that is closed.
        func admit(_ channel: any Channel) -> Bool {
            state.withLock { state in
                guard !state.isClosed else { return false }
                state.handshaking[ObjectIdentifier(channel)] = channel
                return true
            }
        }

        /// A channel's handshake has ended, well or not.
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
