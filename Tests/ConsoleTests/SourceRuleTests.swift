import Foundation
import Testing

/// Rules that the compiler cannot enforce.
struct SourceRuleTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources")

    /// The Swift files of the program, without the tools of the simulator, benchmark and fuzzer.
    private static func files() throws -> [(path: String, text: String)] {
        let tools = ["Simulator/", "hansa-"]
        let paths = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
        return try paths.filter { path in path.hasSuffix(".swift") && !tools.contains { path.hasPrefix($0) } }
            .map { ($0, try String(contentsOf: root.appendingPathComponent($0), encoding: .utf8)) }
    }

    @Test
    func `only the console writes to standard output and standard error`() throws {
        let files = try Self.files()
        #expect(files.count > 150)
        // A method call follows a dot, a declaration follows `func`.
        let forbidden = try NSRegularExpression(
            pattern: #"(?<![.\w])(?<!func )(print|debugPrint|dump|fputs|fwrite|puts|putchar|perror|v?printf|NSLog)\("#
                + #"|(?<![.\w])readLine\("#
                + #"|FileHandle\.standard|STDERR_FILENO|StreamLogHandler|/dev/(stdout|stderr|tty)|\bstd(out|err)\b"#
        )
        let allowed = [
            "hansa/Output/Console.swift": ["STDERR_FILENO"],
            // The console's own method.
            "hansa/Output/ErrorReport.swift": ["print("],
            // Reads the passphrase; the console prints the prompt.
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
    func `no code makes shown text from a string at run time`() throws {
        for (path, text) in try Self.files() where path != "hansa/Output/ShownText.swift" {
            #expect(!text.contains("ShownText(stringLiteral:"), "\(path)")
            #expect(!text.contains("ShownText(safe:"), "\(path)")
        }
    }

    /// Targets that several front ends share.
    private static let core = [
        "Replica", "PeerService", "Commands", "Store", "Interchange", "Gossip", "DeltaLog", "Governance",
    ]

    @Test
    func `no text below the front ends names a command or an option of the terminal`() throws {
        let files = try Self.files().filter { file in Self.core.contains { file.path.hasPrefix($0 + "/") } }
        for target in Self.core { #expect(files.contains { $0.path.hasPrefix(target + "/") }, "\(target)") }
        for (path, text) in files { #expect(Self.terminalWords(in: text) == [], "\(path)") }
        // The rule must detect each of these.
        for code in [
            #"f("start it with 'hansa run'")"#, #"g("a; name it with --data")"#, #"let a = "--listen" // why"#,
        ] {
            #expect(Self.terminalWords(in: code).count == 1, "\(code)")
        }
        #expect(Self.terminalWords(in: "/// Runs `hansa verify --deep`.\nlet a = 1 // see --data") == [])
    }

    /// The commands and options in the code of a file, without its comments.
    private static func terminalWords(in text: String) -> [String] {
        text.split(separator: "\n").filter { line in
            let code = line.range(of: #"(^|\s)//"#, options: .regularExpression).map { line[..<$0.lowerBound] } ?? line
            return code.range(of: #"\bhansa [a-z]|(^|[\s"'(`])--[a-z]"#, options: .regularExpression) != nil
        }.map(String.init)
    }
}
