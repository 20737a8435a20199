import OpenSSLKit
package import Transport

extension CloseReason {
    /// A few words for people; no key beyond its first digits.
    package var words: String {
        switch self {
        case .connectFailed(let words): "cannot be connected to: \(words)"
        case .dialTimedOut: "does not answer"
        case .cancelled: "given up"
        case .handshakeTimedOut: "TLS handshake not done in time"
        case .notTLS: "what came was not TLS"
        case .wrongVersion: "no TLS 1.3"
        case .alpnMismatch: "speaks another protocol than hansa/1"
        case .noCertificate: "showed no certificate"
        case .badCertificate: "showed a certificate that is not one self-signed Ed25519 certificate"
        case .certificateExpired(_, let validity), .certificateNotYetValid(_, let validity):
            PeerClock(of: validity).words
        case .unknownKey(let key): "key \(key.rawBytes.prefix(4).hexText) is not of this alliance"
        case .tooManyConnections: "too many connections wait for their handshake"
        case .closedByPeer: "closed by the peer"
        case .refusedByPeer(.badCertificate), .refusedByPeer(.certificateExpired):
            "it does not take this node's certificate; most often one of the two clocks is wrong"
        case .refusedByPeer(let alert): "refused by the peer (\(alert))"
        case .truncated: "ended without an orderly close"
        case .reset: "reset"
        case .protocolError(let words): "TLS: \(words)"
        case .frameTooLong(let count): "a frame of \(count) bytes; 4 MiB is the most"
        case .emptyFrame: "a frame without content"
        case .idle: "nothing came for too long"
        case .failed(let words): words
        case .localShutdown: "this node stops"
        case .slowReader: "the peer does not read what is sent to it"
        case .local(let words): words
        }
    }
}

extension Collection where Element == UInt8 {
    fileprivate var hexText: String {
        map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
