package import Catalog
package import DeltaLog
import Simulator

/// A delta that arrives at a storage, or a bound that is set there.
package enum BoundStep: Sendable {
    case delta(VerifiedDelta)
    case bound(LogID, UInt64?)
}

/// The expected content of a storage after some steps.
package struct BoundExpectation {
    private let history: RandomHistory
    private var taken: Set<Hash256> = []
    package private(set) var bounds: [LogID: UInt64] = [:]

    package init(_ history: RandomHistory) {
        self.history = history
    }

    /// Adds a step.
    package mutating func take(_ step: BoundStep) {
        switch step {
        case .delta(let delta): taken.insert(delta.hash)
        case .bound(let log, let bound): bounds[log] = bound
        }
    }

    /// The same expectation with other bounds, as between two steps of a relimit.
    package func with(bounds: [LogID: UInt64]) -> BoundExpectation {
        var other = self
        other.bounds = bounds
        return other
    }

    /// The summary of a storage that had the bounds before the first delta arrived.
    package func summary() throws -> StorageSummary {
        var storage = MemoryStorage()
        for (log, bound) in bounds { storage.setBound(bound, of: log) }
        for delta in history.deltas where taken.contains(delta.hash) {
            _ = try history.applier.apply(delta, to: &storage)
        }
        return StorageSummary(storage)
    }

    /// The definition: the summary of a storage that never received deltas beyond the bounds. Its heads differ from
    /// ``summary()``, and so do its references to deltas beyond the bounds.
    package func definition() throws -> StorageSummary {
        var storage = MemoryStorage()
        for delta in history.deltas
        where taken.contains(delta.hash) && delta.header.sequence <= bounds[delta.log] ?? .max {
            _ = try history.applier.apply(delta, to: &storage)
        }
        return StorageSummary(storage)
    }
}

extension StorageConformance {
    /// The number of operations per step of a relimit in these tests.
    package static let relimitOperations = 3

    /// The deltas of a history, each after its predecessor, mixed with bounds that fall and rise.
    package static func boundSteps(_ history: RandomHistory, seed: UInt64) -> [BoundStep] {
        var random = SplitMix64(seed: seed)
        var left = Dictionary(grouping: history.deltas, by: \.log)
        let logs = left.keys.sorted()
        var steps: [BoundStep] = []
        func bound() -> BoundStep {
            let log = logs[Int.random(in: 0..<logs.count, using: &random)]
            let isLifted = Int.random(in: 0..<4, using: &random) == 0
            return .bound(log, isLifted ? nil : UInt64.random(in: 0...8, using: &random))
        }
        while let log = left.keys.sorted().randomElement(using: &random), var deltas = left[log] {
            if Int.random(in: 0..<3, using: &random) == 0 {
                steps.append(bound())
            } else {
                steps.append(.delta(deltas.removeFirst()))
                left[log] = deltas.isEmpty ? nil : deltas
            }
        }
        for _ in 0..<10 { steps.append(bound()) }
        return steps
    }
}
