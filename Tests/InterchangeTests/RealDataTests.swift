import Catalog
import Interchange
import Testing

@Suite(.enabled(if: testData != nil, "HANSA_TEST_DATA is not set, so the real files are not there"))
struct RealDataTests {
    private func read(_ path: String, _ key: String, _ pairs: [String] = []) throws -> [SourceEvent] {
        let file = try InputFile(path: try #require(testData) + "/" + path)
        let survey = try file.survey()
        #expect(survey.encoding == .utf8 && !survey.isDamaged)
        let reader = try SourceReader(
            file: file,
            survey: survey,
            format: try #require(SourceFormat(path: path)),
            options: try options(key: key, pairs)
        )
        var events: [SourceEvent] = []
        while let event = try reader.next() { events.append(event) }
        return events
    }

    @Test(
        arguments: [
            ("powerplants/powerplants-2022-09-05.csv", "id", ["name=Name"], 5_010),
            ("powerplants/powerplants-2022-12-21.csv", "id", ["name=Name"], 5_404),
            ("ieee-oui/mam.csv", "Assignment", ["name=Organization Name"], 4_390),
            ("ieee-oui/iab.csv", "Assignment", ["name=Organization Name"], 4_575),
            ("cn-universities.csv", "name_zh", ["name.zh=name_zh"], 2_756),
            ("geonames/cities500-even.csv.gz", "geonameid", [], 117_554), ("cn-divisions/areas.csv", "code", [], 2_978),
            ("cn-divisions/cities.csv", "code", [], 342), ("cn-divisions/provinces.csv", "code", [], 31),
            ("vocab/naics-2022.csv", "code", ["name=title"], 2_125), ("registries/re3data.jsonl", "id", [], 3_539),
            ("firstdata/sources-2026-03-16.jsonl", "id", [], 119),
            ("firstdata/sources-2026-05-13.jsonl", "id", [], 362),
            ("hsds-ohana/organizations.csv", "id", [], 8), ("hsds-ohana/taxonomy.csv", "taxonomy_id", [], 290),
            ("hsds-spec-3.0/organizations.csv", "id", [], 1),
        ] as [(String, String, [String], Int)]
    )
    func readsEveryRow(_ path: String, _ key: String, _ pairs: [String], _ count: Int) throws {
        let events = try read(path, key, pairs)
        #expect(events.count == count)
        #expect(events.compactMap(\.reject).map(\.description) == [])
    }

    @Test(arguments: [
        ("v1.72", 662, 485), ("v1.73", 2_707, 775), ("v1.74", 1_591, 1_080), ("v2.0", 477, 276), ("v2.1", 960, 597),
    ])
    func readsRorReleases(_ release: String, _ records: Int, _ relationships: Int) throws {
        let events = try read("ror/ror-\(release).jsonl", "id", ["name=names"])
        #expect(events.count == records)
        // One organization has a thousand relationships; their list exceeds the size limit of a value.
        #expect(events.compactMap(\.reject).allSatisfy { $0.code == .valueTooLong && $0.field == "relationships" })
        #expect(events.compactMap(\.reject).count <= 1)
        #expect(
            try read("ror/relationships-\(release).csv", "Issue # from Github", ["name=Issue # from Github"]).count
                == relationships
        )
    }

    @Test func keepsLineBreaksWithinCells() throws {
        let rows = try read("ieee-oui/mam.csv", "Assignment", ["name=Organization Name"]).compactMap(\.row)
        let broken = rows.filter { row in
            row.fields.contains { if case .value(.text(let text)) = $0.input { text.utf8.contains(10) } else { false } }
        }
        #expect(!broken.isEmpty)
        #expect(rows.contains { $0.localID == "741AE09" && $0.line == 2 })
        #expect((rows.last?.line ?? 0) > rows.count + 1)
    }

    @Test func keepsNamibiaAndLeadingZeros() throws {
        let rows = try read("geonames/cities500-even.csv.gz", "geonameid").compactMap(\.row)
        #expect(rows.contains { $0["country"] == text("NA") })
        #expect(rows.first?["ext/admin1"] == text("03"))
        #expect(rows.first?["name/und"] == text("Vila"))
    }

    @Test func namesBothLinesOfARepeatedKey() throws {
        let events = try read("gbfs/systems-2025-01-15.csv", "System ID", ["name=Name"])
        #expect(events.count == 1_169)
        let repeated = events.compactMap(\.reject).filter { $0.code == .keyRepeated }
        #expect(repeated.count { $0.value == "HELBIZ-US" } == 36)
        #expect(
            repeated.allSatisfy {
                $0.text.hasPrefix("the key of line ") && $0.text.contains("again on line \($0.line);")
            }
        )
    }

    @Test func readsTheBrokenFixtures() throws {
        for (path, key, count) in [
            ("hsds-ohana-fixtures/invalid_org.csv", "id", 2), ("hsds-ohana-fixtures/valid_org.csv", "id", 1),
        ] {
            #expect(try read(path, key).count == count, "\(path)")
        }
        let error = #expect(throws: InterchangeError.self) { try read("hsds-ohana-fixtures/valid_org.csv", "ID") }
        #expect(error?.code == .keyMissing)
    }

    @Test func readsArraysOfEvents() throws {
        let rows = try ["data", "devops", "general", "iot", "networking", "security"].flatMap {
            try read("events/2023-\($0).json", "name")
        }
        #expect(rows.count == 412)
        #expect(rows.compactMap(\.reject).allSatisfy { $0.code == .keyRepeated })
    }
}
