import Client
import Commands
import Foundation
import Glibc
package import Logging
import PeerService
package import Replica
import Server
import ServiceLifecycle
import UnixSignals

/// Runs a node in this process: the sessions with peers and the local socket.
package enum NodeProcess {
    /// Seconds that a running request has after a signal before it is cancelled.
    private static let graceSeconds: Int64 = 2
    /// Seconds after a signal at which the process ends in any case. Everything that was answered is on disk.
    private static let stopSecondsMax = 4.5

    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: ``Failure``: ``Reason/folderInUse`` or ``Reason/portInUse`` at once, and the failure that stops the node.
    package static func run(_ folder: DataFolder, flags: Settings.Flags, logger: Logger) async throws {
        // The socket and SQLite's files beside the database are for the owner alone.
        umask(0o077)
        ConnectionLimits.raiseDescriptors()
        let replica = try await open(folder)
        defer { replica.close() }
        let settings = try await Settings.load(folder, flags: flags)
        let service = try NodeService(replica: replica, settings: settings, logger: logger)
        let server = LocalServer(
            replica: replica,
            service: service,
            path: try RuntimeSocket.prepare(for: folder),
            logger: logger
        )
        var quiet = logger
        if quiet.logLevel > .debug { quiet.logLevel = .critical }
        // Services stop in reverse order: first the server takes no more requests, then the node stops. A node that cannot
        // continue stops gracefully too. To cancel the server while a client connects would end the process by a trap: NIO
        // demands that every accepted channel is served.
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: service, failureTerminationBehavior: .gracefullyShutdownGroup),
                .init(service: server, failureTerminationBehavior: .gracefullyShutdownGroup),
                .init(service: StopBound(seconds: stopSecondsMax, logger: logger)),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet
        )
        configuration.maximumGracefulShutdownDuration = .seconds(graceSeconds)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch is CancellationError {
            // A request has exceeded its grace period; everything else has stopped in order.
        }
        logger.info("stopped")
    }

    /// Opens the folder at once or fails; waits only for a short command.
    private static func open(_ folder: DataFolder) async throws -> Replica {
        do {
            return try Replica(opening: folder)
        } catch let error as Failure where error.reason.isHeldByAnother {
            if try await LocalClient(folder: folder) != nil { throw error }
            return try Replica(opening: folder, patience: .milliseconds(500))
        }
    }
}

/// Ends the process if stopping takes too long. It is the first service to stop.
private struct StopBound: Service {
    let seconds: Double
    let logger: Logger

    func run() async throws {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        await withGracefulShutdownHandler {
            for await _ in stream {}
        } onGracefulShutdown: { [seconds, logger] in
            continuation.finish()
            DispatchQueue.global().asyncAfter(deadline: .now() + seconds) {
                logger.critical("did not stop in time; ending at once")
                _exit(ExitStatus.internal.rawValue)
            }
        }
    }
}
