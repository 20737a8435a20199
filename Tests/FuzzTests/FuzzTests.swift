import Foundation
import TestSupport
import Testing

/// The program hansa-fuzz: honest engines and stores, and hostile members that send them arbitrary messages. It runs in
/// a separate process, because a trap would end the test process.
@Suite(.serialized)
struct FuzzTests {
    /// The time during which new seeds start, in seconds; `HANSA_FUZZ_SECONDS` overrides it.
    private static let seconds = ProcessInfo.processInfo.environment["HANSA_FUZZ_SECONDS"].flatMap(Double.init) ?? 100

    /// Runs the program; the code is nil if it exceeded the time limit.
    private static func run(_ words: [String], seconds: Double = 300) throws -> (code: Int32?, output: String) {
        let folder = try TemporaryFolder()
        let output = folder("output")
        let process = try ChildProcess(
            URL(fileURLWithPath: HansaProcess.program).deletingLastPathComponent().appendingPathComponent("hansa-fuzz")
                .path,
            words,
            environment: ProcessInfo.processInfo.environment,
            output: output,
            errors: output
        )
        let code = process.wait(seconds: seconds)
        return (code, (try? String(contentsOfFile: output, encoding: .utf8)) ?? "")
    }

    @Test
    func `no message of members stops honest nodes, fills their memory or makes them differ`() throws {
        let run = try Self.run(["--seconds", "\(Self.seconds)"], seconds: Self.seconds + 600)
        // The output names the seed, the step and the command to run them again.
        let broken = run.output.split(separator: "\n").filter { !$0.hasPrefix("seed ") }.joined(separator: "\n")
        #expect(run.code == 0, "\(broken)")
    }

    @Test
    func `a seed gives the same run again`() throws {
        let traces = try (0..<2).map { _ in
            try Self.run(["--seed", "11", "--steps", "1500"]).output.split(separator: " ").first { $0.hasSuffix(":") }
        }
        #expect(traces[0] != nil && traces[0] == traces[1])
    }

    @Test
    func `a trap prints its seed, its step and the frame that caused it`() throws {
        let run = try Self.run(["--seed", "3", "--steps", "300", "--plant", "trap"])
        #expect(run.code.map { $0 > 128 } == true, "\(run)")
        #expect(run.output.contains("at seed 3, step 15"), "\(run)")
    }

    @Test
    func `honest nodes that differ are found`() throws {
        let run = try Self.run(["--seed", "3", "--steps", "600", "--plant", "deaf"])
        #expect(run.code == 1, "\(run)")
        #expect(run.output.contains("node 0 lacks deltas"), "\(run)")
        #expect(run.output.contains("again: hansa-fuzz --seed 3 --steps 600"), "\(run)")
    }

    @Test
    func `memory that grows is found`() throws {
        let run = try Self.run(["--seeds", "10", "--steps", "20", "--plant", "hoard"])
        #expect(run.code == 1 && run.output.contains("memory has grown"), "\(run)")
    }

    @Test
    func `wrong arguments exit with 2 and a sentence`() throws {
        let run = try Self.run(["--skip", "nonsense"])
        #expect(run.code == 2 && run.output.contains("'nonsense' is no kind of message and no act"), "\(run)")
    }
}
