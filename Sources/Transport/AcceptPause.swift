import NIOCore

/// Accepts nothing for a while after the system has refused a connection, mostly for want of descriptors.
///
/// NIO's own handler only holds reads back: the socket stays registered, and the event loop wakes for it without end. This one
/// takes the interest in the socket back, by the channel's `autoRead`.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// How long the pause is.
    static let length = TimeAmount.milliseconds(100)

    private let refused: (IOError) -> Void
    private var isPausing = false

    /// - Parameter refused: Called for each refusal, on the channel's event loop.
    init(refused: @escaping (IOError) -> Void) { self.refused = refused }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else {
            context.fireErrorCaught(error)
            return
        }
        refused(error)
        guard !isPausing else { return }
        isPausing = true
        let channel = context.channel
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        // Neither fails but where the channel has been closed.
        channel.setOption(.autoRead, value: false).whenComplete { _ in }
        context.eventLoop.scheduleTask(in: Self.length) {
            bound.value.isPausing = false
            channel.setOption(.autoRead, value: true).whenComplete { _ in }
        }
    }
}
