import COpenSSL

// One owner for each OpenSSL object: it adopts the object once and frees it once.

/// Owns an `EVP_PKEY`.
///
/// `@unchecked Sendable`: the object never changes after its creation and its reference count is atomic. OpenSSL's
/// manual (openssl-threads(7)) allows concurrent use of objects that nobody modifies.
final class KeyHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes ownership of one reference.
    init(adopting pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { EVP_PKEY_free(pointer) }
}

/// Owns an `X509`.
///
/// `@unchecked Sendable`: as for `KeyHandle`; OpenSSL guards its lazy caches with a lock.
final class CertificateHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes ownership of one reference.
    init(adopting pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { X509_free(pointer) }
}

/// Owns a `BIO` that reads from or writes to memory. Used only within the call that creates it.
final class MemoryBIO {
    let pointer: OpaquePointer

    /// Creates an empty BIO for writing.
    init() throws(OpenSSLError) {
        guard let pointer = BIO_new(BIO_s_mem()) else { throw .draining("making a memory BIO") }
        self.pointer = pointer
    }

    /// Creates a BIO that reads a copy of `bytes`.
    convenience init(reading bytes: [UInt8]) throws(OpenSSLError) {
        try self.init()
        guard bytes.isEmpty || BIO_write(pointer, bytes, Int32(bytes.count)) == Int32(bytes.count) else {
            throw .draining("filling a memory BIO")
        }
    }

    deinit { BIO_free(pointer) }

    /// The bytes that the BIO holds.
    var contents: [UInt8] {
        var start: UnsafeMutablePointer<CChar>?
        let count = hansa_bio_mem_data(pointer, &start)
        guard let start, count > 0 else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }
}
