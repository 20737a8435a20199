package import Catalog

/// The key of this node or organization, or a stand-in for it in the simulator.
package protocol Signer: Sendable {
    /// The public key.
    var publicKey: Hash256 { get }
    /// A signature of 64 bytes (Ed25519, RFC 8032) over the message.
    func sign(_ message: [UInt8]) throws -> [UInt8]
}

/// Checks signatures.
package protocol SignatureVerifier: Sendable {
    /// True if `signature` was made over `message` with the key. Never throws: a malformed key or signature is false.
    func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool
}

/// What a node needs to judge bytes: hashing and checking signatures.
package protocol Cryptography: CatalogHasher, SignatureVerifier {}

/// The tags that begin every signed structure; each ends with a zero byte and is followed by the exact bytes.
package enum SignatureTag: String, Sendable {
    case header = "hansa/header"
    case statement = "hansa/statement"
    case possession = "hansa/possession"
    case voucher = "hansa/voucher"
    case announcement = "hansa/announcement"

    /// What is signed.
    package func message(_ bytes: some Collection<UInt8>) -> [UInt8] {
        Array(rawValue.utf8) + [0] + bytes
    }
}

/// The number of bytes of a signature.
package let signatureByteCount = 64

/// The format that this program writes, and the only one that it reads.
package let formatVersion: UInt32 = 0
