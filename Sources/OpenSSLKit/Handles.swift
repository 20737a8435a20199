import COpenSSL

// One owner for each kind of OpenSSL object: adopted once, freed once.

/// An `EVP_PKEY`.
///
/// `@unchecked Sendable`: the object is never changed after it is made, its reference count is atomic, and OpenSSL's
/// manual (openssl-threads(7)) allows concurrent use of objects that nobody modifies.
final class KeyHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes over one reference.
    init(adopting pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { EVP_PKEY_free(pointer) }
}

/// An `X509`.
///
/// `@unchecked Sendable`: as for `KeyHandle`; what OpenSSL caches in it lazily it guards with a lock of its own.
final class CertificateHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes over one reference.
    init(adopting pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { X509_free(pointer) }
}

/// A `BIO` that reads from or writes to memory. Confined to the call that makes it.
final class MemoryBIO {
    let pointer: OpaquePointer

    /// An empty one, to be written to.
    init() throws(OpenSSLError) {
        guard let pointer = BIO_new(BIO_s_mem()) else { throw .draining("making a memory BIO") }
        self.pointer = pointer
    }

    /// One that reads a copy of `bytes`.
    convenience init(reading bytes: [UInt8]) throws(OpenSSLError) {
        try self.init()
        guard bytes.isEmpty || BIO_write(pointer, bytes, Int32(bytes.count)) == Int32(bytes.count) else {
            throw .draining("filling a memory BIO")
        }
    }

    deinit { BIO_free(pointer) }

    /// Everything it holds.
    var contents: [UInt8] {
        var start: UnsafeMutablePointer<CChar>?
        let count = hansa_bio_mem_data(pointer, &start)
        guard let start, count > 0 else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }
}
