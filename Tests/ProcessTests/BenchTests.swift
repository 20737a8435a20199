import Foundation
import Glibc
import TestSupport
import Testing

extension ProcessTests {
    /// The benchmark at a small size, which only shows that it works: its scenarios run, check their nodes' digests,
    /// and print the output that scripts expect.
    struct BenchTests {
        private static var program: String {
            URL(fileURLWithPath: HansaProcess.program).deletingLastPathComponent().appendingPathComponent("hansa-bench")
                .path
        }

        private static func run(_ words: String..., in scratch: TemporaryFolder) throws -> (
            code: Int32?, output: JSONTree, errors: String
        ) {
            let (output, errors) = (scratch("bench.json"), scratch("bench.err"))
            let process = try ChildProcess(
                program,
                words + ["--json", "--folder", scratch.path],
                environment: ProcessInfo.processInfo.environment,
                output: output,
                errors: errors
            )
            let code = process.wait(seconds: 300)
            let said = String(decoding: FileManager.default.contents(atPath: errors) ?? Data(), as: UTF8.self)
            return (code, JSONTree(FileManager.default.contents(atPath: output) ?? Data()), said)
        }

        @Test
        func `every scenario runs and checks what its nodes hold`() throws {
            let scratch = try TemporaryFolder()
            let (code, answer, errors) = try Self.run(
                "--records",
                "300",
                "--edits",
                "5",
                "--idle-seconds",
                "1",
                "--check",
                in: scratch
            )
            #expect(code == 0, "\(errors)")
            let results = answer.results.array
            let names = Set(results.compactMap { $0.scenario.string?.split(separator: "/").first.map(String.init) })
            let all = [
                "raw", "import-jsonl", "import-csv", "reimport", "reimport-1pct", "catch-up", "two-writers",
                "edit-durable",
                "edit-visible", "search", "start", "idle", "updates", "verify", "verify-deep", "rebuild",
            ]
            #expect(names == Set(all))
            for result in results {
                #expect(result.figure.double != nil && result.unit.string != nil)
            }
            let load = results.first { $0.scenario.string == "import-jsonl" }
            #expect((load?.ratio.double ?? 0) > 0 && (load?.rssBytes.int ?? 0) > 0 && (load?.diskBytes.int ?? 0) > 0)
        }

        private static let mayMount = SmallDisk(megabytes: 1) != nil

        @Test(arguments: ["kill", "stop"] + (mayMount ? ["full-disk"] : []))
        func `a scenario's data is right after each fault`(fault: String) throws {
            let scratch = try TemporaryFolder()
            let (code, answer, errors) = try Self.run(
                "--fault",
                fault,
                "--records",
                "2000",
                "--edits",
                "10",
                in: scratch
            )
            #expect(code == 0, "\(errors)")
            #expect(answer.results.array.count == 14)
        }

        @Test
        func `it takes a file of records`() throws {
            let scratch = try TemporaryFolder()
            let lines = (0..<20).map { #"{"code":"A\#($0)","name":"Thing \#($0)","tags":["a","b"]}"# }
            let file = try scratch.file("own.jsonl", lines.joined(separator: "\n") + "\n")
            let (code, answer, errors) = try Self.run(
                "import-jsonl",
                "catch-up",
                "--records-file",
                file,
                "--kind",
                "capability",
                "--key",
                "code",
                "--check",
                in: scratch
            )
            #expect(code == 0, "\(errors)")
            #expect(answer.results.array.contains { $0.scenario.string == "catch-up" })
        }

        /// Processes of the program hansa that have this text in an argument.
        private static func processes(with text: String) -> [String] {
            let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return numbers.filter { number in
                guard number.first?.isNumber == true,
                    let line = FileManager.default.contents(atPath: "/proc/\(number)/cmdline")
                else { return false }
                let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
                return words.first?.hasSuffix("/hansa") == true && words.contains { $0.contains(text) }
            }
        }

        @Test(arguments: [SIGKILL, SIGINT, SIGTERM])
        func `a bench that is stopped leaves no process behind`(signal: Int32) throws {
            let scratch = try TemporaryFolder()
            let process = try ChildProcess(
                Self.program,
                ["idle", "--records", "50", "--idle-seconds", "3600", "--folder", scratch.path],
                environment: ProcessInfo.processInfo.environment
            )
            #expect(eventually(seconds: 120) { Self.processes(with: scratch.path).count >= 2 })
            process.send(signal)
            #expect(process.wait(seconds: 30) != nil)
            #expect(eventually(seconds: 30) { Self.processes(with: scratch.path).isEmpty })
        }
    }
}
