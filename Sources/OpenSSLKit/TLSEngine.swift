import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One TLS 1.3 connection (RFC 8446) as a state machine over bytes: no socket, no thread, no timer.
///
/// Order of use: call `start()`, then `receive(_:)` for each piece of received bytes. After each call that can produce
/// output, send the bytes of `takeOutgoing`. When `state` is `.established`, `read` and `write` plaintext. After the
/// peer's `close_notify`, `read` returns `.closed`; `shutdown()` sends ours. When the transport ends, call
/// `receiveEndOfInput()`.
///
/// **Memory**: the engine holds at most `bufferBytesMax` and one record of unread ciphertext, the same of unsent
/// ciphertext, and one record of plaintext. `receive` and `write` accept less than offered when these are full; the
/// caller keeps the rest.
///
/// **Admission**: both sides send exactly one certificate, self-signed with an Ed25519 key. `authorize` decides about
/// the key; names, extensions and issuers are ignored. Dates are checked with a tolerance for wrong clocks. The roster
/// decides who is a member; the dates only limit a certificate's lifetime.
///
/// **Isolation**: confined to one thread or event loop at a time; not Sendable, so the compiler checks this.
package final class TLSEngine {
    /// The side of the connection.
    package enum Role: Hashable, Sendable {
        /// Connects and speaks first.
        case client
        /// Accepts the connection and requires the client's certificate.
        case server
    }

    /// The settings of a connection besides its role and identity.
    package struct Configuration: Sendable {
        /// The only application protocol (RFC 7301) of the connection, 1 to 255 bytes of UTF-8.
        package var applicationProtocol: String

        /// The tolerance in seconds for both validity dates of the peer's certificate, for wrong clocks.
        ///
        /// Default 86,400 (a guess: one day, so a wrong time zone does not lock a member out). A larger value accepts
        /// expired certificates longer; `authorize` still refuses unwanted keys.
        package var clockToleranceSeconds: Int64

        /// Returns the current time in seconds since 1970 UTC.
        package var now: @Sendable () -> Int64

        /// Returns true to accept a key. Called during the handshake on its thread, at most once per connection; must
        /// not block. The peer has not yet proved that it holds the key.
        package var authorize: @Sendable (Ed25519PublicKey) -> Bool

        /// Creates settings.
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

    /// The progress of the connection.
    package enum State: Hashable, Sendable {
        /// `start()` has not been called.
        case idle
        /// The handshake is in progress; no plaintext may pass yet.
        case handshaking
        /// The peer has proved its key. A server may still refuse the client's key: in TLS 1.3 the client learns this
        /// only afterwards, from an alert instead of the first data.
        case established
        /// The peer has closed in an orderly way and everything it sent has been read.
        case closedByPeer
        /// The connection has ended. An alert may be available for sending.
        case failed(TLSFailure)
    }

    /// The result of a `read`.
    package enum ReadResult: Hashable, Sendable {
        /// The number of bytes of plaintext, at least 1.
        case bytes(Int)
        /// More ciphertext is needed.
        case needsInput
        /// The peer has closed in an orderly way; no more data follows.
        case closed
    }

    /// The number of ciphertext bytes held per direction at which `receive` and `write` accept no more: 64 KiB.
    package static let bufferBytesMax = 64 * 1024

    /// The progress of the connection.
    package private(set) var state = State.idle

    /// The peer's key after `state` has become `.established`.
    package private(set) var peerPublicKey: Ed25519PublicKey?

    private let role: Role
    private let configuration: Configuration
    private let protocolBytes: [UInt8]
    // Held while OpenSSL may use it.
    private let identity: TLSIdentity
    private let ssl: OpaquePointer
    // `ssl` owns and frees both.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private var judgedKey: Ed25519PublicKey?
    private var refusal: TLSFailure?
    private var alertReceived: TLSAlert?
    private var looksLikeTLS: Bool?
    private var inputEnded = false
    private var closeNotifySent = false

    /// Creates a connection that has not started.
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
        // Unowned is safe: the callbacks run only inside calls of this object.
        _ = hansa_ssl_set_owner(ssl, Unmanaged.passUnretained(self).toOpaque())
        switch role {
        case .client:
            let offer = [UInt8(protocolBytes.count)] + protocolBytes
            // This function returns 0 on success, unlike the others.
            guard SSL_set_alpn_protos(ssl, offer, UInt32(offer.count)) == 0 else {
                throw .draining("offering an application protocol")
            }
            SSL_set_connect_state(ssl)
        case .server:
            SSL_set_accept_state(ssl)
        }
    }

    deinit { SSL_free(ssl) }

    /// Starts the handshake. A client's first message is then available for sending. A second call does nothing.
    ///
    /// - Throws: `TLSFailure`, which then is the state too.
    package func start() throws(TLSFailure) {
        guard state == .idle else { return }
        state = .handshaking
        try handshake()
    }

    /// Receives ciphertext from the transport and continues an incomplete handshake.
    ///
    /// - Returns: The number of bytes accepted from the front. If it is less than given, call `read`, then offer the
    ///   rest.
    /// - Throws: `TLSFailure`, which then is the state too. Send the bytes of `takeOutgoing` (an alert), then close.
    package func receive(_ ciphertext: UnsafeRawBufferPointer) throws(TLSFailure) -> Int {
        try throwIfFailed()
        // Checked on the first byte, so garbage shorter than a record header is detected without a deadline.
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

    /// Receives ciphertext from the transport, like the method above.
    package func receive(_ ciphertext: [UInt8]) throws(TLSFailure) -> Int {
        // The standard library's closure does not support typed throws.
        let result = ciphertext.withUnsafeBytes { bytes in
            Result { () throws(TLSFailure) in try receive(bytes) }
        }
        return try result.get()
    }

    /// Handles the end of the transport: nothing more will be received. Received data can still be read.
    ///
    /// The end then appears as `.closed` if the peer closed in an orderly way, otherwise as `TLSFailure.truncated`.
    ///
    /// - Throws: `TLSFailure.truncated` at once if the handshake is not complete.
    package func receiveEndOfInput() throws(TLSFailure) {
        inputEnded = true
        if state == .idle || state == .handshaking { throw fail(.truncated) }
    }

    /// Decrypts available data into `destination`, at most one record (16 KiB) per call.
    ///
    /// - Returns: `.needsInput` until the handshake is complete.
    /// - Throws: `TLSFailure`, which then is the state too. Send the bytes of `takeOutgoing`, then close.
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
    /// - Throws: Like `read(into:)`.
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
        // Data before the end is returned first; the next call reports the end again.
        if !bytes.isEmpty { return bytes }
        if let failure { throw failure }
        return closed ? nil : []
    }

    /// Encrypts plaintext for the peer, in records of at most 16 KiB.
    ///
    /// - Returns: The number of bytes accepted from the front. Less than given if `bufferBytesMax` of ciphertext are
    ///   unsent; 0 before the handshake is complete and after `shutdown()`.
    /// - Throws: `TLSFailure`, which then is the state too.
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

    /// Encrypts plaintext for the peer, like the method above.
    package func write(_ plaintext: [UInt8]) throws(TLSFailure) -> Int {
        let result = plaintext.withUnsafeBytes { bytes in
            Result { () throws(TLSFailure) in try write(bytes) }
        }
        return try result.get()
    }

    /// The number of bytes to send to the peer.
    package var outgoingCount: Int { Int(BIO_ctrl_pending(outgoing)) }

    /// Moves outgoing bytes to `destination`. The caller must send them in order.
    ///
    /// - Returns: The number of bytes, at most `destination.count`; 0 if there are none.
    package func takeOutgoing(into destination: UnsafeMutableRawBufferPointer) -> Int {
        guard outgoingCount > 0, destination.count > 0 else { return 0 }
        return max(0, Int(BIO_read(outgoing, destination.baseAddress, Int32(clamping: destination.count))))
    }

    /// Removes and returns all outgoing bytes. The caller must send them in order.
    package func takeOutgoing() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: outgoingCount) { buffer, count in
            count = takeOutgoing(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Prepares a `close_notify` for sending, which tells the peer that we write no more. Reading may continue.
    ///
    /// Does nothing before the handshake is complete, after a failure, or on a second call.
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
            // A successful handshake implies that the verify callback has run.
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

    // MARK: Callbacks from OpenSSL inside `handshake()` and `read`

    /// The engine that owns an SSL object.
    static func owner(of ssl: OpaquePointer?) -> TLSEngine? {
        guard let ssl, let owner = hansa_ssl_owner(ssl) else { return nil }
        return Unmanaged<TLSEngine>.fromOpaque(owner).takeUnretainedValue()
    }

    /// Checks the peer's certificate; nil means accepted.
    ///
    /// Cheap checks come first, so an unknown key costs no verification. The next message proves that the peer holds
    /// the key; OpenSSL checks it.
    func judgePeer(_ store: OpaquePointer) -> TLSFailure? {
        let refusal = verdict(store)
        self.refusal = refusal
        return refusal
    }

    private func verdict(_ store: OpaquePointer) -> TLSFailure? {
        // A server's protocol choice precedes its certificate (RFC 8446, section 4.3.1), so it can be checked here.
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

    /// True if OpenSSL may process a client's first message: it names application protocols, or lacks TLS 1.3 and will
    /// be refused for that.
    ///
    /// OpenSSL itself accepts a client that names no protocol.
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
        // One length byte, then versions of two bytes each (RFC 8446, section 4.2.1).
        let versions = UnsafeBufferPointer(start: start, count: count).dropFirst()
        var index = versions.startIndex
        while index + 1 < versions.endIndex {
            if versions[index] == 0x03, versions[index + 1] == 0x04 { return true }
            index += 2
        }
        return false
    }

    /// The range of our protocol in a client's list of length-prefixed names; nil if it is missing.
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

    /// Records the alert that the peer sent.
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

    /// Converts OpenSSL's error and empties its queue.
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
