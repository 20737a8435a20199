import NIOCore
import Synchronization

/// Detects on a connection that the client wants no more answers: it has closed its side, or is gone.
///
/// `@unchecked Sendable`: a lock protects all state.
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

    /// Sets the action that runs once the client has left, or at once if it already has; nil to remove it.
    private func set(_ action: (@Sendable () -> Void)?) {
        let isLate = state.withLock { state in
            state.onLeaving = state.hasLeft ? nil : action
            return state.hasLeft
        }
        if isLate { action?() }
    }

    /// Runs a body in its own task, which is cancelled when the client of a connection leaves, or when this task is
    /// cancelled.
    ///
    /// - Parameter channel: A connection with a watch among its handlers.
    /// - Throws: The errors of `body`.
    static func whileClientWaits<Result: Sendable>(
        on channel: any Channel,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let watch = try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.handler(type: ClientWatch.self)
        }.get()
        // The task's end is awaited below.
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
