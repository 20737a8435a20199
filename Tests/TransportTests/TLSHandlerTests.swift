import Foundation
import NIOCore
import NIOEmbedded
import OpenSSLKit
import Testing
import Transport

/// Tests the handler on a channel without a socket, with an engine as its peer.
@Suite struct TLSHandlerTests {
    /// Records the data at the end of the pipeline and the number of reads.
    private final class Observer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var plaintext: [UInt8] = []
        var reads = 0
        var events: [TLSHandlerEvent] = []

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            plaintext += Array(unwrapInboundIn(data).readableBytesView)
            reads += 1
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? TLSHandlerEvent { events.append(event) }
        }
    }

    private final class ReadCounter: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var count = 0

        func read(context: ChannelHandlerContext) {
            count += 1
            context.read()
        }
    }

    private struct Fixture {
        let channel = EmbeddedChannel()
        let observer = Observer()
        let counter = ReadCounter()
        let peer: TLSEngine
        let peerKey: Ed25519PublicKey

        init() throws {
            let (first, second) = (try Ed25519PrivateKey.generate(), try Ed25519PrivateKey.generate())
            let configuration = TLSEngine.Configuration(applicationProtocol: "hansa/1", authorize: { _ in true })
            peer = try TLSEngine(
                role: .client,
                identity: Peer.makeIdentity(first),
                configuration: configuration
            )
            peerKey = first.publicKey
            let engine = try TLSEngine(
                role: .server,
                identity: Peer.makeIdentity(second),
                configuration: configuration
            )
            let handler = TLSHandler(engine: engine, handshakeTimeout: .seconds(10), closeTimeout: .seconds(2))
            try channel.setOption(.autoRead, value: false).wait()
            try channel.pipeline.syncOperations.addHandlers([counter, handler, observer])
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        }

        /// Returns the handler's bytes for the peer.
        func outgoing() throws -> [UInt8] {
            var bytes: [UInt8] = []
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
                bytes += Array(buffer.readableBytesView)
            }
            return bytes
        }

        func shakeHands() throws {
            try peer.start()
            for _ in 0..<3 {
                let bytes = peer.takeOutgoing()
                if !bytes.isEmpty { try channel.feed(ByteBuffer(bytes: bytes)) }
                let answer = try outgoing()
                if !answer.isEmpty { _ = try peer.receive(answer) }
            }
        }
    }

    @Test func reportsTheKeyAfterTheHandshake() throws {
        let fixture = try Fixture()
        #expect(fixture.observer.events.isEmpty)
        try fixture.shakeHands()
        #expect(fixture.observer.events == [.handshakeCompleted(peerKey: fixture.peerKey)])
        _ = try? fixture.channel.finish()
    }

    @Test func decryptsOnlyOnDemand() throws {
        let fixture = try Fixture()
        try fixture.shakeHands()
        let asked = fixture.counter.count
        _ = try fixture.peer.write([UInt8](repeating: 7, count: 60_000))
        try fixture.channel.feed(ByteBuffer(bytes: fixture.peer.takeOutgoing()))
        _ = try fixture.peer.write([UInt8](repeating: 8, count: 60_000))
        try fixture.channel.feed(ByteBuffer(bytes: fixture.peer.takeOutgoing()))
        #expect(fixture.observer.plaintext.isEmpty, "nobody has asked")
        fixture.channel.pipeline.read()
        let first = fixture.observer.plaintext.count
        #expect(fixture.observer.reads == 1 && (60_000...70_000).contains(first))
        fixture.channel.pipeline.read()
        #expect(fixture.observer.reads == 2 && fixture.observer.plaintext.count == 120_000)
        #expect(fixture.counter.count == asked, "the socket has not been asked for more")
        fixture.channel.pipeline.read()
        #expect(fixture.counter.count == asked + 1, "now it has")
        _ = try? fixture.channel.finish()
    }

    @Test func dataWrittenBeforeTheHandshakeIsSentAfterIt() throws {
        let fixture = try Fixture()
        fixture.channel.writeAndFlush(ByteBuffer(bytes: [1, 2, 3]), promise: nil)
        #expect(try fixture.outgoing().isEmpty)
        try fixture.shakeHands()
        #expect(try fixture.peer.read(upTo: 10) == [1, 2, 3])
        _ = try? fixture.channel.finish()
    }

    @Test func smallWritesOfOneFlushShareARecord() throws {
        let fixture = try Fixture()
        try fixture.shakeHands()
        for _ in 0..<100 { fixture.channel.write(ByteBuffer(bytes: [5, 5]), promise: nil) }
        fixture.channel.flush()
        let bytes = try fixture.outgoing()
        #expect(bytes.count < 300, "100 records would have 2,400 bytes")
        _ = try fixture.peer.receive(bytes)
        #expect(try fixture.peer.read(upTo: 1_000)?.count == 200)
        _ = try? fixture.channel.finish()
    }

    @Test func writesWaitWhileTheChannelIsNotWritable() throws {
        let fixture = try Fixture()
        try fixture.shakeHands()
        fixture.channel.isWritable = false
        let promise = fixture.channel.eventLoop.makePromise(of: Void.self)
        fixture.channel.writeAndFlush(ByteBuffer(bytes: [9]), promise: promise)
        #expect(try fixture.outgoing().isEmpty)
        fixture.channel.isWritable = true
        fixture.channel.pipeline.fireChannelWritabilityChanged()
        _ = try fixture.peer.receive(fixture.outgoing())
        #expect(try fixture.peer.read(upTo: 10) == [9])
        try promise.futureResult.wait()
        _ = try? fixture.channel.finish()
    }

    @Test func aFaultIsReportedOnceAndAnsweredByAnAlert() throws {
        let fixture = try Fixture()
        try fixture.shakeHands()
        _ = try fixture.peer.write([1])
        var bytes = fixture.peer.takeOutgoing()
        bytes[bytes.count - 1] ^= 1
        try fixture.channel.feed(ByteBuffer(bytes: bytes))
        fixture.channel.pipeline.read()
        #expect(fixture.observer.plaintext.isEmpty)
        #expect(fixture.observer.events.count == 2)
        _ = try fixture.peer.receive(fixture.outgoing())
        #expect(throws: TLSFailure.alertReceived(TLSAlert(rawValue: 20))) { try fixture.peer.read(upTo: 1) }
        _ = try? fixture.channel.finish()
    }
}
