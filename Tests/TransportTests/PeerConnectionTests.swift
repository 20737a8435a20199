import Glibc
import NIOCore
import OpenSSLKit
import Testing
import Transport

/// Tests two transports on the loopback interface.
@Suite struct PeerConnectionTests {
    /// A listener and a connection to it, with both ends.
    private func connected(
        _ configuration: TransportConfiguration = TransportConfiguration()
    ) async throws -> (listener: Peer, dialler: Peer, accepted: PeerConnection, dialled: PeerConnection) {
        let (listener, dialler) = (try Peer(configuration), try Peer(configuration))
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        let dialled = try await dialler.dial(socket)
        let accepted = try await socket.accept()
        return (listener, dialler, accepted, dialled)
    }

    @Test func framesPassBothWaysInOrder() async throws {
        let (listener, dialler, accepted, dialled) = try await connected()
        #expect(accepted.peerKey == dialler.publicKey && accepted.direction == .inbound)
        #expect(dialled.peerKey == listener.publicKey && dialled.direction == .outbound)
        #expect(accepted.remoteAddress.host == "127.0.0.1" && accepted.remoteAddress.port > 0)
        for number in 0..<200 {
            try await dialled.send([UInt8(number), 1])
            #expect(accepted.enqueue([UInt8(number), 2]))
        }
        for number in 0..<200 {
            #expect(try await accepted.nextFrame() == [UInt8(number), 1])
            #expect(try await dialled.nextFrame() == [UInt8(number), 2])
        }
        dialled.close()
        #expect(try await dialled.outcome() == .localShutdown)
        #expect(try await accepted.outcome() == .closedByPeer)
        #expect(try await accepted.nextFrame() == nil)
    }

    @Test(arguments: [1, 16_379, 16_380, 16_381, 65_532, 65_536, 1_000_000, Frame.bytesMax])
    func framesOfEverySizePass(size: Int) async throws {
        let (_, _, accepted, dialled) = try await connected()
        let frame = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
        try await dialled.send(frame)
        try await dialled.send([1])
        #expect(try await accepted.nextFrame() == frame)
        #expect(try await accepted.nextFrame() == [1])
        accepted.close()
        #expect(try await dialled.outcome() == .closedByPeer)
    }

