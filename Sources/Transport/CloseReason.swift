package import OpenSSLKit

/// The reason why a connection between peers ended or could not be established.
///
/// The first cause decides. A later effect, such as a reset after this node closed, does not change the reason.
package enum CloseReason: Error, Hashable, Sendable {
    // MARK: Before the peer is known

    /// The TCP connection failed.
    case connectFailed(SocketFailure)
    /// The dial's deadline passed before the handshake was complete.
    case dialTimedOut
    /// The dialling task was cancelled.
    case cancelled
    /// The handshake was not complete in time: the peer is silent or slow.
    case handshakeTimedOut
    /// The peer's first bytes are not TLS.
    case notTLS
    /// The peer does not support TLS 1.3.
    case wrongVersion
    /// The peer speaks another application protocol.
    case alpnMismatch
    /// The client sent no certificate.
    case noCertificate
    /// The peer sent something other than one self-signed Ed25519 certificate.
    case badCertificate
    /// The peer's certificate has expired.
    case certificateExpired(Ed25519PublicKey, CertificateValidity)
    /// The peer's certificate is not valid yet.
    case certificateNotYetValid(Ed25519PublicKey, CertificateValidity)
    /// The peer's key is not authorised, or no longer authorised.
    case unknownKey(Ed25519PublicKey)
    /// The transport has its maximum number of connections, or the accept queue is full.
    case tooManyConnections
    /// The connection had to make room for another one: before its handshake was complete, or because of its
    /// ``PeerClass`` limits.
    case madeRoom
    /// The account has its maximum number of connections.
    case accountFull(Int)
    /// The class with this name has its maximum number of connections.
    case classFull(String, Int)

    // MARK: From the peer or the network

    /// The peer closed in an orderly way.
    case closedByPeer
    /// The peer ended the connection with this alert. `certificateUnknown`: the peer does not know our key.
    ///
    /// A dialler receives that alert only after its own handshake is complete (RFC 8446, section 4.4.2.4 and figure 1).
    case refusedByPeer(TLSAlert)
    /// The stream ended without an orderly close by the peer; the peer's last bytes may be missing.
    case truncated
    /// The connection was reset.
    case reset
    /// The peer violated the TLS protocol, or the bytes were changed in transit; with OpenSSL's message.
    case protocolError(String)
    /// A frame's length, in bytes, exceeds the limit.
    case frameTooLong(Int)
    /// The peer sent a frame of length 0.
    case emptyFrame
    /// A frame was not complete in time.
    case stalledFrame
    /// The peer sent nothing for the configured time, although this node was ready to read.
    case idle
    /// The connection reached the maximum lifetime of its ``PeerClass``.
    case outlived
    /// This connection held the most memory when all connections together exceeded the bound.
    case overBudget
    /// Another system error, with the system's message.
    case failed(String)

    // MARK: From this node

    /// This node closed the connection.
    case localShutdown
    /// This node closed the connection because the peer does not read: too many bytes are queued.
    case slowReader
    /// This program created a frame of this invalid size in bytes, which is a bug.
    case unsendableFrame(Int)
    /// This node closed the connection for the reason in the text.
    case local(String)

    /// Converts a TLS failure.
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
