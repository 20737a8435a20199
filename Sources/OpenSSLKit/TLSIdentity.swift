import COpenSSL

/// This node's TLS identity: a key, its certificate, and the OpenSSL context created from them.
///
/// Create one per certificate and share it among connections of both roles. Creating an identity takes some hundred
/// microseconds; creating a connection from it takes a few. Open connections keep their identity.
///
/// The context fixes the policy: TLS 1.3 only; Ed25519 only, for certificates and signatures; X25519 only. Both sides
/// send a certificate. Resumption, tickets, early data, renegotiation and compression are disabled.
///
/// `@unchecked Sendable`: the context never changes after `init`. New connections write only its reference count, which
/// OpenSSL guards.
package final class TLSIdentity: @unchecked Sendable {
    /// The certificate that peers receive.
    package let certificate: Certificate

    /// The key by which peers know this node.
    package let publicKey: Ed25519PublicKey

    let context: OpaquePointer

    /// Creates the identity of `key` with `certificate`, which must be a certificate of that key.
    ///
    /// - Throws: `OpenSSLError` if the two do not belong together, or OpenSSL refuses a setting.
    package init(key: Ed25519PrivateKey, certificate: Certificate) throws(OpenSSLError) {
        guard let context = SSL_CTX_new(TLS_method()) else { throw .draining("making a TLS context") }
        do throws(OpenSSLError) {
            try Self.configure(context, key: key, certificate: certificate)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        self.context = context
        self.certificate = certificate
        self.publicKey = key.publicKey
    }

    deinit { SSL_CTX_free(context) }

    /// The maximum size of a peer's certificate messages in bytes; larger ones are refused unread. Ours have some 350
    /// bytes.
    private static let certificateBytesMax = 16 * 1024

    private static func configure(
        _ context: OpaquePointer,
        key: Ed25519PrivateKey,
        certificate: Certificate
    ) throws(OpenSSLError) {
        guard hansa_ctx_set_versions(context, TLS1_3_VERSION, TLS1_3_VERSION) == 1,
            hansa_ctx_set_groups(context, "X25519") == 1,
            hansa_ctx_set_signature_algorithms(context, "ed25519") == 1,
            SSL_CTX_set_num_tickets(context, 0) == 1,
            SSL_CTX_set_max_early_data(context, 0) == 1,
            SSL_CTX_use_certificate(context, certificate.handle.pointer) == 1,
            SSL_CTX_use_PrivateKey(context, key.handle.pointer) == 1,
            SSL_CTX_check_private_key(context) == 1
        else { throw .draining("setting up a TLS context") }
        SSL_CTX_set_options(context, hansa_tls_options())
        hansa_ctx_set_mode(context, hansa_tls_modes())
        hansa_ctx_disable_session_cache(context)
        hansa_ctx_set_certificate_bytes_max(context, certificateBytesMax)
        // The context is shared; callbacks find their connection through the SSL object.
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        SSL_CTX_set_cert_verify_callback(context, verifyPeer, nil)
        SSL_CTX_set_client_hello_cb(context, inspectClientHello, nil)
        SSL_CTX_set_alpn_select_cb(context, selectApplicationProtocol, nil)
        SSL_CTX_set_info_callback(context, noteAlert)
    }
}

// OpenSSL's callbacks. Each runs inside a call by the connection's engine, on the engine's thread.

private let verifyPeer: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = { store, _ in
    guard let store, let engine = TLSEngine.owner(of: hansa_store_ctx_ssl(store)) else { return 0 }
    guard let refusal = engine.judgePeer(store) else { return 1 }
    // OpenSSL maps these codes to the alerts that `TLSFailure` promises.
    let code: Int32 =
        switch refusal {
        case .certificateExpired: X509_V_ERR_CERT_HAS_EXPIRED
        case .certificateNotYetValid: X509_V_ERR_CERT_NOT_YET_VALID
        case .certificateMalformed: X509_V_ERR_CERT_REJECTED
        case .applicationProtocolMismatch: X509_V_ERR_APPLICATION_VERIFICATION
        default: X509_V_ERR_SUBJECT_ISSUER_MISMATCH  // not in OpenSSL's table, so it sends certificate_unknown
        }
    X509_STORE_CTX_set_error(store, code)
    return 0
}

private let inspectClientHello:
    @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int32>?, UnsafeMutableRawPointer?) -> Int32 = {
        ssl,
        alert,
        _ in
        guard let engine = TLSEngine.owner(of: ssl) else { return SSL_CLIENT_HELLO_ERROR }
        if engine.acceptsClientHello() { return SSL_CLIENT_HELLO_SUCCESS }
        alert?.pointee = Int32(TLSAlert.noApplicationProtocol.rawValue)
        return SSL_CLIENT_HELLO_ERROR
    }

private let selectApplicationProtocol:
    @convention(c) (
        OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?,
        UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
    ) -> Int32 = { ssl, chosen, chosenCount, offered, offeredCount, _ in
        guard let engine = TLSEngine.owner(of: ssl), let offered,
            let range = engine.selectProtocol(from: UnsafeBufferPointer(start: offered, count: Int(offeredCount)))
        else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        // OpenSSL copies the name from the offer, which it owns.
        chosen?.pointee = offered + range.lowerBound
        chosenCount?.pointee = UInt8(range.count)
        return SSL_TLSEXT_ERR_OK
    }

private let noteAlert: @convention(c) (OpaquePointer?, Int32, Int32) -> Void = { ssl, kind, value in
    guard kind & SSL_CB_ALERT != 0, kind & SSL_CB_READ != 0 else { return }
    TLSEngine.owner(of: ssl)?.noteReceived(TLSAlert(rawValue: UInt8(truncatingIfNeeded: value)))
}
