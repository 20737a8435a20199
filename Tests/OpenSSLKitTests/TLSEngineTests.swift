import Foundation
import OpenSSLKit
import Testing

@Suite struct TLSEngineTests {
    @Test func eachSideLearnsTheOthersKey() throws {
        let (first, second) = (try Party(), try Party())
        let pair = EnginePair(
            client: try first.engine(.client, trusting: [second.publicKey]),
            server: try second.engine(.server, trusting: [first.publicKey])
        )
        #expect(pair.client.state == .idle && pair.client.peerPublicKey == nil)
        pair.connect()
        #expect(pair.client.state == .established && pair.server.state == .established)
        #expect(pair.client.peerPublicKey == second.publicKey)
        #expect(pair.server.peerPublicKey == first.publicKey)
    }

    // MARK: Data

    @Test func everyByteAloneIsEnough() throws {
        let pair = try EnginePair()
        pair.connect(piece: 1)
        #expect(pair.client.state == .established && pair.server.state == .established)
        let message = (0..<1_000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try pair.client.write(message) == message.count)
        pair.exchange(piece: 1)
        #expect(try pair.server.read(upTo: 2_000) == message)
    }

    /// Splits the client's stream (handshake and data) in two, at every seventh position.
    @Test func everyCutOfTheStreamGivesTheSame() throws {
        let (first, second) = (try Party(), try Party())
        var cut = 0
        var length = Int.max
        while cut < length {
            let pair = EnginePair(
                client: try first.engine(.client, trusting: [second.publicKey]),
                server: try second.engine(.server, trusting: [first.publicKey])
            )
            pair.start()
            var carried = 0
            for _ in 0..<4 {
                let bytes = pair.client.takeOutgoing()
                let here = min(max(cut - carried, 0), bytes.count)
                for part in [bytes[..<here], bytes[here...]] where !part.isEmpty {
                    #expect(try pair.server.receive(Array(part)) == part.count)
                }
                carried += bytes.count
                let answer = pair.server.takeOutgoing()
                if !answer.isEmpty { _ = try pair.client.receive(answer) }
                if pair.client.state == .established, carried > 0, pair.client.outgoingCount == 0 {
                    _ = try? pair.client.write([1, 2, 3])
                }
            }
            #expect(try pair.server.read(upTo: 3) == [1, 2, 3], "cut at \(cut)")
            length = carried
            cut += 7
        }
    }

    @Test func muchDataPassesBothWaysInBoundedMemory() throws {
        let pair = try EnginePair()
        pair.connect()
        let total = 3_000_000
        let data = (0..<total).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        var sent = (client: 0, server: 0)
        var received: (client: [UInt8], server: [UInt8]) = ([], [])
        while received.client.count < total || received.server.count < total {
            sent.client += try pair.client.write(Array(data[sent.client...].prefix(300_000)))
            sent.server += try pair.server.write(Array(data[sent.server...].prefix(300_000)))
            #expect(pair.client.outgoingCount <= TLSEngine.bufferBytesMax + 17_000)
            #expect(pair.server.outgoingCount <= TLSEngine.bufferBytesMax + 17_000)
            pair.exchange()
            received.client += try #require(try pair.client.read(upTo: 100_000))
            received.server += try #require(try pair.server.read(upTo: 100_000))
        }
        #expect(received.client == data && received.server == data)
    }

    @Test func takesNoMoreCiphertextThanItsBound() throws {
        let pair = try EnginePair()
        pair.connect()
        var stream: [UInt8] = []
        for _ in 0..<10 {
            _ = try pair.client.write([UInt8](repeating: 1, count: 60_000))
            stream += pair.client.takeOutgoing()
        }
        #expect(try pair.server.receive(stream) == TLSEngine.bufferBytesMax)
        #expect(try pair.server.receive(Array(stream[TLSEngine.bufferBytesMax...])) == 0)
        #expect(try pair.server.read(upTo: 100)?.count == 100)
    }

