package import Catalog
import DeltaLog
package import OpenSSLKit
import Synchronization

/// SHA-256 and Ed25519 from the system's OpenSSL.
package final class SystemCryptography: Cryptography {
    /// Public keys in use, so that OpenSSL sets a key up once and not for each signature.
    private let keys = Mutex<[Hash256: Ed25519PublicKey]>([:])
    /// Keys that are kept. A new key beyond them clears the cache, which costs only time.
    private static let keysMax = 10_000

    package init() {}

    package func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 {
        var result = Hash256.zero
        result.withUnsafeMutableBytes { target in
            // The buffer of a Hash256 is never empty, so it has an address.
            SHA256Hasher.hash(bytes, into: target.baseAddress!)
        }
        return result
    }

    package func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool {
        let known = keys.withLock { $0[key] }
        guard let publicKey = known ?? (try? Ed25519PublicKey(rawBytes: key.bytes)) else { return false }
        if known == nil {
            keys.withLock { keys in
                if keys.count >= Self.keysMax { keys.removeAll() }
                keys[key] = publicKey
            }
        }
        return publicKey.isValid(signature: signature, for: message)
    }
}

/// A private key of this node or organization.
package struct KeySigner: Signer {
    package let key: Ed25519PrivateKey
    package let publicKey: Hash256

    package init(_ key: Ed25519PrivateKey) {
        self.key = key
        // An Ed25519 public key is 32 bytes by definition.
        publicKey = Hash256(key.publicKey.rawBytes)!
    }

    package func sign(_ message: [UInt8]) throws -> [UInt8] { try key.sign(message) }
}
