import Foundation
import NIOCore
import OpenSSLKit
import TestSupport
import Testing
import Transport

/// Tests against `openssl s_client` and `openssl s_server`, which share no code with our transport.
@Suite(.serialized) struct CommandLineInteroperationTests {
    /// A certificate and key for the command line.
    private struct Files {
        let folder: TemporaryFolder
        let key: Ed25519PrivateKey
        let arguments: [String]

        init(expired: Bool = false) throws {
            folder = try TemporaryFolder()
            key = try Ed25519PrivateKey.generate()
            let identity = try Peer.makeIdentity(key, endsIn: expired ? -86_400 * 3 : 86_400)
            arguments = [
                "-cert", try folder.write(identity.certificate.pem(), to: "certificate.pem"),
                "-key", try folder.write(key.unencryptedPEM(), to: "key.pem"),
            ]
        }
    }

    private func client(_ socket: PeerListener, _ arguments: [String], _ files: Files? = nil) throws -> OpenSSLProcess {
        try OpenSSLProcess(
            ["s_client", "-connect", socket.localAddress.description] + arguments + (files?.arguments ?? []),
            keeping: files?.folder
        )
    }

    @Test func aClientWithACertificateExchangesFrames() async throws {
        let files = try Files()
        let peer = try Peer()
        peer.roster.insert(files.key.publicKey)
        let socket = try await peer.listen()
        let process = try client(socket, ["-alpn", "x,hansa/1", "-quiet"], files)
        defer { process.stop() }
        let connection = try await socket.accept()
        #expect(connection.peerKey == files.key.publicKey)
        try process.say(framed(Array("hello".utf8)))
        #expect(try await connection.nextFrame() == Array("hello".utf8))
        try await connection.send(Array("welcome".utf8))
        try await eventually { process.text.contains("welcome") }
        try process.endInput()
        connection.close()
        try await process.waitForExit()
        _ = try await connection.outcome()
        await peer.transport.shutdown()
    }

    @Test(arguments: [
        ([String](), "no application protocol"),
        (["-alpn", "http/1.1"], "no application protocol"),
        (["-alpn", "hansa/1"], "certificate required"),
        (["-alpn", "hansa/1", "-tls1_2"], "protocol version"),
        (["-alpn", "hansa/1", "-groups", "P-256"], "handshake failure"),
        (["-alpn", "hansa/1", "-sigalgs", "rsa_pss_rsae_sha256"], "handshake failure"),
    ])
    func aClientThatDoesNotMeetTheTermsGetsTheReason(arguments: [String], alert: String) async throws {
        let peer = try Peer()
        let socket = try await peer.listen()
        let process = try client(socket, arguments)
        defer { process.stop() }
        try await process.waitForExit()
        try await eventually { process.text.contains(alert) }
        #expect(peer.transport.connections.isEmpty)
        await peer.transport.shutdown()
    }

    @Test func aCertificateOfAnUnknownKeyIsRefused() async throws {
        let peer = try Peer()
        let socket = try await peer.listen()
        let process = try client(socket, ["-alpn", "hansa/1"], Files())
        defer { process.stop() }
        try await process.waitForExit()
        try await eventually { process.text.contains("certificate unknown") }
        await peer.transport.shutdown()
    }

    @Test func anExpiredCertificateIsRefused() async throws {
        let files = try Files(expired: true)
        let peer = try Peer()
        peer.roster.insert(files.key.publicKey)
        let socket = try await peer.listen()
        let process = try client(socket, ["-alpn", "hansa/1"], files)
        defer { process.stop() }
        try await process.waitForExit()
        try await eventually { process.text.contains("certificate expired") }
        await peer.transport.shutdown()
    }

