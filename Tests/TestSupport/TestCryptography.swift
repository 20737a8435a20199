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

/// An Ed25519 key made of a number, for tests.
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

/// SHA-256 for hashing, and for signatures the hash of key and message twice: fast, and unforgeable only by courtesy.
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
