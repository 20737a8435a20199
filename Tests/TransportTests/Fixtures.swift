import Foundation
import NIOCore
import NIOEmbedded
import NIOPosix
import OpenSSLKit
import Synchronization
import Testing
import Transport

/// The maximum time that a test waits for an event. Generous, for many tests on two cores.
let patience = Duration.seconds(240)

struct TimedOut: Error {}

/// Runs `body`; throws after `patience`.
func patiently<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: patience)
            throw TimedOut()
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw TimedOut() }
        return value
    }
}

/// Waits until `condition` is true; throws after `patience`.
func eventually(_ condition: @escaping @Sendable () async -> Bool) async throws {
    let end = ContinuousClock.now + patience
    while !(await condition()) {
        guard ContinuousClock.now < end else { throw TimedOut() }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// The keys that a transport under test accepts; may change during the test.
final class Roster: Sendable {
    private let keys = Mutex<Set<Ed25519PublicKey>>([])

    func insert(_ key: Ed25519PublicKey) { keys.withLock { _ = $0.insert(key) } }
    func remove(_ key: Ed25519PublicKey) { keys.withLock { _ = $0.remove(key) } }
    func contains(_ key: Ed25519PublicKey) -> Bool { keys.withLock { $0.contains(key) } }
}

/// A node's key, identity, roster and transport.
final class Peer: Sendable {
    let key: Ed25519PrivateKey
    let roster = Roster()
    let transport: PeerTransport

    init(
        _ configuration: TransportConfiguration = TransportConfiguration(),
        certificateEndsIn seconds: Int64 = 86_400 * 30,
        terms: @escaping @Sendable (Ed25519PublicKey) -> PeerTerms = { _ in PeerTerms() },
        farewell: @escaping PeerTransport.Farewell = { _, _ in nil }
    ) throws {
        let key = try Ed25519PrivateKey.generate()
        self.key = key
        let identity = try Peer.makeIdentity(key, endsIn: seconds)
        let box = IdentityBox(identity)
        self.box = box
        transport = PeerTransport(
            configuration: configuration,
            identity: { box.identity.withLock { $0 } },
            admit: { [roster] in roster.contains($0) ? terms($0) : nil },
            farewell: farewell
        )
    }

    private final class IdentityBox: Sendable {
        let identity: Mutex<TLSIdentity>
        init(_ identity: TLSIdentity) { self.identity = Mutex(identity) }
    }

    private let box: IdentityBox

    var publicKey: Ed25519PublicKey { key.publicKey }

    static func makeIdentity(_ key: Ed25519PrivateKey, endsIn seconds: Int64 = 86_400 * 30) throws -> TLSIdentity {
        let now = Int64(Date().timeIntervalSince1970)
        return try TLSIdentity(
            key: key,
            certificate: .selfSigned(
                key: key,
                commonName: "node",
                notBefore: now - 86_400 * 10,
                notAfter: now + seconds
            )
        )
    }

    /// Replaces the certificate for the same key.
    func renewCertificate() throws {
        let identity = try Peer.makeIdentity(key, endsIn: 86_400 * 60)
        box.identity.withLock { $0 = identity }
    }

    func knows(_ peers: Peer...) {
        for peer in peers { roster.insert(peer.publicKey) }
    }

    func listen() async throws -> PeerListener { try await transport.listen(host: "127.0.0.1", port: 0) }

    func dial(_ listener: PeerListener) async throws -> PeerConnection {
        try await transport.dial(host: "127.0.0.1", port: listener.localAddress.port, deadline: patience)
    }
}

extension PeerListener {
    /// Waits for the next connection.
    func accept() async throws -> PeerConnection {
        try await patiently {
            for await connection in self.connections { return connection }
            throw TimedOut()
        }
    }
}

extension PeerConnection {
    /// Waits for the next frame; nil at the end.
    func nextFrame() async throws -> [UInt8]? {
        try await patiently {
            var frames = self.inbound.makeAsyncIterator()
            return await frames.next()
        }
    }

    /// Waits for the end and returns its reason. Aborts the connection after `patience`.
    func outcome() async throws -> CloseReason {
        let watchdog = Task {
            try await Task.sleep(for: patience)
            self.abort(.local("the test's patience"))
        }
        defer { watchdog.cancel() }
        return await closed()
    }
}

/// A plain TCP connection that sends given bytes and stores received bytes.
final class RawClient: Sendable {
    let channel: any Channel
    private let heard: Heard

    private final class Heard: Sendable {
        let bytes = Mutex<[UInt8]>([])
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let heard: Heard
        init(_ heard: Heard) { self.heard = heard }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            heard.bytes.withLock { $0 += Array(buffer.readableBytesView) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    init(port: Int, reads: Bool = true) async throws {
        let heard = Heard()
        self.heard = heard
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelOption(.allowRemoteHalfClosure, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(heard))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    var bytes: [UInt8] { heard.bytes.withLock { $0 } }

    func say(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    /// Waits until the other side has closed.
    func ended() async throws { try await patiently { try await self.channel.closeFuture.get() } }

    /// Closes with a reset instead of a FIN.
    func reset() async throws {
        try await channel.closeWithReset()
    }
}

extension Channel {
    /// Closes a socket so that the other end sees a reset.
    func closeWithReset() async throws {
        let provider = try #require(self as? any SocketOptionProvider)
        try await provider.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await close().get()
    }
}

/// A folder that is deleted with the fixture.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("transport-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = url.appendingPathComponent(name)
        try Data(bytes).write(to: file)
        return file.path
    }
}

/// A process of OpenSSL's command line, with pipes. The code that starts it must stop it.
final class OpenSSLProcess: @unchecked Sendable {
    // Unchecked: only one test uses `process` and `input`; the lock guards the shared data.
    private let process = Process()
    private let input = Pipe()
    private let output = Mutex<[UInt8]>([])
    // Keeps the folder whose files the process reads.
    private let folder: TemporaryFolder?

    init(_ arguments: [String], keeping folder: TemporaryFolder?) throws {
        self.folder = folder
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardInput = input
        for pipe in [Pipe(), Pipe()] {
            if process.standardOutput is Pipe { process.standardError = pipe } else { process.standardOutput = pipe }
            pipe.fileHandleForReading.readabilityHandler = { [weak self] handle in
                let data = handle.availableData
                if data.isEmpty { handle.readabilityHandler = nil }
                self?.output.withLock { $0 += data }
            }
        }
        try process.run()
    }

    func stop() {
        // Not SIGTERM: the child inherits the signal mask of its starting thread, which may block SIGTERM.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    var bytes: [UInt8] { output.withLock { $0 } }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    func say(_ bytes: [UInt8]) throws { try input.fileHandleForWriting.write(contentsOf: Data(bytes)) }

    func endInput() throws { try input.fileHandleForWriting.close() }

    var isRunning: Bool { process.isRunning }

    func waitForExit() async throws {
        try await eventually { !self.isRunning }
    }
}

/// The bytes of a frame.
func framed(_ payload: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(payload.count).bigEndian) { Array($0) } + payload
}

extension EmbeddedChannel {
    /// Feeds one buffer, as one read.
    ///
    /// Replaces `writeInbound`: Swift 6.3.1 releases its unused result twice in a loop in optimized builds (seen with
    /// swift-nio 2.101.2 and none of our code).
    func feed(_ buffer: ByteBuffer) throws {
        pipeline.fireChannelRead(buffer)
        pipeline.fireChannelReadComplete()
        try throwIfErrorCaught()
    }
}
