import Foundation
import Simulator
import TestSupport
import Testing

/// Seeds stored in the repository: those that once found a fault, one per line, each with a note after a `#`.
enum RecordedSeeds {
    static let swarm: [UInt64] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("seeds.txt")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            UInt64(line.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces))
        }
    }()
}

/// The program hansa-sim, built next to the running executable.
enum SimulatorProgram {
    private static let path: String = {
        let own =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("hansa-sim").path
    }()

    /// Runs the program; the code is nil if it exceeded the time limit.
    static func run(_ arguments: [String]) throws -> (code: Int32?, output: String, errors: String) {
        let folder = try TemporaryFolder()
        let (output, errors) = (folder("output"), folder("errors"))
        let process = try ChildProcess(
            path,
            arguments,
            environment: ProcessInfo.processInfo.environment,
            output: output,
            errors: errors
        )
        let code = process.wait()
        func text(_ file: String) -> String { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }
        return (code, text(output), text(errors))
    }
}

/// Runs a scenario once.
func report(_ name: String, seed: UInt64, nodes: Int? = nil, plant: PlantedBug? = nil) throws -> Report {
    var options = RunOptions(scenario: try #require(Scenario.named(name)), seed: seed)
    options.nodes = nodes
    options.plant = plant
    return Trial.run(options).report
}
