/// Why a TLS connection ended otherwise than by an orderly close.
package enum TLSFailure: Error, Hashable, Sendable {
    /// What the peer sent first is not TLS. Nothing is answered.
    case notTLS

    /// The peer has no TLS 1.3. It is told `protocol_version`.
    case unsupportedVersion

    /// The peer did not negotiate our application protocol. A client is told `no_application_protocol` (RFC 7301,
    /// section 3.2); a server that picked none is told `handshake_failure`.
    case applicationProtocolMismatch

    /// The client showed no certificate. It is told `certificate_required`.
    case noCertificate

    /// What the peer showed is not exactly one certificate, self-signed with an Ed25519 key. It is told
    /// `bad_certificate`.
    case certificateMalformed

    /// The peer's key is not one to talk to. It is told `certificate_unknown`.
    case keyRefused(Ed25519PublicKey)

    /// The peer's certificate ended before now less the tolerance. It is told `certificate_expired`.
    case certificateExpired(Ed25519PublicKey, CertificateValidity)

    /// The peer's certificate starts after now plus the tolerance. It is told `bad_certificate`.
    case certificateNotYetValid(Ed25519PublicKey, CertificateValidity)

    /// The peer ended the connection with this alert: it refused us, or found a fault.
    case alertReceived(TLSAlert)

    /// The stream ended without `close_notify`: what came may lack its end (RFC 8446, section 6.1).
    case truncated

    /// The peer closed in order, but before the handshake was done.
    case closedDuringHandshake

    /// The peer broke the protocol, or the bytes were changed on the way; with OpenSSL's words.
    case protocolError(String)
}
