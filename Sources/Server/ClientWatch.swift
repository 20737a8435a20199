import NIOCore
import Synchronization

/// Notices on a connection that the client wants no answer any more: it has closed its side to say so, or is gone.
///
/// `@unchecked Sendable`: all that it holds is behind a lock.
final class ClientWatch: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = NIOAny

    private struct State {
        var hasLeft = false
        var onLeaving: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { leave() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        let action = state.withLock { state in
            state.hasLeft = true
            return state.onLeaving.take()
        }
        action?()
    }

    /// Has `action` called once the client has left, at once if it has already; nil to have nothing called any more.
    private func set(_ action: (@Sendable () -> Void)?) {
        let isLate = state.withLock { state in
            state.onLeaving = state.hasLeft ? nil : action
            return state.hasLeft
        }
        if isLate { action?() }
    }

    /// Runs a body in a task of its own, which is cancelled when the client of a connection leaves, or when this task is
    /// cancelled.
    ///
    /// - Parameter channel: A connection with a watch among its handlers.
    /// - Throws: What `body` throws.
    static func whileClientWaits<Result: Sendable>(
        on channel: any Channel,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let watch = try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.handler(type: ClientWatch.self)
        }.get()
        // Its end is awaited here.
        let work = Task { try await body() }
        watch.set { work.cancel() }
        defer { watch.set(nil) }
        return try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            work.cancel()
        }
    }
}