    @Test func faultyFramesEndTheConnection() async throws {
        for (bytes, reason) in [
            ([0, 0, 0, 0] as [UInt8], CloseReason.emptyFrame), ([0, 0x40, 0, 1], .frameTooLong(Frame.bytesMax + 1)),
        ] {
            let files = try Files()
            let peer = try Peer()
            peer.roster.insert(files.key.publicKey)
            let socket = try await peer.listen()
            let process = try client(socket, ["-alpn", "hansa/1", "-quiet"], files)
            defer { process.stop() }
            let connection = try await socket.accept()
            try process.say(framed([1]) + bytes + framed([2]))
            #expect(try await connection.nextFrame() == [1])
            #expect(try await connection.nextFrame() == nil)
            #expect(try await connection.outcome() == reason)
            try await process.waitForExit()
            await peer.transport.shutdown()
        }
    }

    // MARK: As a client

    /// Starts a server on a free port and waits until it listens.
    ///
    /// The port is outside the range from which the system assigns ports. Otherwise another test could get it first and
    /// answer instead of the server.
    private func server(
        _ arguments: [String],
        keeping folder: TemporaryFolder
    ) async throws -> (process: OpenSSLProcess, port: Int) {
        let port = HansaProcess.freePort()
        let process = try OpenSSLProcess(["s_server", "-accept", "127.0.0.1:\(port)"] + arguments, keeping: folder)
        try await eventually {
            guard let raw = try? await RawClient(port: port) else { return false }
            try? await raw.channel.close().get()
            return true
        }
        try #require(process.isRunning, "\(process.text)")
        return (process, port)
    }

    @Test func aServerExchangesFrames() async throws {
        let files = try Files()
        let peer = try Peer()
        peer.roster.insert(files.key.publicKey)
        let (process, port) = try await server(
            files.arguments + ["-alpn", "hansa/1", "-Verify", "1", "-quiet"],
            keeping: files.folder
        )
        defer { process.stop() }
        let connection = try await peer.transport.dial(host: "127.0.0.1", port: port, deadline: patience)
        #expect(connection.peerKey == files.key.publicKey)
        try process.say(framed(Array("from the server".utf8)))
        #expect(try await connection.nextFrame() == Array("from the server".utf8))
        try await connection.send(Array("from the client".utf8))
        try await eventually { process.text.contains("from the client") }
        connection.close()
        #expect(try await connection.outcome() == .localShutdown)
    }

    @Test func aServerThatPicksNoProtocolIsRefused() async throws {
        let files = try Files()
        let peer = try Peer()
        peer.roster.insert(files.key.publicKey)
        let (process, port) = try await server(files.arguments, keeping: files.folder)
        defer { process.stop() }
        await #expect(throws: CloseReason.alpnMismatch) {
            try await peer.transport.dial(host: "127.0.0.1", port: port, deadline: patience)
        }
    }

    @Test func aServerOfAnOlderVersionIsRefused() async throws {
        let files = try Files()
        let peer = try Peer()
        let (process, port) = try await server(
            files.arguments + ["-alpn", "hansa/1", "-tls1_2"],
            keeping: files.folder
        )
        defer { process.stop() }
        // The server closes without reading our client hello, so a reset may occasionally overtake its alert.
        var reason: CloseReason?
        for _ in 0..<20 where reason == nil || reason == .reset {
            reason = await #expect(throws: CloseReason.self) {
                try await peer.transport.dial(host: "127.0.0.1", port: port, deadline: patience)
            }
        }
        #expect(reason == .refusedByPeer(.protocolVersion))
    }

    @Test func aServerWithAnotherKindOfKeyIsRefused() async throws {
        let folder = try TemporaryFolder()
        let key = folder.url.appendingPathComponent("rsa.pem").path
        let certificate = folder.url.appendingPathComponent("certificate.pem").path
        let making = try OpenSSLProcess(
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=x"],
            keeping: folder
        )
        try await making.waitForExit()
        let peer = try Peer()
        let (process, port) = try await server(
            ["-cert", certificate, "-key", key, "-alpn", "hansa/1"],
            keeping: folder
        )
        defer { process.stop() }
        let refusal = await #expect(throws: CloseReason.self) {
            try await peer.transport.dial(host: "127.0.0.1", port: port, deadline: patience)
        }
        guard case .refusedByPeer? = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
    }
}
