package import Commands
import Foundation
import Glibc
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import PeerService
import Replica
import ServiceLifecycle
import Transport

/// The running node's ear for its own user: commands over a Unix socket.
package struct LocalServer: Service {
    private let context: CommandContext
    private let path: String
    private let logger: Logger

    /// Prepares the socket; nothing listens yet.
    ///
    /// - Parameters:
    ///   - context: What commands work on. Its folder's lock is held, which proves that a socket file left behind
    ///     belongs to nobody.
    ///   - path: From ``RuntimeSocket/prepare(for:)``.
    package init(context: CommandContext, path: String, logger: Logger) {
        self.context = context
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
                while context.service?.listening == nil { try await Task.sleep(for: .milliseconds(5)) }
            }
        } catch is CancellationError {
            return
        }
        unlink(path)
        defer { unlink(path) }
        let application = Application(
            responder: Responder(context: context),
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
private struct LocalRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Finds a request's command, runs it, and puts what comes of it into HTTP.
private struct Responder: HTTPResponder {
    let context: CommandContext

    func respond(to request: Request, context connection: LocalRequestContext) async throws -> Response {
        do {
            try await checkUser(connection.channel)
            let data = try await run(request, on: connection.channel)
            return Self.response(200, data)
        } catch {
            let failure = Failure(cause: error)
            return Self.response(failure.reason.status, try CommandTable.encode(failure))
        }
    }

    private func checkUser(_ channel: any Channel) async throws {
        let user = try await PeerCredentials.user(of: channel)
        guard user == geteuid() || user == 0 else {
            throw Failure(.otherUser, "this node belongs to another user of this machine")
        }
    }

    private func run(_ request: Request, on channel: any Channel) async throws -> Data {
        let path = request.uri.path
        guard request.method == .post, path.hasPrefix(LocalProtocol.prefix),
            let handler = CommandTable.handlers[String(path.dropFirst(LocalProtocol.prefix.count))]
        else {
            throw Failure(
                .badRequest,
                "the running node (version \(programVersion)) knows no \(request.method) \(path)"
            )
        }
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: LocalProtocol.requestBytesMax)
        } catch is NIOTooManyBytesError {
            throw Failure(.requestTooLong, "a request has at most \(LocalProtocol.requestBytesMax) bytes")
        }
        let signs = SignsOfLife(on: channel)
        defer { signs.end() }
        do {
            let command = try handler(Data(body.readableBytesView))
            if command.isBrief { return try await command.run(context) }
            return try await ClientWatch.whileClientWaits(on: channel) { try await command.run(context) }
        } catch is CancellationError {
            throw LocalProtocol.stopped
        }
    }

    private static func response(_ status: Int, _ data: Data) -> Response {
        Response(
            status: HTTPResponse.Status(code: status),
            headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: data))
        )
    }
}
