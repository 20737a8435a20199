import Foundation
import Interchange
import Testing

struct KeyTests {
    @Test
    func `keys that repeat are found though memory is given for a few only`() throws {
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
    func `a folder for keys that cannot be written is said to be one`() throws {
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
}
