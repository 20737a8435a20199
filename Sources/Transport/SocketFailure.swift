import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The reason why a socket could not be connected or bound.
package enum SocketFailure: Error, Hashable, Sendable {
    /// Nothing listens on the address.
    case refused
    /// No route leads to the address.
    case noRoute
    /// The address did not answer.
    case timedOut
    /// The name has no address, or no name server answered.
    case unknownName
    /// The connection was reset while it was being established.
    case reset
    /// The system denies permission: because of a firewall, or for listening on a port below 1,024.
    case notPermitted
    /// This machine does not have the address.
    case addressNotAvailable
    /// This machine does not support the protocol of the address (usually IPv6).
    case familyNotSupported
    /// The address is already in use.
    case addressInUse
    /// The process or the system has no free file descriptor.
    case noDescriptors
    /// Any other error, with the system's message.
    case failed(String)

    /// Converts an error from connecting or binding with NIO.
    init(_ error: any Error) {
        switch error {
        case let error as IOError: self.init(errno: error.errnoCode)
        case let error as NIOConnectionError:
            // NIO may have tried several addresses; report the first failure.
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

    /// Converts the system's error number.
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
