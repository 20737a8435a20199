package import Commands
import Dispatch
import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
package import Replica
import Synchronization
import Transport

/// Sends commands to a running node over its socket.
package struct LocalClient: Sendable {
    /// The path of the socket.
    package let path: String
    private let owner: uid_t

    /// The node of a folder, if one listens.
    ///
    /// - Throws: ``Failure`` with ``Reason/otherUser`` if the socket is another user's.
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
    /// If this task is cancelled, the client tells the node that it wants no answer. The node still answers with the
    /// work done until then.
    ///
    /// - Throws: The command's ``Failure``; one with ``Reason/nodeStopped`` at once if the node stops meanwhile; one
    ///   with ``Reason/nodeSilent`` after ``LocalProtocol/silenceMax`` without a sign of life.
    package func call<C: Command>(_ command: C) async throws -> C.Output {
        try await withCancellableSession(on: LocalLoop.executor) { try await $0.call(command) }
    }

    /// Runs a command with a stream in the node, like ``call(_:)``.
    ///
    /// - Parameters:
    ///   - file: Sent after the command, with back-pressure.
    ///   - onSent: Called before the last part of the request is sent.
    ///   - each: Takes each element, in order. The node waits until it returns.
    /// - Throws: Like ``call(_:)``; the errors of `each`.
    package func call<C: StreamingCommand>(
        _ command: C,
        with file: ReadableFile? = nil,
        onSent: @escaping @Sendable () -> Void = {},
        each: @escaping @Sendable (C.Element) async throws -> Void
    ) async throws {
        // `each` may block its thread, so it must not run on the event loop, whose timer detects a silent node.
        try await withCancellableSession(on: nil) {
            try await $0.stream(command, with: file, onSent: onSent, each: each)
        }
    }

    private func withCancellableSession<Result: Sendable>(
        on executor: (any TaskExecutor)?,
        _ body: @escaping @Sendable (Session) async throws -> Result
    ) async throws -> Result {
        let ending = Mutex<(channel: (any Channel)?, isWanted: Bool)>((nil, false))
        // The task's end is awaited below. It is unstructured, since a cancelled task cannot read the answer.
        let work = Task {
            try await withSession(isSingle: true, on: executor) { session in
                let isWanted = ending.withLock { ending in
                    ending.channel = session.channel
                    return ending.isWanted
                }
                if isWanted { throw CancellationError() }
                return try await body(session)
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

    /// Runs several commands, one after the other, over one connection: a new connection costs more than a small
    /// command.
    ///
    /// - Parameter body: Runs on the event loop of all local connections, and should not block it.
    /// - Throws: The errors of `body`; like ``call(_:)``.
    package func withSession<Result>(_ body: (Session) async throws -> Result) async throws -> Result {
        try await withSession(isSingle: false, on: LocalLoop.executor, body)
    }

    /// A connection to the node, within ``LocalClient/withSession(_:)``. It may be sent between tasks, but makes one
    /// call at a time: the next call begins after the answer of the one before.
    package final class Session: @unchecked Sendable {
        private let silence: SilenceHandler
        private let outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
        private var inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
        private let isSingle: Bool
        fileprivate let channel: any Channel
        /// The status of the last answer.
        private var status = 0

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

        /// Like ``LocalClient/call(_:)``.
        package func call<C: Command>(_ command: C) async throws -> C.Output {
            let json = try CommandTable.encode(command)
            var head = head(C.endpoint)
            head.headers.add(name: "Content-Length", value: "\(json.count)")
            do {
                // All parts go in one write. The node answers and closes after the last byte, so a write of a later
                // part could fail although an answer is on its way.
                try await outbound.write(
                    contentsOf: [.head(head), .body(.byteBuffer(ByteBuffer(bytes: json))), .end(nil)]
                )
            } catch let error as CancellationError {
                throw error
            } catch {
                throw broken
            }
            var answer = Data()
            while let part = try await next() {
                if case .body(let buffer) = part { answer.append(contentsOf: buffer.readableBytesView) }
            }
            return try Self.understood {
                guard status == 200 else { throw try JSONDecoder().decode(Failure.self, from: answer) }
                return try JSONDecoder().decode(C.Output.self, from: answer)
            }
        }

        /// Like ``LocalClient/call(_:with:onSent:each:)``.
        fileprivate func stream<C: StreamingCommand>(
            _ command: C,
            with file: ReadableFile?,
            onSent: @escaping @Sendable () -> Void,
            each: @Sendable (C.Element) async throws -> Void
        ) async throws {
            let json = try CommandTable.encode(command) + Data("\n".utf8)
            var head = head(C.endpoint)
            if let size = file.map(\.byteCount) ?? 0 {
                head.headers.add(name: "Content-Length", value: "\(json.count + size)")
            } else {
                head.headers.add(name: "Transfer-Encoding", value: "chunked")
            }
            let request = Request(
                parts: [.head(head), .body(.byteBuffer(ByteBuffer(bytes: json)))],
                file: file,
                outbound: outbound,
                channel: channel
            )
            // The node may answer before it has the whole request, so this task reads the answer while the rest is
            // sent. A failure to send closes the connection, which ends the reading.
            async let _: Void = request.send(onSent)
            do {
                try await readLines(of: C.self, each)
            } catch let error as Failure where error.reason == .nodeStopped {
                throw request.failure ?? error
            }
        }

        private func readLines<C: StreamingCommand>(
            of type: C.Type,
            _ each: (C.Element) async throws -> Void
        ) async throws {
            var bytes = Data()
            while let part = try await next() {
                guard case .body(let buffer) = part else { continue }
                // Only new bytes are searched: a line may come in many parts.
                var searched = bytes.count
                bytes.append(contentsOf: buffer.readableBytesView)
                guard status == 200 else { continue }
                var start = 0
                defer { if start > 0 { bytes = Data(bytes[start...]) } }
                while let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                    let line = bytes[start..<end]
                    start = end + 1
                    searched = start
                    // A sign of life.
                    if line.isEmpty { continue }
                    switch try Self.understood({ try JSONDecoder().decode(StreamLine<C.Element>.self, from: line) }) {
                    case .element(let element): try await each(element)
                    case .failure(let failure): throw failure
                    case .end: return
                    }
                }
            }
            guard status == 200 else {
                throw try Self.understood { try JSONDecoder().decode(Failure.self, from: bytes) }
            }
            // The stream has no end line: it was broken off.
            throw LocalProtocol.stopped
        }

        private func head(_ endpoint: Endpoint) -> HTTPRequestHead {
            var head = HTTPRequestHead(
                version: .http1_1,
                method: .POST,
                uri: LocalProtocol.prefix + endpoint.operation
            )
            head.headers.add(name: "Host", value: "hansa")
            head.headers.add(name: "Content-Type", value: "application/json")
            if isSingle { head.headers.add(name: "Connection", value: "close") }
            return head
        }

        /// The next part of the answer; nil at its end.
        private func next() async throws -> HTTPClientResponsePart? {
            do {
                if let part = try await inbound.next() {
                    switch part {
                    // A sign of life (status 102), or the head of the answer.
                    case .head(let head): status = Int(head.status.code)
                    case .body: break
                    case .end: return nil
                    }
                    return part
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                // Reported as a broken connection below.
            }
            throw broken
        }

        /// The failure of a connection whose node is gone. The client never opens the folder instead.
        private var broken: Failure {
            silence.hasEnded ? LocalClient.silent(silence.process) : LocalProtocol.stopped
        }

        private static func understood<Result>(_ body: () throws -> Result) throws -> Result {
            do {
                return try body()
            } catch is DecodingError {
                throw Failure(
                    .versionsDiffer,
                    "the running node answers in words that this program (version \(programVersion)) does not know; "
                        + "restart the node, so that both are of one version"
                )
            }
        }
    }

    /// A request with a file, while it is sent.
    private final class Request: Sendable {
        private let parts: [HTTPClientRequestPart]
        private let file: ReadableFile?
        private let outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
        private let channel: any Channel
        private let found = Mutex<Failure?>(nil)

        /// The bytes read at a time.
        private static let blockBytes = 256 * 1024

        init(
            parts: [HTTPClientRequestPart],
            file: ReadableFile?,
            outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>,
            channel: any Channel
        ) {
            self.parts = parts
            self.file = file
            self.outbound = outbound
            self.channel = channel
        }

        /// The reason why the file could not be sent; nil if it could, or if the connection broke.
        var failure: Failure? { found.withLock { $0 } }

        /// Sends the whole request.
        func send(_ onSent: @Sendable () -> Void) async {
            do {
                try await outbound.write(contentsOf: parts)
                if let file { try await send(file) }
                onSent()
                try await outbound.write(.end(nil))
            } catch let error as Failure {
                found.withLock { $0 = error }
                channel.close(promise: nil)
            } catch {
                // The connection is broken, or the answer is already there: the reader finds out.
            }
        }

        private func send(_ file: ReadableFile) async throws {
            // A read may wait for a pipe, so it runs on no thread of Swift's pool.
            let queue = DispatchQueue(label: "hansa.upload")
            var left = file.byteCount ?? .max
            try await CancellationFlag.during { flag in
                while left > 0 {
                    let limit = min(left, Self.blockBytes)
                    let block = try await withCheckedThrowingContinuation { continuation in
                        queue.async {
                            continuation.resume(
                                with: Result {
                                    var block = ByteBuffer()
                                    try block.writeWithUnsafeMutableBytes(minimumWritableBytes: limit) { buffer in
                                        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<limit])
                                        return try file.read(into: room) { flag.isSet }
                                    }
                                    return block
                                }
                            )
                        }
                    }
                    guard block.readableBytes > 0 else { break }
                    left -= block.readableBytes
                    try await outbound.write(.body(.byteBuffer(block)))
                }
            }
            guard file.byteCount == nil || (left == 0 && !file.hasChanged) else {
                throw Failure(.fileChanged, "\(file.name) has changed while it was read; try again")
            }
        }
    }

    private func withSession<Result>(
        isSingle: Bool,
        on executor: (any TaskExecutor)?,
        _ body: (Session) async throws -> Result
    ) async throws -> Result {
        guard let connection = try await Self.connect(path, owner: owner) else { throw LocalProtocol.stopped }
        // The result of the body counts, even if the connection then ends with an error.
        var result: Swift.Result<Result, any Error>?
        do {
            try await withTaskExecutorPreference(executor) {
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

    /// The failure of a node that runs and sends nothing.
    ///
    /// - Parameter process: Its process number; 0 if unknown.
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

    /// Connects; nil if no process listens.
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
        // A node that ends between the connection and this question has nothing more to report.
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

    /// Opens a connection. A node that accepts nothing has a full queue of connections at some point (`EAGAIN`); the
    /// client then retries for a while.
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
