import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
package import Node

/// Asks a running node over its socket.
package struct LocalClient: Sendable {
    /// The socket.
    package let path: String
    private let owner: uid_t

    /// What is said when a node goes away in the middle of a request.
    package static let stoppedMessage =
        "the node has stopped while it worked on this; start it again with 'hansa run' and see what was done, then "
        + "ask again"

    /// The node of a folder, if one listens.
    ///
    /// - Throws: ``HansaError`` with ``ExitCode/refused`` where the socket is another user's.
    package init?(folder: DataFolder) async throws {
        owner = RuntimeSocket.owner(of: folder)
        for path in RuntimeSocket.candidates(for: folder) where RuntimeSocket.isSocket(path) {
            if let connection = try await Self.connect(path, owner: owner) {
                try? await connection.channel.close()
                self.path = path
                return
            }
        }
        return nil
    }

    /// Runs a command in the node, over a connection of its own.
    ///
    /// - Throws: What the command throws there; ``HansaError`` with ``ExitCode/unreachable`` at once where the node
    ///   stops meanwhile.
    package func call<C: Command>(_ command: C) async throws -> C.Output {
        try await withSession(isSingle: true) { try await $0.call(command) }
    }

    /// Runs several commands, one after the other, over one connection: opening one takes longer than a small command.
    ///
    /// - Parameter body: Runs on the event loop of all local connections, and should not block it.
    /// - Throws: What `body` throws; as ``call(_:)``.
    package func withSession<Result>(_ body: (Session) async throws -> Result) async throws -> Result {
        try await withSession(isSingle: false, body)
    }

    /// A connection to the node, within ``LocalClient/withSession(_:)``. Sendable only as far as it makes one call at a time:
    /// the next one begins when the one before has been answered.
    package final class Session: @unchecked Sendable {
        private let outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
        private var inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
        private let isSingle: Bool

        fileprivate init(
            _ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>,
            _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>,
            isSingle: Bool
        ) {
            self.inbound = inbound.makeAsyncIterator()
            self.outbound = outbound
            self.isSingle = isSingle
        }

        /// As ``LocalClient/call(_:)``.
        package func call<C: Command>(_ command: C) async throws -> C.Output {
            let (status, body) = try await exchange(C.name, try CommandTable.encode(command))
            do {
                guard status == 200 else { throw try JSONDecoder().decode(HansaError.self, from: body) }
                return try JSONDecoder().decode(C.Output.self, from: body)
            } catch is DecodingError {
                throw HansaError(
                    .internal,
                    "the running node answers in words that this program (version \(programVersion)) does not know; "
                        + "restart the node, so that both are of one version"
                )
            }
        }

        private func exchange(_ name: String, _ body: Data) async throws -> (status: Int, body: Data) {
            var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: LocalProtocol.prefix + name)
            head.headers.add(name: "Host", value: "hansa")
            head.headers.add(name: "Content-Type", value: "application/json")
            head.headers.add(name: "Content-Length", value: "\(body.count)")
            if isSingle { head.headers.add(name: "Connection", value: "close") }
            do {
                // All at once: the node answers and closes as soon as it has the last byte, and a part that were written
                // only then would fail for an answer that is on its way.
                try await outbound.write(
                    contentsOf: [.head(head), .body(.byteBuffer(ByteBuffer(bytes: body))), .end(nil)]
                )
                var status = 0
                var answer = Data()
                while let part = try await inbound.next() {
                    switch part {
                    case .head(let head): status = Int(head.status.code)
                    case .body(let buffer): answer.append(contentsOf: buffer.readableBytesView)
                    case .end: return (status, answer)
                    }
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                // As below.
            }
            // Whatever broke the connection: the node is gone, and the folder is never gone on with behind its back.
            throw HansaError(.unreachable, LocalClient.stoppedMessage)
        }
    }

    private func withSession<Result>(
        isSingle: Bool,
        _ body: (Session) async throws -> Result
    ) async throws -> Result {
        guard let connection = try await Self.connect(path, owner: owner) else {
            throw HansaError(.unreachable, Self.stoppedMessage)
        }
        // What the body came to counts, however the connection ends then.
        var result: Swift.Result<Result, any Error>?
        do {
            try await withTaskExecutorPreference(LocalLoop.executor) {
                try await connection.executeThenClose { inbound, outbound in
                    do {
                        result = .success(try await body(Session(inbound, outbound, isSingle: isSingle)))
                    } catch {
                        result = .failure(error)
                    }
                }
            }
        } catch {
            guard result != nil else { throw HansaError(.unreachable, Self.stoppedMessage) }
        }
        guard let result else { throw HansaError(.unreachable, Self.stoppedMessage) }
        return try result.get()
    }

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    /// Nil where nobody listens.
    private static func connect(_ path: String, owner: uid_t) async throws -> Connection? {
        let connection: Connection
        do {
            connection = try await ClientBootstrap(group: LocalLoop.eventLoop)
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
        } catch let error as IOError where error.errnoCode == EACCES || error.errnoCode == EPERM {
            throw HansaError(.refused, "\(path) belongs to another user; ask as that user")
        } catch {
            return nil
        }
        // A node that ends between the connection and this question has nothing to tell any more.
        guard let user = try? await PeerCredentials.user(of: connection.channel) else {
            try? await connection.channel.close()
            return nil
        }
        guard user == owner || user == geteuid() else {
            try? await connection.channel.close()
            throw HansaError(.refused, "\(path) is held by another user than the data folder's; it is not asked")
        }
        return connection
    }
}
