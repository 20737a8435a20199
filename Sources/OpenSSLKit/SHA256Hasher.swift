import COpenSSL

/// SHA-256 (FIPS 180-4).
///
/// A value: it stores OpenSSL's state inline and owns no other memory, so a copy is independent. It uses the library's
/// low-level functions, which cannot fail. For inputs of some 100 bytes, as in operations, a call through EVP costs
/// several times as much (see the benchmarks).
package struct SHA256Hasher: Sendable {
    /// The size of a hash in bytes.
    package static let hashBytes = 32

    private var state = SHA256_CTX()

    /// Creates a hasher without input.
    package init() {
        SHA256_Init(&state)
    }

    /// Adds bytes to the input.
    ///
    /// - Complexity: Linear in `bytes`; allocates nothing and does not copy the input.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        SHA256_Update(&state, bytes.baseAddress, bytes.count)
    }

    /// Adds bytes to the input.
    ///
    /// - Complexity: Linear in `bytes`.
    package mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// Returns the 32-byte hash of all input so far. The hasher does not change and can continue.
    package func finalized() -> [UInt8] {
        var copy = state
        return [UInt8](unsafeUninitializedCapacity: Self.hashBytes) { buffer, count in
            SHA256_Final(buffer.baseAddress, &copy)
            count = Self.hashBytes
        }
    }

    /// Returns the 32-byte hash of `bytes`.
    ///
    /// - Complexity: Linear in `bytes`; allocates only the result.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { hash($0) }
    }

    /// Returns the 32-byte hash of `bytes`.
    ///
    /// - Complexity: Linear in `bytes`; allocates only the result.
    package static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: hashBytes) { buffer, count in
            if let start = buffer.baseAddress {
                hash(bytes, into: start)
            }
            count = hashBytes
        }
    }

    /// Writes the hash of `bytes` to the 32 bytes at `destination`, which the caller owns. Allocates nothing.
    package static func hash(_ bytes: UnsafeRawBufferPointer, into destination: UnsafeMutableRawPointer) {
        var state = SHA256_CTX()
        SHA256_Init(&state)
        SHA256_Update(&state, bytes.baseAddress, bytes.count)
        SHA256_Final(destination.assumingMemoryBound(to: UInt8.self), &state)
    }
}
