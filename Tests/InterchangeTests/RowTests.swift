import Catalog
import Interchange
import Testing

/// Rows that are no records, and cells whose text differs from the displayed one.
struct RowTests {
    private func read(
        _ text: String,
        _ format: SourceFormat = .csv,
        key: String = "No"
    ) throws -> (events: [SourceEvent], blank: Int) {
        let reader = try SourceReader(
            MemorySource(Array(text.utf8)),
            name: "f",
            format: format,
            options: try options(key: key)
        )
        var events: [SourceEvent] = []
        while let event = try reader.next() { events.append(event) }
        return (events, reader.blankCount)
    }

    @Test(arguments: [
        (",,", 1), (" , ,\t", 1), ("\"\",\"\",\"\"", 1), ("\u{A0},\u{3000},\u{200B}", 1), ("\u{FEFF},,", 1),
        ("\"\n\",,", 1), (",", 1),
        (",,,,,,,,", 1), ("   ", 1), ("", 1), (",,\n\n,,", 3), ("\u{2003},\u{2060},\u{AD}", 1),
    ])
    func `rows of blanks are skipped and counted`(_ blank: String, _ count: Int) throws {
        let file = "No,name,room\nS-1,Shaker,B1\n\(blank)\nS-2,Oven,B2\n"
        let (events, found) = try read(file)
        #expect(events.map { $0.row?.localID } == ["S-1", "S-2"])
        #expect(events.map { $0.row?.record } == [1, 2])
        #expect(found == count)
        let tabbed = try read(file.replacing("\t", with: " ").replacing(",", with: "\t"), .tsv)
        #expect(tabbed.events.compactMap(\.row).count == 2 && tabbed.blank == count)
    }

    @Test func `hundreds of rows of commas are no records, not even before the header`() throws {
        let commas = String(repeating: ",,\r\n", count: 700)
        let (events, blank) = try read(commas + "No,name,room\r\nS-1,Shaker,B1\r\n" + commas)
        #expect(events.count == 1 && events[0].row?.localID == "S-1")
        #expect(blank == 1_400)
    }

    @Test(arguments: [
        (" ,Shaker,", "key-empty"), ("\u{200B},Shaker,", "key-empty"), ("S-1,,", "name-missing"), (",,B1", "key-empty"),
        ("x,", "ragged-row"), ("\"\"\"\",,", "name-missing"),
    ])
    func `a row with any content is not blank`(_ row: String, _ code: String) throws {
        let (events, blank) = try read("No,name,room\n\(row)\n")
        #expect(events.map { $0.reject?.code.rawValue } == [code])
        #expect(blank == 0)
    }

    @Test(arguments: [
        "{}", "{ \"No\" : null }", "{\"No\":\"\",\"name\":\" \",\"tags\":[],\"x\":{}}", "  ", "\t", "\u{A0}",
    ])
    func `empty objects and lines are skipped and counted`(_ line: String) throws {
        let file = "{\"No\":1,\"name\":\"a\"}\n\(line)\n{\"No\":2,\"name\":\"b\"}\n"
        let (events, blank) = try read(file, .jsonLines)
        #expect(events.map { $0.row?.localID } == ["1", "2"])
        #expect(blank == 1)
        if line.hasPrefix("{") {
            let array = try read("[{\"No\":1,\"name\":\"a\"},\(line)]", .jsonLines)
            #expect(array.events.compactMap(\.row).count == 1 && array.blank == 1)
        }
    }

    @Test func `an object with any content is not blank`() throws {
        let (events, blank) = try read("{\"No\":null,\"x\":0}\n{\"y\":[1]}\n{\"No\":\" \",\"name\":\"a\"}", .jsonLines)
        #expect(events.map { $0.reject?.code } == [.keyEmpty, .keyMissing, .keyEmpty])
        #expect(blank == 0)
    }

