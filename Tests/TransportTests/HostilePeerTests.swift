import NIOCore
import NIOPosix
import OpenSSLKit
import Synchronization
import TestSupport
import Testing
import Transport

/// A listener that accepts connections and sends nothing.
final class SilentServer: Sendable {
    private let channel: any Channel
    private let counter: Counter

    private final class Counter: Sendable {
        let value = Mutex(0)
    }

    init() async throws {
        let counter = Counter()
        self.counter = counter
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                counter.value.withLock { $0 += 1 }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var connectionCount: Int { counter.value.withLock { $0 } }
    func close() async { try? await channel.close().get() }
}

/// Tests how a listener handles unknown and broken peers.
@Suite struct HostilePeerTests {
    private func listening(
        _ change: (inout TransportConfiguration) -> Void = { _ in }
    ) async throws -> (peer: Peer, socket: PeerListener) {
        var configuration = TransportConfiguration()
        change(&configuration)
        let peer = try Peer(configuration)
        return (peer, try await peer.listen())
    }

    /// Checks that the listener still serves known peers.
    private func expectService(_ peer: Peer, _ socket: PeerListener) async throws {
        try await eventually { peer.transport.unauthenticatedCount == 0 }
        let friend = try Peer()
        friend.knows(peer)
        peer.knows(friend)
        let dialled = try await friend.dial(socket)
        let accepted = try await socket.accept()
        try await dialled.send([1])
        #expect(try await accepted.nextFrame() == [1])
        dialled.close()
        #expect(try await accepted.outcome() == .closedByPeer)
        await peer.transport.shutdown()
    }

    @Test(arguments: [
        Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), [0], [UInt8](repeating: 0xFF, count: 200_000),
        [22, 3, 1, 0xFF, 0xFF] + [UInt8](repeating: 1, count: 70_000),
    ])
    func garbageIsCutOff(bytes: [UInt8]) async throws {
        let (peer, socket) = try await listening()
        let client = try await RawClient(port: socket.localAddress.port)
        // The other side may close before all bytes are written.
        try? await client.say(bytes)
        try await client.ended()
        try await expectService(peer, socket)
    }

    @Test func aSilentClientIsCutOffAtTheDeadline() async throws {
        let (peer, socket) = try await listening { $0.handshakeTimeout = .milliseconds(100) }
        let client = try await RawClient(port: socket.localAddress.port)
        try await client.ended()
        // This test serves no known peer: on a busy machine its handshake might exceed the deadline too.
        try await eventually { peer.transport.unauthenticatedCount == 0 }
        await peer.transport.shutdown()
    }

