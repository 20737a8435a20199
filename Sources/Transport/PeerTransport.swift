import NIOCore
import NIOPosix
package import OpenSSLKit
import Synchronization

/// Listens for peers, dials peers, and tracks all open connections so that those of a key can be closed at once.
///
/// Every connection uses TLS 1.3 with certificates of both sides. The transport returns it only after the peer has
/// proved an authorised key. Connections run on the process's shared event loops, which the transport never stops.
///
/// Isolation: any task may call any method.
package final class PeerTransport: Sendable {
    /// Returns the identity for a new connection. Called once per connection on an event loop; must not block.
    ///
    /// To deploy a new certificate, return it here. Open connections keep their certificate.
    package typealias IdentityProvider = @Sendable () -> TLSIdentity

    /// Returns the terms for a key; nil refuses it. Called on an event loop during and after the handshake; must not
    /// block.
    package typealias Admission = @Sendable (Ed25519PublicKey) -> PeerTerms?

    /// Returns true if a key may answer a dial. Called like ``Admission``.
    package typealias Authorization = @Sendable (Ed25519PublicKey) -> Bool

    /// Called for an incoming connection that was not accepted, on an event loop; must not block.
    package typealias RefusalObserver = @Sendable (PeerAddress, CloseReason) -> Void

    /// Returns the last frame for a peer with an accepted key whose connection is refused, so the peer learns the
    /// reason; nil for none. Called on an event loop; must not block.
    package typealias Farewell = @Sendable (PeerTerms, CloseReason) -> [UInt8]?

    private let configuration: TransportConfiguration
    private let identity: IdentityProvider
    private let admit: Admission
    private let refused: RefusalObserver
    private let farewell: Farewell
    private let group: any EventLoopGroup
    private let ledger: ByteLedger
    private let state: Mutex<State>
    /// Counts the bytes of all sockets.
    package let socketBytes = SocketBytes()

    private struct State {
        var connections: [ObjectIdentifier: PeerConnection] = [:]
        var listeners: [ObjectIdentifier: PeerListener] = [:]
        var slots: ConnectionSlots
        var channels: [ConnectionSlots.ID: any Channel] = [:]
        var isShutDown = false
    }

    /// Creates a transport without listeners and connections.
    ///
    /// - Parameters:
    ///   - identity: This node's identity; called for each connection.
    ///   - admit: Returns the terms for a peer's key, or nil to refuse it.
    ///   - refused: Called for each connection that a listener did not accept.
    ///   - farewell: Returns the last frame for a peer whose account or class has its maximum number of connections.
    package init(
        configuration: TransportConfiguration = TransportConfiguration(),
        identity: @escaping IdentityProvider,
        admit: @escaping Admission,
        refused: @escaping RefusalObserver = { _, _ in },
        farewell: @escaping Farewell = { _, _ in nil }
    ) {
        precondition((1...Frame.bytesMax).contains(configuration.frameBytesMax), "frameBytesMax is 1 to 4 MiB")
        self.configuration = configuration
        self.identity = identity
        self.admit = admit
        self.refused = refused
        self.farewell = farewell
        self.group = MultiThreadedEventLoopGroup.singleton
        ledger = ByteLedger(configuration: configuration)
        state = Mutex(
            State(
                slots: ConnectionSlots(
                    totalMax: configuration.connectionsMax,
                    unauthenticatedMax: configuration.unauthenticatedMax,
                    unauthenticatedPerAddressMax: configuration.unauthenticatedPerAddressMax
                )
            )
        )
    }

    // MARK: Listening

    /// Listens on a TCP address. Port 0 selects any free port; `PeerListener.localAddress` contains it.
    ///
    /// - Throws: `ListenError`.
    package func listen(host: String, port: Int) async throws(ListenError) -> PeerListener {
        let intake = PeerListener.Intake(configuration: configuration)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.setUpListening(channel) }
            }
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.setUpAccepted(channel, intake: intake) }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.bind(host: host, port: port).get()
        } catch {
            throw .failed(SocketFailure(error))
        }
        let listener = PeerListener(channel: channel, intake: intake)
        let isShutDown = state.withLock { state in
            if !state.isShutDown { state.listeners[ObjectIdentifier(listener)] = listener }
            return state.isShutDown
        }
        if isShutDown {
            await listener.close()
            throw .shutDown
        }
        channel.closeFuture.whenComplete { [weak listener] _ in
            guard let listener else { return }
            self.state.withLock { $0.listeners[ObjectIdentifier(listener)] = nil }
        }
        return listener
    }

    /// Runs on the listening channel's event loop.
    private func setUpListening(_ channel: any Channel) throws {
        try channel.pipeline.syncOperations.addHandler(
            AcceptPause { [refused] error in
                refused(PeerAddress(host: "", port: 0), .connectFailed(SocketFailure(error)))
            }
        )
    }

    /// Runs on the channel's event loop.
    private func setUpAccepted(_ channel: any Channel, intake: PeerListener.Intake) throws {
        // A closed channel no longer has its remote address, so read it now.
        let address = PeerAddress(channel.remoteAddress)
        let (slot, victims) = state.withLock { state in
            let arrival = state.slots.arrive(from: AddressGroup(host: address.host))
            if let id = arrival.id { state.channels[id] = channel }
            return (arrival.id, arrival.cut.compactMap { state.channels[$0] })
        }
        cut(victims)
        guard let slot else {
            refused(address, .tooManyConnections)
            channel.close(promise: nil)
            return
        }
        channel.closeFuture.whenComplete { _ in self.forget(slot) }
        guard intake.admit(channel) else {
            channel.close(promise: nil)
            return
        }
        do {
            try addHandlers(
                to: channel,
                slot: slot,
                role: .server,
                identity: identity(),
                authorize: { self.admit($0) != nil },
                leave: { intake.leave(channel) }
            ) { result in
                switch result {
                case .success(let connection): intake.accept(connection)
                case .failure(let reason): self.refused(address, reason)
                }
            }
        } catch {
            intake.leave(channel)
            throw error
        }
    }

    /// Closes channels at once, from any thread.
    private func cut(_ channels: [any Channel]) {
        for channel in channels {
            channel.triggerUserOutboundEvent(TLSCut(reason: .madeRoom), promise: nil)
            // A channel without handlers ignores the event.
            channel.close(promise: nil)
        }
    }

    private func forget(_ slot: ConnectionSlots.ID) {
        state.withLock { state in
            state.slots.remove(slot)
            state.channels[slot] = nil
        }
    }

    /// The number of incoming connections whose handshake is not complete.
    package var unauthenticatedCount: Int { state.withLock { $0.slots.unauthenticatedCount } }

    // MARK: Dialling

    /// Connects to a peer.
    ///
    /// On success the peer has proved an authorised key. The peer reports only later whether it accepts ours (RFC 8446,
    /// section 4.4.2.4); if not, the connection ends with `.refusedByPeer`.
    ///
    /// - Parameters:
    ///   - host: An IP address or a name. Of a name's addresses the first to answer is used (RFC 8305).
    ///   - deadline: The limit for name resolution, connection and handshake together. Default 15 s (a guess).
    ///   - identity: This node's identity on the connection; default the transport's. Pass an invitation's one-time key
    ///     here.
    ///   - authorize: Decides which key may answer; default the keys that the transport admits. Pass the key that an
    ///     invitation names here.
    /// - Throws: `CloseReason`: `.connectFailed`, `.dialTimedOut`, `.cancelled`, or the reason why the handshake
    ///   failed.
    package func dial(
        host: String,
        port: Int,
        deadline: Duration = .seconds(15),
        identity: TLSIdentity? = nil,
        authorize: Authorization? = nil
    ) async throws(CloseReason) -> PeerConnection {
        let loop = group.next()
        let attempt = DialAttempt(loop)
        let timer = loop.scheduleTask(in: TimeAmount(deadline)) { attempt.complete(.failure(.dialTimedOut)) }
        defer { timer.cancel() }
        ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(deadline))
            .channelOption(.autoRead, value: false)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .connect(host: host, port: port)
            .whenComplete { result in
                switch result {
                case .failure(let error):
                    attempt.complete(.failure(.connectFailed(SocketFailure(error))))
                case .success(let channel):
                    guard attempt.begin(channel) else { return }
                    let slot = self.state.withLock { state in
                        let slot = state.slots.dial()
                        state.channels[slot] = channel
                        return slot
                    }
                    channel.closeFuture.whenComplete { _ in self.forget(slot) }
                    // Handlers are added after connecting, since NIO may try several addresses with one channel each.
                    do {
                        try self.addHandlers(
                            to: channel,
                            slot: slot,
                            role: .client,
                            identity: identity ?? self.identity(),
                            authorize: authorize ?? { self.admit($0) != nil },
                            leave: {}
                        ) { attempt.complete($0) }
                    } catch {
                        attempt.complete(.failure(.failed("\(error)")))
                        channel.close(promise: nil)
                    }
                }
            }
        return try await attempt.value()
    }

    // MARK: Connections

    /// Closes every connection whose key satisfies `condition`, at once and without sending queued frames. Use it for
    /// keys that left the roster.
    ///
    /// Change the result of `admit` before this call: a connection in its handshake is checked again when the handshake
    /// is complete.
    ///
    /// - Parameters:
    ///   - condition: Called outside of any lock.
    ///   - reason: The reason that `closed()` of those connections returns; default `.unknownKey` with the connection's
    ///     key.
    /// - Returns: The number of closed connections.
    /// - Complexity: Linear in the open connections.
    @discardableResult
    package func closeSessions(reason: CloseReason? = nil, where condition: (Ed25519PublicKey) -> Bool) -> Int {
        let victims = connections.filter { condition($0.peerKey) }
        for victim in victims { victim.abort(reason ?? .unknownKey(victim.peerKey)) }
        return victims.count
    }

    /// The open connections, in no particular order.
    package var connections: [PeerConnection] { state.withLock { Array($0.connections.values) } }

    /// Closes all listeners, then all connections in an orderly way; returns when they are closed. Nothing can be
    /// started afterwards.
    package func shutdown() async {
        let (listeners, connections) = state.withLock { state in
            state.isShutDown = true
            return (Array(state.listeners.values), Array(state.connections.values))
        }
        for listener in listeners { await listener.close() }
        for connection in connections { connection.close(.localShutdown) }
        for connection in connections { _ = await connection.closed() }
    }

    /// Sets up a channel. Runs on its event loop.
    ///
    /// - Parameters:
    ///   - slot: The channel's slot in the counts.
    ///   - leave: Called when the handshake has ended, successfully or not.
    ///   - begun: Called once: with the accepted connection, or with the reason why there is none.
    private func addHandlers(
        to channel: any Channel,
        slot: ConnectionSlots.ID,
        role: TLSEngine.Role,
        identity: TLSIdentity,
        authorize: @escaping Authorization,
        leave: @escaping () -> Void,
        begun: @escaping (PeerConnectionHandler.Outcome) -> Void
    ) throws {
        let engine = try TLSEngine(
            role: role,
            identity: identity,
            configuration: TLSEngine.Configuration(
                applicationProtocol: configuration.applicationProtocol,
                clockToleranceSeconds: configuration.certificateClockToleranceSeconds,
                now: configuration.wallSeconds,
                authorize: authorize
            )
        )
        let progress = FrameProgress(bytesMax: configuration.frameBytesMax)
        let handler = PeerConnectionHandler(
            configuration: configuration,
            direction: role == .client ? .outbound : .inbound,
            progress: progress,
            ledger: ledger,
            begun: { result in
                leave()
                begun(result.flatMap { self.register($0, in: slot, authorize: authorize) })
            },
            ending: {
                self.state.withLock { $0.slots.end(slot) }
            },
            gone: { connection in
                self.state.withLock { $0.connections[ObjectIdentifier(connection)] = nil }
            }
        )
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([
            SocketMeter(socketBytes),
            TLSHandler(
                engine: engine,
                handshakeTimeout: configuration.handshakeTimeout,
                closeTimeout: configuration.closeTimeout
            ),
            ByteToMessageHandler(FrameDecoder(progress)),
            FrameEncoder(),
            handler,
        ])
    }

    /// Accepts a connection whose handshake is complete, if its key's terms leave room.
    ///
    /// The connection is first registered where `closeSessions` finds it; then its key is checked again. One of the two
    /// therefore catches a key that left the roster during the handshake.
    private func register(
        _ connection: PeerConnection,
        in slot: ConnectionSlots.ID,
        authorize: Authorization
    ) -> PeerConnectionHandler.Outcome {
        let terms = admit(connection.peerKey) ?? PeerTerms()
        connection.begin(on: terms)
        let id = ObjectIdentifier(connection)
        let (refusal, victims) = state.withLock { state -> (CloseReason?, [any Channel]) in
            guard !state.isShutDown else { return (.localShutdown, []) }
            switch state.slots.settle(slot, on: terms) {
            case .taken(let victims):
                state.connections[id] = connection
                return (nil, victims.compactMap { state.channels[$0] })
            case .accountFull: return (.accountFull(terms.peerClass.accountConnectionsMax), [])
            case .classFull: return (.classFull(terms.peerClass.name, terms.peerClass.connectionsMax), [])
            case .gone: return (.madeRoom, [])
            }
        }
        cut(victims)
        if let refusal {
            switch refusal {
            case .accountFull, .classFull:
                if let frame = farewell(terms, refusal) { _ = connection.enqueue(frame) }
            default: break
            }
            connection.close(refusal)
            return .failure(refusal)
        }
        guard authorize(connection.peerKey) else {
            connection.abort(.unknownKey(connection.peerKey))
            return .failure(.unknownKey(connection.peerKey))
        }
        return .success(connection)
    }
}

