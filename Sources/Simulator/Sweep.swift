import Synchronization

/// A range of seeds, run by several threads; each thread takes the next seed.
package final class Sweep: Sendable {
    /// A seed that failed.
    package struct Failure: Sendable, Codable {
        package let seed: UInt64
        package let reason: String
    }

    /// The progress of the sweep.
    package struct State: Sendable {
        package fileprivate(set) var next: UInt64?
        package fileprivate(set) var finished = 0
        package fileprivate(set) var failures: [Failure] = []
        package fileprivate(set) var virtualSeconds = 0.0
        package fileprivate(set) var recordsDelivered = 0.0
        package fileprivate(set) var bytesSent = 0.0
    }

    package let scenario: Scenario
    package let seeds: ClosedRange<UInt64>
    private let nodes: Int?
    private let plant: PlantedBug?
    private let state: Mutex<State>

    package init(scenario: Scenario, seeds: ClosedRange<UInt64>, nodes: Int? = nil, plant: PlantedBug? = nil) {
        self.scenario = scenario
        self.seeds = seeds
        self.nodes = nodes
        self.plant = plant
        state = Mutex(State(next: seeds.lowerBound))
    }

    /// The current state. Failures are in ascending order of seeds.
    package var progress: State {
        var progress = state.withLock { $0 }
        progress.failures.sort { $0.seed < $1.seed }
        return progress
    }

    /// Runs seeds until none is left or `isEnough` returns true. Every thread calls it.
    package func work(until isEnough: () -> Bool) {
        while !isEnough(), let seed = take() {
            var options = RunOptions(scenario: scenario, seed: seed)
            options.nodes = nodes
            options.plant = plant
            let report = Trial.run(options).report
            state.withLock { state in
                state.finished += 1
                state.virtualSeconds += report.virtualSeconds
                for figure in report.figures {
                    if figure.name == "records delivered" { state.recordsDelivered += figure.value }
                    if figure.name == "bytes sent" { state.bytesSent += figure.value }
                }
                guard !report.isPassed else { return }
                state.failures.append(Failure(seed: seed, reason: report.reason))
            }
        }
    }

    private func take() -> UInt64? {
        state.withLock { state in
            guard let seed = state.next else { return nil }
            state.next = seed < seeds.upperBound ? seed + 1 : nil
            return seed
        }
    }
}
