import Catalog
import Dispatch
package import Gossip
import Replica
import Synchronization

/// Steps the engine with inputs in the order of their arrival, one step and its actions at a time, and keeps its timer.
///
/// The caller of ``feed(_:)`` runs the step itself unless one is in progress; this avoids a thread hop for isolated inputs.
/// Inputs that arrive during a step are processed on a queue, so no caller works for others.
package final class EngineDriver: Sendable {
    /// Carries out an action of a step. Must not block.
    package typealias Perform = @Sendable (EngineAction) -> Void

    private struct Inbox {
        /// Inputs that wait, in order.
        var inputs: [EngineInput] = []
        /// True while a step is in progress, or the queue is about to begin one.
        var isStepping = false
        /// Carries out actions; nil before the beginning and after the end.
        var perform: Perform?
        var isEnded = false
        /// The caller of ``end()``, while it waits for the last step.
        var quiet: CheckedContinuation<Void, Never>?
    }

    private let engine: Mutex<Engine>
    private let inbox = Mutex(Inbox())
    private let queue = DispatchQueue(label: "hansa.engine")
    /// A Dispatch source may be used from any thread.
    nonisolated(unsafe) private let timer: any DispatchSourceTimer

    /// - Parameter engine: Only this driver steps it from now on.
    package init(_ engine: consuming sending Engine) {
        self.engine = Mutex(engine)
        timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { [weak self] in self?.feed(.timer) }
        timer.activate()
    }

    private static let start = ContinuousClock.now

    /// The monotonic clock, as the engine reads it.
    static var now: Gossip.Instant {
        let elapsed = start.duration(to: .now).components
        return Gossip.Instant(
            nanoseconds: UInt64(elapsed.seconds) * 1_000_000_000 + UInt64(elapsed.attoseconds / 1_000_000_000)
        )
    }

    /// Runs a body on the engine between two steps. The body must not call the driver.
    func withEngine<Result>(_ body: (borrowing Engine) -> sending Result) -> sending Result {
        engine.withLock { body($0) }
    }

    /// Starts to carry out actions, and processes the inputs that were kept.
    package func begin(_ perform: @escaping Perform) {
        inbox.withLock { inbox in
            inbox.perform = perform
            inbox.isStepping = true
        }
        queue.async { self.stepWithRest() }
    }

    /// Gives the engine an input. Keeps inputs that come before the beginning; drops those that come after the end.
    package func feed(_ input: EngineInput) {
        let perform = inbox.withLock { inbox -> Perform? in
            guard !inbox.isEnded else { return nil }
            guard !inbox.isStepping, let perform = inbox.perform else {
                inbox.inputs.append(input)
                return nil
            }
            inbox.isStepping = true
            return perform
        }
        guard let perform else { return }
        step(input, perform)
        if inbox.withLock({ !Self.restsIfDone(&$0) }) { queue.async { self.stepWithRest() } }
    }

    /// Drops all further inputs, and waits until no step is in progress.
    package func end() async {
        await withCheckedContinuation { continuation in
            let isStepping = inbox.withLock { inbox in
                inbox.isEnded = true
                inbox.inputs = []
                inbox.perform = nil
                if inbox.isStepping { inbox.quiet = continuation }
                return inbox.isStepping
            }
            if !isStepping { continuation.resume() }
        }
        timer.cancel()
    }

    /// Processes the inputs that arrived during a step. Runs on the queue.
    private func stepWithRest() {
        while true {
            let (inputs, perform) = inbox.withLock { inbox in
                let inputs = Self.restsIfDone(&inbox) ? [] : inbox.inputs
                inbox.inputs = []
                return (inputs, inbox.perform)
            }
            guard let perform, !inputs.isEmpty else { return }
            for input in inputs {
                guard inbox.withLock({ !$0.isEnded }) else { break }
                step(input, perform)
            }
        }
    }

    /// Ends the stepping if no input waits. Returns true if it has ended.
    private static func restsIfDone(_ inbox: inout Inbox) -> Bool {
        guard inbox.inputs.isEmpty else { return false }
        inbox.isStepping = false
        inbox.quiet.take()?.resume()
        return true
    }

    private func step(_ input: EngineInput, _ perform: Perform) {
        let actions = engine.withLock { $0.step(input, now: Self.now, wallMilliseconds: WallClock.milliseconds) }
        for action in actions {
            if case .setTimer(let instant) = action { setTimer(instant) } else { perform(action) }
        }
    }

    private func setTimer(_ instant: Gossip.Instant) {
        let now = Self.now
        let nanoseconds = instant > now ? instant.nanoseconds - now.nanoseconds : 0
        timer.schedule(deadline: .now() + .nanoseconds(Int(clamping: nanoseconds)), leeway: .milliseconds(1))
    }
}