    @Test func writesNothingBeforeTheHandshakeIsDone() throws {
        let pair = try EnginePair()
        pair.start()
        #expect(try pair.client.write([1]) == 0)
        #expect(try pair.server.write([1]) == 0)
        #expect(try pair.server.read(upTo: 10) == [])
    }

    @Test func offersNoTicketsAndNoEarlyData() throws {
        let pair = try EnginePair()
        pair.start()
        _ = try pair.server.receive(pair.client.takeOutgoing())
        _ = try pair.client.receive(pair.server.takeOutgoing())
        _ = try pair.server.receive(pair.client.takeOutgoing())
        #expect(pair.server.state == .established)
        #expect(pair.server.outgoingCount == 0, "a session ticket would follow here")
    }

    // MARK: Ends

    @Test func anOrderlyCloseDiffersFromTruncation() throws {
        let pair = try EnginePair()
        pair.connect()
        _ = try pair.client.write([1, 2])
        pair.client.shutdown()
        pair.exchange()
        try pair.server.receiveEndOfInput()
        #expect(try pair.server.read(upTo: 10) == [1, 2])
        #expect(try pair.server.read(upTo: 10) == nil)
        #expect(pair.server.state == .closedByPeer)
        #expect(try pair.client.write([1]) == 0)
    }

    @Test func truncationIsDetected() throws {
        let pair = try EnginePair()
        pair.connect()
        _ = try pair.client.write([1, 2])
        pair.exchange()
        try pair.server.receiveEndOfInput()
        #expect(try pair.server.read(upTo: 10) == [1, 2])
        #expect(throws: TLSFailure.truncated) { try pair.server.read(upTo: 10) }
        #expect(pair.server.state == .failed(.truncated))
    }

    @Test func truncationInTheHandshakeIsDetected() throws {
        let pair = try EnginePair()
        pair.start()
        #expect(throws: TLSFailure.truncated) { try pair.server.receiveEndOfInput() }
    }

    @Test func aReceivedAlertIsTheReason() throws {
        let (first, second) = (try Party(), try Party())
        let pair = EnginePair(
            client: try first.engine(.client, trusting: []),
            server: try second.engine(.server, trusting: [first.publicKey])
        )
        pair.connect()
        #expect(pair.clientFailure == .keyRefused(second.publicKey))
        #expect(pair.serverFailure == .alertReceived(.certificateUnknown))
        #expect(OpenSSLError.drainedCount() == 0)
    }

    // MARK: Refusals