    @Test func framesQueuedBeforeTheCloseArrive() async throws {
        let (_, _, accepted, dialled) = try await connected()
        for number in 0..<50 { try await dialled.send([UInt8](repeating: UInt8(number), count: 20_000)) }
        dialled.close(.local("done"))
        #expect(!dialled.enqueue([1]))
        await #expect(throws: CloseReason.local("done")) { try await dialled.send([1]) }
        for number in 0..<50 { #expect(try await accepted.nextFrame()?.first == UInt8(number)) }
        #expect(try await accepted.nextFrame() == nil)
        #expect(try await accepted.outcome() == .closedByPeer)
        #expect(try await dialled.outcome() == .local("done"))
    }

    @Test func bytesOnTheSocketsAreCounted() async throws {
        let (listener, dialler, accepted, dialled) = try await connected()
        let (before, after) = (dialler.transport.socketBytes.sent, UInt64(1_000_000))
        // The handshake: two certificates, and the handshake messages of both sides.
        #expect(before > 200)
        try await dialled.send([UInt8](repeating: 1, count: Int(after)))
        #expect(try await accepted.nextFrame()?.count == Int(after))
        // A record of 16 KiB has an overhead of some 22 bytes.
        #expect((after + 4..<after + 4_000).contains(dialler.transport.socketBytes.sent - before))
        dialled.close()
        _ = try await (dialled.outcome(), accepted.outcome())
        #expect(listener.transport.socketBytes.received == dialler.transport.socketBytes.sent)
        #expect(dialler.transport.socketBytes.received <= listener.transport.socketBytes.sent)
    }

    // MARK: Back-pressure

    @Test func aPeerThatDoesNotReadGrowsNoMemory() async throws {
        var configuration = TransportConfiguration()
        configuration.outboundBytesMax = 500_000
        configuration.inboundBytesMax = 500_000
        let (_, _, accepted, dialled) = try await connected(configuration)
        let frame = [UInt8](repeating: 3, count: 50_000)
        // Fill the buffers of both sides and the kernel's buffers between them.
        var sent = 0
        var refusals = 0
        while refusals < 100 {
            if dialled.enqueue(frame) {
                sent += 1
                refusals = 0
            } else {
                refusals += 1
                try await Task.sleep(for: .milliseconds(2))
            }
            try #require(sent < 2_000, "100 MB taken for a peer that reads nothing")
        }
        #expect(dialled.queuedBytes <= 500_000)
        // After the peer starts reading, all frames arrive and the waiting send continues.
        let dialledCopy = dialled
        async let waiting: Void = dialledCopy.send(frame)
        for _ in 0...sent { #expect(try await accepted.nextFrame() == frame) }
        try await waiting
        #expect(dialled.enqueue([1]))
        #expect(try await accepted.nextFrame() == [1])
        dialled.close()
        _ = try await accepted.outcome()
    }

    @Test func aWaitingSendCanBeCancelledAndFailsAtTheEnd() async throws {
        var configuration = TransportConfiguration()
        configuration.outboundBytesMax = 200_000
        configuration.inboundBytesMax = 100_000
        configuration.closeTimeout = .milliseconds(100)
        let (_, _, accepted, dialled) = try await connected(configuration)
        let frame = [UInt8](repeating: 3, count: 100_000)
        var refusals = 0
        while refusals < 100 {
            if dialled.enqueue(frame) {
                refusals = 0
            } else {
                refusals += 1
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        let cancelled = Task { try await dialled.send(frame) }
        cancelled.cancel()
        await #expect(throws: CloseReason.cancelled) { try await cancelled.value }
        let waiting = Task { try await dialled.send(frame) }
        try await Task.sleep(for: .milliseconds(20))
        dialled.abort(.slowReader)
        await #expect(throws: CloseReason.slowReader) { try await waiting.value }
        #expect(try await dialled.outcome() == .slowReader)
        accepted.abort(.localShutdown)
        _ = try await accepted.outcome()
    }

    @Test func aConsumersWaitEndsWithItsTask() async throws {
        let (_, _, accepted, dialled) = try await connected()
        let task = Task {
            var frames = accepted.inbound.makeAsyncIterator()
            return await frames.next()
        }
        task.cancel()
        #expect(await task.value == nil)
        try await dialled.send([1])
        #expect(try await accepted.nextFrame() == [1])
        dialled.close()
        _ = try await accepted.outcome()
    }

    // MARK: Authorisation

    @Test func anUnknownKeyIsRefusedWithAReason() async throws {
        let (listener, dialler) = (try Peer(), try Peer())
        dialler.knows(listener)
        let socket = try await listener.listen()
        let dialled = try await dialler.dial(socket)
        #expect(try await dialled.outcome() == .refusedByPeer(.certificateUnknown))
        #expect(listener.transport.connections.isEmpty)
    }

    /// The alert reaches an unknown peer even if it has already sent data.
    @Test func anUnknownKeyThatSendsAtOnceGetsTheReason() async throws {
        let (listener, dialler) = (try Peer(), try Peer())
        dialler.knows(listener)
        let socket = try await listener.listen()
        for _ in 0..<20 {
            let dialled = try await dialler.dial(socket)
            for _ in 0..<10 { _ = dialled.enqueue([UInt8](repeating: 1, count: 1_000)) }
            #expect(try await dialled.outcome() == .refusedByPeer(.certificateUnknown))
        }
    }

    @Test func anUnknownListenerIsRefused() async throws {
        let (listener, dialler) = (try Peer(), try Peer())
        listener.knows(dialler)
        let socket = try await listener.listen()
        await #expect(throws: CloseReason.unknownKey(listener.publicKey)) { try await dialler.dial(socket) }
        // Only the key named for this dial counts.
        let expected = listener.publicKey
        let dialled = try await dialler.transport.dial(
            host: "127.0.0.1",
            port: socket.localAddress.port,
            authorize: { $0 == expected }
        )
        dialled.close()
        #expect(try await dialled.outcome() == .localShutdown)
    }

    @Test func aDialMayUseAnotherIdentity() async throws {
        let (listener, dialler) = (try Peer(), try Peer())
        dialler.knows(listener)
        let invitation = try Ed25519PrivateKey.generate()
        listener.roster.insert(invitation.publicKey)
        let socket = try await listener.listen()
        let dialled = try await dialler.transport.dial(
            host: "127.0.0.1",
            port: socket.localAddress.port,
            identity: Peer.makeIdentity(invitation)
        )
        let accepted = try await socket.accept()
        #expect(accepted.peerKey == invitation.publicKey)
        dialled.close()
        #expect(try await accepted.outcome() == .closedByPeer)
    }

    @Test func anExpiredCertificateIsRefused() async throws {
        let (listener, dialler) = (try Peer(), try Peer(certificateEndsIn: -86_400 * 3))
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        let dialled = try await dialler.dial(socket)
        #expect(try await dialled.outcome() == .refusedByPeer(.certificateExpired))
        let other = try await dialler.listen()
        await #expect {
            try await listener.dial(other)
        } throws: { reason in
            guard case CloseReason.certificateExpired(dialler.publicKey, let validity)? = reason as? CloseReason else {
                return false
            }
            return validity.notBefore < validity.notAfter && validity.notAfter < Int64(time(nil))
        }
    }

    @Test func anotherProtocolIsRefused() async throws {
        var configuration = TransportConfiguration()
        configuration.applicationProtocol = "hansa/2"
        let (listener, dialler) = (try Peer(), try Peer(configuration))
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        await #expect(throws: CloseReason.refusedByPeer(.noApplicationProtocol)) { try await dialler.dial(socket) }
    }

    @Test func sessionsOfAKeyAreClosedAtOnce() async throws {
        let (listener, first, second) = (try Peer(), try Peer(), try Peer())
        listener.knows(first, second)
        first.knows(listener)
        second.knows(listener)
        let socket = try await listener.listen()
        let ofFirst = try await first.dial(socket)
        let ofSecond = try await second.dial(socket)
        let accepted = [try await socket.accept(), try await socket.accept()]
        listener.roster.remove(first.publicKey)
        let closed = listener.transport.closeSessions { !listener.roster.contains($0) }
        #expect(closed == 1)
        #expect(try await ofFirst.outcome() == .closedByPeer)
        for connection in accepted where connection.peerKey == first.publicKey {
            #expect(try await connection.outcome() == .unknownKey(first.publicKey))
        }
        for connection in accepted where connection.peerKey == second.publicKey {
            try await ofSecond.send([5])
            #expect(try await connection.nextFrame() == [5])
        }
        await listener.transport.shutdown()
        #expect(try await ofSecond.outcome() == .closedByPeer)
        #expect(listener.transport.connections.isEmpty)
    }

    @Test func aNewCertificateDisturbsNoConnection() async throws {
        let (listener, dialler, accepted, dialled) = try await connected()
        let socket = try await listener.listen()
        for round in 0..<5 {
            try listener.renewCertificate()
            try dialler.renewCertificate()
            try await dialled.send([UInt8(round)])
            #expect(try await accepted.nextFrame() == [UInt8(round)])
            let other = try await dialler.dial(socket)
            let otherEnd = try await socket.accept()
            #expect(other.peerKey == listener.publicKey && otherEnd.peerKey == dialler.publicKey)
            other.close()
            #expect(try await otherEnd.outcome() == .closedByPeer)
        }
        dialled.close()
        _ = try await accepted.outcome()
    }

    // MARK: Many connections

    @Test func manyConnectionsAtOnce() async throws {
        var configuration = TransportConfiguration()
        configuration.unauthenticatedPerAddressMax = 64
        let (listener, dialler) = (try Peer(configuration), try Peer())
        listener.knows(dialler)
        dialler.knows(listener)
        let socket = try await listener.listen()
        let server = Task {
            await withTaskGroup(of: Void.self) { group in
                for await connection in socket.connections {
                    group.addTask {
                        for await frame in connection.inbound { try? await connection.send(frame) }
                    }
                }
            }
        }
        let echoed = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<48 {
                group.addTask {
                    let connection = try await dialler.dial(socket)
                    var echoed = 0
                    for round in 0..<20 {
                        let frame = [UInt8](repeating: UInt8(number), count: 1 + round * 997)
                        try await connection.send(frame)
                        if try await connection.nextFrame() == frame { echoed += 1 }
                    }
                    connection.close()
                    _ = try await connection.outcome()
                    return echoed
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(echoed == 48 * 20)
        await listener.transport.shutdown()
        await server.value
        #expect(listener.transport.unauthenticatedCount == 0)
    }

    // MARK: Listening and dialling

    @Test func anAddressInUseIsReported() async throws {
        let peer = try Peer()
        // Use a port outside the system's range: another test could get a system port between closing and listening.
        var listener: PeerListener?
        for port in (20_000..<32_000).shuffled() where listener == nil {
            listener = try? await peer.transport.listen(host: "127.0.0.1", port: port)
        }
        let socket = try #require(listener)
        await #expect(throws: ListenError.failed(.addressInUse)) {
            try await peer.transport.listen(host: "127.0.0.1", port: socket.localAddress.port)
        }
        await socket.close()
        // A process started by another test holds a copy of the closed socket until it executes its program.
        var again: PeerListener?
        for _ in 0..<500 where again == nil {
            again = try? await peer.transport.listen(host: "127.0.0.1", port: socket.localAddress.port)
            if again == nil { try await Task.sleep(for: .milliseconds(20)) }
        }
        #expect(again?.localAddress == socket.localAddress)
        await peer.transport.shutdown()
        await #expect(throws: ListenError.shutDown) { try await peer.listen() }
    }

    @Test func anAddressOfAnotherMachineIsReported() async throws {
        let peer = try Peer()
        await #expect(throws: ListenError.failed(.addressNotAvailable)) {
            try await peer.transport.listen(host: "192.0.2.1", port: 0)
        }
    }

    @Test func aPortWhereNobodyListensIsReported() async throws {
        let peer = try Peer()
        // Bind without listening until the end of the test. The port is below the range from which the system assigns
        // ports, so tests do not take each other's ports.
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let port = try #require(
            (20_000..<32_000).shuffled().first { port in
                address.sin_port = UInt16(port).bigEndian
                return withUnsafePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                    }
                }
            }
        )
        let refusal = await #expect(throws: CloseReason.self) {
            try await peer.transport.dial(host: "127.0.0.1", port: port)
        }
        #expect(refusal == .connectFailed(.refused))
    }

    @Test func anUnknownNameIsReported() async throws {
        let peer = try Peer()
        await #expect(throws: CloseReason.connectFailed(.unknownName)) {
            try await peer.transport.dial(host: "no.such.name.invalid", port: 1, deadline: patience)
        }
        await #expect(throws: ListenError.failed(.unknownName)) {
            try await peer.transport.listen(host: "no.such.name.invalid", port: 0)
        }
    }

    @Test func aDialCanBeCancelledAndHasADeadline() async throws {
        var configuration = TransportConfiguration()
        configuration.handshakeTimeout = patience
        let peer = try Peer(configuration)
        let silent = try await SilentServer()
        let port = silent.port
        let task = Task { try await peer.transport.dial(host: "127.0.0.1", port: port, deadline: patience) }
        try await eventually { silent.connectionCount == 1 }
        task.cancel()
        await #expect(throws: CloseReason.cancelled) { try await task.value }
        await #expect(throws: CloseReason.dialTimedOut) {
            try await peer.transport.dial(host: "127.0.0.1", port: port, deadline: .milliseconds(50))
        }
        await silent.close()
    }
}
