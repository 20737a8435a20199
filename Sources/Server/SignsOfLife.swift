import Commands
import NIOCore
import NIOHTTP1

/// Says on a connection, again and again, that the node is at work on its request: an interim response with status 102.
/// None is sent for a command that is answered at once.
///
/// They come from the connection's event loop, which does no command's work: they say that the process runs, whatever its
/// command waits for.
///
/// `@unchecked Sendable`: the timer is used on the event loop only.
final class SignsOfLife: @unchecked Sendable {
    private let channel: any Channel
    private var timer: RepeatedTask?

    /// A whole interim response (RFC 9110, section 15.2; 102 of RFC 2518, section 10.1).
    private static let sign = ByteBuffer(string: "HTTP/1.1 102 Processing\r\n\r\n")

    /// Begins.
    init(on channel: any Channel) {
        self.channel = channel
        onLoop { signs in
            signs.timer = signs.channel.eventLoop.scheduleRepeatedTask(
                initialDelay: TimeAmount(LocalProtocol.signOfLifeFirst),
                delay: TimeAmount(LocalProtocol.signOfLifeInterval)
            ) { _ in
                // From where the encoder's bytes go. Where nobody is there to be told, the answer finds out.
                let encoder = try? channel.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
                encoder?.writeAndFlush(NIOAny(Self.sign), promise: nil)
            }
        }
    }

    /// Ends them. What is written to the connection afterwards comes behind all that were sent.
    func end() {
        onLoop { signs in
            signs.timer?.cancel()
            signs.timer = nil
        }
    }

    private func onLoop(_ body: @escaping @Sendable (SignsOfLife) -> Void) {
        if channel.eventLoop.inEventLoop { body(self) } else { channel.eventLoop.execute { body(self) } }
    }
}
