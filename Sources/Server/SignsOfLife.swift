import Commands
import NIOCore
import NIOHTTP1

/// Sends interim responses with status 102 on a connection at intervals, to show that the node is working on its
/// request. A command with a quick answer gets none.
///
/// They come from the connection's event loop, which runs no command: they show that the process is alive, even if its
/// command waits.
///
/// `@unchecked Sendable`: the timer is used on the event loop only.
final class SignsOfLife: @unchecked Sendable {
    private let channel: any Channel
    private var timer: RepeatedTask?

    /// A whole interim response (RFC 9110, section 15.2; 102 of RFC 2518, section 10.1).
    private static let sign = ByteBuffer(string: "HTTP/1.1 102 Processing\r\n\r\n")

    /// Starts the interim responses.
    init(on channel: any Channel) {
        self.channel = channel
        onLoop { signs in
            signs.timer = signs.channel.eventLoop.scheduleRepeatedTask(
                initialDelay: TimeAmount(LocalProtocol.signOfLifeFirst),
                delay: TimeAmount(LocalProtocol.signOfLifeInterval)
            ) { _ in
                // Written from the encoder's position in the pipeline. If the client is gone, the answer detects it.
                let encoder = try? channel.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
                encoder?.writeAndFlush(NIOAny(Self.sign), promise: nil)
            }
        }
    }

    /// Stops the interim responses. Later writes on the connection come after all that were sent.
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
