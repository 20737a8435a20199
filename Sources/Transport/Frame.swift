package import NIOCore

/// The framing of messages on a connection: the payload's length as 4 bytes, big end first, then the payload.
package enum Frame {
    /// Longest payload, in bytes: 4 MiB (Protocol.md, section 11).
    package static let bytesMax = 4 * 1024 * 1024

    /// Bytes before the payload.
    package static let headerBytes = 4
}

/// How far a connection's incoming frames are, and how long they may be. Isolation: the channel's event loop.
final class FrameProgress {
    /// The longest payload that is taken; may change between two frames.
    var bytesMax: Int
    /// Bytes that have come of a frame that is not complete.
    fileprivate(set) var partialBytes = 0
    /// The whole length of that frame, as far as it is known; 0 between two frames.
    fileprivate(set) var announcedBytes = 0
    /// Frames that are complete.
    fileprivate(set) var completed: UInt64 = 0

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }
}

/// Cuts a byte stream into frames' payloads.
///
/// The length is judged as soon as its four bytes are there, before anything is kept or allocated for the payload. The
/// first frame beyond the limit, or of length 0, is a `CloseReason` thrown into the pipeline, and nothing is decoded after.
/// Isolation: the channel's event loop.
package struct FrameDecoder: NIOSingleStepByteToMessageDecoder {
    /// A frame's payload.
    package typealias InboundOut = [UInt8]

    private let progress: FrameProgress

    /// A decoder for payloads of 1 to `bytesMax` bytes.
    package init(bytesMax: Int = Frame.bytesMax) {
        progress = FrameProgress(bytesMax: bytesMax)
    }

    /// A decoder that tells how far it is.
    init(_ progress: FrameProgress) {
        self.progress = progress
    }

    /// The next payload, or nil until it is complete.
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

    /// At the end of the stream: whole frames only; a part of one is dropped.
    ///
    /// - Throws: as `decode`.
    package mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> [UInt8]? {
        try decode(buffer: &buffer)
    }
}

/// Puts the length before each payload. Isolation: the channel's event loop.
package final class FrameEncoder: ChannelOutboundHandler {
    /// A payload of 1 byte up to the limit: ``PeerConnection`` passes on no other.
    package typealias OutboundIn = [UInt8]
    /// Length and payload.
    package typealias OutboundOut = ByteBuffer

    /// An encoder.
    package init() {}

    /// Writes one frame in a buffer of its own.
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let payload = unwrapOutboundIn(data)
        var buffer = context.channel.allocator.buffer(capacity: Frame.headerBytes + payload.count)
        buffer.writeInteger(UInt32(payload.count))
        buffer.writeBytes(payload)
        context.write(wrapOutboundOut(buffer), promise: promise)
    }
}
