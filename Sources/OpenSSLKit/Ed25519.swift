import COpenSSL

/// An Ed25519 public key (RFC 8032): 32 bytes, and the OpenSSL object for them, created once and shared by all copies.
///
/// Threads may share it: the object is only read (see `KeyHandle`). Equality and hashing use the 32 bytes.
package struct Ed25519PublicKey: Hashable, Sendable, CustomStringConvertible {
    /// The size of a public key in bytes.
    package static let keyBytes = 32

    /// The size of a signature in bytes.
    package static let signatureBytes = 64

    /// The key's 32 bytes.
    package let rawBytes: [UInt8]

    let handle: KeyHandle

    /// Creates a key from 32 raw bytes. If they are no point of the curve, every verification returns false.
    ///
    /// - Throws: `OpenSSLError` if there are not 32 bytes, or OpenSSL has no memory.
    package init(rawBytes: [UInt8]) throws(OpenSSLError) {
        guard rawBytes.count == Self.keyBytes else {
            throw OpenSSLError(
                operation: "reading an Ed25519 public key",
                reasons: ["\(rawBytes.count) bytes instead of 32"]
            )
        }
        guard let pointer = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, rawBytes, rawBytes.count) else {
            throw .draining("reading an Ed25519 public key")
        }
        self.rawBytes = rawBytes
        self.handle = KeyHandle(adopting: pointer)
    }

    /// Copies the public key from any Ed25519 key object of OpenSSL, which the caller keeps; nil for another type of
    /// key.
    init?(borrowing pointer: OpaquePointer) {
        guard hansa_pkey_is_ed25519(pointer) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: Self.keyBytes)
        var count = bytes.count
        guard EVP_PKEY_get_raw_public_key(pointer, &bytes, &count) == 1, count == Self.keyBytes else {
            ERR_clear_error()
            return nil
        }
        guard let key = try? Ed25519PublicKey(rawBytes: bytes) else { return nil }
        self = key
    }

    /// True if this key made `signature` over `message`. A signature of another length than 64 bytes gives false.
    ///
    /// Never throws: any fault in the bytes gives false. One scalar multiplication of some 60 µs.
    package func isValid(signature: [UInt8], for message: [UInt8]) -> Bool {
        signature.withUnsafeBytes { signature in
            message.withUnsafeBytes { isValid(signature: signature, for: $0) }
        }
    }

    /// True if this key made `signature` over `message`. Copies neither. A signature of another length than 64 bytes
    /// gives false.
    package func isValid(signature: UnsafeRawBufferPointer, for message: UnsafeRawBufferPointer) -> Bool {
        guard signature.count == Self.signatureBytes, let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        // OpenSSL requires a pointer even for an empty message.
        var nothing: UInt8 = 0
        let valid = withUnsafePointer(to: &nothing) { nothing in
            EVP_DigestVerifyInit(context, nil, nil, nil, handle.pointer) == 1
                && EVP_DigestVerify(
                    context,
                    signature.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    signature.count,
                    message.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing,
                    message.count
                ) == 1
        }
        if !valid { ERR_clear_error() }
        return valid
    }

    /// Compares the bytes.
    package static func == (first: Ed25519PublicKey, second: Ed25519PublicKey) -> Bool {
        first.rawBytes == second.rawBytes
    }

    /// Feeds the 32 bytes.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(rawBytes)
    }

    /// The bytes in lower-case hexadecimal, 64 characters.
    package var description: String {
        rawBytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

/// An Ed25519 private key (RFC 8032). OpenSSL wipes its memory when the last copy is released.
///
/// Threads may share it: the object is only read (see `KeyHandle`).
package struct Ed25519PrivateKey: Sendable {
    /// The size of a seed in bytes.
    package static let seedBytes = 32

    /// The public half.
    package let publicKey: Ed25519PublicKey

    let handle: KeyHandle

    /// Generates a new key.
    ///
    /// - Throws: `OpenSSLError` if the system gives no randomness.
    package static func generate() throws(OpenSSLError) -> Ed25519PrivateKey {
        try Ed25519PrivateKey(seed: SecureRandom.bytes(count: seedBytes))
    }

    /// Creates the key of a 32-byte seed, which RFC 8032, section 5.1.5, calls the private key.
    ///
    /// - Throws: `OpenSSLError` if there are not 32 bytes, or OpenSSL has no memory.
    package init(seed: [UInt8]) throws(OpenSSLError) {
        guard seed.count == Self.seedBytes else {
            throw OpenSSLError(operation: "reading an Ed25519 seed", reasons: ["\(seed.count) bytes instead of 32"])
        }
        guard let pointer = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count) else {
            throw .draining("reading an Ed25519 seed")
        }
        try self.init(adopting: KeyHandle(adopting: pointer))
    }

    /// Wraps an OpenSSL object, which must be an Ed25519 key with its private part.
    init(adopting handle: KeyHandle) throws(OpenSSLError) {
        guard let publicKey = Ed25519PublicKey(borrowing: handle.pointer) else {
            throw .draining("reading an Ed25519 private key")
        }
        self.handle = handle
        self.publicKey = publicKey
    }

    /// The 32 bytes from which the key is derived. They are secret; keep them no longer than necessary.
    ///
    /// - Throws: `OpenSSLError` if OpenSSL has no memory.
    package func seed() throws(OpenSSLError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.seedBytes)
        var count = bytes.count
        guard EVP_PKEY_get_raw_private_key(handle.pointer, &bytes, &count) == 1, count == Self.seedBytes else {
            throw .draining("reading an Ed25519 seed")
        }
        return bytes
    }

    /// Signs `message`. The signature has 64 bytes and is always the same for the same message.
    ///
    /// - Throws: `OpenSSLError` if OpenSSL has no memory.
    package func sign(_ message: [UInt8]) throws(OpenSSLError) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: Ed25519PublicKey.signatureBytes)
        let signed = message.withUnsafeBytes { sign($0, into: &signature) }
        guard signed else { throw .draining("signing with Ed25519") }
        return signature
    }

    /// Signs `message` without copying it. The signature has 64 bytes and is always the same for the same message.
    ///
    /// - Throws: `OpenSSLError` if OpenSSL has no memory.
    package func sign(_ message: UnsafeRawBufferPointer) throws(OpenSSLError) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: Ed25519PublicKey.signatureBytes)
        guard sign(message, into: &signature) else { throw .draining("signing with Ed25519") }
        return signature
    }

    private func sign(_ message: UnsafeRawBufferPointer, into signature: inout [UInt8]) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        var nothing: UInt8 = 0
        var count = signature.count
        return withUnsafePointer(to: &nothing) { nothing in
            EVP_DigestSignInit(context, nil, nil, nil, handle.pointer) == 1
                && EVP_DigestSign(
                    context,
                    &signature,
                    &count,
                    message.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing,
                    message.count
                ) == 1 && count == Ed25519PublicKey.signatureBytes
        }
    }
}
