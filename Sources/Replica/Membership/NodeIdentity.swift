package import OpenSSLKit

/// The certificate under which a key speaks TLS.
package enum NodeIdentity {
    /// Seconds that a certificate is valid. Names and dates in it prove nothing: the key is looked up in the roster, so
    /// a long life costs no safety and spares operators an expiry; a new one is made at each start.
    package static let validitySeconds: Int64 = 3 * 365 * 86_400
    /// Seconds for which a certificate is shown to new connections; then a new one is made.
    package static let ageMaxSeconds: Int64 = 30 * 86_400
    /// Seconds by which a certificate begins in the past, for peers whose clocks are behind.
    private static let aheadSeconds: Int64 = 86_400

    /// When a node's certificate was made, by its clock, in seconds since 1970.
    package static func madeAt(_ validity: CertificateValidity) -> Int64 {
        validity.notBefore.addingReportingOverflow(aheadSeconds).partialValue
    }

    /// A fresh self-signed certificate of the key.
    package static func make(for key: Ed25519PrivateKey) throws -> TLSIdentity {
        let now = Int64(WallClock.milliseconds / 1000)
        let certificate = try Certificate.selfSigned(
            key: key,
            commonName: "hansa",
            notBefore: now - aheadSeconds,
            notAfter: now + validitySeconds
        )
        return try TLSIdentity(key: key, certificate: certificate)
    }
}
