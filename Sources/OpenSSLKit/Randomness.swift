import COpenSSL

/// Random bytes for keys, salts and serial numbers from OpenSSL's generator, which the system seeds.
package enum SecureRandom {
    /// Returns `count` new random bytes.
    ///
    /// - Throws: `OpenSSLError` if the system provides no randomness; then nothing must be generated.
    package static func bytes(count: Int) throws(OpenSSLError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw .draining("drawing random bytes") }
        return bytes
    }
}

/// Compares two byte strings in a time that depends only on their lengths, for tokens and secrets.
///
/// Strings of different lengths return false at once.
///
/// - Complexity: Linear in the length.
package func constantTimeEquals(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    first.count == second.count && CRYPTO_memcmp(first, second, first.count) == 0
}
