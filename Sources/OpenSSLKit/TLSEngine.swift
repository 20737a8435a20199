import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One TLS 1.3 connection (RFC 8446) as a state machine over bytes: no socket, no thread, no timer.
///
/// Order of use: `start()`; then, as bytes come, `receive(_:)`, and after each call that can produce some, send what
/// `takeOutgoing` gives. Once `state` is `.established`, `read` and `write` plaintext. After `close_notify` from the
/// peer `read` answers `.closed`; `shutdown()` sends our own. When the transport ends, `receiveEndOfInput()`.
///
/// **Memory**: it holds at most `bufferBytesMax` and one record of unread ciphertext, as much of unsent, and at most one
/// record of plaintext. `receive` and `write` take less than offered when these are full; the caller keeps the rest.
///
/// **Who may connect**: both sides show exactly one certificate, self-signed with an Ed25519 key. The key is asked of
/// `authorize`; names, extensions and issuers are not looked at. Dates are kept with a tolerance for wrong clocks,
/// because the roster decides who belongs and the dates only keep certificates from living for ever.
///
/// **Isolation**: confined to one thread or event loop at a time; not Sendable, so the compiler checks.
package final class TLSEngine {
    /// The side that connects or the side that is connected to.
    package enum Role: Hashable, Sendable {
        /// Speaks first.
        case client
        /// Demands the client's certificate.
        case server
    }

    /// What a connection needs besides its role and identity.
    package struct Configuration: Sendable {
        /// The one application protocol (RFC 7301) spoken, 1 to 255 bytes of UTF-8.
        package var applicationProtocol: String

        /// How far, in seconds, the peer's validity dates are stretched at both ends, for clocks that are wrong.
        /// Default 86,400 (a guess: one day, so that a wrong time zone does not cut a member off). More lets expired
        /// certificates in for longer; a key that must not get in is refused by `authorize` anyhow.
        package var clockToleranceSeconds: Int64

        /// The time now, seconds since 1970 UTC.
        package var now: @Sendable () -> Int64

        /// Whether to talk to this key. Called during the handshake, on its thread, at most once per connection: it
        /// must not block. The peer has not yet proven that it holds the key.
        package var authorize: @Sendable (Ed25519PublicKey) -> Bool

        /// Settings for a connection.
        package init(
            applicationProtocol: String,
            clockToleranceSeconds: Int64 = 86_400,
            now: @escaping @Sendable () -> Int64 = { Int64(time(nil)) },
            authorize: @escaping @Sendable (Ed25519PublicKey) -> Bool
        ) {
            self.applicationProtocol = applicationProtocol
            self.clockToleranceSeconds = clockToleranceSeconds
            self.now = now
            self.authorize = authorize
        }
    }

    /// How far the connection is.
    package enum State: Hashable, Sendable {
        /// `start()` has not been called.
        case idle
        /// No plaintext may pass yet.
        case handshaking
        /// The peer has proven its key. (A client's own key may still be refused by the server: TLS 1.3 tells a client
        /// of that only afterwards, by an alert in place of the first data.)
        case established
        /// The peer has closed in order and everything it sent has been read.
        case closedByPeer
        /// Over. An alert may wait to be taken and sent.
        case failed(TLSFailure)
    }

    /// What a `read` came to.
    package enum ReadResult: Hashable, Sendable {
        /// So many bytes of plaintext, at least 1.
        case bytes(Int)
        /// Nothing until more ciphertext is received.
        case needsInput
        /// The peer has closed in order; nothing will come.
        case closed
    }

    /// Bytes of ciphertext held for each direction, before `receive` and `write` take no more: 64 KiB.
    package static let bufferBytesMax = 64 * 1024

    /// How far the connection is.
    package private(set) var state = State.idle

    /// The peer's key, once `state` is `.established`.
    package private(set) var peerPublicKey: Ed25519PublicKey?

    private let role: Role
    private let configuration: Configuration
    private let protocolBytes: [UInt8]
    // Kept for as long as OpenSSL may use it.
    private let identity: TLSIdentity
    private let ssl: OpaquePointer
    // Both belong to `ssl`, which frees them.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private var judgedKey: Ed25519PublicKey?
    private var refusal: TLSFailure?
    private var alertReceived: TLSAlert?
    private var looksLikeTLS: Bool?
    private var inputEnded = false
    private var closeNotifySent = false

    /// A connection that has not begun.
    ///
    /// - Throws: `OpenSSLError` if OpenSSL has no memory.
    package init(role: Role, identity: TLSIdentity, configuration: Configuration) throws(OpenSSLError) {
        guard let ssl = SSL_new(identity.context) else { throw .draining("making a TLS connection") }
        guard let incoming = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw .draining("making a TLS connection")
        }
        guard let outgoing = BIO_new(BIO_s_mem()) else {
            BIO_free(incoming)
            SSL_free(ssl)
            throw .draining("making a TLS connection")
        }
        hansa_bio_mem_retry_when_empty(incoming)
        hansa_bio_mem_retry_when_empty(outgoing)
        SSL_set_bio(ssl, incoming, outgoing)
        self.role = role
        self.identity = identity
        self.configuration = configuration
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        self.protocolBytes = Array(configuration.applicationProtocol.utf8)
        precondition((1...255).contains(protocolBytes.count), "an ALPN name has 1 to 255 bytes")
        // Unowned: the callbacks run only inside calls that this object makes.
        _ = hansa_ssl_set_owner(ssl, Unmanaged.passUnretained(self).toOpaque())
        switch role {
        case .client:
            let offer = [UInt8(protocolBytes.count)] + protocolBytes
            // Answers 0 for success, unlike its neighbours.
            guard SSL_set_alpn_protos(ssl, offer, UInt32(offer.count)) == 0 else {
                throw .draining("offering an application protocol")
            }
            SSL_set_connect_state(ssl)
        case .server:
            SSL_set_accept_state(ssl)
        }
    }

    deinit { SSL_free(ssl) }

    /// Begins the handshake; a client's first message is then there to be taken. Does nothing the second time.
    ///
    /// - Throws: `TLSFailure`, which is then the state too.
    package func start() throws(TLSFailure) {
        guard state == .idle else { return }
        state = .handshaking
        try handshake()
    }

    /// Takes ciphertext from the transport, and goes on with the handshake if that is not done.
    ///
    /// - Returns: how many bytes were taken, from the front. Fewer than given means: `read` first, then offer the rest.
    /// - Throws: `TLSFailure`, which is then the state too. Send what `takeOutgoing` gives (an alert), then close.
    package func receive(_ ciphertext: UnsafeRawBufferPointer) throws(TLSFailure) -> Int {
        try throwIfFailed()
        // Told from the first byte, so that garbage of fewer bytes than a record's header needs no deadline.
        if looksLikeTLS == nil, let first = ciphertext.first {
            looksLikeTLS = first == UInt8(SSL3_RT_HANDSHAKE) || first == UInt8(SSL3_RT_ALERT)
            if looksLikeTLS == false { throw fail(.notTLS) }
        }
        let room = Self.bufferBytesMax - Int(BIO_ctrl_pending(incoming))
        let count = min(max(room, 0), ciphertext.count)
        if count > 0 {
            let written = BIO_write(incoming, ciphertext.baseAddress, Int32(count))
            guard written == Int32(count) else {
                throw fail(.protocolError(OpenSSLError.draining("buffering ciphertext").description))
            }
        }
        if state == .handshaking { try handshake() }
        return count
    }

    /// Takes ciphertext from the transport; as above.
    package func receive(_ ciphertext: [UInt8]) throws(TLSFailure) -> Int {
        // Typed throws do not pass through the standard library's closure.
        let result = ciphertext.withUnsafeBytes { bytes in
            Result { () throws(TLSFailure) in try receive(bytes) }
        }
        return try result.get()
    }

    /// The transport has ended: nothing more will be received. What was received can still be read; the end then shows
    /// as `.closed` if the peer closed in order, as `TLSFailure.truncated` if not.
    ///
    /// - Throws: `TLSFailure.truncated` at once if the handshake is not done.
    package func receiveEndOfInput() throws(TLSFailure) {
        inputEnded = true
        if state == .idle || state == .handshaking { throw fail(.truncated) }
    }

    /// Decrypts into `destination` as much as is there and fits, at most one record (16 KiB) per call.
    ///
    /// - Returns: `.needsInput` as long as the handshake is not done.
    /// - Throws: `TLSFailure`, which is then the state too. Send what `takeOutgoing` gives, then close.
    package func read(into destination: UnsafeMutableRawBufferPointer) throws(TLSFailure) -> ReadResult {
        switch state {
        case .idle, .handshaking: return .needsInput
        case .closedByPeer: return .closed
        case .failed(let failure): throw failure
        case .established: break
        }
        ERR_clear_error()
        var count = 0
        let result = SSL_read_ex(ssl, destination.baseAddress, destination.count, &count)
        if result == 1 { return .bytes(count) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            ERR_clear_error()
            if inputEnded { throw fail(.truncated) }
            return .needsInput
        case SSL_ERROR_ZERO_RETURN:
            ERR_clear_error()
            state = .closedByPeer
            return .closed
        default:
            throw failure("reading")
        }
    }

    /// Decrypts at most `count` bytes; nil for the peer's orderly close, empty if more ciphertext is needed.
    ///
    /// - Throws: as `read(into:)`.
    package func read(upTo count: Int) throws(TLSFailure) -> [UInt8]? {
        var failure: TLSFailure?
        var closed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filling: while filled < count {
                do throws(TLSFailure) {
                    let rest = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[filled...]))
                    switch try read(into: rest) {
                    case .bytes(let more): filled += more
                    case .needsInput: break filling
                    case .closed:
                        closed = true
                        break filling
                    }
                } catch {
                    failure = error
                    break filling
                }
            }
        }
        // What came before the end is given first; the next call tells the end again.
        if !bytes.isEmpty { return bytes }
        if let failure { throw failure }
        return closed ? nil : []
    }

    /// Encrypts plaintext for the peer, in records of at most 16 KiB.
    ///
    /// - Returns: how many bytes were taken, from the front: fewer than given when `bufferBytesMax` of ciphertext wait to
    ///   be taken; 0 before the handshake is done and after `shutdown()`.
    /// - Throws: `TLSFailure`, which is then the state too.
    package func write(_ plaintext: UnsafeRawBufferPointer) throws(TLSFailure) -> Int {
        try throwIfFailed()
        guard state == .established || state == .closedByPeer, !closeNotifySent else { return 0 }
        var taken = 0
        while taken < plaintext.count, outgoingCount < Self.bufferBytesMax {
            ERR_clear_error()
            var count = 0
            let result = SSL_write_ex(ssl, plaintext.baseAddress.map { $0 + taken }, plaintext.count - taken, &count)
            guard result == 1 else { throw failure("writing") }
            taken += count
        }
        return taken
    }

    /// Encrypts plaintext for the peer; as above.
    package func write(_ plaintext: [UInt8]) throws(TLSFailure) -> Int {
        let result = plaintext.withUnsafeBytes { bytes in
            Result { () throws(TLSFailure) in try write(bytes) }
        }
        return try result.get()
    }

    /// Bytes that wait to be sent to the peer.
    package var outgoingCount: Int { Int(BIO_ctrl_pending(outgoing)) }

    /// Moves waiting bytes to `destination`; they are then the caller's to send, in order.
    ///
    /// - Returns: how many, at most `destination.count`; 0 if none wait.
    package func takeOutgoing(into destination: UnsafeMutableRawBufferPointer) -> Int {
        guard outgoingCount > 0, destination.count > 0 else { return 0 }
        return max(0, Int(BIO_read(outgoing, destination.baseAddress, Int32(clamping: destination.count))))
    }

    /// Takes all waiting bytes; they are then the caller's to send, in order.
    package func takeOutgoing() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: outgoingCount) { buffer, count in
            count = takeOutgoing(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Tells the peer that we write no more (`close_notify`), to be taken and sent. Reading may go on. Does nothing
    /// before the handshake is done, after a failure, or the second time.
    package func shutdown() {
        guard state == .established || state == .closedByPeer, !closeNotifySent else { return }
        closeNotifySent = true
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    // MARK: Handshake

    private func handshake() throws(TLSFailure) {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            // The verify callback has run, or there would be no success.
            guard let judgedKey, hasNegotiatedProtocol() else { throw fail(.applicationProtocolMismatch) }
            peerPublicKey = judgedKey
            state = .established
            return
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            ERR_clear_error()
        case SSL_ERROR_ZERO_RETURN:
            ERR_clear_error()
            throw fail(.closedDuringHandshake)
        default:
            throw failure("shaking hands")
        }
    }

    private func hasNegotiatedProtocol() -> Bool {
        var start: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &start, &count)
        return protocolBytes.elementsEqual(UnsafeBufferPointer(start: start, count: Int(count)))
    }

    // MARK: Called back by OpenSSL, from within `handshake()` and `read`

    /// The engine that an SSL object belongs to.
    static func owner(of ssl: OpaquePointer?) -> TLSEngine? {
        guard let ssl, let owner = hansa_ssl_owner(ssl) else { return nil }
        return Unmanaged<TLSEngine>.fromOpaque(owner).takeUnretainedValue()
    }

    /// Judges the peer's certificate; nil to go on. The cheap questions come first, so that a stranger costs no
    /// verification. That the peer holds the key is proven by the next message, which OpenSSL checks.
    func judgePeer(_ store: OpaquePointer) -> TLSFailure? {
        let refusal = verdict(store)
        self.refusal = refusal
        return refusal
    }

    private func verdict(_ store: OpaquePointer) -> TLSFailure? {
        // A server's answer comes before its certificate (RFC 8446, section 4.3.1), so it can be judged here.
        if role == .client, !hasNegotiatedProtocol() { return .applicationProtocolMismatch }
        guard hansa_store_ctx_chain_count(store) == 1, let leaf = X509_STORE_CTX_get0_cert(store) else {
            return .certificateMalformed
        }
        let certificate = Certificate(borrowing: leaf)
        guard let key = certificate.publicKey else { return .certificateMalformed }
        guard configuration.authorize(key) else { return .keyRefused(key) }
        guard let notBefore = certificate.notBefore, let notAfter = certificate.notAfter else {
            return .certificateMalformed
        }
        let now = configuration.now()
        let tolerance = configuration.clockToleranceSeconds
        let validity = CertificateValidity(notBefore: notBefore, notAfter: notAfter)
        if now - tolerance > notAfter { return .certificateExpired(key, validity) }
        if now + tolerance < notBefore { return .certificateNotYetValid(key, validity) }
        guard certificate.isSelfSigned else { return .certificateMalformed }
        judgedKey = key
        return nil
    }

    /// Whether a client's first message may go on to OpenSSL: it names application protocols, or lacks TLS 1.3 and will
    /// be refused for that. OpenSSL itself lets a client pass that names none.
    func acceptsClientHello() -> Bool {
        guard role == .server else { return true }
        if !clientOffersTLS13() { return true }
        var start: UnsafePointer<UInt8>?
        var count = 0
        let type = UInt32(TLSEXT_TYPE_application_layer_protocol_negotiation)
        if SSL_client_hello_get0_ext(ssl, type, &start, &count) == 1 { return true }
        refusal = .applicationProtocolMismatch
        return false
    }

    private func clientOffersTLS13() -> Bool {
        var start: UnsafePointer<UInt8>?
        var count = 0
        let type = UInt32(TLSEXT_TYPE_supported_versions)
        guard SSL_client_hello_get0_ext(ssl, type, &start, &count) == 1 else { return false }
        // One byte of length, then versions of two bytes (RFC 8446, section 4.2.1).
        let versions = UnsafeBufferPointer(start: start, count: count).dropFirst()
        var index = versions.startIndex
        while index + 1 < versions.endIndex {
            if versions[index] == 0x03, versions[index + 1] == 0x04 { return true }
            index += 2
        }
        return false
    }

    /// Where our protocol stands in a client's list of length-prefixed names; nil if it is not there.
    func selectProtocol(from offered: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
        var index = 0
        while index < offered.count {
            let name = index + 1..<index + 1 + Int(offered[index])
            guard name.upperBound <= offered.count else { break }
            if offered[name].elementsEqual(protocolBytes) { return name }
            index = name.upperBound
        }
        refusal = .applicationProtocolMismatch
        return nil
    }

    /// Keeps the alert that the peer has sent.
    func noteReceived(_ alert: TLSAlert) {
        // user_canceled (90) only announces a close_notify (RFC 8446, section 6.1).
        if alert != .closeNotify, alert.rawValue != 90 { alertReceived = alert }
    }

    // MARK: Failures

    private func throwIfFailed() throws(TLSFailure) {
        if case .failed(let failure) = state { throw failure }
    }

    private func fail(_ failure: TLSFailure) -> TLSFailure {
        ERR_clear_error()
        state = .failed(failure)
        return failure
    }

    /// What OpenSSL's refusal means; empties its queue.
    private func failure(_ operation: String) -> TLSFailure {
        let code = ERR_peek_error()
        let reason = hansa_err_is_ssl(code) == 1 ? hansa_err_reason(code) : 0
        let error = OpenSSLError.draining(operation)
        if let refusal { return fail(refusal) }
        if let alertReceived { return fail(.alertReceived(alertReceived)) }
        switch reason {
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_WRONG_SSL_VERSION:
            return fail(.unsupportedVersion)
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST:
            return fail(.notTLS)
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return fail(.noCertificate)
        default:
            return fail(.protocolError(error.reasons.first ?? error.description))
        }
    }
}
