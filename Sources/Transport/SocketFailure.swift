import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why a socket could not be connected, or bound.
package enum SocketFailure: Error, Hashable, Sendable {
    /// Nobody listens there.
    case refused
    /// No way leads there.
    case noRoute
    /// Nothing came back.
    case timedOut
    /// The name has no address, or nobody could be asked for it.
    case unknownName
    /// It ended as soon as it had begun.
    case reset
    /// The system forbids it: a firewall, or a port below 1,024 to listen at.
    case notPermitted
    /// This machine does not have the address.
    case addressNotAvailable
    /// This machine does not speak the protocol of the address (IPv6, mostly).
    case familyNotSupported
    /// Somebody listens there already.
    case addressInUse
    /// The process, or the system, has no descriptor left.
    case noDescriptors
    /// Anything else, in the system's words.
    case failed(String)

    /// What an error of NIO's connecting or binding means.
    init(_ error: any Error) {
        switch error {
        case let error as IOError: self.init(errno: error.errnoCode)
        case let error as NIOConnectionError:
            // Several addresses may have been tried: the first one's failure is told.
            if let first = error.connectionErrors.first {
                self.init(first.error)
            } else {
                self = .unknownName
            }
        case is SocketAddressError.UnknownHost: self = .unknownName
        case ChannelError.connectTimeout: self = .timedOut
        default: self = .failed("\(error)")
        }
    }

    /// What the system's error number means.
    init(errno code: CInt) {
        switch code {
        case ECONNREFUSED: self = .refused
        case EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN: self = .noRoute
        case ETIMEDOUT: self = .timedOut
        case ECONNRESET, EPIPE, ECONNABORTED: self = .reset
        case EACCES, EPERM: self = .notPermitted
        case EADDRNOTAVAIL: self = .addressNotAvailable
        case EAFNOSUPPORT, EPFNOSUPPORT, EPROTONOSUPPORT: self = .familyNotSupported
        case EADDRINUSE: self = .addressInUse
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: self = .noDescriptors
        default: self = .failed(String(cString: strerror(code)))
        }
    }
}
