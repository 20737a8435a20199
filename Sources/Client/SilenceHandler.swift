import Commands
import Glibc
import NIOCore
import NIOHTTP1
import Synchronization

/// Closes a connection whose node has a request and says nothing for ``LocalProtocol/silenceMax``.
///
/// `@unchecked Sendable`: the timer is used on the channel's event loop only, all else is behind a lock.
final class SilenceHandler: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private var timer: Scheduled<Void>?
    /// True from a request's head to its answer's end.
    private var isExpecting = false
    private let state = Mutex<(process: pid_t, hasEnded: Bool)>((0, false))

    /// The node's process number; 0 where it is not known.
    var process: pid_t {
        get { state.withLock { $0.process } }
        set { state.withLock { $0.process = newValue } }
    }

    /// True once it has closed the connection.
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

    /// Something is read only while there is room for it: a node is not silent while this process does not listen.
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
