import Foundation
import Testing

/// The vocabulary of sources and documents: `Docs/Glossary.md` defines the terms, and this suite refuses the words that
/// they replaced.
struct VocabularyTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Retired words as regular expressions, with the terms that replace them.
    private static let retired: [(pattern: String, term: String)] = [
        (#"(?i)homeless"#, "orphan"),
        (#"(?i)acquaintance"#, "peer record"),
        (#"(?i)\bset aside\b|setAside|\bAsideEntry\b"#, "excluded"),
        (#"(?i)\bin vain\b|inVain"#, "redundant"),
        (#"(?i)\btold of\b|toldOf"#, "announced"),
        (#"(?i)stranger"#, "non-neighbour, unauthenticated connection"),
        (#"(?i)\bshun(s|ned|ning|Time)?\b"#, "ban"),
        (#"(?i)distrust"#, "back off"),
        (#"(?i:\banew\b)|[a-z]Anew\b"#, "again, re-derive, rebuild"),
        (#"(?i)\bwhoever\b|\bthereof\b|\blest\b"#, "the actor's name"),
        (#"(?i)waiting citation|WaitingCitation"#, "dangling reference"),
        (#"(?i)\btroubled\b|TroubleFlags"#, "conflict flags"),
        (#"(?i)\bstretch(es)?\b"#, "range"),
        (#"(?i)\btid(y|ies|ied|ying)\b|\bisTidy"#, "optimize, maintain"),
        (#"\bPen\b"#, "own log writer"),
        (#"\bGate\b"#, "authorizer"),
        (#"(?i)\bmend(s|ed|ing)?\b"#, "repair, fix, correct"),
    ]

    /// Swift sources, protocol definitions and documents, without generated code and this list.
    private static func files() -> [String] {
        let roots = ["Sources", "Tests", "Docs", "examples"]
        let paths = roots.flatMap { folder in
            FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path)?
                .compactMap { $0 as? String }.map { "\(folder)/\($0)" } ?? []
        }
        return (paths + ["README.md"]).filter { path in
            [".swift", ".md", ".proto", ".sh"].contains { path.hasSuffix($0) } && !path.hasSuffix(".pb.swift")
                && !path.hasSuffix("VocabularyTests.swift")
        }
    }

    /// The retired words in a text, each with its line.
    private static func retiredWords(in text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap { number, line in
            retired.compactMap { pattern, term in
                line.range(of: pattern, options: .regularExpression).map {
                    "line \(number + 1): '\(line[$0])'; say: \(term)"
                }
            }
        }
    }

    @Test
    func `sources and documents use the terms of the glossary`() throws {
        let files = Self.files()
        #expect(files.count > 400)
        for path in files {
            let text = try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
            #expect(Self.retiredWords(in: text) == [], "\(path)")
        }
        // The rule must detect each of these.
        for line in [
            "/// A homeless statement.", "let setAside = 1", "the index is made anew", "struct Pen {", "// in vain",
        ] {
            #expect(Self.retiredWords(in: line).count == 1, "\(line)")
        }
        #expect(Self.retiredWords(in: "UPDATE record SET trouble = 0\nlet opening = append(pendingCount)") == [])
    }

    @Test
    func `no source file is longer than 500 lines, but for scanners, codecs and transport`() throws {
        // Generated code is exempt; a codec or a scanner is one table that is read as a whole.
        let exempt = ["Sources/Transport/", "+Codec.swift", "Scanner.swift", ".pb.swift"]
        for path in Self.files() where path.hasPrefix("Sources/") && path.hasSuffix(".swift") {
            guard !exempt.contains(where: path.contains) else { continue }
            let text = try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
            #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 500, "\(path)")
        }
    }
}
