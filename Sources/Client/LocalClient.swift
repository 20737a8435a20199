package import Commands
import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
package import Replica
import Synchronization
import Transport

/// Asks a running node over its socket.
package struct LocalClient: Sendable {
    /// The socket.
    package let path: String
    private let owner: uid_t

    /// The node of a folder, if one listens.
    ///
    /// - Throws: ``Failure`` with ``Reason/otherUser`` where the socket is another user's.
    package init?(folder: DataFolder) async throws {
        owner = RuntimeSocket.owner(of: folder)
        for path in RuntimeSocket.candidates(for: folder) where RuntimeSocket.isSocket(path) {
            if let connection = try await Self.connect(path, owner: owner) {
                try? await connection.channel.channel.close()
                self.path = path
                return
            }
        }
        return nil
    }

    /// Runs a command in the node, over a connection of its own.
    ///
    /// Where this task is cancelled the node is told that no answer is wanted any more, and gives one all the same: what it
    /// did until then.
    ///
    /// - Throws: What the command throws there; ``Failure`` with ``Reason/nodeStopped`` at once where the node
    ///   stops meanwhile, and with ``Reason/nodeSilent`` after ``LocalProtocol/silenceMax`` without a sign of life.
    package func call<C: Command>(_ command: C) async throws -> C.Output {
        let ending = Mutex<(channel: (any Channel)?, isWanted: Bool)>((nil, false))
        // Its end is awaited here. A task of its own, since reading ends in one that is cancelled.
        let work = Task {
            try await withSession(isSingle: true) { session in
                let isWanted = ending.withLock { ending in
                    ending.channel = session.channel
                    return ending.isWanted
                }
                if isWanted { throw CancellationError() }
                return try await session.call(command)
            }
        }
        return try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            let channel = ending.withLock { ending in
                ending.isWanted = true
                return ending.channel
            }
            channel?.close(mode: .output, promise: nil)
        }
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
        private let silence: SilenceHandler
        private let outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
        private var inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
        private let isSingle: Bool
        fileprivate let channel: any Channel

        fileprivate init(
            _ connection: Connection,
            _ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>,
            _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>,
            isSingle: Bool
        ) {
            silence = connection.silence
            self.inbound = inbound.makeAsyncIterator()
            self.outbound = outbound
            self.isSingle = isSingle
            channel = connection.channel.channel
        }

        /// As ``LocalClient/call(_:)``.
        package func call<C: Command>(_ command: C) async throws -> C.Output {
            let (status, body) = try await exchange(C.name, try CommandTable.encode(command))
            do {
                guard status == 200 else { throw try JSONDecoder().decode(Failure.self, from: body) }
                return try JSONDecoder().decode(C.Output.self, from: body)
            } catch is DecodingError {
                throw Failure(
                    .versionsDiffer,
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
                    // A sign of life, unless it is the answer's.
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
            throw silence.hasEnded ? LocalClient.silent(silence.process) : LocalProtocol.stopped
        }
    }

    private func withSession<Result>(
        isSingle: Bool,
        _ body: (Session) async throws -> Result
    ) async throws -> Result {
        guard let connection = try await Self.connect(path, owner: owner) else { throw LocalProtocol.stopped }
        // What the body came to counts, however the connection ends then.
        var result: Swift.Result<Result, any Error>?
        do {
            try await withTaskExecutorPreference(LocalLoop.executor) {
                try await connection.channel.executeThenClose { inbound, outbound in
                    do {
                        result = .success(try await body(Session(connection, inbound, outbound, isSingle: isSingle)))
                    } catch {
                        result = .failure(error)
                    }
                }
            }
        } catch {
            guard result != nil else { throw LocalProtocol.stopped }
        }
        guard let result else { throw LocalProtocol.stopped }
        return try result.get()
    }

    /// What is said of a node that is there and says nothing.
    ///
    /// - Parameter process: Its number; 0 where that is not known.
    private static func silent(_ process: pid_t) -> Failure {
        let which = process == 0 ? "" : " (process \(process))"
        return Failure(
            .nodeSilent,
            "the node\(which) does not answer; see whether it is stopped or its machine is overloaded, "
                + "and start it again if it hangs"
        )
    }

    fileprivate struct Connection {
        let channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
        let silence: SilenceHandler
    }

    /// Nil where nobody listens.
    private static func connect(_ path: String, owner: uid_t) async throws -> Connection? {
        let connection: Connection
        do {
            connection = try await open(path)
        } catch let error as IOError where error.errnoCode == EACCES || error.errnoCode == EPERM {
            throw Failure(.otherUser, "\(path) belongs to another user; ask as that user")
        } catch let error as IOError where error.errnoCode == EAGAIN {
            throw silent(0)
        } catch {
            return nil
        }
        let channel = connection.channel.channel
        // A node that ends between the connection and this question has nothing to tell any more.
        guard let (user, process) = try? await PeerCredentials.userAndProcess(of: channel) else {
            try? await channel.close()
            return nil
        }
        guard user == owner || user == geteuid() else {
            try? await channel.close()
            throw Failure(.otherUser, "\(path) is held by another user than the data folder's; it is not asked")
        }
        connection.silence.process = process
        return connection
    }

    /// Connects. A node that accepts nothing has its queue of connections full at some time (`EAGAIN`); it has its time to
    /// take some from it.
    private static func open(_ path: String) async throws -> Connection {
        let deadline = ContinuousClock.now + LocalProtocol.silenceMax
        while true {
            do {
                return try await ClientBootstrap(group: LocalLoop.eventLoop)
                    .connect(unixDomainSocketPath: path) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let silence = SilenceHandler()
                            let pipeline = channel.pipeline.syncOperations
                            try pipeline.addHandlers([
                                HTTPRequestEncoder(),
                                ByteToMessageHandler(HTTPResponseDecoder(informationalResponseStrategy: .forward)),
                                silence,
                            ])
                            return Connection(
                                channel: try NIOAsyncChannel(wrappingChannelSynchronously: channel),
                                silence: silence
                            )
                        }
                    }
            } catch let error as IOError where error.errnoCode == EAGAIN && ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}

/// Closes a connection whose node has a request and says nothing for ``LocalProtocol/silenceMax``.
///
/// `@unchecked Sendable`: the timer is used on the channel's event loop only, all else is behind a lock.
private final class SilenceHandler: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private var timer: Scheduled<Void>?
    private let state = Mutex<(process: pid_t, hasEnded: Bool)>((0, false))

    /// The node's process number; 0 where it is not known.
    var process: pid_t {
        get { state.withLock { $0.process } }
        set { state.withLock { $0.process = newValue } }
    }

    /// True once it has closed the connection.
    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .head = unwrapOutboundIn(data) { wait(context) }
        context.write(data, promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        timer?.cancel()
        timer = nil
        if case .end = unwrapInboundIn(data) {} else { wait(context) }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    private func wait(_ context: ChannelHandlerContext) {
        let channel = context.channel
        timer = channel.eventLoop.scheduleTask(in: TimeAmount(LocalProtocol.silenceMax)) { [self] in
            state.withLock { $0.hasEnded = true }
            channel.close(promise: nil)
        }
    }
}
