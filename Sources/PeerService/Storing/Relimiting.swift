import Catalog
import Gossip
import Replica
import Synchronization

/// Brings the bounds of logs in the store to what the proofs of forks demand, step by step on the writer's queue: other
/// writes come in between.
final class Relimiting: Sendable {
    /// How long a log is left alone after its bound was moved: an author can prove ever lower forks of its own log. A guess.
    private static let pause = Duration.seconds(10)

    private struct State {
        /// False while every log is known to have its bound.
        var isNeeded = true
        /// True while a step is queued.
        var isRunning = false
        /// Logs whose bounds were moved lately, and until when they are left alone.
        var paused: [LogID: ContinuousClock.Instant] = [:]
    }

    private let replica: Replica
    private let driver: EngineDriver
    private let stop: NodeStop
    private let state = Mutex(State())

    init(replica: Replica, driver: EngineDriver, stop: NodeStop) {
        self.replica = replica
        self.driver = driver
        self.stop = stop
    }

    /// Begins with what was left at the last stop, and goes on with logs that were left alone, until cancelled.
    func run() async {
        repeat { resume() } while (try? await Task.sleep(for: .seconds(1))) != nil
    }

    /// Begins where there may be something to do. Call it after the proof of a fork was queued to be stored.
    func demand() {
        state.withLock { $0.isNeeded = true }
        resume()
    }

    private func resume() {
        let isBegun = state.withLock { state in
            defer { if state.isNeeded { state.isRunning = true } }
            return state.isNeeded && !state.isRunning
        }
        if isBegun { step() }
    }

    private func step() {
        replica.enqueueOnWriter { [self] in
            do {
                let now = ContinuousClock.now
                let paused = state.withLock { state in
                    state.paused = state.paused.filter { $0.value > now }
                    // A demand from now on is one that the step may miss.
                    state.isNeeded = !state.paused.isEmpty
                    return Set(state.paused.keys)
                }
                guard let step = try replica.awaitingLock({ try replica.relimitNext(except: paused) }) else {
                    state.withLock { $0.isRunning = false }
                    return
                }
                state.withLock { state in
                    state.isNeeded = true
                    if step.isDone { state.paused[step.log] = now + Self.pause }
                }
                let summary = StoredSummary(digest: step.totals.digest, records: step.totals.records)
                driver.feed(.committed([], summary: summary))
                self.step()
            } catch {
                stop.failUnlessStopping(error)
            }
        }
    }
}
