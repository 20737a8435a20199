import COpenSSL

/// The validity of a certificate in seconds since 1970 UTC, by the clock of its creator.
package struct CertificateValidity: Hashable, Sendable {
    package let notBefore: Int64
    package let notAfter: Int64

    package init(notBefore: Int64, notAfter: Int64) {
        self.notBefore = notBefore
        self.notAfter = notAfter
    }
}

/// An X.509 certificate (RFC 5280). Threads may share it: it is only read (see `CertificateHandle`).
package struct Certificate: Sendable {
    let handle: CertificateHandle

    /// Creates a certificate for `key`, signed by `key` itself. It is of version 3, with Ed25519 (RFC 8410) and a
    /// random positive serial number of at most 128 bits. It is no CA; its uses are digital signatures, TLS servers and
    /// TLS clients.
    ///
    /// Peers trust only the key, which they look up; dates and names are for tools and people.
    ///
    /// - Parameters:
    ///   - commonName: The subject and issuer; 1 to 64 characters (RFC 5280, appendix A, ub-common-name).
    ///   - notBefore: The start of validity in seconds since 1970 UTC.
    ///   - notAfter: The end of validity in seconds since 1970 UTC, after `notBefore`.
    /// - Throws: `OpenSSLError` for an invalid name, or if memory or randomness is unavailable.
    package static func selfSigned(
        key: Ed25519PrivateKey,
        commonName: String,
        notBefore: Int64,
        notAfter: Int64
    ) throws(OpenSSLError) -> Certificate {
        let operation = "making a certificate"
        guard let pointer = X509_new() else { throw .draining(operation) }
        let handle = CertificateHandle(adopting: pointer)

        var serial = try SecureRandom.bytes(count: 16)
        serial[0] = serial[0] & 0x7F | 0x40  // positive, and of full length
        let number = BN_bin2bn(serial, Int32(serial.count), nil)
        defer { BN_free(number) }
        guard X509_set_version(pointer, Int(X509_VERSION_3)) == 1,
            BN_to_ASN1_INTEGER(number, X509_get_serialNumber(pointer)) != nil,
            ASN1_TIME_set(X509_getm_notBefore(pointer), time_t(notBefore)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(pointer), time_t(notAfter)) != nil,
            X509_set_pubkey(pointer, key.handle.pointer) == 1
        else { throw .draining(operation) }

        let name = Array(commonName.utf8)
        let subject = X509_get_subject_name(pointer)
        guard
            X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, name, Int32(name.count), -1, 0) == 1,
            X509_set_issuer_name(pointer, subject) == 1
        else { throw .draining(operation) }

        try addExtension(NID_basic_constraints, "critical,CA:FALSE", to: pointer)
        try addExtension(NID_key_usage, "critical,digitalSignature", to: pointer)
        try addExtension(NID_ext_key_usage, "serverAuth,clientAuth", to: pointer)

        // Ed25519 includes its own hash, so there is no digest.
        guard X509_sign(pointer, key.handle.pointer, nil) > 0 else { throw .draining(operation) }
        return Certificate(handle: handle)
    }

    private static func addExtension(_ nid: Int32, _ value: String, to pointer: OpaquePointer) throws(OpenSSLError) {
        guard let item = X509V3_EXT_conf_nid(nil, nil, nid, value) else { throw .draining("making an extension") }
        defer { X509_EXTENSION_free(item) }
        guard X509_add_ext(pointer, item, -1) == 1 else { throw .draining("adding an extension") }
    }

    private init(handle: CertificateHandle) {
        self.handle = handle
    }

    /// Creates another reference to a certificate that the caller owns.
    init(borrowing pointer: OpaquePointer) {
        X509_up_ref(pointer)
        handle = CertificateHandle(adopting: pointer)
    }

    /// Decodes a certificate in DER.
    ///
    /// - Throws: `OpenSSLError` if the bytes are not exactly one certificate.
    package init(der: [UInt8]) throws(OpenSSLError) {
        let (pointer, read) = der.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            let pointer = d2i_X509(nil, &start, bytes.count)
            return (pointer, start.map { $0 - (bytes.baseAddress ?? $0) } ?? 0)
        }
        guard let pointer else { throw .draining("decoding a certificate") }
        handle = CertificateHandle(adopting: pointer)
        guard read == der.count else {
            throw OpenSSLError(operation: "decoding a certificate", reasons: ["\(der.count - read) bytes too many"])
        }
    }

    /// The certificate in DER.
    ///
    /// - Throws: `OpenSSLError` if OpenSSL has no memory.
    package func der() throws(OpenSSLError) -> [UInt8] {
        let output = try MemoryBIO()
        guard i2d_X509_bio(output.pointer, handle.pointer) == 1 else { throw .draining("encoding a certificate") }
        return output.contents
    }

    /// The certificate in PEM.
    ///
    /// - Throws: `OpenSSLError` if OpenSSL has no memory.
    package func pem() throws(OpenSSLError) -> [UInt8] {
        let output = try MemoryBIO()
        guard PEM_write_bio_X509(output.pointer, handle.pointer) == 1 else {
            throw .draining("encoding a certificate")
        }
        return output.contents
    }

    /// The certificate's key; nil if it is not an Ed25519 key.
    package var publicKey: Ed25519PublicKey? {
        guard let pointer = X509_get0_pubkey(handle.pointer) else {
            ERR_clear_error()
            return nil
        }
        return Ed25519PublicKey(borrowing: pointer)
    }

    /// The start of validity in seconds since 1970 UTC; nil if the certificate's date does not parse.
    package var notBefore: Int64? { Self.secondsSince1970(X509_get0_notBefore(handle.pointer)) }

    /// The end of validity in seconds since 1970 UTC; nil if the certificate's date does not parse.
    package var notAfter: Int64? { Self.secondsSince1970(X509_get0_notAfter(handle.pointer)) }

    /// True if issuer and subject are equal and the certificate's own key made the signature. One verification (60 µs).
    package var isSelfSigned: Bool {
        guard X509_NAME_cmp(X509_get_subject_name(handle.pointer), X509_get_issuer_name(handle.pointer)) == 0,
            let key = X509_get0_pubkey(handle.pointer),
            X509_verify(handle.pointer, key) == 1
        else {
            ERR_clear_error()
            return false
        }
        return true
    }

    private static func secondsSince1970(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        guard let time, let epoch = ASN1_TIME_set(nil, 0) else { return nil }
        defer { ASN1_TIME_free(epoch) }
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else {
            ERR_clear_error()
            return nil
        }
        return Int64(days) * 86_400 + Int64(seconds)
    }
}
