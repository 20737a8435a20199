package import Catalog

/// Signs with the key of this node or organization. The simulator uses a substitute.
package protocol Signer: Sendable {
    /// The public key.
    var publicKey: Hash256 { get }
    /// Signs a message; the signature has 64 bytes (Ed25519, RFC 8032). Throws the implementation's error if signing
    /// fails.
    func sign(_ message: [UInt8]) throws -> [UInt8]
}

/// Checks signatures.
package protocol SignatureVerifier: Sendable {
    /// True if `key` made the signature over the message. Never throws: a malformed key or signature gives false.
    func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool
}

/// Hashing and signature checks: everything that a node needs to verify received bytes.
package protocol Cryptography: CatalogHasher, SignatureVerifier {}

/// The tags that begin every signed message. A zero byte follows the tag, then the exact bytes.
package enum SignatureTag: String, Sendable {
    case header = "hansa/header"
    case statement = "hansa/statement"
    case possession = "hansa/possession"
    case voucher = "hansa/voucher"
    case announcement = "hansa/announcement"
    case consent = "hansa/consent"
    case claim = "hansa/claim"
    case rekey = "hansa/rekey"

    /// The bytes to sign: the tag, a zero byte and `bytes`.
    package func message(_ bytes: some Collection<UInt8>) -> [UInt8] {
        Array(rawValue.utf8) + [0] + bytes
    }
}

/// The size of a signature in bytes.
package let signatureByteCount = 64

/// The format version that this program writes, and the only one that it reads.
package let formatVersion: UInt32 = 0
