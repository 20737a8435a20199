import Catalog
import Interchange
import Testing

struct JSONTests {
    private func row(_ line: String, _ options: ImportOptions? = nil) throws -> SourceRow {
        let found = try events(line, .jsonLines, options ?? self.options())
        return try #require(found.first?.row, "\(found)")
    }

    private func options() throws -> ImportOptions { try InterchangeTests.options() }

    @Test func keepsTypesAndNumbersAsWritten() throws {
        let row = try row(
            #"{"id":7,"name":"n","a":1,"b":-9223372036854775808,"c":9223372036854775808,"d":1.50,"e":-0,"f":1e3,"#
                + #""g":true,"h":false,"i":null,"j":"","k":[1, {"x" : "y z"}],"l":{ "m":[ ] }}"#
        )
        #expect(row.localID == "7")
        #expect(row["ext/a"] == .value(.integer(1)))
        #expect(row["ext/b"] == .value(.integer(.min)))
        #expect(row["ext/c"] == .value(.decimal("9223372036854775808")))
        #expect(row["ext/d"] == .value(.decimal("1.50")))
        #expect(row["ext/e"] == .value(.decimal("-0")))
        #expect(row["ext/f"] == .value(.decimal("1e3")))
        #expect(row["ext/g"] == .value(.boolean(true)))
        #expect(row["ext/h"] == .value(.boolean(false)))
        #expect(row["ext/i"] == .absent)
        #expect(row["ext/j"] == text(""))
        #expect(row["ext/k"] == .value(.json(#"[1,{"x":"y z"}]"#)))
        #expect(row["ext/l"] == .value(.json(#"{"m":[]}"#)))
        #expect(row["ext/id"] == nil)
    }

