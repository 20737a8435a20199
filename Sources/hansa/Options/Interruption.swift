import Foundation
import Glibc
import Replica
import Synchronization

/// Ctrl-C and similar signals (SIGINT, SIGTERM, SIGHUP), for a command that must finish or remove something first.
///
/// The first signal runs the action that the command has set; a second one ends the process at once.
final class Interruption: Sendable {
    private struct State {
        var signal: Int32?
        var action: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    /// Takes over the signals: they no longer end the process by themselves.
    init() {
        let signals = [SIGINT, SIGTERM, SIGHUP]
        for number in signals { signal(number, SIG_IGN) }
        sources = signals.map { DispatchSource.makeSignalSource(signal: $0, queue: .global()) }
        for (source, number) in zip(sources, signals) {
            source.setEventHandler { [weak self] in self?.take(number) }
            source.resume()
        }
    }

    private func take(_ number: Int32) {
        let (action, isFirst) = state.withLock { state in
            let isFirst = state.signal == nil
            if isFirst { state.signal = number }
            return (state.action, isFirst)
        }
        guard isFirst, let action else { _exit(128 + number) }
        action()
    }

    /// Sets the action of the first signal; nil to end the process. If the signal has already come, the action runs
    /// now.
    func onFirst(_ action: (@Sendable () -> Void)?) {
        let isLate = state.withLock { state in
            state.action = action
            return state.signal != nil
        }
        if isLate { action?() }
    }

    /// The exit code of a process that a signal has ended; nil if none has come.
    var exitCode: Int32? { state.withLock { $0.signal }.map { 128 + $0 } }

    /// Runs a body in a task that the first signal cancels, and waits for its end.
    ///
    /// - Parameters:
    ///   - body: Calls its argument when it begins work that must end in order.
    ///   - before: The action of a signal until then.
    func cancelling<Result: Sendable>(
        _ body: @escaping @Sendable (_ begins: @escaping @Sendable () -> Void) async throws -> Result,
        before: @escaping @Sendable () -> Void
    ) async throws -> Result {
        let hasBegun = CancellationFlag()
        // The task's end is awaited below.
        let work = Task { try await body { hasBegun.set() } }
        onFirst { if hasBegun.isSet { work.cancel() } else { before() } }
        defer { onFirst(nil) }
        return try await work.value
    }
}
