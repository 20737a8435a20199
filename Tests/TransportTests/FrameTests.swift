import NIOCore
import NIOEmbedded
import Testing
import Transport

@Suite struct FrameTests {
    private func channel(bytesMax: Int = Frame.bytesMax) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandlers([
            ByteToMessageHandler(FrameDecoder(bytesMax: bytesMax)), FrameEncoder(),
        ])
        return channel
    }

    private static let payloads: [[UInt8]] = [[1], [2, 3], Array(repeating: 4, count: 300), [0, 0, 0, 0, 0], [5]]

    private static var stream: [UInt8] {
        payloads.flatMap { [0, 0, UInt8($0.count >> 8), UInt8($0.count & 0xFF)] + $0 }
    }

    private func read(_ channel: EmbeddedChannel) throws -> [[UInt8]] {
        var frames: [[UInt8]] = []
        while let frame = try channel.readInbound(as: [UInt8].self) { frames.append(frame) }
        return frames
    }

    @Test func putsTheLengthBeforeThePayload() throws {
        let channel = try channel()
        for payload in Self.payloads { channel.writeAndFlush(payload, promise: nil) }
        var bytes: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += Array(buffer.readableBytesView) }
        #expect(bytes == Self.stream)
        _ = try channel.finish()
    }

    @Test func everySplitGivesTheSameFrames() throws {
        let stream = Self.stream
        for first in 0...stream.count {
            let channel = try channel()
            try channel.feed(ByteBuffer(bytes: stream[..<first]))
            try channel.feed(ByteBuffer(bytes: stream[first...]))
            #expect(try read(channel) == Self.payloads, "split at \(first)")
            _ = try channel.finish()
        }
    }

    @Test func everyPieceSizeGivesTheSameFrames() throws {
        let stream = Self.stream
        for piece in 1...20 {
            let channel = try channel()
            for start in Swift.stride(from: 0, to: stream.count, by: piece) {
                try channel.feed(ByteBuffer(bytes: stream[start..<min(start + piece, stream.count)]))
            }
            #expect(try read(channel) == Self.payloads, "pieces of \(piece)")
            _ = try channel.finish()
        }
    }

    @Test func theLongestFramePasses() throws {
        let channel = try channel(bytesMax: 1_000)
        try channel.writeOutbound([UInt8](repeating: 9, count: 1_000))
        try channel.feed(#require(try channel.readOutbound(as: ByteBuffer.self)))
        #expect(try read(channel) == [[UInt8](repeating: 9, count: 1_000)])
        _ = try channel.finish()
    }

    /// The decoder refuses on the length alone, before any byte of the payload arrives.
    @Test(arguments: [1_001, 0x0040_0001, 0x7FFF_FFFF, 0xFFFF_FFFF])
    func aLengthBeyondTheLimitIsRefused(length: Int) throws {
        let channel = try channel(bytesMax: length == 1_001 ? 1_000 : Frame.bytesMax)
        #expect(throws: CloseReason.frameTooLong(length)) {
            try channel.feed(ByteBuffer(integer: UInt32(length)))
        }
        _ = try? channel.finish()
    }

    @Test func aLengthOfZeroIsRefusedAndNothingFollows() throws {
        let channel = try channel()
        #expect(throws: CloseReason.emptyFrame) {
            try channel.feed(ByteBuffer(bytes: [0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 1, 8]))
        }
        #expect(try read(channel) == [[7]])
        _ = try? channel.finish()
    }
}
