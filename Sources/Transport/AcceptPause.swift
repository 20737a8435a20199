import NIOCore

/// Pauses accepting after the system has refused a connection, usually because no file descriptor is free.
///
/// NIO's own handler only delays reads: the socket stays registered, and the event loop wakes up for it continuously.
/// This handler deregisters interest in the socket through the channel's `autoRead`.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// The length of the pause.
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
        // Setting the option fails only if the channel is closed.
        channel.setOption(.autoRead, value: false).whenComplete { _ in }
        context.eventLoop.scheduleTask(in: Self.length) {
            bound.value.isPausing = false
            channel.setOption(.autoRead, value: true).whenComplete { _ in }
        }
    }
}
