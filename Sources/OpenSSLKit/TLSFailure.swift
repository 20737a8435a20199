/// The reason why a TLS connection ended without an orderly close.
package enum TLSFailure: Error, Hashable, Sendable {
    /// The peer's first bytes are not TLS. No answer is sent.
    case notTLS

    /// The peer does not support TLS 1.3. It receives `protocol_version`.
    case unsupportedVersion

    /// The peer did not negotiate our application protocol.
    ///
    /// A client receives `no_application_protocol` (RFC 7301, section 3.2); a server that chose none receives
    /// `handshake_failure`.
    case applicationProtocolMismatch

    /// The client sent no certificate. It receives `certificate_required`.
    case noCertificate

    /// The peer sent something other than exactly one certificate, self-signed with an Ed25519 key. It receives
    /// `bad_certificate`.
    case certificateMalformed

    /// The peer's key is not authorised. It receives `certificate_unknown`.
    case keyRefused(Ed25519PublicKey)

    /// The peer's certificate expired, even with the tolerance. It receives `certificate_expired`.
    case certificateExpired(Ed25519PublicKey, CertificateValidity)

    /// The peer's certificate is not valid yet, even with the tolerance. It receives `bad_certificate`.
    case certificateNotYetValid(Ed25519PublicKey, CertificateValidity)

    /// The peer ended the connection with this alert: it refused this node or detected a fault.
    case alertReceived(TLSAlert)

    /// The stream ended without `close_notify`; the last data may be missing (RFC 8446, section 6.1).
    case truncated

    /// The peer closed in an orderly way before the handshake was complete.
    case closedDuringHandshake

    /// The peer violated the protocol, or the bytes were changed in transit; with OpenSSL's message.
    case protocolError(String)
}
