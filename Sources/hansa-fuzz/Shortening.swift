import Foundation
import Gossip
import TestSupport

/// Runs a failing seed again and again, each time in a process of its own, to find how few steps and kinds of messages it
/// takes.
struct Shortening {
    private let options: Options

    init(_ options: Options) {
        self.options = options
    }

    /// - Returns: The exit code: 1 where it fails at all.
    func run() throws -> Int32 {
        var steps = options.steps
        var skip = options.skip
        guard try fails(steps, skip) else {
            print("seed \(options.seed ?? 0) does not fail")
            return 0
        }
        // What fails at a step may not fail with more, but as a rule it does: halving finds the least.
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
        // One that never ends fails too.
        return process.wait(seconds: 600) != 0
    }
}
