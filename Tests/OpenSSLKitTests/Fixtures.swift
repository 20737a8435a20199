import Foundation
import OpenSSLKit
import Testing

/// Decodes a hexadecimal text.
func hex(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = text.filter { !$0.isWhitespace }[...]
    while let byte = UInt8(rest.prefix(2), radix: 16) {
        bytes.append(byte)
        rest = rest.dropFirst(2)
    }
    return bytes
}

/// A folder that is deleted with the fixture.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("openssl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = url.appendingPathComponent(name)
        try Data(bytes).write(to: file)
        return file.path
    }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: url.appendingPathComponent(name))) }
}

/// Runs OpenSSL's command line to its end. Returns the exit code, and both outputs as one text.
@discardableResult
func openssl(_ arguments: String...) throws -> (code: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

/// The current time of the fixtures: 2026-01-01.
let fixtureNow: Int64 = 1_767_225_600

/// A key and its identity.
struct Party {
    let key: Ed25519PrivateKey
    let identity: TLSIdentity

    init(validFrom notBefore: Int64 = fixtureNow - 3_600, until notAfter: Int64 = fixtureNow + 86_400 * 365) throws {
        key = try Ed25519PrivateKey.generate()
        identity = try TLSIdentity(
            key: key,
            certificate: .selfSigned(key: key, commonName: "node", notBefore: notBefore, notAfter: notAfter)
        )
    }

    var publicKey: Ed25519PublicKey { key.publicKey }

    func engine(
        _ role: TLSEngine.Role,
        trusting peers: [Ed25519PublicKey],
        applicationProtocol: String = "hansa/1"
    ) throws -> TLSEngine {
        try TLSEngine(
            role: role,
            identity: identity,
            configuration: TLSEngine.Configuration(
                applicationProtocol: applicationProtocol,
                now: { fixtureNow },
                authorize: { peers.contains($0) }
            )
        )
    }
}

/// A client and a server engine, and the bytes in transit between them.
final class EnginePair {
    let client: TLSEngine
    let server: TLSEngine
    var toServer: [UInt8] = []
    var toClient: [UInt8] = []
    var clientFailure: TLSFailure?
    var serverFailure: TLSFailure?

    init(client: TLSEngine, server: TLSEngine) {
        self.client = client
        self.server = server
    }

    /// Creates two parties that know each other.
    convenience init() throws {
        let (first, second) = (try Party(), try Party())
        self.init(
            client: try first.engine(.client, trusting: [second.publicKey]),
            server: try second.engine(.server, trusting: [first.publicKey])
        )
    }

    func start() {
        do { try client.start() } catch { clientFailure = error }
        do { try server.start() } catch { serverFailure = error }
    }

    /// Moves bytes in both directions, at most `piece` at a time, until none are in transit.
    func exchange(piece: Int = .max) {
        while true {
            toServer += client.takeOutgoing()
            toClient += server.takeOutgoing()
            if toServer.isEmpty && toClient.isEmpty { return }
            let progress = carry(&toServer, to: server, piece, &serverFailure)
            if !carry(&toClient, to: client, piece, &clientFailure) && !progress { return }
        }
    }

    /// Moves bytes to one engine; false if it accepted none.
    private func carry(_ bytes: inout [UInt8], to engine: TLSEngine, _ piece: Int, _ failure: inout TLSFailure?) -> Bool
    {
        if bytes.isEmpty { return false }
        if failure != nil {
            bytes.removeAll()
            return true
        }
        do {
            let taken = try engine.receive(Array(bytes.prefix(piece)))
            bytes.removeFirst(taken)
            return taken > 0
        } catch {
            failure = error
            bytes.removeAll()
            return true
        }
    }

    /// Starts both engines and completes the handshake.
    func connect(piece: Int = .max) {
        start()
        exchange(piece: piece)
    }
}
