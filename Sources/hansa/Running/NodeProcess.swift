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

/// Runs a node in this process: the peers' side and the local socket.
package enum NodeProcess {
    /// Seconds that a request under way is given after a signal; then it is cancelled.
    private static let graceSeconds: Int64 = 2
    /// Seconds after a signal at which the process ends come what may. What was answered is on disk.
    private static let stopSecondsMax = 4.5

    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: ``Failure``: ``Reason/folderInUse`` or ``Reason/portInUse`` at once, and whatever stops the node.
    package static func run(_ folder: DataFolder, flags: Settings.Flags, logger: Logger) async throws {
        // The socket and what SQLite makes beside the database are for the owner alone.
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
        // Stopped in reverse order: first nothing more is asked, then the node stops. So also where the node cannot go on:
        // to cancel the server while somebody connects would end the process by a trap in NIO, which asks that a channel
        // that was accepted is served.
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
            // A request outlived its grace; all else has stopped in order.
        }
        logger.info("stopped")
    }

    /// Opens the folder at once or not at all; only a passing command is waited for.
    private static func open(_ folder: DataFolder) async throws -> Replica {
        do {
            return try Replica(opening: folder)
        } catch let error as Failure where error.reason.isHeldByAnother {
            if try await LocalClient(folder: folder) != nil { throw error }
            return try Replica(opening: folder, patience: .milliseconds(500))
        }
    }
}

/// Ends the process if stopping takes too long. It is the first to be told to stop.
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
