package import OpenSSLKit

/// Why a connection between peers ended, or never came to be.
///
/// The first thing that happens decides; what follows from it (a reset after we closed, say) does not change the reason.
package enum CloseReason: Error, Hashable, Sendable {
    // MARK: Before the peer is known

    /// No connection.
    case connectFailed(SocketFailure)
    /// The dial's deadline passed before the connection and the handshake were done.
    case dialTimedOut
    /// The task that dialled was cancelled.
    case cancelled
    /// The handshake was not done in time: a silent or a slow peer.
    case handshakeTimedOut
    /// What came first is not TLS.
    case notTLS
    /// The peer has no TLS 1.3.
    case wrongVersion
    /// The peer speaks another application protocol.
    case alpnMismatch
    /// The client showed no certificate.
    case noCertificate
    /// What the peer showed is not one self-signed Ed25519 certificate.
    case badCertificate
    /// The peer's certificate has expired.
    case certificateExpired(Ed25519PublicKey, CertificateValidity)
    /// The peer's certificate is not valid yet.
    case certificateNotYetValid(Ed25519PublicKey, CertificateValidity)
    /// The peer's key is not authorised, or no longer.
    case unknownKey(Ed25519PublicKey)
    /// There are as many connections as may be, or too many finished ones wait to be accepted.
    case tooManyConnections
    /// It had to make room for another one, before its handshake was done or by the bounds of its ``PeerClass``.
    case madeRoom
    /// Its account has its number of connections already.
    case accountFull(Int)
    /// The peers of its class have, whose name comes first.
    case classFull(String, Int)

    // MARK: From the peer or the network

    /// The peer closed in order.
    case closedByPeer
    /// The peer ended the connection with this alert. `certificateUnknown`: it does not know our key; a dialler learns of
    /// that only after its own handshake is done (RFC 8446, section 4.4.2.4 and figure 1).
    case refusedByPeer(TLSAlert)
    /// The stream ended without the peer's orderly close: what it sent last may be missing.
    case truncated
    /// The connection was reset.
    case reset
    /// The peer broke the TLS protocol, or the bytes were changed on the way; with OpenSSL's words.
    case protocolError(String)
    /// A frame's length, in bytes, is beyond the limit.
    case frameTooLong(Int)
    /// A frame of length 0.
    case emptyFrame
    /// A frame that had begun did not come to its end in time.
    case stalledFrame
    /// Nothing came for the configured time although we were ready to read.
    case idle
    /// It has lasted for as long as a peer of its ``PeerClass`` may stay.
    case outlived
    /// What it held in memory was the most of all, when all together held too much.
    case overBudget
    /// Another fault of the system; in its words.
    case failed(String)

    // MARK: From this node

    /// This node closed it.
    case localShutdown
    /// This node closed it because the peer does not read: too many bytes wait to be sent.
    case slowReader
    /// This node made a frame of so many bytes, which is none or more than a frame may have: a fault of this program.
    case unsendableFrame(Int)
    /// This node closed it for a reason of its own, in its own words.
    case local(String)

    /// What a failure of TLS means here.
    init(_ failure: TLSFailure) {
        self =
            switch failure {
            case .notTLS: .notTLS
            case .unsupportedVersion: .wrongVersion
            case .applicationProtocolMismatch: .alpnMismatch
            case .noCertificate: .noCertificate
            case .certificateMalformed: .badCertificate
            case .keyRefused(let key): .unknownKey(key)
            case .certificateExpired(let key, let validity): .certificateExpired(key, validity)
            case .certificateNotYetValid(let key, let validity): .certificateNotYetValid(key, validity)
            case .alertReceived(let alert): .refusedByPeer(alert)
            case .truncated: .truncated
            case .closedDuringHandshake: .closedByPeer
            case .protocolError(let words): .protocolError(words)
            }
    }
}
