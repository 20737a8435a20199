import Glibc
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import PeerService
package import Replica
import ServiceLifecycle
import Transport

/// The running node's server for its own user: commands over a Unix socket.
package struct LocalServer: Service {
    private let replica: Replica
    private let service: NodeService
    private let path: String
    private let logger: Logger

    /// Prepares the socket; nothing listens yet.
    ///
    /// - Parameters:
    ///   - replica: The replica on which commands work. Its folder's lock is held, which proves that an old socket file
    ///     belongs to no process.
    ///   - service: The node that runs on it.
    ///   - path: From ``RuntimeSocket/prepare(for:)``.
    package init(replica: Replica, service: NodeService, path: String, logger: Logger) {
        self.replica = replica
        self.service = service
        self.path = path
        var logger = logger
        // The server's own messages are of no use to an operator.
        if logger.logLevel > .debug { logger.logLevel = .warning }
        self.logger = logger
    }

    /// Waits until the node listens, then listens until cancelled or shut down gracefully. It still answers the requests
    /// that it already has, and removes the socket file at the end.
    ///
    /// - Throws: ``Failure`` if the socket cannot be made.
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
                // Further connections wait; the accepted ones keep their descriptors.
                availableConnectionsDelegate: MaximumAvailableConnections(ConnectionLimits.localMax)
            ),
            onServerRunning: { [path, logger] _ in
                // The umask of a running node already gives this mode.
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

/// A request with its connection.
struct LocalRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
