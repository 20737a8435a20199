import Catalog
import Interchange
import Testing

struct CSVTests {
    @Test(arguments: ["\n", "\r\n", "\r"])
    func readsEachLineBreak(_ lineBreak: String) throws {
        let file = ["id,name", "1,One", "", "2,\"Two\(lineBreak)lines\"", "3,Three"].joined(separator: lineBreak)
        let rows = try events(file, .csv, options()).map { try #require($0.row) }
        #expect(rows.map(\.localID) == ["1", "2", "3"])
        #expect(rows.map(\.line) == [2, 4, 6])
        #expect(rows.map(\.record) == [1, 2, 3])
        #expect(rows[1]["name/und"] == text("Two\(lineBreak)lines"))
    }

    @Test func readsMixedLineBreaks() throws {
        let rows = try events("id,name\r\n1,a\n2,b\r3,c\r\n\n\r\n4,d\r", .csv, options()).compactMap(\.row)
        #expect(rows.map(\.localID) == ["1", "2", "3", "4"])
        #expect(rows.map(\.line) == [2, 3, 4, 7])
    }

    @Test func takesQuotesAsRealFilesHaveThem() throws {
        let file = "id,name,note\n1,\"say \"\"hi\"\", all\",5\" pipe\n2,\"\",\"\"\"\"\n3,x,\" \"\n"
        let found = try events(file, .csv, options(["name=id"]))
        let rows = found.compactMap(\.row)
        #expect(rows[0]["ext/name"] == text("say \"hi\", all"))
        #expect(rows[0]["note"] == text("5\" pipe"))
        #expect(rows[1]["ext/name"] == .absent)
        #expect(rows[1]["note"] == text("\""))
        #expect(rows[2]["note"] == text(" "))
    }

    @Test func keepsCellsByteForByte() throws {
        let file = "\u{FEFF}id,name,code,e\u{301}\n007, A ,19E7,NA\nNULL,None,0.0,\u{200B}\n"
        let rows = try events(file, .csv, options()).compactMap(\.row)
        #expect(rows[0].localID == "007")
        #expect(rows[0]["name/und"] == text(" A "))
        #expect(rows[0]["ext/code"] == text("19E7"))
        #expect(rows[0]["ext/e\u{301}"] == text("NA"))
        #expect(rows[0]["ext/\u{E9}"] == nil)
        #expect(rows[1]["name/und"] == text("None"))
        #expect(rows[1]["ext/code"] == text("0.0"))
    }

    @Test(arguments: [("a\tb", SourceFormat.tsv), ("a;b", .csv(delimiter: UInt8(ascii: ";")))])
    func takesOtherDelimiters(_ header: String, _ format: SourceFormat) throws {
        let separator = String(header.dropFirst().dropLast())
        let rows = try events("id\(separator)name\n1\(separator)x,y\n", format, options()).compactMap(\.row)
        #expect(rows.first?["name/und"] == text("x,y"))
    }

    @Test(arguments: [
        ("", "empty"), ("id,,name\n", "column 2 has no name"), ("id,name,id\n", "columns 1 and 3"),
        ("id,\"name\n", "never closed"), ("id,\u{0}\n", "NUL"),
    ])
    func refusesBadHeaders(_ file: String, _ text: String) throws {
        let error = #expect(throws: InterchangeError.self) { try events(file, .csv, options()) }
        #expect(error?.code == .badHeader)
        #expect(error?.message.contains(text) == true)
    }

    @Test func listsTheColumnsWhenTheKeyIsMissing() throws {
        let error = #expect(throws: InterchangeError.self) { try events("Id,name\n1,x\n", .csv, options()) }
        #expect(error?.code == .keyMissing)
        #expect(error?.message == "there is no key column 'id'; the columns are: Id, name")
    }

    @Test(arguments: [
        (
            "1,a\n2\n",
            "f:3:2: ragged-row: the row has 1 cells, the header 2; is a quote or a delimiter missing or too many?"
        ),
        (
            "1,a,b\n",
            "f:2:5: ragged-row: the row has 3 cells, the header 2; is a quote or a delimiter missing or too many?"
        ),
        ("1,\"a\nb\n", "f:2:3: quote-unclosed: the quote opened on line 2 is never closed"),
        ("1,\"a\nb\",\"\n", "f:2:9: quote-unclosed: the quote opened on line 3 is never closed"),
        ("1,\"a\"b\n", "f:2:6: text-after-quote: text stands between a closing quote and the next delimiter"),
        (",a\n", "f:2:1: id: key-empty: the row has no key"),
        (
            "1,a\n\n1,b\n",
            "f:4:1: id: key-repeated: the key of line 2 again on line 4; keys must be unique in a file (1)"
        ),
        (
            "1,\n",
            "f:2:1: name-missing: the row has neither a name nor a description; say which column has it (1)"
        ),
        (
            "1,a\u{0}\n",
            "f:2:4: bad-encoding: a NUL byte; is this a text file, and in the encoding that was taken?"
        ),
    ])
    func rejectsRows(_ rows: String, _ expected: String) throws {
        let rejects = try events("id,name\n" + rows, .csv, options()).compactMap(\.reject)
        #expect(rejects.map(\.description) == [expected])
    }

    @Test func continuesAfterARejectedRow() throws {
        let found = try events("id,name\n1,\"a\"b,c\"\n2\n3,c\n", .csv, options())
        #expect(found.map { $0.reject?.code } == [.textAfterQuote, .raggedRow, nil])
        #expect(found.last?.row?.line == 4)
    }

    @Test func rejectsInvalidBytesWithTheirCell() throws {
        let found = try events(
            Array("id,name,x\n1,a,".utf8) + [0xC3, 0x28, 0x0A] + Array("2,b,ok\n".utf8),
            .csv,
            options()
        )
        #expect(found[0].reject?.code == .badEncoding)
        #expect(found[0].reject?.field == "x")
        #expect(found[0].reject?.column == 5)
        #expect(found[1].row?.localID == "2")
    }

    @Test func boundsKeysValuesAndRows() throws {
        let long = String(repeating: "k", count: 1025)
        let value = String(repeating: "v", count: 65537)
        let file =
            "id,name,a,b,c,d\n\(long),x,,,,\n2,\(value),,,,\n3,\(value.dropLast()),,,,\n"
            + "4,x,\(value.dropLast()),\(value.dropLast()),\(value.dropLast()),\(value.dropLast())\n5,y,,,,\n"
        let found = try events(file, .csv, options())
        #expect(found.map { $0.reject?.code } == [.keyTooLong, .valueTooLong, nil, .recordTooLarge, nil])
        #expect(found[0].reject?.text == "a key of 1025 bytes; the longest is 1024")
        #expect(found[1].reject?.field == "name")
        #expect(found[1].reject?.value?.count == 41)
    }

    @Test(arguments: [true, false])
    func skipsAnEndlessCellWithoutKeepingIt(_ quoted: Bool) throws {
        let cell =
            (quoted ? "\"" : "")
            + String(repeating: "0123456789\"\",\n".filter { quoted || $0 == "7" || $0 == "," }, count: 2_000_000)
        let file = "id,name\n1,a\n2,\(cell)\(quoted ? "\"" : "")\n3,c\n"
        let found = try events(file, .csv, options())
        #expect(found.map { $0.reject?.code } == [nil, .recordTooLarge, nil])
        #expect(found[1].reject?.line == 3)
        #expect(found[2].row?.line == (quoted ? 2_000_004 : 4))
    }

