import COpenSSL

/// Random bytes fit for keys, salts and serial numbers, from OpenSSL's generator (seeded by the system's).
package enum SecureRandom {
    /// `count` fresh bytes.
    ///
    /// - Throws: `OpenSSLError` if the system gives no randomness; nothing may then be generated.
    package static func bytes(count: Int) throws(OpenSSLError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw .draining("drawing random bytes") }
        return bytes
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths only: for tokens and secrets.
///
/// Strings of different lengths are unequal, and that is told at once. Complexity: linear in the length.
package func constantTimeEquals(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    first.count == second.count && CRYPTO_memcmp(first, second, first.count) == 0
}
