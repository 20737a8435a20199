package import OpenSSLKit

/// The certificate under which a key speaks TLS.
package enum NodeIdentity {
    /// Seconds that a certificate is valid. Names and dates in it prove nothing: the key is looked up in the roster, so
    /// a long life costs no safety and spares operators an expiry; a new one is made at each start.
    package static let validitySeconds: Int64 = 3 * 365 * 86_400

    /// A fresh self-signed certificate of the key. It begins a day in the past, for peers whose clocks are behind.
    package static func make(for key: Ed25519PrivateKey) throws -> TLSIdentity {
        let now = Int64(WallClock.milliseconds / 1000)
        let certificate = try Certificate.selfSigned(
            key: key,
            commonName: "hansa",
            notBefore: now - 86_400,
            notAfter: now + validitySeconds
        )
        return try TLSIdentity(key: key, certificate: certificate)
    }
}
