import Glibc
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import PeerService
package import Replica
import ServiceLifecycle
import Transport

/// The running node's ear for its own user: commands over a Unix socket.
package struct LocalServer: Service {
    private let replica: Replica
    private let service: NodeService
    private let path: String
    private let logger: Logger

    /// Prepares the socket; nothing listens yet.
    ///
    /// - Parameters:
    ///   - replica: What commands work on. Its folder's lock is held, which proves that a socket file left behind
    ///     belongs to nobody.
    ///   - service: The node that runs on it.
    ///   - path: From ``RuntimeSocket/prepare(for:)``.
    package init(replica: Replica, service: NodeService, path: String, logger: Logger) {
        self.replica = replica
        self.service = service
        self.path = path
        var logger = logger
        // What the server says of itself is of no use to an operator.
        if logger.logLevel > .debug { logger.logLevel = .warning }
        self.logger = logger
    }

    /// Listens once the node does, until cancelled or shut down gracefully: then it answers what was asked before.
    /// The socket file is removed at the end.
    ///
    /// - Throws: ``Failure`` where the socket cannot be made.
    package func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                while service.listening == nil { try await Task.sleep(for: .milliseconds(5)) }
            }
        } catch is CancellationError {
            return
        }
        unlink(path)
        defer { unlink(path) }
        let application = Application(
            responder: Responder(replica: replica, service: service),
            server: .http1(configuration: .init(additionalChannelHandlers: [ClientWatch()])),
            configuration: ApplicationConfiguration(
                address: .unixDomainSocket(path: path),
                // Whoever comes beyond it waits, and all the others keep their descriptors.
                availableConnectionsDelegate: MaximumAvailableConnections(ConnectionLimits.localMax)
            ),
            onServerRunning: { [path, logger] _ in
                // The umask of a running node leaves this mode already.
                guard chmod(path, 0o600) == 0 else {
                    logger.warning("cannot restrict the socket", metadata: ["path": "\(path)"])
                    return
                }
            },
            eventLoopGroupProvider: .shared(LocalLoop.eventLoop),
            logger: logger
        )
        do {
            try await withTaskExecutorPreference(LocalLoop.executor) { try await application.run() }
        } catch let error as IOError {
            throw Failure(system: "cannot listen at \(path)", error.errnoCode)
        }
    }
}

/// A request with the connection it came over.
struct LocalRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
