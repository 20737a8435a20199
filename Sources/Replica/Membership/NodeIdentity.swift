package import OpenSSLKit

/// The TLS certificate of a key.
package enum NodeIdentity {
    /// Seconds for which a certificate is valid. Its names and dates prove nothing, since peers look the key up in the
    /// roster. A long validity is therefore safe and spares operators an expiry; each start makes a new certificate.
    package static let validitySeconds: Int64 = 3 * 365 * 86_400
    /// Seconds for which the node presents a certificate to new connections; then it makes a new one.
    package static let ageMaxSeconds: Int64 = 30 * 86_400
    /// Seconds by which a certificate's validity begins in the past, for peers whose clocks are behind.
    private static let aheadSeconds: Int64 = 86_400

    /// The time at which a node made its certificate, by its clock, in seconds since 1970.
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
