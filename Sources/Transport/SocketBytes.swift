import NIOCore
import Synchronization

/// Counts the bytes that a transport's sockets have transferred since its creation.
///
/// The counts cover TLS records, including handshakes and alerts, also of failed connections. They do not cover TCP and
/// IP headers.
package final class SocketBytes: Sendable {
    private let receivedBytes = Atomic<UInt64>(0)
    private let sentBytes = Atomic<UInt64>(0)

    init() {}

    /// The number of bytes received from sockets.
    package var received: UInt64 { receivedBytes.load(ordering: .relaxed) }
    /// The number of bytes passed to sockets.
    package var sent: UInt64 { sentBytes.load(ordering: .relaxed) }

    fileprivate func received(_ count: Int) { receivedBytes.wrappingAdd(UInt64(count), ordering: .relaxed) }
    fileprivate func sent(_ count: Int) { sentBytes.wrappingAdd(UInt64(count), ordering: .relaxed) }
}

/// The first handler of a peer's channel: counts its bytes.
final class SocketMeter: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let bytes: SocketBytes

    init(_ bytes: SocketBytes) {
        self.bytes = bytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes.received(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        bytes.sent(unwrapOutboundIn(data).readableBytes)
        context.write(data, promise: promise)
    }
}
