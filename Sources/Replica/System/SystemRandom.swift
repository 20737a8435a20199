import OpenSSLKit

/// Random bytes from the system, for salts, ids and keys.
package enum SystemRandom {
    /// `count` bytes, fit for keys.
    package static func bytes(count: Int) throws -> [UInt8] {
        try SecureRandom.bytes(count: count)
    }
}
