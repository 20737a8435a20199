import Foundation
import Testing

/// Rules that the compiler cannot hold.
struct SourceRuleTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources")

    /// Swift files of the program: all but the simulator's and the benchmark's own tools.
    private static func files() throws -> [(path: String, text: String)] {
        let tools = ["Simulator/", "hansa-"]
        let paths = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
        return try paths.filter { path in path.hasSuffix(".swift") && !tools.contains { path.hasPrefix($0) } }
            .map { ($0, try String(contentsOf: root.appendingPathComponent($0), encoding: .utf8)) }
    }

    @Test
    func `nothing but the console writes to standard output and standard error`() throws {
        let files = try Self.files()
        #expect(files.count > 150)
        // A call of one's own is named behind a dot, a declaration behind `func`.
        let forbidden = try NSRegularExpression(
            pattern: #"(?<![.\w])(?<!func )(print|debugPrint|dump|fputs|fwrite|puts|putchar|perror|v?printf|NSLog)\("#
                + #"|(?<![.\w])readLine\("#
                + #"|FileHandle\.standard|STDERR_FILENO|StreamLogHandler|/dev/(stdout|stderr|tty)|\bstd(out|err)\b"#
        )
        let allowed = [
            "hansa/Output/Console.swift": ["STDERR_FILENO"],
            // The console's own words for it.
            "hansa/Output/ErrorReport.swift": ["print("],
            // It reads the answer; the console asks.
            "hansa/Options/PassphraseOptions.swift": ["readLine("],
        ]
        for (path, text) in files {
            for line in text.split(separator: "\n") where !line.contains("///") {
                let line = String(line)
                let all = NSRange(line.startIndex..., in: line)
                for match in forbidden.matches(in: line, range: all) {
                    let word = Range(match.range, in: line).map { String(line[$0]) } ?? ""
                    #expect(allowed[path]?.contains(word) == true, "\(path): \(line)")
                }
            }
        }
    }

    @Test
    func `nobody makes text that may be shown from a string at run time`() throws {
        for (path, text) in try Self.files() where path != "hansa/Output/ShownText.swift" {
            #expect(!text.contains("ShownText(stringLiteral:"), "\(path)")
            #expect(!text.contains("ShownText(safe:"), "\(path)")
        }
    }
}
