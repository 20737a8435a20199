package import Catalog
import DeltaLog
import OpenSSLKit

/// The system's SHA-256 and Ed25519.
package struct RealCryptography: Cryptography {
    package init() {}

    package func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 {
        var result = Hash256.zero
        result.withUnsafeMutableBytes { SHA256Hasher.hash(bytes, into: $0.baseAddress!) }
        return result
    }

    package func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool {
        (try? Ed25519PublicKey(rawBytes: key.bytes))?.isValid(signature: signature, for: message) ?? false
    }
}

/// An Ed25519 key derived from a number, for tests.
package struct RealSigner: Signer {
    private let key: Ed25519PrivateKey
    package let publicKey: Hash256

    package init(seed: UInt8) {
        self.init(seedBytes: Array(repeating: seed, count: 32))
    }

    package init(seedBytes: [UInt8]) {
        key = try! Ed25519PrivateKey(seed: seedBytes)
        publicKey = Hash256(key.publicKey.rawBytes)!
    }

    package func sign(_ message: [UInt8]) throws -> [UInt8] { try key.sign(message) }
}

/// Hashes with SHA-256; a signature is the hash of key and message, written twice. It is fast, but anyone can forge it.
package struct KeyedHashCryptography: Cryptography {
    package init() {}

    package func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 { RealCryptography().hash(bytes) }

    package func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool {
        signature == KeyedHashSigner.signature(of: message, by: key)
    }
}

/// Signs for ``KeyedHashCryptography``.
package struct KeyedHashSigner: Signer {
    package let publicKey: Hash256

    package init(number: UInt64) {
        publicKey = Hash256(number, ~number, number &* 0x9E37_79B9_7F4A_7C15, 1)
    }

    package func sign(_ message: [UInt8]) throws -> [UInt8] { Self.signature(of: message, by: publicKey) }

    fileprivate static func signature(of message: [UInt8], by key: Hash256) -> [UInt8] {
        let hash = KeyedHashCryptography().hash(key.bytes + message).bytes
        return hash + hash
    }
}

/// The cryptography of a simulation.
package struct SimulatedCryptography: Cryptography {
    /// The algorithms in use.
    package enum Kind: String, Hashable, Sendable {
        /// ``MixHash`` for everything: a run is many times faster and exercises the engine in the same way.
        case mixed
        /// SHA-256 and Ed25519, as in a node.
        case system
    }

    package let kind: Kind

    package init(_ kind: Kind = .mixed) {
        self.kind = kind
    }

    package func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 {
        switch kind {
        case .mixed: Self.mixed(bytes, key: .zero)
        case .system: RealCryptography().hash(bytes)
        }
    }

    package func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool {
        switch kind {
        case .mixed: signature == Self.signature(of: message, by: key)
        case .system: RealCryptography().isValid(signature, of: message, by: key)
        }
    }

    private static func mixed(_ bytes: UnsafeRawBufferPointer, key: Hash256) -> Hash256 {
        var mix = MixHash(seed: key.word0 &+ key.word1 &+ key.word2)
        mix.add(bytes)
        let first = mix
        mix.add(0xE703_7ED1_A0B4_28DB)
        return Hash256(first.high, first.low, mix.high, mix.low)
    }

    fileprivate static func signature(of message: [UInt8], by key: Hash256) -> [UInt8] {
        let hash = message.withUnsafeBytes { mixed($0, key: key) }.bytes
        return hash + hash
    }
}

/// A key derived from a number that signs for ``SimulatedCryptography``.
package enum SimulatedSigner: Signer {
    case mixed(Hash256)
    case system(RealSigner)

    package init(number: UInt64, kind: SimulatedCryptography.Kind) {
        switch kind {
        case .mixed: self = .mixed(Hash256(number, ~number, number &* 0x9E37_79B9_7F4A_7C15, 1))
        case .system:
            var bytes = Array(repeating: UInt8(7), count: 24)
            withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
            self = .system(RealSigner(seedBytes: bytes))
        }
    }

    package var publicKey: Hash256 {
        switch self {
        case .mixed(let key): key
        case .system(let signer): signer.publicKey
        }
    }

    package func sign(_ message: [UInt8]) throws -> [UInt8] {
        switch self {
        case .mixed(let key): SimulatedCryptography.signature(of: message, by: key)
        case .system(let signer): try signer.sign(message)
        }
    }
}
