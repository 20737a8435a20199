import COpenSSL

/// The number of a TLS alert (RFC 8446, section 6).
package struct TLSAlert: Hashable, Sendable, CustomStringConvertible {
    /// The number on the wire.
    package let rawValue: UInt8

    /// Creates an alert from its number.
    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// 0: the sender will write no more.
    package static let closeNotify = TLSAlert(rawValue: 0)
    /// 42: our certificate is not exactly one self-signed Ed25519 certificate.
    package static let badCertificate = TLSAlert(rawValue: 42)
    /// 45: our certificate has expired by the peer's clock.
    package static let certificateExpired = TLSAlert(rawValue: 45)
    /// 46: the peer does not know our key.
    package static let certificateUnknown = TLSAlert(rawValue: 46)
    /// 70: the peer and this node share no protocol version.
    package static let protocolVersion = TLSAlert(rawValue: 70)
    /// 116: the peer requires a certificate and we sent none.
    package static let certificateRequired = TLSAlert(rawValue: 116)
    /// 120: the peer supports none of our application protocols.
    package static let noApplicationProtocol = TLSAlert(rawValue: 120)

    /// OpenSSL's name of the alert, such as `certificate unknown`.
    package var description: String {
        SSL_alert_desc_string_long(Int32(rawValue)).map { String(cString: $0) } ?? "alert \(rawValue)"
    }
}
