import Commands
import Glibc
import NIOCore
import NIOHTTP1
import Synchronization

/// Closes a connection if its node has a request and sends nothing for ``LocalProtocol/silenceMax``.
///
/// `@unchecked Sendable`: the timer is used on the channel's event loop only; a lock protects all other state.
final class SilenceHandler: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private var timer: Scheduled<Void>?
    /// True from the head of a request to the end of its answer.
    private var isExpecting = false
    private let state = Mutex<(process: pid_t, hasEnded: Bool)>((0, false))

    /// The node's process number; 0 if unknown.
    var process: pid_t {
        get { state.withLock { $0.process } }
        set { state.withLock { $0.process = newValue } }
    }

    /// True once this handler has closed the connection.
    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .head = unwrapOutboundIn(data) {
            isExpecting = true
            wait(context)
        }
        context.write(data, promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        timer?.cancel()
        timer = nil
        if case .end = unwrapInboundIn(data) { isExpecting = false }
        context.fireChannelRead(data)
    }

    /// The timer runs only while this process reads: a node does not count as silent while this process has no room.
    func read(context: ChannelHandlerContext) {
        wait(context)
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    private func wait(_ context: ChannelHandlerContext) {
        guard isExpecting, timer == nil else { return }
        let channel = context.channel
        timer = channel.eventLoop.scheduleTask(in: TimeAmount(LocalProtocol.silenceMax)) { [self] in
            state.withLock { $0.hasEnded = true }
            channel.close(promise: nil)
        }
    }
}
