import Catalog
import Interchange
import Testing

struct MappingTests {
    @Test(arguments: [
        ("name", "no '='"), ("=x", "nothing on one side"), ("name=", "nothing on one side"),
        ("@x=y", "cannot be the name"),
        ("name.=y", "cannot be the name"),
    ])
    func refusesBadPairs(_ pair: String, _ text: String) {
        let error = #expect(throws: InterchangeError.self) { try ColumnMap(keyColumn: "id", written: [pair]) }
        #expect(error?.code == .badMapping)
        #expect(error?.message.contains(text) == true)
    }

    @Test func refusesAFieldMappedTwice() throws {
        let error = #expect(throws: InterchangeError.self) {
            try ColumnMap(keyColumn: "id", written: ["name=A", "name/und=B"])
        }
        #expect(error?.message == "the field 'name' is mapped twice, to 'A' and to 'B'")
        let both = #expect(throws: InterchangeError.self) { try events("id,name.zh,name/zh\n", .csv, options()) }
        #expect(both?.message.hasPrefix("the columns 'name.zh' and 'name/zh' both feed the field 'name.zh'") == true)
    }

    @Test func refusesAnUnknownColumnAndListsTheColumns() throws {
        let error = #expect(throws: InterchangeError.self) { try events("id,Name\n", .csv, options(["name=name"])) }
        #expect(error?.message == "there is no column 'name' for the field 'name'; the columns are: id, Name")
    }

    @Test func mapsColumnsByThemselves() throws {
        let file =
            "id,name,name.zh,summary/en,unit,title,ext/unit,kind,owner,localId,tags,Name,field:total,a/b\n1,a,b,c,d,e,f,g,h,i,j,k,l,m\n"
        let row = try #require(try events(file, .csv, options()).first?.row)
        #expect(
            row.fields.map(\.path.text)
                == [
                    "ext/id", "name/und", "name/zh", "summary/en", "unit", "ext/title", "ext/unit", "ext/kind",
                    "ext/owner",
                    "ext/localId", "tags", "ext/Name", "total", "ext/a/b",
                ].filter { $0 != "ext/id" }
        )
        #expect(row["tags"] == texts("j"))
    }

    @Test func oneColumnMayFeedSeveralFields() throws {
        let row = try #require(
            try events("K,N,name\n1,a;b,c\n", .csv, options(key: "K", ["name=N", "tags=N", "note=K"])).first?.row
        )
        #expect(row["name/und"] == text("a;b"))
        #expect(row["tags"] == texts("a", "b"))
        #expect(row["note"] == text("1"))
        // A pair feeds the field, so the column with the field's name feeds `ext/` instead.
        #expect(row["ext/name"] == text("c"))
        let json = try #require(
            try events(#"{"K":1,"N":{"zh":"z"},"name":"c"}"#, .jsonLines, options(key: "K", ["name=N", "ext/all=N"]))
                .first?.row
        )
        #expect(json["name/zh"] == text("z"))
        #expect(json["ext/all"] == .value(.json(#"{"zh":"z"}"#)))
    }

    @Test func aKeyNamedLikeAFieldIsWrittenToo() throws {
        let row = try #require(try events("number\nGB 1\n", .csv, options(kind: "standard", key: "number")).first?.row)
        #expect(row.localID == "GB 1")
        #expect(row["number"] == text("GB 1"))
    }

    @Test(arguments: [
        ("a; b；c ;;\u{3000}d\u{3000};a", ["a", "b", "c", "d"]), (" ; ", []), ("a,b", ["a,b"]),
        ("[\"a;b\", \" c\"]", ["a;b", " c"]),
        ("[a;b]", ["[a", "b]"]), ("[1]", ["[1]"]), ("[\"a\"] x", ["[\"a\"] x"]),
    ])
    func splitsSets(_ cell: String, _ elements: [String]) throws {
        let quoted = cell.replacing("\"", with: "\"\"")
        let row = try #require(try events("id,name,tags\n1,n,\"\(quoted)\"\n", .csv, options()).first?.row)
        #expect(row["tags"] == (elements.isEmpty ? .absent : .elements(elements.map { .text($0) })))
    }

    @Test func takesTheKindFromTheRowsIfNoneIsGiven() throws {
        let map = ImportOptions(kind: nil, map: try ColumnMap())
        let file = "localId,owner,kind,title\n1,Org,need,a\n1,Org,event,b\n2,Org,,c\n1,Org,need,d\n"
        let found = try events(file, .csv, map)
        #expect(found.map { $0.row?.kind } == ["need", "event", nil, nil])
        #expect(found[0].row?.owner == "Org")
        #expect(found[2].reject?.code == .kindMissing)
        #expect(found[3].reject?.code == .keyRepeated)
        let lines = #"{"title":"a","localId":"1","kind":"need"}"# + "\n" + #"{"localId":"1"}"#
        let json = try events(lines, .jsonLines, map)
        #expect(json[0].row?["title/und"] == text("a"))
        #expect(json[1].reject?.code == .kindMissing)
    }

    @Test func rejectsRowsOfAnotherKind() throws {
        let given = ImportOptions(kind: "need", map: try ColumnMap())
        let csv = try events("localId,kind,title\n1,event,a\n2,need,b\n3,,c\n", .csv, given)
        #expect(csv.map { $0.reject?.code } == [.wrongKind, nil, nil])
        let json = try events(#"{"localId":1,"kind":"event","title":"x"}"#, .jsonLines, given)
        #expect(
            json.first?.reject?.description
                == "f:1:14: kind: wrong-kind: the row is of another kind; 'need' is being imported (event)"
        )
    }

    @Test func findsRepeatedKeysAmongMany() throws {
        var file = "id,name\n"
        for record in 0..<50_000 { file += "K\(record),n\n" }
        file += "K49999,n\nK0,n\n"
        let found = try events(file, .csv, options())
        #expect(found.compactMap(\.row).count == 50_000)
        #expect(
            found.compactMap(\.reject).map(\.text) == [
                "the key of line 50001 again on line 50002; keys must be unique in a file",
                "the key of line 2 again on line 50003; keys must be unique in a file",
            ]
        )
    }
}
