import Commands
import Foundation
import Hummingbird
import NIOCore
import Replica

/// A request's body: a command, and a file after it in some requests.
///
/// `@unchecked Sendable`: one task at a time reads it, first the command and then the file.
final class RequestBytes: @unchecked Sendable {
    private var iterator: RequestBody.AsyncIterator
    /// Bytes received after the command.
    private var rest = ByteBuffer()
    /// The length of the body by the request's header.
    private let contentLength: Int?
    private var commandLength = 0

    init(_ request: Request) {
        iterator = request.body.makeAsyncIterator()
        contentLength = request.headers[.contentLength].flatMap(Int.init)
    }

    /// The file's length, if the request gives it. Valid once the command was read.
    var fileLength: Int? { contentLength.map { max(0, $0 - commandLength) } }

    /// The command's JSON: the first line, or the whole body.
    ///
    /// - Throws: ``Failure``: ``Reason/requestTooLong`` and ``Reason/badRequest``.
    func command(isLine: Bool) async throws -> Data {
        var bytes = ByteBuffer()
        while true {
            if isLine, let length = bytes.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Data(bytes.readableBytesView[..<length])
                bytes.moveReaderIndex(forwardBy: line.count + 1)
                commandLength = line.count + 1
                rest = bytes
                return line
            }
            guard bytes.readableBytes <= LocalProtocol.requestBytesMax else {
                throw Failure(.requestTooLong, "a command has at most \(LocalProtocol.requestBytesMax) bytes")
            }
            guard var part = try await iterator.next() else {
                guard !isLine else { throw Failure(.badRequest, "the request ends within its first line") }
                return Data(bytes.readableBytesView)
            }
            bytes.writeBuffer(&part)
        }
    }

    /// The next bytes of the file; nil at the end.
    func next() async throws -> ByteBuffer? {
        if rest.readableBytes > 0 {
            defer { rest = ByteBuffer() }
            return rest
        }
        return try await iterator.next()
    }
}

/// The file of a request. It is copied into the data folder as it arrives, with back-pressure: memory holds one block.
struct UploadedBody: CommandBody {
    private let bytes: RequestBytes
    private let replica: Replica

    init(_ bytes: RequestBytes, in replica: Replica) {
        self.bytes = bytes
        self.replica = replica
    }

    func file(named name: String, _ progress: ProgressReporter) async throws -> ReadableFile {
        let total = bytes.fileLength
        let spool = SpoolBox(try SpoolFile(in: replica.folder, name: name))
        progress.report(.receiving, done: 0, total: total)
        var block = ByteBuffer()
        block.reserveCapacity(SpoolFile.blockBytes + 64 * 1024)
        while true {
            var part: ByteBuffer?
            do {
                part = try await bytes.next()
            } catch {
                // The client has gone away.
                throw CancellationError()
            }
            // A stream that ends early through cancellation is not the end of the file.
            try Task.checkCancellation()
            let isEnd = part == nil
            if var part { block.writeBuffer(&part) }
            if block.readableBytes >= SpoolFile.blockBytes || (isEnd && block.readableBytes > 0) {
                let full = block
                // The copy is written neither on the event loop nor on Swift's threads.
                try await replica.onReaders { try full.withUnsafeReadableBytes { try spool.file.write($0) } }
                block.clear()
                progress.report(.receiving, done: spool.file.byteCount, total: total)
            }
            if isEnd { return spool.file.finish() }
        }
    }
}

/// A copy passed between threads; one call at a time uses it.
private final class SpoolBox: @unchecked Sendable {
    let file: SpoolFile
    init(_ file: SpoolFile) { self.file = file }
}
