import Foundation
import Gossip
import TestSupport

/// Runs a failing seed repeatedly, each time in a separate process, to find the smallest number of steps and kinds of
/// messages that still fails.
struct Shortening {
    private let options: Options

    init(_ options: Options) {
        self.options = options
    }

    /// - Returns: the exit code: 1 if the seed fails, 0 otherwise.
    func run() throws -> Int32 {
        var steps = options.steps
        var skip = options.skip
        guard try fails(steps, skip) else {
            print("seed \(options.seed ?? 0) does not fail")
            return 0
        }
        // A failure at one number of steps need not occur with more, but usually does; bisection finds the smallest.
        var passing = 0
        while steps - passing > max(1, steps / 50) {
            let middle = (passing + steps) / 2
            if try fails(middle, skip) { steps = middle } else { passing = middle }
        }
        for name in PeerMessage.Kind.allCases.map(\.name) + Act.allCases.map(\.rawValue) where !skip.contains(name) {
            if try fails(steps, skip + [name]) { skip.append(name) }
        }
        print("hansa-fuzz --seed \(options.seed ?? 0) --steps \(steps) --skip \(skip.joined(separator: " "))")
        return 1
    }

    private func fails(_ steps: Int, _ skip: [String]) throws -> Bool {
        var words = ["--seed", "\(options.seed ?? 0)", "--steps", "\(steps)"]
        if !skip.isEmpty { words += ["--skip"] + skip }
        let process = try ChildProcess(
            "/proc/self/exe",
            words,
            environment: ProcessInfo.processInfo.environment
        )
        // A process that does not end counts as a failure.
        return process.wait(seconds: 600) != 0
    }
}