    @Test func reportsWhereAnUnclosedQuoteOpened() throws {
        let file = "id,name\n1,a\n2,\"b\n" + String(repeating: "3,c\n", count: 1_000_000)
        let found = try events(file, .csv, options())
        #expect(found.count == 2)
        #expect(found[1].reject?.code == .quoteUnclosed)
        #expect(found[1].reject?.text == "the quote opened on line 3 is never closed")
    }

    @Test(arguments: [
        ("named", "records for named members are refused"), ("private", "import does not take private records yet"),
        ("Public", "the only visibility"),
    ])
    func refusesVisibilitiesThatWouldLeak(_ visibility: String, _ text: String) throws {
        let found = try events("id,name,visibility\n1,a,\(visibility)\n2,b,alliance\n3,c,\n", .csv, options())
        #expect(found.map { $0.reject?.code } == [.badVisibility, nil, nil])
        #expect(found[0].reject?.text.hasPrefix(text) == true)
        #expect(found[0].reject?.value == visibility)
    }

    @Test func valuesCannotControlATerminal() {
        let reject = Reject(
            file: "f",
            line: 1,
            record: 1,
            column: 1,
            field: "a\nb",
            code: .badJSON,
            text: "t",
            value: "x\u{1B}[2J\r\ny"
        )
        #expect(reject.description == "f:1:1: a⟨LF⟩b: bad-json: t (x⟨ESC⟩[2J⟨CR⟩⟨LF⟩y)")
    }

