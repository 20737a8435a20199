import NIOCore
import OpenSSLKit
import Synchronization

/// Why listening could not begin.
package enum ListenError: Error, Hashable, Sendable {
    /// Another socket listens there.
    case addressInUse
    /// This machine has no such address.
    case addressNotAvailable
    /// The system forbids it (a port below 1,024, mostly).
    case permissionDenied
    /// The transport has been shut down.
    case shutDown
    /// Anything else, a name that does not resolve included; in the system's words.
    case failed(String)
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

    /// Connections that come in now whose handshake is not done.
    package var unauthenticatedCount: Int { intake.unauthenticatedCount }

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
        private let state: Mutex<State>

        private struct State {
            var limiter: AdmissionLimiter
            var handshaking: [ObjectIdentifier: any Channel] = [:]
            var isClosed = false
        }

        init(configuration: TransportConfiguration) {
            (stream, continuation) = AsyncStream.makeStream(
                of: PeerConnection.self,
                bufferingPolicy: .bufferingOldest(configuration.acceptQueueMax)
            )
            let limiter = AdmissionLimiter(
                totalMax: configuration.unauthenticatedMax,
                perAddressMax: configuration.unauthenticatedPerAddressMax
            )
            state = Mutex(State(limiter: limiter))
        }

        var unauthenticatedCount: Int { state.withLock { $0.limiter.total } }

        /// Lets a channel begin its handshake; false at a limit.
        func admit(_ channel: any Channel, host: String) -> Bool {
            state.withLock { state in
                guard !state.isClosed, state.limiter.admit(host) else { return false }
                state.handshaking[ObjectIdentifier(channel)] = channel
                return true
            }
        }

        /// A channel's handshake has ended, well or not. Once for each that was admitted.
        func leave(_ channel: any Channel, host: String) {
            state.withLock { state in
                state.limiter.leave(host)
                state.handshaking[ObjectIdentifier(channel)] = nil
            }
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
