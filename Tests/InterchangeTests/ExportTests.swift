import Catalog
import Interchange
import Schema
import Testing

struct ExportTests {
    private static let texts = [
        "a", "北京", " b ", "x,y", "q\"q", "l1\nl2", "r\r\nr", "=1+1", "a;b", "；", "[\"a\"]", "[", "e\u{301}", "\u{E9}",
        "-", "1",
        "{\"$bytes\":\"00\"}", "\u{FEFF}", "\u{3000}", "\\", "\u{1}", "\u{A0}x", "'", "''", "'=1", "=", "+49 30 5550",
        "-5",
        "-5.25", "-", "-2+3", "@SUM(1)", "\t=x", "\r", "=\"0012\"", "=\"a\"\"b\"", "'\u{FF1D}1", "\u{FF0B}", " -x",
        "=\"", "'-5",
    ]

    private static let paths = [
        "name/und", "name/zh", "summary/en", "description/x/y", "unit", "note", "tags", "sectors", "ext/Name",
        "ext/name",
        "ext/owner", "ext/kind", "ext/localId", "ext/a/b", "ext/id", "ext/ext", "ext/ext/x", "ext/field:x", "ext/_line",
        "ext/name.zh",
        "title/zh", "total", "foo", "foo/bar", "name", "ext", "ext/e\u{301}", "ext/\u{E9}", "ext/a\"b,c\n",
    ].map { FieldPath(unchecked: $0) }

    private func scalar(_ random: inout SplitMix64, textOnly: Bool) -> Value {
        let text = random.pick(Self.texts) + (random.chance(30) ? random.pick(Self.texts) : "")
        if textOnly { return .text(text) }
        return switch random.below(9) {
        case 0: .integer(random.pick([0, 1, -1, .min, .max]))
        case 1: .decimal(random.pick(["1.50", "-0", "1e3", "9223372036854775808", "5", "+1", "x", "1 "]))
        case 2: .boolean(random.chance(50))
        case 3:
            .json(
                random.pick([
                    "{\"a\":[1,2]}", "[]", "{\"$bytes\":\"00ff\"}", "{ }", "5", "no", "{\"$json\":1}", "[\"x;y\"]",
                ])
            )
        case 4: .bytes([0, 255, UInt8(random.below(256))])
        case 5: .unknown([1, 2, 3])
        case 6: .text("")
        default: .text(text)
        }
    }

    private func records(_ random: inout SplitMix64, textOnly: Bool) -> [ExportRecord] {
        (0..<1 + random.below(6)).map { record in
            var fields: [(path: FieldPath, values: [Value])] = [(FieldPath(unchecked: "description/und"), [.text("d")])]
            for path in Self.paths where random.chance(60) {
                if CatalogSchema.isSet(path) {
                    var values: [Value] = []
                    for _ in 0..<1 + random.below(3) {
                        let value: Value =
                            if textOnly, random.chance(20) { .json("{\"a\":\"b;c\"}") } else {
                                scalar(&random, textOnly: textOnly)
                            }
                        if !values.contains(value) { values.append(value) }
                    }
                    fields.append((path, values))
                } else {
                    fields.append((path, [scalar(&random, textOnly: textOnly)]))
                }
            }
            return ExportRecord(
                kind: random.pick(["resource", "need", "organization"]),
                owner: random.pick(["Org, \"A\"", "B"]),
                localID: "\(record)" + random.pick(Self.texts),
                fields: fields
            )
        }
    }

    private func expectSame(_ events: [SourceEvent], _ records: [ExportRecord], _ seed: UInt64) throws {
        try #require(events.count == records.count, "seed \(seed)")
        for (event, record) in zip(events, records) {
            let row = try #require(event.row, "seed \(seed): \(event)")
            #expect(row.kind == record.kind && row.owner == record.owner, "seed \(seed)")
            #expect(row.localID.utf8.elementsEqual(record.localID.utf8), "seed \(seed)")
            var found: [FieldPath: FieldInput] = [:]
            for field in row.fields where field.input != .absent { found[field.path] = field.input }
            #expect(found.count == record.fields.count, "seed \(seed)")
            for (path, values) in record.fields {
                let expected: FieldInput = CatalogSchema.isSet(path) ? .elements(values) : .value(values[0])
                #expect(found[path] == expected, "seed \(seed): \(path)")
            }
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func csvLoadsBackToTheSame(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let records = records(&random, textOnly: true)
        let delimiter = random.pick([UInt8(ascii: ","), 9, UInt8(ascii: ";")])
        // Some fields have no column.
        let hasMore = random.chance(50)
        let paths = Self.paths.shuffled(using: &random).dropLast(hasMore ? random.below(Self.paths.count) : 0)
        let layout = CSVLayout(
            paths: [FieldPath(unchecked: "description/und")] + paths,
            hasMore: hasMore,
            kinds: ["resource", "need", "organization"],
            delimiter: delimiter
        )
        var writer = CSVWriter(layout, guardsFormulas: random.chance(50))
        writer.writeHeader(writesTombstone: random.chance(50))
        var bytes = writer.drain()
        for record in records {
            writer.write(record)
            bytes += writer.drain()
        }
        let options = ImportOptions(kind: nil, map: try ColumnMap())
        try expectSame(events(bytes, .csv(delimiter: delimiter), options), records, seed)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func jsonLinesLoadBackToTheSame(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let records = records(&random, textOnly: false)
        var writer = JSONLinesWriter()
        for record in records { writer.write(record) }
        let options = ImportOptions(kind: nil, map: try ColumnMap())
        try expectSame(events(writer.bytes, .jsonLines, options), records, seed)
    }

    @Test func writesPlainValuesPlainly() {
        let record = ExportRecord(
            kind: "resource",
            owner: "Org",
            localID: "=7",
            fields: [
                (FieldPath(unchecked: "name/und"), [.text("n")]), (FieldPath(unchecked: "name/zh"), [.text("北")]),
                (FieldPath(unchecked: "tags"), [.text("a"), .text("b c")]),
                (FieldPath(unchecked: "ext/Cap"), [.integer(5)]),
                (FieldPath(unchecked: "ext/unit"), [.text("x")]), (FieldPath(unchecked: "@"), [.text("no")]),
                (FieldPath(unchecked: "foo"), [.text("f")]),
            ]
        )
        var csv = CSVWriter(CSVLayout(paths: record.fields.map(\.path), kinds: ["resource"]))
        csv.writeHeader()
        csv.write(record)
        #expect(
            String(decoding: csv.bytes, as: UTF8.self)
                == "localId,owner,kind,name,name.zh,tags,Cap,ext/unit,field:foo\n=7,Org,resource,n,北,a;b c,5,x,f\n"
        )
        var json = JSONLinesWriter()
        json.write(record)
        #expect(
            String(decoding: json.bytes, as: UTF8.self)
                == #"{"kind":"resource","owner":"Org","localId":"=7","name":{"und":"n","zh":"北"},"tags":["a","b c"],"#
                + #""ext":{"Cap":5,"unit":"x"},"field:foo":"f"}"# + "\n"
        )
    }
}