    /// A simple reader of RFC 4180, one character at a time.
    private func reference(_ file: [UInt8]) -> [[String]] {
        var rows: [[String]] = []
        var row: [[UInt8]] = [[]]
        var index = 0
        var hasQuotes = false
        func end() {
            if row.count > 1 || !row[0].isEmpty || hasQuotes {
                rows.append(row.map { String(decoding: $0, as: UTF8.self) })
            }
            row = [[]]
            hasQuotes = false
        }
        while index < file.count {
            let byte = file[index]
            index += 1
            if byte == UInt8(ascii: "\""), row[row.count - 1].isEmpty {
                hasQuotes = true
                while index < file.count {
                    if file[index] == UInt8(ascii: "\"") {
                        index += 1
                        guard index < file.count, file[index] == UInt8(ascii: "\"") else { break }
                    }
                    row[row.count - 1].append(file[index])
                    index += 1
                }
            } else if byte == UInt8(ascii: ",") {
                row.append([])
            } else if byte == 0x0D {
                if index < file.count, file[index] == 0x0A { index += 1 }
                end()
            } else if byte == 0x0A {
                end()
            } else {
                row[row.count - 1].append(byte)
            }
        }
        end()
        return rows
    }

    private func generatedFile(_ random: inout SplitMix64) -> String {
        let columns = 1 + random.below(4)
        var file =
            (["id", "name", "x", "y"].prefix(columns)).joined(separator: ",") + random.pick(["\n", "\r\n", "\r"])
        for record in 0..<random.below(12) {
            let cells = (0..<columns).map { column -> String in
                if column == 0 { return random.chance(30) ? "\"\(record)\"" : "\(record)" }
                let content = (0..<random.below(6)).map { _ in
                    random.pick(["a", "北", ",", "\"\"", "\n", "\r\n", "\r", " "])
                }.joined()
                if random.chance(50) { return "\"\(content)\"" }
                return content.filter { $0.isLetter }
            }
            file += cells.joined(separator: ",")
            file += random.pick(["\n", "\r\n", "\r", "\n\n"])
        }
        return file
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func agreesWithAPlainReaderAtEverySplit(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let file = generatedFile(&random)
        let bytes = Array(file.utf8)
        let options = try options(["description=id"])
        let whole = try events(bytes, .csv, options)
        let expected = reference(bytes)
        let rows = try whole.map { try #require($0.row, "seed \(seed): \($0)") }
        #expect(rows.count == expected.count - 1, "seed \(seed)")
        for (row, cells) in zip(rows, expected.dropFirst()) {
            #expect(row.localID == cells[0], "seed \(seed)")
            for (name, cell) in zip(["", "name/und", "ext/x", "ext/y"], cells).dropFirst() {
                #expect(row[name] == (cell.isEmpty ? .absent : text(cell)), "seed \(seed)")
            }
        }
        for portion in 1...bytes.count {
            #expect(
                try events(bytes, .csv, options, portion: portion, windowBytes: 16) == whole,
                "seed \(seed), portion \(portion)"
            )
        }
    }

    @Test(arguments: 0..<400 as Range<UInt64>)
    func survivesMutatedBytes(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var bytes = Array(generatedFile(&random).utf8)
        for _ in 0...random.below(4) {
            bytes[random.below(bytes.count)] = random.pick([0, 10, 13, 34, 44, 0xE5, 0xFF, 65])
        }
        let options = try options()
        let whole = Result { try events(bytes, .csv, options) }
        let split = Result { try events(bytes, .csv, options, portion: 1 + random.below(7), windowBytes: 8) }
        switch (whole, split) {
        case (.success(let one), .success(let other)): #expect(one == other, "seed \(seed)")
        case (.failure(let one), .failure(let other)): #expect("\(one)" == "\(other)", "seed \(seed)")
        default: Issue.record("seed \(seed): \(whole) against \(split)")
        }
    }
}
