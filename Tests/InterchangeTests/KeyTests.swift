import Foundation
import Interchange
import Testing

struct KeyTests {
    @Test
    func `repeated keys are found with memory for a few only`() throws {
        let folder = FileManager.default.temporaryDirectory.path
        let repeated = [3: 3_000, 10: 11, 1_500: 2_999]
        var text = "id,name\n"
        for line in 1...4_000 {
            let first = repeated.first { $0.value == line }?.key ?? line
            text += "K\(first),thing \(line)\n"
        }
        let small = ImportOptions(
            kind: "resource",
            map: try ColumnMap(keyColumn: "id", written: []),
            keyFolder: folder,
            keysInMemoryMax: 100
        )
        func found(_ options: ImportOptions) throws -> [String] {
            try events(Array(text.utf8), .csv, options).compactMap(\.reject).map {
                #expect($0.code == .keyRepeated)
                return "\($0.line) \($0.text)"
            }.sorted()
        }
        let expected = repeated.map { first, line in
            "\(line + 1) the key of line \(first + 1) again on line \(line + 1); keys must be unique in a file"
        }.sorted()
        let (few, all) = (try found(small), try found(options()))
        #expect(few == expected)
        #expect(all == expected)
        let leftovers = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("keys-") }
        #expect(leftovers.isEmpty)
    }

    @Test
    func `a folder for keys that cannot be written is reported`() throws {
        let nowhere = ImportOptions(
            kind: "resource",
            map: try ColumnMap(keyColumn: "id", written: []),
            keyFolder: "/nowhere",
            keysInMemoryMax: 2
        )
        let error = #expect(throws: InterchangeError.self) {
            try events(Array("id,name\nA,a\nB,b\nC,c\n".utf8), .csv, nowhere)
        }
        #expect(error?.code == .noRoom)
    }

    @Test(arguments: [
        ("EQ-7", "EQ-7 ", "'EQ-7⟨SPACE⟩' looks like 'EQ-7'"), (" EQ-7", "EQ-7", "'EQ-7' looks like '⟨SPACE⟩EQ-7'"),
        ("EQ-7\u{A0}", " EQ-7", "'⟨SPACE⟩EQ-7' looks like 'EQ-7⟨NBSP⟩'"),
        ("EQ-7", "E\u{200B}Q-7", "'E⟨U+200B⟩Q-7' looks like 'EQ-7'"),
        ("A B", "A\u{A0}B", "'A⟨NBSP⟩B' looks like 'A B'"), ("\u{E9}t", "e\u{301}t", "'e⟨U+0301⟩t' looks like 'ét'"),
        ("10K", "10\u{212A}", "'10⟨U+212A⟩' looks like '10K'"), ("罐1", "罐1\u{3000}", "'罐1⟨U+3000⟩' looks like '罐1'"),
        ("\u{AC00}", "\u{1100}\u{1161}", "looks like '\u{AC00}'"),
    ])
    func `a key that only looks like another one is refused, with both shown`(
        _ first: String,
        _ second: String,
        _ shown: String
    ) throws {
        let file = "id,name\n\"\(first)\",a\nB,b\n\"\(second)\",c\n"
        let reject = try #require(try events(file, .csv, options()).last?.reject)
        #expect(reject.code == .keyAlike)
        #expect(reject.line == 4)
        #expect(reject.text.contains(shown) && reject.text.contains("of line 2 "), "\(reject.text)")
        let lines = "{\"id\":\"\(first)\",\"name\":\"a\"}\n{\"id\":\"\(second)\",\"name\":\"c\"}\n"
        #expect(try events(lines, .jsonLines, options()).last?.reject?.code == .keyAlike)
    }

    @Test
    func `keys that look different are different`() throws {
        let keys = [
            "a", "A", "ａ", "0012", "12", "１２", "A B", "AB", "A  B", "m²", "m2", "é", "e", "ﬁ", "fi", "北京", "北 京",
            "LAB/07",
        ]
        let file = "id,name\n" + keys.map { "\"\($0)\",n" }.joined(separator: "\n")
        #expect(try events(file, .csv, options()).compactMap(\.reject) == [])
        #expect(keys.allSatisfy { KeyFold.folded($0) == nil || $0 == "ﬁ" })
    }

    @Test
    func `similar keys are found with memory for a few only`() throws {
        var text = "id,name\n"
        for line in 1...3_000 { text += line == 2_500 ? "K17\u{A0},thing\n" : "K\(line),thing\n" }
        let small = ImportOptions(
            kind: "resource",
            map: try ColumnMap(keyColumn: "id", written: []),
            keyFolder: FileManager.default.temporaryDirectory.path,
            keysInMemoryMax: 100
        )
        let rejects = try events(Array(text.utf8), .csv, small).compactMap(\.reject)
        #expect(rejects.map(\.code) == [.keyAlike])
        #expect(rejects.first?.line == 2_501)
        #expect(rejects.first?.text.contains("of line 18 ") == true)
    }
}
