import Foundation
import Glibc
import OpenSSLKit

/// The cost of single operations on this machine.
enum RawCosts {
    /// The SHA-256 throughput on one core for blocks of 4 KiB, in bytes per second.
    static func sha256BytesPerSecond() -> Double {
        let piece = [UInt8](repeating: 0x5A, count: 4096)
        let count = 50_000
        let begin = ContinuousClock.now
        for _ in 0..<count { _ = SHA256Hasher.hash(piece) }
        return Double(count * piece.count) / (begin.duration(to: .now) / .seconds(1))
    }

    /// The number of Ed25519 signatures and of checks per second on one core.
    static func ed25519PerSecond() throws -> (signing: Double, checking: Double) {
        let key = try Ed25519PrivateKey.generate()
        let message = [UInt8](repeating: 0x5A, count: 200)
        let count = 5_000
        var signature: [UInt8] = []
        var begin = ContinuousClock.now
        for _ in 0..<count { signature = try key.sign(message) }
        let signing = Double(count) / (begin.duration(to: .now) / .seconds(1))
        begin = .now
        for _ in 0..<count where !key.publicKey.isValid(signature: signature, for: message) {
            throw BenchFailure("a signature of our own is not valid")
        }
        return (signing, Double(count) / (begin.duration(to: .now) / .seconds(1)))
    }

    static func measurements() throws -> [Measurement] {
        let ed25519 = try ed25519PerSecond()
        return [
            Measurement(scenario: "raw/sha256", figure: sha256BytesPerSecond() / 1_048_576, unit: "MiB/s"),
            Measurement(scenario: "raw/ed25519-sign", figure: ed25519.signing, unit: "1/s"),
            Measurement(scenario: "raw/ed25519-check", figure: ed25519.checking, unit: "1/s"),
        ]
    }
}

/// A file for timing flushes.
final class Disk {
    private let descriptor: Int32
    private let page = [UInt8](repeating: 0xA5, count: 4096)

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchFailure("cannot write \(path)") }
    }

    deinit {
        close(descriptor)
    }

    /// Writes one page and flushes it. Returns the time in milliseconds.
    func flush() throws -> Double {
        let begin = ContinuousClock.now
        guard write(descriptor, page, page.count) == page.count, fsync(descriptor) == 0 else {
            throw BenchFailure("fsync failed")
        }
        return begin.duration(to: .now) / .milliseconds(1)
    }
}