    /// Checks the server's failure and the alert that the client receives. A client that has completed its handshake
    /// receives the alert when it reads.
    private func expectRefusal(_ failure: TLSFailure, alert: TLSAlert, client: TLSEngine, server: TLSEngine) {
        let pair = EnginePair(client: client, server: server)
        pair.connect()
        #expect(pair.serverFailure == failure)
        #expect(pair.server.peerPublicKey == nil)
        if pair.clientFailure == nil {
            do { _ = try client.read(upTo: 1) } catch { pair.clientFailure = error }
        }
        #expect(pair.clientFailure == .alertReceived(alert))
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test func anUnknownKeyIsRefused() throws {
        let (first, second) = (try Party(), try Party())
        expectRefusal(
            .keyRefused(first.publicKey),
            alert: .certificateUnknown,
            client: try first.engine(.client, trusting: [second.publicKey]),
            server: try second.engine(.server, trusting: [second.publicKey])
        )
    }

    @Test func anExpiredCertificateIsRefused() throws {
        let validity = CertificateValidity(notBefore: fixtureNow - 100_000, notAfter: fixtureNow - 90_000)
        let (first, second) = (try Party(validFrom: validity.notBefore, until: validity.notAfter), try Party())
        expectRefusal(
            .certificateExpired(first.publicKey, validity),
            alert: .certificateExpired,
            client: try first.engine(.client, trusting: [second.publicKey]),
            server: try second.engine(.server, trusting: [first.publicKey])
        )
    }

    @Test func aCertificateOfTheFutureIsRefused() throws {
        let validity = CertificateValidity(notBefore: fixtureNow + 90_000, notAfter: fixtureNow + 200_000)
        let (first, second) = (try Party(validFrom: validity.notBefore, until: validity.notAfter), try Party())
        expectRefusal(
            .certificateNotYetValid(first.publicKey, validity),
            alert: .badCertificate,
            client: try first.engine(.client, trusting: [second.publicKey]),
            server: try second.engine(.server, trusting: [first.publicKey])
        )
    }

    @Test func datesAreExtendedByTheTolerance() throws {
        let (first, second) = (
            try Party(until: fixtureNow - 80_000), try Party(validFrom: fixtureNow + 80_000)
        )
        let pair = EnginePair(
            client: try first.engine(.client, trusting: [second.publicKey]),
            server: try second.engine(.server, trusting: [first.publicKey])
        )
        pair.connect()
        #expect(pair.server.state == .established && pair.client.state == .established)
    }

    @Test func anotherApplicationProtocolIsRefused() throws {
        let (first, second) = (try Party(), try Party())
        expectRefusal(
            .applicationProtocolMismatch,
            alert: .noApplicationProtocol,
            client: try first.engine(.client, trusting: [second.publicKey], applicationProtocol: "hansa/2"),
            server: try second.engine(.server, trusting: [first.publicKey])
        )
    }

    /// A certificate that another key signed; `openssl x509` creates it.
    @Test func aCertificateByAnIssuerIsRefused() throws {
        let folder = try TemporaryFolder()
        let (issuer, key) = (try Ed25519PrivateKey.generate(), try Ed25519PrivateKey.generate())
        let authority = try Certificate.selfSigned(
            key: issuer,
            commonName: "node",
            notBefore: fixtureNow,
            notAfter: fixtureNow + 86_400
        )
        let (code, output) = try openssl(
            "x509",
            "-new",
            "-subj",
            "/CN=node",
            "-days",
            "36500",
            "-CA",
            folder.write(authority.pem(), to: "authority.pem"),
            "-CAkey",
            folder.write(issuer.unencryptedPEM(), to: "issuer.pem"),
            "-force_pubkey",
            publicPEM(of: key, in: folder),
            "-outform",
            "DER",
            "-out",
            folder.path("certificate.der")
        )
        try #require(code == 0, "\(output)")
        let certificate = try Certificate(der: folder.read("certificate.der"))
        #expect(certificate.publicKey == key.publicKey && !certificate.isSelfSigned)
        let server = try Party()
        let client = try TLSEngine(
            role: .client,
            identity: TLSIdentity(key: key, certificate: certificate),
            configuration: .init(applicationProtocol: "hansa/1", now: { fixtureNow }, authorize: { _ in true })
        )
        let now = Int64(Date().timeIntervalSince1970)
        let engine = try TLSEngine(
            role: .server,
            identity: server.identity,
            configuration: .init(applicationProtocol: "hansa/1", now: { now }, authorize: { _ in true })
        )
        expectRefusal(.certificateMalformed, alert: .badCertificate, client: client, server: engine)
    }

    private func publicPEM(of key: Ed25519PrivateKey, in folder: TemporaryFolder) throws -> String {
        let path = try folder.write(key.unencryptedPEM(), to: "key.pem")
        try openssl("pkey", "-in", path, "-pubout", "-out", folder.path("public.pem"))
        return folder.path("public.pem")
    }

    /// The first message of a TLS 1.2 client, taken from `openssl s_client -tls1_2`: record, version 3.3, no
    /// supported_versions.
    @Test func anOlderVersionIsRefused() throws {
        let server = try Party().engine(.server, trusting: [])
        try server.start()
        let body: [UInt8] =
            [3, 3] + [UInt8](repeating: 7, count: 32) + [0]  // version, random, no session
            + [0, 4, 0xC0, 0x2B, 0x00, 0xFF] + [1, 0]  // two cipher suites, no compression
            + [0, 0]  // no extensions
        let hello: [UInt8] = [1, 0, 0, UInt8(body.count)] + body
        #expect(throws: TLSFailure.unsupportedVersion) {
            try server.receive([22, 3, 1, 0, UInt8(hello.count)] + hello)
        }
        let alert = server.takeOutgoing()
        #expect(alert.first == 21 && alert.last == TLSAlert.protocolVersion.rawValue)
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test(arguments: [
        Array("GET / HTTP/1.1\r\n\r\n".utf8), [0], [0xFF, 0xFF], Array("SSH-2.0-x\r\n".utf8),
        [22] + [UInt8](repeating: 0x41, count: 100), [0x80, 0x2E, 1, 3, 1],
    ])
    func garbageIsRefused(bytes: [UInt8]) throws {
        for role in [TLSEngine.Role.client, .server] {
            let engine = try Party().engine(role, trusting: [])
            try engine.start()
            #expect(throws: TLSFailure.notTLS) { try engine.receive(bytes) }
            #expect(engine.state == .failed(.notTLS))
        }
        #expect(OpenSSLError.drainedCount() == 0)
    }

    /// Changes every eighth byte of an encrypted record in turn. The engine never returns changed plaintext; it always
    /// fails.
    ///
    /// A changed record length makes the engine wait for more bytes, and the end of input then appears as truncation.
    @Test func changedCiphertextIsRefused() throws {
        for index in stride(from: 0, to: 100, by: 8) {
            let pair = try EnginePair()
            pair.connect()
            _ = try pair.client.write([UInt8](repeating: 5, count: 50))
            var bytes = pair.client.takeOutgoing()
            guard index < bytes.count else { break }
            bytes[index] ^= 0x10
            do {
                _ = try pair.server.receive(bytes)
                let plaintext = try pair.server.read(upTo: 100)
                #expect(plaintext == [], "byte \(index)")
                try pair.server.receiveEndOfInput()
                _ = try pair.server.read(upTo: 100)
                Issue.record("byte \(index) changed nothing")
            } catch {
                #expect(pair.server.state == .failed(error))
            }
            #expect(OpenSSLError.drainedCount() == 0)
        }
    }

    @Test func aFailureStays() throws {
        let pair = try EnginePair()
        pair.connect()
        _ = try pair.client.write([1])
        var bytes = pair.client.takeOutgoing()
        bytes[bytes.count - 1] ^= 1
        _ = try pair.server.receive(bytes)
        let first = #expect(throws: TLSFailure.self) { try pair.server.read(upTo: 1) }
        let second = #expect(throws: TLSFailure.self) { try pair.server.read(upTo: 1) }
        #expect(first != nil && first == second)
        #expect(throws: TLSFailure.self) { try pair.server.write([1]) }
        _ = try pair.client.receive(pair.server.takeOutgoing())
        #expect(throws: TLSFailure.alertReceived(TLSAlert(rawValue: 20))) { try pair.client.read(upTo: 1) }
    }

    // MARK: Memory

    /// Runs in its own process, so the memory of other tests is not counted.
    @Test func enginesAreFreed() async {
        await #expect(processExitsWith: .success) {
            let (first, second) = (try Party(), try Party())
            func round(_ count: Int) throws {
                for _ in 0..<count {
                    let pair = EnginePair(
                        client: try first.engine(.client, trusting: [second.publicKey]),
                        server: try second.engine(.server, trusting: [first.publicKey])
                    )
                    pair.connect()
                    #expect(pair.server.state == .established)
                }
            }
            try round(200)
            let before = try residentBytes()
            try round(1_000)
            // Leaked pairs would hold some 100 KiB each, so 100 MiB together.
            #expect(try residentBytes() - before < 60 * 1024 * 1024)
        }
    }
}

private func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    let pages = try #require(Int(text.split(separator: " ")[1]))
    return pages * 4_096
}
