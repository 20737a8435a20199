package import NIOCore

/// The framing of messages on a connection: the payload's length as 4 bytes, big-endian, then the payload.
package enum Frame {
    /// The maximum size of a payload in bytes: 4 MiB (Protocol.md, section 11).
    package static let bytesMax = 4 * 1024 * 1024

    /// The number of bytes before the payload.
    package static let headerBytes = 4
}

/// The progress of a connection's incoming frames, and their maximum size. Isolation: the channel's event loop.
final class FrameProgress {
    /// The maximum size of a payload in bytes; may change between two frames.
    var bytesMax: Int
    /// The number of received bytes of an incomplete frame.
    fileprivate(set) var partialBytes = 0
    /// The payload size of that frame in bytes if its header has arrived; otherwise 0.
    fileprivate(set) var announcedBytes = 0
    /// The number of complete frames.
    fileprivate(set) var completed: UInt64 = 0

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }
}

/// Splits a byte stream into the payloads of frames.
///
/// The decoder checks a length as soon as its four bytes have arrived, before it keeps or allocates anything for the
/// payload. The first frame of length 0 or beyond the limit throws a `CloseReason` into the pipeline and ends decoding.
/// Isolation: the channel's event loop.
package struct FrameDecoder: NIOSingleStepByteToMessageDecoder {
    /// A frame's payload.
    package typealias InboundOut = [UInt8]

    private let progress: FrameProgress

    /// Creates a decoder for payloads of 1 to `bytesMax` bytes.
    package init(bytesMax: Int = Frame.bytesMax) {
        progress = FrameProgress(bytesMax: bytesMax)
    }

    /// Creates a decoder that reports its progress.
    init(_ progress: FrameProgress) {
        self.progress = progress
    }

    /// Returns the next payload; nil until it is complete.
    ///
    /// - Throws: `CloseReason.frameTooLong` or `.emptyFrame`.
    package mutating func decode(buffer: inout ByteBuffer) throws -> [UInt8]? {
        progress.partialBytes = buffer.readableBytes
        progress.announcedBytes = 0
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self).map({ Int($0) }) else {
            return nil
        }
        guard length > 0 else { throw CloseReason.emptyFrame }
        guard length <= progress.bytesMax else { throw CloseReason.frameTooLong(length) }
        guard buffer.readableBytes >= Frame.headerBytes + length else {
            progress.announcedBytes = length
            return nil
        }
        buffer.moveReaderIndex(forwardBy: Frame.headerBytes)
        defer {
            progress.partialBytes = buffer.readableBytes
            progress.completed += 1
        }
        return buffer.readBytes(length: length)
    }

    /// Decodes complete frames at the end of the stream and drops an incomplete one.
    ///
    /// - Throws: Like ``decode(buffer:)``.
    package mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> [UInt8]? {
        try decode(buffer: &buffer)
    }
}

/// Writes the length before each payload. Isolation: the channel's event loop.
package final class FrameEncoder: ChannelOutboundHandler {
    /// A payload from 1 byte up to the limit; ``PeerConnection`` sends no other.
    package typealias OutboundIn = [UInt8]
    /// Length and payload.
    package typealias OutboundOut = ByteBuffer

    /// Creates an encoder.
    package init() {}

    /// Writes one frame into its own buffer.
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let payload = unwrapOutboundIn(data)
        var buffer = context.channel.allocator.buffer(capacity: Frame.headerBytes + payload.count)
        buffer.writeInteger(UInt32(payload.count))
        buffer.writeBytes(payload)
        context.write(wrapOutboundOut(buffer), promise: promise)
    }
}
