import Commands
import Foundation
import TestSupport
import Testing
import hansa

/// Text that may reach a terminal, from any author.
struct ShownTextTests {
    /// Control characters, each with its displayed name.
    static let steering: [(String, String)] = [
        ("\u{1B}", "⟨ESC⟩"), ("\n", "⟨LF⟩"), ("\r", "⟨CR⟩"), ("\t", "⟨TAB⟩"), ("\0", "⟨U+0000⟩"), ("\u{7}", "⟨U+0007⟩"),
        ("\u{7F}", "⟨U+007F⟩"), ("\u{85}", "⟨U+0085⟩"), ("\u{9B}", "⟨U+009B⟩"), ("\u{9D}", "⟨U+009D⟩"),
        ("\u{2028}", "⟨U+2028⟩"), ("\u{2029}", "⟨U+2029⟩"), ("\u{202E}", "⟨U+202E⟩"), ("\u{2066}", "⟨U+2066⟩"),
        ("\u{200B}", "⟨U+200B⟩"), ("\u{200F}", "⟨U+200F⟩"), ("\u{FEFF}", "⟨U+FEFF⟩"), ("\u{E0041}", "⟨U+E0041⟩"),
    ]

    @Test(arguments: steering)
    func `foreign text is shown and never controls the terminal`(scalar: String, name: String) {
        let foreign = "a\(scalar)b"
        let text: ShownText = "name: \(foreign)."
        #expect(text.rendered(colours: true) == "name: a\(name)b.")
        #expect(text.rendered(colours: false) == "name: a\(name)b.")
    }

    @Test(arguments: steering.map(\.0))
    func `JSON for people has nothing that controls a terminal, and reads back unchanged`(scalar: String) throws {
        let foreign = ["a\(scalar)b", "飞机 👩‍💻 \"x\\y\""]
        let text = ShownText(json: foreign).rendered(colours: true)
        #expect(text.split(separator: "\n").count == 4)
        for scalar in text.unicodeScalars where scalar != "\n" && scalar != "\u{200D}" {
            let category = scalar.properties.generalCategory
            #expect(![.control, .format, .lineSeparator, .paragraphSeparator].contains(category), "\(scalar.value)")
        }
        #expect(try JSONDecoder().decode([String].self, from: Data(text.utf8)) == foreign)
    }

    @Test
    func `letters of all scripts, joined emoji and marks stay as they are`() {
        let names = ["Zürich", "湖南航天", "Łódź", "دفتر", "क्षमता", "👩‍💻", "a\u{0301}"]
        for name in names { #expect(("\(name)" as ShownText).rendered(colours: false) == name) }
    }

    @Test
    func `only this program's own text has colours and line breaks`() {
        let forged = "\u{1B}[1;32min step\u{1B}[0m\nhansa: all is well"
        let text: ShownText = ("\(forged)" as ShownText).styled(.warning) + "\n" + "second"
        let shown = text.rendered(colours: true)
        #expect(shown.split(separator: "\n").count == 2)
        #expect(shown.hasPrefix("\u{1B}[1;33m⟨ESC⟩[1;32min step"))
        #expect(text.rendered(colours: false).contains("\u{1B}") == false)
    }

    @Test
    func `a name of any length and form is cut`() {
        let long = String(repeating: "n", count: 900_000)
        let stacked = "a" + String(repeating: "\u{0301}", count: 900_000)
        let wide = String(repeating: "宽", count: 900_000)
        let escapes = String(repeating: "\u{1B}", count: 900_000)
        for name in [long, stacked, wide, escapes] {
            let text = ("\(name)" as ShownText).rendered(colours: false)
            #expect(DisplayText.width(text) <= DisplayText.columnsMax)
            #expect(text.utf8.count < 10_000)
            #expect(text.hasSuffix("…"))
        }
        #expect(("\(String(long.prefix(200)))" as ShownText).rendered(colours: false).hasSuffix("n"))
    }

    @Test
    func `help keeps its lines, and a user's words in it control nothing`() {
        let text = ShownText(lines: "USAGE: hansa\n  --x\u{1B}[2J\n")
        #expect(text.rendered(colours: false) == "USAGE: hansa\n  --x⟨ESC⟩[2J\n")
    }
}

/// Tables and records whose size authors cannot inflate.
struct BoundedOutputTests {
    @Test
    func `a long cell moves its own row and pads no other`() {
        var table = Table(["NAME", "ID"], flexible: [0])
        table.add([String(repeating: "x", count: 50_000), "1"])
        for number in 0..<1_000 { table.add(["short", "\(number)"]) }
        let lines = table.text(width: nil).rendered(colours: false).split(separator: "\n")
        #expect(lines.count == 1_002)
        #expect(lines[1].hasPrefix("xxxx") && lines[1].hasSuffix("…  1"))
        #expect(DisplayText.width(String(lines[1])) <= DisplayText.columnsMax + 3)
        #expect(lines.dropFirst(2).allSatisfy { $0.utf8.count < 60 })
    }

    @Test
    func `a table fits its terminal`() {
        var table = Table(["MEMBER", "STATE", "ADDRESS"], flexible: [2, 0])
        table.add([String(repeating: "成员", count: 60), "in step", String(repeating: "a", count: 300)])
        for line in table.text(width: 80).rendered(colours: false).split(separator: "\n") {
            #expect(DisplayText.width(String(line)) <= 80)
        }
    }

    /// A record as the answer of `get`.
    private func record(_ fields: [String: JSONValue], name: String = "Crane") throws -> RecordAnswer {
        let json: [String: JSONValue] = [
            "id": .string(String(repeating: "ab", count: 32)), "owner": .string("Acme"),
            "ownerId": .string(String(repeating: "cd", count: 32)), "name": .string(name), "deleted": .boolean(false),
            "furtherFields": .integer(0), "fields": .object(NamedValues(fields.map { ($0.key, $0.value) })),
            "conflicts": .array(fields.keys.map(JSONValue.string)),
        ]
        return try JSONDecoder().decode(RecordAnswer.self, from: JSONEncoder().encode(json))
    }

    @Test
    func `a record with a path of 900 kB and 300 fields is shown in some kilobytes`() throws {
        var fields: [String: JSONValue] = ["ext/" + String(repeating: "p", count: 900_000): .string("long")]
        for number in 0..<300 { fields["ext/f\(number)"] = .string("value \(number)") }
        let text = RecordText.describe(try record(fields)).rendered(colours: false)
        #expect(text.utf8.count < 40_000)
        #expect(text.contains("and 101 fields more; all of it is in: hansa get abababababab --json"))
        // Values are aligned beside short names.
        #expect(text.contains("\next/f0    value 0\n"))
    }

    @Test
    func `long values are cut, with a hint to the whole value`() throws {
        let values: [String: JSONValue] = [
            "ext/long": .string(String(repeating: "v", count: 60_000)),
            "ext/lines": .string(String(repeating: "\n", count: 60_000)),
            "ext/stacked": .string("e" + String(repeating: "\u{0308}", count: 60_000)),
            "ext/set": .array((0..<30_000).map { .string("element \($0)") }),
            "ext/short": .string("two\nlines"),
        ]
        for (path, value) in values {
            let text = RecordText.describe(try record([path: value])).rendered(colours: false)
            #expect(text.utf8.count < 20_000, "\(path)")
            let isShort = path == "ext/short"
            #expect(text.contains("hansa get abababababab --json") != isShort, "\(path)")
            if isShort { #expect(text.contains("ext/short  two\n           lines")) }
        }
    }
}