/// One dial. The first event decides its result: connection, failure, deadline or cancellation.
private final class DialAttempt: Sendable {
    private let promise: EventLoopPromise<PeerConnection>
    private let state = Mutex(State())

    private struct State {
        var isComplete = false
        var channel: (any Channel)?
    }

    init(_ loop: any EventLoop) {
        promise = loop.makePromise()
    }

    /// Stores the channel so that a failed attempt closes it. If the attempt has failed already, closes it and returns
    /// false.
    func begin(_ channel: any Channel) -> Bool {
        let isComplete = state.withLock { state in
            state.channel = channel
            return state.isComplete
        }
        if isComplete { channel.close(promise: nil) }
        return !isComplete
    }

    func complete(_ result: PeerConnectionHandler.Outcome) {
        let (isFirst, channel) = state.withLock { state in
            defer { state.isComplete = true }
            return (!state.isComplete, state.channel)
        }
        switch result {
        case .success(let connection):
            if isFirst { promise.succeed(connection) } else { connection.abort(.cancelled) }
        case .failure(let reason):
            guard isFirst else { return }
            promise.fail(reason)
            // An alert may be in transit; after a handshake failure the handler closes the channel itself.
            if reason == .dialTimedOut || reason == .cancelled { channel?.close(promise: nil) }
        }
    }

    func value() async throws(CloseReason) -> PeerConnection {
        do {
            return try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                complete(.failure(.cancelled))
            }
        } catch {
            // Nothing else fails the promise.
            throw error as? CloseReason ?? .failed("\(error)")
        }
    }
}