    @Test func readsEscapes() throws {
        let row = try row(#"{"id":"\u00e9\ud83d\ude00","name":"\"\\\/\b\f\n\r\t\u0000"}"#)
        #expect(row.localID == "é😀")
        #expect(row["name/und"] == text("\"\\/\u{8}\u{C}\n\r\t\u{0}"))
    }

    @Test func mapsLanguagesSetsAndExtensions() throws {
        let row = try row(
            #"{"id":"1","name":{"zh":"北","en":"N","fr":null},"summary.zh":"s","tags":["a",2,null,"a",{"b": 1}],"#
                + #""sectors":"x;y","codes":[],"ext":{"C D":"5","n":{"o":1}},"ext/E":"6","Name":"no"}"#
        )
        #expect(row["name/zh"] == text("北"))
        #expect(row["name/en"] == text("N"))
        #expect(row["name/fr"] == .absent)
        #expect(row["summary/zh"] == text("s"))
        #expect(row["tags"] == .elements([.text("a"), .integer(2), .json(#"{"b":1}"#)]))
        #expect(row["sectors"] == texts("x;y"))
        #expect(row["codes"] == .absent)
        #expect(row["ext/C D"] == text("5"))
        #expect(row["ext/n"] == .value(.json(#"{"o":1}"#)))
        #expect(row["ext/E"] == text("6"))
        #expect(row["ext/Name"] == text("no"))
    }

    @Test func absentMembersGiveNoValue() throws {
        let found = try events(
            #"{"id":1,"name":"a","note":"x"}"# + "\n\n" + #"{"id":2,"name":"b"}"# + "\r\n"
                + #"{"note":"y","name":"c","id":3}"#,
            .jsonLines,
            options()
        )
        #expect(found.compactMap(\.row).map { $0["note"] } == [text("x"), nil, text("y")])
        #expect(found.compactMap(\.row).map(\.line) == [1, 3, 4])
    }

    @Test(arguments: [
        ("[", "f:2:2: bad-json"), ("{\"id\":1", "bad-json"), ("{\"id\":01}", "f:2:7: bad-json: a number begins with 0"),
        ("{\"id\":1,}", "f:2:9: bad-json: expected a name in quotes"), ("{'id':1}", "f:2:2: bad-json"),
        ("{\"id\":\"\\ud800\"}", "f:2:8: bad-json: half of a surrogate pair"),
        ("{\"id\":\"\\udc00x\"}", "half of a surrogate pair"),
        ("{\"id\":\"\\ud800\\u0041\"}", "half of a surrogate pair"),
        ("{\"id\":\"\\x\"}", "an escape that JSON does not have"), ("{\"id\":\"\t\"}", "a control character"),
        ("{\"id\":1,\"id\":2}", "f:2:10: bad-json: a name occurs twice in one object"),
        ("{\"id\":1,\"a\":{\"b\":1,\"\\u0062\":2}}", "a name occurs twice in one object"),
        ("{\"id\":1} x", "f:2:10: bad-json: unexpected text after the object"),
        ("{\"id\":+1}", "expected a value"), ("{\"id\":.5}", "expected a value"),
        ("{\"id\":1.}", "digits behind its point"),
        ("{\"id\":nul}", "expected a value"), ("{\"id\":NaN}", "expected a value"), ("{\"id\" 1}", "expected a colon"),
        ("{\"id\":1 \"a\":2}", "expected a comma or }"), ("{\"id\":1e}", "digits in its exponent"),
        ("5", "f:2:1: not-an-object: a JSON value, but no object"), ("\"x\"", "not-an-object"),
        ("[1]", "not-an-object"),
        ("{\"name\":\"n\",\"x\":1}", "f:2:1: key-missing: there is no key 'id'; the members are: name, x"),
        ("{\"id\":\"\",\"name\":\"n\"}", "f:2:2: id: key-empty: the row has no key"),
        ("{\"id\":null,\"name\":\"n\"}", "f:2:2: id: key-empty: the row has no key"),
        ("{\"id\":true,\"name\":\"n\"}", "f:2:2: id: key-not-text: a key is text or a number (true)"),
        ("{\"id\":0,\"name\":\"n\"}", "f:2:2: id: key-repeated: the key of line 1 again on line 2"),
        ("{\"id\":1}", "f:2:1: name-missing"), ("{\"id\":1,\"name\":null,\"description\":\"\"}", "name-missing"),
        ("{\"id\":1,\"name\":\"a\",\"name/und\":\"b\"}", "f:2:20: name/und: field-repeated: another column or member"),
        ("{\"id\":1,\"name\":\"a\",\"\":\"b\"}", "f:2:20: bad-field"),
        ("{\"id\":1,\"name\":\"a\",\"ext\":{\"\":\"b\"}}", "f:2:27: ext/: bad-field"),
        ("{\"id\":1,\"name\":\"a\",\"visibility\":\"named\"}", "f:2:20: visibility: bad-visibility"),
        ("{\"id\":1,\"name\":\"a\",\"visibility\":[\"alliance\"]}", "bad-visibility"),
    ])
    func rejectsRows(_ line: String, _ expected: String) throws {
        let found = try events("{\"id\":0,\"name\":\"n\"}\n\(line)\n{\"id\":9,\"name\":\"n\"}", .jsonLines, options())
        try #require(found.count == 3)
        #expect(found[2].row?.localID == "9")
        let description = try #require(found[1].reject).description
        #expect(description.contains(expected), "\(description)")
    }

    @Test func boundsNesting() throws {
        func nested(_ depth: Int) -> String {
            #"{"id":1,"name":"n","x":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
                + "}"
        }
        func brackets(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try events(nested(64), .jsonLines, options()).first?.row?["ext/x"] == .value(.json(brackets(64))))
        // Deeper values are text, up to the size limit of a value.
        #expect(try events(nested(65), .jsonLines, options()).first?.row?["ext/x"] == text(brackets(65)))
        #expect(try events(nested(32_000), .jsonLines, options()).first?.row?["ext/x"] == text(brackets(32_000)))
        #expect(try events(nested(200_000), .jsonLines, options()).first?.reject?.code == .badJSON)
        // The same holds in a set, in a language's value and in an export's wrapping.
        let deep = brackets(70)
        let line = "{\"id\":1,\"name\":{\"en\":\(deep)},\"tags\":[\(deep)],\"ext\":{\"a\":{\"$json\":\"\(deep)\"}}}"
        let row = try row(line)
        #expect(row["name/en"] == text(deep))
        #expect(row["tags"] == texts(deep))
        #expect(row["ext/a"] == text(deep))
    }

    @Test
    func `a value that is nested too deep is exported as text`() throws {
        func written(_ depth: Int) -> String {
            let text = String(repeating: "{\"a\":", count: depth) + "1" + String(repeating: "}", count: depth)
            var writer = JSONLinesWriter()
            writer.write(
                ExportRecord(
                    kind: "need",
                    owner: "O",
                    localID: "1",
                    fields: [(FieldPath(unchecked: "ext/x"), [.json(text)])]
                )
            )
            return String(decoding: writer.bytes, as: UTF8.self)
        }
        #expect(written(64).contains(#"{"x":{"a":"#))
        #expect(written(65).contains(#"{"x":"{\"a\":"#))
        #expect(written(509).contains(#"{"x":"{\"a\":"#))
    }

    @Test
    func `documents of other members are parsed strictly`() {
        let wrong = [
            "", "{", "[1,]", "{\"a\":1,\"a\":2}", "\"\\ud800\"", "[1] x", "NaN", "{\"a\":1,\"\\u0061\":2}",
            String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
            String(repeating: "[", count: 100_000),
        ]
        for text in wrong { #expect(JSONDocument(text) == nil, "\(text.prefix(40))") }
        for text in [
            "null", "[]", "{\"a\":[1e999999999,{}]}",
            String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
        ] {
            #expect(JSONDocument(text) != nil, "\(text.prefix(40))")
        }
    }

    @Test func rejectsInvalidBytes() throws {
        let bytes = Array(#"{"id":1,"name":"n","x":""#.utf8) + [0xFF] + Array("\"}\n{\"id\":2,\"name\":\"m\"}".utf8)
        let found = try events(bytes, .jsonLines, options())
        #expect(found[0].reject?.code == .badEncoding)
        #expect(found[0].reject?.column == 25)
        #expect(found[1].row?.localID == "2")
    }

    @Test func skipsALineThatIsTooLong() throws {
        let file =
            "{\"id\":1,\"name\":\"a\"}\n{\"x\":\"\(String(repeating: "x", count: 3_000_000))\"}\n{\"id\":2,\"name\":\"b\"}\n"
        let found = try events(file, .jsonLines, options())
        #expect(found.map { $0.reject?.code } == [nil, .recordTooLarge, nil])
        #expect(found[2].row?.line == 3)
    }

    @Test func readsOneArrayOfObjects() throws {
        let file =
            " [\n {\"id\":1,\"name\":\"a]\\\"\"},\n {\n\"id\":2,\n\"name\":\"b\"},5\n,{\"id\":3,\"name\":\"c\"} ]\n"
        for portion in [1, 2, 3, 7, 1000] {
            let found = try events(Array(file.utf8), .jsonLines, options(), portion: portion, windowBytes: 8)
            #expect(found.map { $0.row?.localID } == ["1", "2", nil, "3"])
            #expect(found.map { $0.row?.line ?? 0 } == [2, 3, 0, 6])
            #expect(found[2].reject?.code == .notAnObject)
        }
    }

    @Test(arguments: [
        "[", "[{\"id\":1}", "[{\"id\":1,\"name\":\"a\"} 5]", "[,]", "[] x", "[{\"id\":1,\"name\":\"n\"},]",
    ])
    func refusesMalformedArrays(_ file: String) throws {
        let error = #expect(throws: InterchangeError.self) { try events(file, .jsonLines, options()) }
        #expect(error?.code == .badFile)
    }

    @Test func remembersThousandsOfNames() throws {
        var file = ""
        for line in 0..<40 {
            let members = (0..<500).map { "\"m\(line * 500 + $0)\":\($0)" }.joined(separator: ",")
            file += "{\"id\":\(line),\"name\":\"n\",\(members)}\n"
        }
        let rows = try events(file, .jsonLines, options()).compactMap(\.row)
        #expect(rows.count == 40)
        #expect(rows.allSatisfy { $0.fields.count == 501 })
    }

    private static let pieces = [
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"id\"", "\"name\"", "\"\\u00e9\"", "1", "-2.5e3", "true", "null", " ",
        "\n",
        "{\"id\":1,\"name\":\"x\"}", "\"", "\\", "北",
    ]

    @Test(arguments: 0..<400 as Range<UInt64>)
    func survivesMutatedBytesAtEverySplit(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var bytes = (0..<1 + random.below(30)).flatMap { _ in Array(random.pick(Self.pieces).utf8) }
        if random.chance(50) {
            bytes = Array(#"{"id":1,"name":{"zh":"北","en":"x"},"tags":["a",1.5,{"b":[true]}],"x":"\ud83d\ude00"}"#.utf8)
            for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
        }
        let options = try options()
        let whole = Result { try events(bytes, .jsonLines, options) }
        for portion in [1, 2, 3, 5, 11] {
            let split = Result { try events(bytes, .jsonLines, options, portion: portion, windowBytes: 8) }
            switch (whole, split) {
            case (.success(let one), .success(let other)): #expect(one == other, "seed \(seed)")
            case (.failure(let one), .failure(let other)): #expect("\(one)" == "\(other)", "seed \(seed)")
            default: Issue.record("seed \(seed): \(whole) against \(split)")
            }
        }
    }
}