    @Test(arguments: [1, 2, 3, 5, 1000])
    func `a byte order mark at the start of a record is dropped`(_ portion: Int) throws {
        let mark = "\u{FEFF}"
        func found(_ text: String, _ format: SourceFormat) throws -> [SourceEvent] {
            try events(Array(text.utf8), format, options(), portion: portion, windowBytes: 8)
        }
        let rows = try found("\(mark)id,name\n\(mark)1,a\n2,\(mark)b\n\(mark)\(mark)\"3\",c\n\(mark)\n\(mark)", .csv)
        #expect(rows.map { $0.row?.localID } == ["1", "2", "3"])
        #expect(rows.map { $0.row?.line } == [2, 3, 4])
        #expect(rows[1].row?["name/und"] == text("\(mark)b"))
        let lines = try found("\(mark){\"id\":1,\"name\":\"a\"}\n\(mark){\"id\":2,\"name\":\"b\"}\n", .jsonLines)
        #expect(lines.map { $0.row?.localID } == ["1", "2"])
    }

    @Test func `a repeated header is rejected as such`() throws {
        let file = "\u{FEFF}No,name,room\nS-1,a,x\n\u{FEFF}\"No\",name,room\nS-2,b,y\nNo,name,other\nNo,name\n"
        let (events, _) = try read(file)
        #expect(events.map { $0.reject?.code } == [nil, .headerRepeated, nil, nil, .raggedRow])
        #expect(
            events[1].reject?.description
                == "f:3:1: header-repeated: the header is repeated here; were files joined? delete this line"
        )
        #expect(events[3].row?.localID == "No")
    }

    @Test(arguments: [
        ("=\"0012\"", "0012"), ("\"=\"\"0012\"\"\"", "0012"), ("\"=\"\"a,b\"\"\"", "a,b"),
        ("\"=\"\"a\"\"\"\"b\"\"\"", "a\"b"), ("'=1+1", "=1+1"),
        ("'+49 30 55", "+49 30 55"), ("''=1", "'=1"), ("'tis", "'tis"), ("=1+1", "=1+1"),
        ("=\"a\"&\"b\"", "=\"a\"&\"b\""),
        ("'", "'"), ("'-5", "-5"), ("=", "="), ("=\"", "=\""), ("' =x", " =x"), ("'\u{FF1D}x", "\u{FF1D}x"),
    ])
    func `spreadsheet escapes around a text are removed`(_ cell: String, _ expected: String) throws {
        let (events, _) = try read("No,name,=\"room\"\n\(cell),n,\(cell)\n")
        #expect(events[0].row?.localID == expected)
        #expect(events[0].row?["ext/room"] == text(expected))
    }

    @Test func `a formula without text is an empty cell`() throws {
        let (events, _) = try read("No,name,room\n1,n,=\"\"\n=\"\",n,x\n")
        #expect(events[0].row?["ext/room"] == .absent)
        #expect(events[1].reject?.code == .keyEmpty)
    }

    @Test(arguments: [
        ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""), ("@SUM(1+1)", "'@SUM(1+1)"),
        ("-2+3", "'-2+3"),
        ("+49 30 5550", "'+49 30 5550"), ("\tx", "'\tx"), ("\rx", "\"'\rx\""), (" =1", "' =1"),
        ("\u{FF1D}1", "'\u{FF1D}1"),
        ("-5", "-5"), ("-5.25", "-5.25"), ("-5.", "'-5."), ("-5e3", "'-5e3"), ("x=1", "x=1"), ("5", "5"), ("-", "'-"),
    ])
    func `an export for spreadsheets escapes formulas`(_ value: String, _ cell: String) throws {
        let path = FieldPath(unchecked: "ext/" + value)
        let record = ExportRecord(kind: "need", owner: "O", localID: value, fields: [(path, [.text(value)])])
        var writer = CSVWriter(CSVLayout(paths: [path], kinds: ["need"]), guardsFormulas: true)
        writer.writeHeader()
        writer.write(record)
        #expect(
            String(decoding: writer.bytes, as: UTF8.self) == "localId,owner,kind,\(cell)\n\(cell),O,need,\(cell)\n"
        )
    }

    @Test func `fields without a column are read from the fields column, and its faults are reported`() throws {
        func found(_ more: String) throws -> SourceEvent {
            let quoted = "\"" + more.replacing("\"", with: "\"\"") + "\""
            let file = "localId,owner,kind,name,_more\n1,O,need,n,\(quoted)\n"
            let options = ImportOptions(kind: "need", map: try ColumnMap())
            return try #require(try events(file, .csv, options).first)
        }
        let row = try #require(
            try found(#"{"ext/a":5,"tags":["x",{"y":1}],"name/zh":"北","unit":null,"sectors":"s"}"#).row
        )
        #expect(row["ext/a"] == .value(.integer(5)))
        #expect(row["tags"] == .elements([.text("x"), .json(#"{"y":1}"#)]))
        #expect(row["name/zh"] == text("北"))
        #expect(row["unit"] == .absent)
        #expect(row["sectors"] == texts("s"))
        for (more, code) in [
            ("{", RejectCode.badJSON), ("[]", .badJSON), ("{} x", .badJSON), ("{\"a\":1,\"a\":2}", .badJSON),
            ("{\"@\":1}", .badField),
            ("{\"name/und\":\"m\"}", .fieldRepeated), ("{\"\":1}", .badField),
            ("{\"visibility\":\"private\"}", .badVisibility),
        ] {
            #expect(try found(more).reject?.code == code, "\(more)")
        }
        // A file that is no export keeps its own column of this name.
        let plain = try events("id,name,_more\n1,n,{}\n", .csv, options()).first?.row
        #expect(plain?["ext/_more"] == text("{}"))
    }

    @Test func `junk in some records does not become columns of all`() {
        var counts = ColumnCounts()
        let usual = ["name/und", "tags", "ext/Room"].map { FieldPath(unchecked: $0) }
        for record in 0..<20_000 {
            var paths = usual
            if record < 3_000 { paths += (0..<50).map { FieldPath(unchecked: "ext/junk \(record) \($0)") } }
            if record % 50 == 0 { paths.append(FieldPath(unchecked: "ext/one in fifty")) }
            counts.add(paths)
        }
        let (paths, hasMore) = counts.columns(kind: "need")
        #expect(hasMore)
        #expect(paths.count == ColumnCounts.columnsForAllMax)
        #expect(Set(usual + [FieldPath(unchecked: "ext/one in fifty")]).isSubset(of: paths))
        #expect(paths == paths.sorted())

        var few = ColumnCounts()
        for number in 0..<200 { few.add([FieldPath(unchecked: "ext/c\(number)")]) }
        #expect(few.columns(kind: "need").paths.count == 200)
        #expect(!few.columns(kind: "need").hasMore)
        // A wide sheet keeps all its columns.
        var wide = ColumnCounts()
        for _ in 0..<300 { wide.add((0..<900).map { FieldPath(unchecked: "ext/c\($0)") }) }
        #expect(wide.columns(kind: "need").paths.count == 900)
    }

    @Test func `invisible characters are shown by their names`() {
        let reject = Reject(
            file: "f",
            line: 1,
            record: 1,
            column: 1,
            code: .keyEmpty,
            text: "t",
            value: "a\tb\u{A0}c\u{200B}\u{FEFF}\u{3000}\u{202E}é 北\u{0}"
        )
        #expect(reject.value == "a⟨TAB⟩b⟨NBSP⟩c⟨U+200B⟩⟨U+FEFF⟩⟨U+3000⟩⟨U+202E⟩é 北⟨NUL⟩")
        let error = #expect(throws: InterchangeError.self) { try read("N\u{A0}o\tname\n1\tx\n") }
        #expect(error?.message == "there is no key column 'No'; the columns are: N⟨NBSP⟩o⟨TAB⟩name")
    }
}