    @Test func aDialToASilentServerTimesOut() async throws {
        var configuration = TransportConfiguration()
        configuration.handshakeTimeout = .milliseconds(100)
        let peer = try Peer(configuration)
        let silent = try await SilentServer()
        await #expect(throws: CloseReason.handshakeTimedOut) {
            try await peer.transport.dial(host: "127.0.0.1", port: silent.port, deadline: patience)
        }
        await silent.close()
    }

    @Test func theOldestOfTooManyHandshakesEnds() async throws {
        let (peer, socket) = try await listening {
            $0.unauthenticatedPerAddressMax = 3
            $0.handshakeTimeout = patience
        }
        var clients: [RawClient] = []
        for count in 1...3 {
            clients.append(try await RawClient(port: socket.localAddress.port))
            try await eventually { peer.transport.unauthenticatedCount == count }
        }
        let another = try await RawClient(port: socket.localAddress.port)
        try await clients[0].ended()
        try await eventually { peer.transport.unauthenticatedCount == 3 }
        #expect(another.channel.isActive && clients[1].channel.isActive && clients[2].channel.isActive)
        // A known peer from the same address is served, although the others stay silent.
        let friend = try Peer()
        friend.knows(peer)
        peer.knows(friend)
        let dialled = try await friend.dial(socket)
        _ = try await socket.accept()
        dialled.close()
        for client in clients + [another] { try? await client.channel.close().get() }
        try await expectService(peer, socket)
    }

    @Test func silentConnectionsFromManyAddressesDoNotKeepAMemberOut() async throws {
        let (peer, socket) = try await listening {
            $0.unauthenticatedMax = 12
            $0.unauthenticatedPerAddressMax = 4
            $0.handshakeTimeout = patience
        }
        let unauthenticated = try (0..<30).map { number in
            try HostilePeer(port: socket.localAddress.port, from: "127.0.1.\(1 + number % 6)")
        }
        try await eventually { peer.transport.unauthenticatedCount == 12 }
        let friend = try Peer()
        friend.knows(peer)
        peer.knows(friend)
        let dialled = try await friend.dial(socket)
        let accepted = try await socket.accept()
        try await dialled.send([1])
        #expect(try await accepted.nextFrame() == [1])
        dialled.close()
        _ = try await accepted.outcome()
        // Keeps the connections open until here.
        for unauthenticated in unauthenticated { unauthenticated.close() }
        await peer.transport.shutdown()
    }

    // MARK: Limits

    /// A listener with terms for its peers, and a peer that it knows.
    private func onTerms(
        _ peerClass: PeerClass,
        _ change: (inout TransportConfiguration) -> Void = { _ in }
    ) async throws -> (peer: Peer, socket: PeerListener, friend: Peer) {
        var configuration = TransportConfiguration()
        change(&configuration)
        let peer = try Peer(
            configuration,
            terms: { PeerTerms(peerClass, account: $0.rawBytes) },
            farewell: { _, reason in reason == .accountFull(2) ? [7] : nil }
        )
        let friend = try Peer()
        friend.knows(peer)
        peer.knows(friend)
        return (peer, try await peer.listen(), friend)
    }

    @Test func connectionsBeyondAnAccountsShareGetTheReason() async throws {
        let (peer, socket, friend) = try await onTerms(PeerClass(name: "some", accountConnectionsMax: 2))
        let dialled = [try await friend.dial(socket), try await friend.dial(socket)]
        for _ in 0..<2 { _ = try await socket.accept() }
        let oneTooMany = try await friend.dial(socket)
        #expect(try await oneTooMany.nextFrame() == [7])
        #expect(try await oneTooMany.outcome() == .closedByPeer)
        #expect(dialled.allSatisfy { $0.closeReason == nil })
        // Another account has its own limit.
        let other = try Peer()
        other.knows(peer)
        peer.knows(other)
        let third = try await other.dial(socket)
        #expect(try await socket.accept().peerKey == other.publicKey)
        // Ending a connection makes room.
        dialled[0].close()
        _ = try await dialled[0].outcome()
        try await eventually { peer.transport.connections.count == 2 }
        let again = try await friend.dial(socket)
        #expect(try await socket.accept().peerKey == friend.publicKey)
        #expect(again.closeReason == nil && third.closeReason == nil)
        await peer.transport.shutdown()
    }

    @Test func theOldestOfAnEvictingClassMakesRoom() async throws {
        let (peer, socket, friend) = try await onTerms(
            PeerClass(name: "some", connectionsMax: 2, evictsOldest: true)
        )
        let first = try await friend.dial(socket)
        let accepted = try await socket.accept()
        let second = try await friend.dial(socket)
        _ = try await socket.accept()
        let third = try await friend.dial(socket)
        #expect(try await accepted.outcome() == .madeRoom)
        _ = try await first.outcome()
        _ = try await socket.accept()
        #expect(second.closeReason == nil && third.closeReason == nil)
        await peer.transport.shutdown()
    }

    @Test func aClassHasItsOwnLongestFrame() async throws {
        let (peer, socket, friend) = try await onTerms(PeerClass(name: "some", frameBytesMax: 100))
        let dialled = try await friend.dial(socket)
        let accepted = try await socket.accept()
        try await dialled.send([UInt8](repeating: 1, count: 100))
        #expect(try await accepted.nextFrame()?.count == 100)
        try await dialled.send([UInt8](repeating: 1, count: 101))
        #expect(try await accepted.outcome() == .frameTooLong(101))
        await peer.transport.shutdown()
    }

    @Test func aClassHasItsOwnLifetime() async throws {
        let (peer, socket, friend) = try await onTerms(PeerClass(name: "some", lifetime: .milliseconds(200)))
        let dialled = try await friend.dial(socket)
        #expect(try await socket.accept().outcome() == .outlived)
        _ = try await dialled.outcome()
        await peer.transport.shutdown()
    }

    @Test func aFrameThatDoesNotEndIsCut() async throws {
        let (peer, socket, _) = try await onTerms(.plain) {
            $0.frameTimeout = .milliseconds(200)
            $0.frameBytesPerSecondMin = 1 << 30
        }
        let key = try Ed25519PrivateKey.generate()
        peer.roster.insert(key.publicKey)
        let hostile = try HostilePeer(port: socket.localAddress.port)
        try hostile.shakeHands(as: Peer.makeIdentity(key))
        let accepted = try await socket.accept()
        try hostile.send(frame: [1, 2, 3])
        #expect(try await accepted.nextFrame() == [1, 2, 3])
        try hostile.send(frame: [1, 2, 3], announced: 1_000_000)
        #expect(try await accepted.outcome() == .stalledFrame)
        await peer.transport.shutdown()
    }

    /// The connection with the most bytes makes room; frames of a known peer pass all the time.
    @Test func unfinishedFramesTogetherAreBounded() async throws {
        let (peer, socket, friend) = try await onTerms(.plain) { $0.inboundBytesTotalMax = 8 * 1024 * 1024 }
        let key = try Ed25519PrivateKey.generate()
        peer.roster.insert(key.publicKey)
        let identity = try Peer.makeIdentity(key)
        let beginning = [UInt8](repeating: 1, count: 1_000_000)
        var hostile: [HostilePeer] = []
        var accepted: [PeerConnection] = []
        for _ in 0..<20 {
            let one = try HostilePeer(port: socket.localAddress.port)
            try one.shakeHands(as: identity)
            hostile.append(one)
            accepted.append(try await socket.accept())
            // The listener may close the connection during the write.
            try? one.send(frame: beginning, announced: Frame.bytesMax)
        }
        let all = accepted
        try await eventually { all.count { $0.closeReason == .overBudget } >= 12 }
        #expect(all.allSatisfy { $0.closeReason == nil || $0.closeReason == .overBudget })
        let dialled = try await friend.dial(socket)
        let ours = try await socket.accept()
        let frame = [UInt8](repeating: 2, count: 1_000_000)
        for _ in 0..<20 {
            try await dialled.send(frame)
            #expect(try await ours.nextFrame() == frame)
        }
        await peer.transport.shutdown()
    }

    @Test func aFrameThatCannotBeSentEndsItsConnectionOnly() async throws {
        let (listener, dialler) = (try Peer(), try Peer())
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        for count in [0, Frame.bytesMax + 1] {
            let dialled = try await dialler.dial(socket)
            let accepted = try await socket.accept()
            #expect(!accepted.enqueue([UInt8](repeating: 1, count: count)))
            #expect(try await accepted.outcome() == .unsendableFrame(count))
            #expect(try await dialled.outcome() == .closedByPeer)
            let other = try await dialler.dial(socket)
            let otherEnd = try await socket.accept()
            await #expect(throws: CloseReason.unsendableFrame(count)) {
                try await otherEnd.send([UInt8](repeating: 1, count: count))
            }
            _ = try await other.outcome()
        }
        await listener.transport.shutdown()
    }

    @Test func finishedConnectionsThatNobodyTakesAreBounded() async throws {
        let (peer, socket) = try await listening { $0.acceptQueueMax = 2 }
        let friend = try Peer()
        friend.knows(peer)
        peer.knows(friend)
        var dialled: [PeerConnection] = []
        for _ in 0..<2 {
            dialled.append(try await friend.dial(socket))
            let count = dialled.count
            try await eventually { peer.transport.connections.count == count }
        }
        let oneTooMany = try await friend.dial(socket)
        #expect(try await oneTooMany.outcome() == .closedByPeer)
        #expect(dialled.allSatisfy { $0.closeReason == nil })
        await peer.transport.shutdown()
        for connection in dialled { #expect(try await connection.outcome() == .closedByPeer) }
    }

    @Test func closingTheListenerEndsHandshakesInProgress() async throws {
        let (peer, socket) = try await listening { $0.handshakeTimeout = patience }
        let client = try await RawClient(port: socket.localAddress.port)
        try await eventually { peer.transport.unauthenticatedCount == 1 }
        await socket.close()
        try await client.ended()
        try await eventually { peer.transport.unauthenticatedCount == 0 }
        for await _ in socket.connections { Issue.record("a connection after the end") }
    }

    @Test func aResetIsReported() async throws {
        let (listener, dialler) = (try Peer(), try Peer())
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        let relay = try await Relay(to: socket.localAddress.port)
        let dialled = try await dialler.transport.dial(host: "127.0.0.1", port: relay.port, deadline: patience)
        let accepted = try await socket.accept()
        try await dialled.send([1])
        #expect(try await accepted.nextFrame() == [1])
        try await relay.reset()
        let outcome = try await accepted.outcome()
        #expect(outcome == .reset)
        #expect(try await accepted.nextFrame() == nil)
        await relay.close()
        #expect([.reset, .truncated].contains(try await dialled.outcome()))
    }

    @Test func anEndWithoutCloseNotifyIsTruncation() async throws {
        let (listener, dialler) = (try Peer(), try Peer())
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        let relay = try await Relay(to: socket.localAddress.port)
        let dialled = try await dialler.transport.dial(host: "127.0.0.1", port: relay.port, deadline: patience)
        let accepted = try await socket.accept()
        try await dialled.send([1])
        #expect(try await accepted.nextFrame() == [1])
        try await relay.halfClose()
        #expect(try await accepted.outcome() == .truncated)
        #expect(try await accepted.nextFrame() == nil)
        await relay.close()
        _ = try await dialled.outcome()
    }

    /// The end arrives while nobody reads; all frames before it are still delivered.
    @Test func framesBeforeTheEndAreDelivered() async throws {
        var configuration = TransportConfiguration()
        configuration.inboundBytesMax = 1_000
        let (listener, dialler) = (try Peer(configuration), try Peer())
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        let dialled = try await dialler.dial(socket)
        let accepted = try await socket.accept()
        for number in 0..<100 { try await dialled.send([UInt8](repeating: UInt8(number), count: 1_000)) }
        dialled.close()
        #expect(try await dialled.outcome() == .localShutdown)
        for number in 0..<100 { #expect(try await accepted.nextFrame()?.first == UInt8(number)) }
        #expect(try await accepted.nextFrame() == nil)
        #expect(try await accepted.outcome() == .closedByPeer)
    }

    @Test func anIdleConnectionIsClosed() async throws {
        let (peer, socket) = try await listening { $0.idleTimeout = .milliseconds(150) }
        let friend = try Peer()
        friend.knows(peer)
        peer.knows(friend)
        let dialled = try await friend.dial(socket)
        let accepted = try await socket.accept()
        #expect(try await accepted.outcome() == .idle)
        #expect(try await dialled.outcome() == .closedByPeer)
    }

    @Test func aPeerThatNeverEndsIsCutAtTheCloseTimeout() async throws {
        var configuration = TransportConfiguration()
        configuration.closeTimeout = .milliseconds(100)
        let (listener, dialler) = (try Peer(configuration), try Peer())
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        let relay = try await Relay(to: socket.localAddress.port)
        let dialled = try await dialler.transport.dial(host: "127.0.0.1", port: relay.port, deadline: patience)
        let accepted = try await socket.accept()
        await relay.freeze()
        accepted.close()
        #expect(try await accepted.outcome() == .localShutdown)
        await relay.close()
        _ = try await dialled.outcome()
    }
}

/// A TCP relay for one connection that simulates network faults.
final class Relay: Sendable {
    private let server: any Channel
    private let state: RelayState

    final class RelayState: Sendable {
        let channels = Mutex<(near: (any Channel)?, far: (any Channel)?)>((nil, nil))
        let isFrozen = Mutex(false)
    }

    private final class Forward: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let state: RelayState
        let fromNear: Bool

        init(_ state: RelayState, fromNear: Bool) {
            self.state = state
            self.fromNear = fromNear
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if state.isFrozen.withLock({ $0 }) { return }
            let other = state.channels.withLock { fromNear ? $0.far : $0.near }
            other?.writeAndFlush(unwrapInboundIn(data), promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }

    init(to port: Int) async throws {
        let state = RelayState()
        self.state = state
        server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { near in
                state.channels.withLock { $0.near = near }
                return ClientBootstrap(group: near.eventLoop)
                    .channelOption(.allowRemoteHalfClosure, value: true)
                    .channelInitializer { far in
                        far.eventLoop.makeCompletedFuture {
                            try far.pipeline.syncOperations.addHandler(Forward(state, fromNear: false))
                        }
                    }
                    .connect(host: "127.0.0.1", port: port)
                    .flatMapThrowing { far in
                        state.channels.withLock { $0.far = far }
                        try near.pipeline.syncOperations.addHandler(Forward(state, fromNear: true))
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var port: Int { server.localAddress?.port ?? 0 }

    private var far: (any Channel)? { state.channels.withLock { $0.far } }
    private var near: (any Channel)? { state.channels.withLock { $0.near } }

    /// Resets the connection to the listener.
    func reset() async throws {
        try await far?.closeWithReset()
    }

    /// Ends the stream towards the listener without a TLS close.
    func halfClose() async throws { try await far?.close(mode: .output).get() }

    /// Stops forwarding.
    func freeze() async { state.isFrozen.withLock { $0 = true } }

    func close() async {
        try? await server.close().get()
        try? await far?.close().get()
        try? await near?.close().get()
    }
}
