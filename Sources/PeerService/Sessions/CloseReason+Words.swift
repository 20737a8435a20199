import OpenSSLKit
package import Replica
package import Transport

extension CloseReason {
    /// A few words for people; they contain only the first digits of a key.
    package var words: String {
        switch self {
        case .connectFailed(let failure): failure.words
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
        case .tooManyConnections: "this node has as many connections as it takes"
        case .madeRoom: "closed to make room for another connection"
        case .accountFull(let count):
            "its organization or ticket has \(count) connections here, the most that one may have"
        case .classFull(let name, let count): "this node has \(count) connections with \(name), the most that it takes"
        case .closedByPeer: "closed by the peer"
        case .refusedByPeer(.badCertificate), .refusedByPeer(.certificateExpired):
            "it does not take this node's certificate; most often one of the two clocks is wrong"
        case .refusedByPeer(let alert): "refused by the peer (\(alert))"
        case .truncated: "ended without an orderly close"
        case .reset: "reset"
        case .protocolError(let words): "TLS: \(words)"
        case .frameTooLong(let count): "a frame of \(count) bytes; 4 MiB is the most"
        case .emptyFrame: "a frame without content"
        case .stalledFrame: "a message began and did not come to its end in time"
        case .idle: "nothing came for too long"
        case .outlived: "not done in the time that it may take"
        case .overBudget: "its messages take the most of this node's memory, which runs short"
        case .failed(let words): words
        case .localShutdown: "this node stops"
        case .slowReader: "the peer does not read what is sent to it"
        case .unsendableFrame(let count):
            "this node made a message of \(count) bytes, which no frame holds; please report this fault of the program"
        case .local(let words): words
        }
    }
}

extension SocketFailure {
    /// A few words for people, to follow the address.
    package var words: String {
        switch self {
        case .refused: "nobody listens there"
        case .noRoute: "no route leads there"
        case .timedOut: "does not answer"
        case .unknownName: "the name has no address"
        case .reset: "the connection was reset"
        case .notPermitted: "the system does not permit it"
        case .addressNotAvailable: "this machine does not have that address"
        case .familyNotSupported: "this machine does not speak that address's protocol (IPv6?)"
        case .addressInUse: "the address is in use"
        case .noDescriptors: "this process has no descriptors left; allow it more (LimitNOFILE, ulimit -n)"
        case .failed(let words): words
        }
    }
}

extension ListenError {
    /// The failure for the operator. Some reasons pass by themselves: an address, a name or a port becomes free.
    /// ``Reason/portNotPermitted`` and ``Reason/cannotListen`` need another setting.
    func failure(at address: HostPort) -> Failure {
        guard case .failed(let cause) = self else { return Failure(.nodeStopping, "this node stops") }
        return switch cause {
        case .addressInUse:
            Failure(
                .portInUse,
                "port \(address.port) on \(address.host) is in use",
                fix: .freePort
            )
        case .addressNotAvailable:
            Failure(
                .addressUnavailable,
                "cannot listen at \(address): this machine does not have that address now",
                fix: .awaitNetwork
            )
        case .unknownName:
            Failure(
                .nameUnresolved,
                "cannot listen at \(address): the name has no address now",
                fix: .awaitNames
            )
        case .noDescriptors: Failure(.tooFewDescriptors, "cannot listen at \(address): \(cause.words)")
        case .notPermitted:
            Failure(
                .portNotPermitted,
                "cannot listen at \(address): the system does not permit it",
                fix: .useHighPort
            )
        default: Failure(.cannotListen, "cannot listen at \(address): \(cause.words)", fix: .listenElsewhere)
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

extension CloseReason: FailureConvertible {
    package var failure: Failure { Failure(.peerUnreachable, words) }
}
