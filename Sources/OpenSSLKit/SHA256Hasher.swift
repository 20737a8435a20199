import COpenSSL

/// SHA-256 (FIPS 180-4).
///
/// A value: it holds OpenSSL's state inline and owns no memory elsewhere, so a copy continues on its own. It uses the
/// library's low-level functions, because a call through EVP costs several times as much on inputs of some 100 bytes,
/// which is what operations hash (numbers: the benchmarks). Those functions cannot fail.
package struct SHA256Hasher: Sendable {
    /// Bytes in a hash: 32.
    package static let hashBytes = 32

    private var state = SHA256_CTX()

    /// A hasher that has seen nothing.
    package init() {
        SHA256_Init(&state)
    }

    /// Hashes more bytes. Complexity: linear in `bytes`; no allocation, no copy of the input.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        SHA256_Update(&state, bytes.baseAddress, bytes.count)
    }

    /// Hashes more bytes. Complexity: linear in `bytes`.
    package mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The hash of all bytes given so far, 32 bytes. The hasher itself is left as it was and may go on.
    package func finalized() -> [UInt8] {
        var copy = state
        return [UInt8](unsafeUninitializedCapacity: Self.hashBytes) { buffer, count in
            SHA256_Final(buffer.baseAddress, &copy)
            count = Self.hashBytes
        }
    }

    /// The hash of `bytes`, 32 bytes. Complexity: linear in `bytes`; allocates the result only.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { hash($0) }
    }

    /// The hash of `bytes`, 32 bytes. Complexity: linear in `bytes`; allocates the result only.
    package static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: hashBytes) { buffer, count in
            if let start = buffer.baseAddress {
                hash(bytes, into: start)
            }
            count = hashBytes
        }
    }

    /// Writes the hash of `bytes` to the 32 bytes at `destination`, which the caller owns. Nothing is allocated.
    package static func hash(_ bytes: UnsafeRawBufferPointer, into destination: UnsafeMutableRawPointer) {
        var state = SHA256_CTX()
        SHA256_Init(&state)
        SHA256_Update(&state, bytes.baseAddress, bytes.count)
        SHA256_Final(destination.assumingMemoryBound(to: UInt8.self), &state)
    }
}
