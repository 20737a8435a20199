import Foundation
import Glibc

/// The records of a run: generated, or read from a file of JSON lines.
struct RecordSource {
    /// The number of records.
    let count: Int
    /// The user's lines; nil for generated records.
    private let lines: [ArraySlice<UInt8>]?
    /// The kind of the records, and the field with their ids.
    let kind: String
    let key: String

    /// Generated records.
    init(count: Int) {
        self.count = count
        lines = nil
        kind = RecordGenerator.kind
        key = "id"
    }

    /// The first `count` lines of a file.
    init(file: String, count: Int, kind: String, key: String) throws {
        guard let data = FileManager.default.contents(atPath: file) else { throw BenchFailure("cannot read \(file)") }
        let lines = [UInt8](data).split(separator: UInt8(ascii: "\n")).prefix(count)
        guard !lines.isEmpty else { throw BenchFailure("\(file) has no lines") }
        self.lines = Array(lines)
        self.count = lines.count
        self.kind = kind
        self.key = key
    }

    /// True for generated records; only these can be written as tables or changed.
    var isMade: Bool { lines == nil }

    /// One record for plain SQLite.
    func record(_ number: Int) -> (line: [UInt8], texts: [String]) {
        guard let lines else {
            let record = RecordGenerator.record(number)
            return (record.json, record.texts)
        }
        let line = Array(lines[number])
        return (line, Self.texts(of: line))
    }

    /// The name, description and tags of a JSON line in any form; the texts of a map or list are joined.
    private static func texts(of line: [UInt8]) -> [String] {
        let object = (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any] ?? [:]
        func text(_ value: Any?) -> String {
            switch value {
            case let text as String: text
            case let list as [Any]: list.map { text($0) }.joined(separator: " ")
            case let map as [String: Any]: map.keys.sorted().map { text(map[$0]) }.joined(separator: " ")
            default: ""
            }
        }
        return [text(object["name"] ?? object["title"]), text(object["description"]), text(object["tags"])]
    }

    /// The indexed texts of a line. Generated lines have a fixed form, which makes the search fast.
    func texts(in line: ArraySlice<UInt8>) -> [String] {
        guard lines == nil else { return Self.texts(of: Array(line)) }
        let description = Self.excerpt(of: line, behind: #""description":""#, before: UInt8(ascii: "\""))
        return [
            Self.excerpt(of: line, behind: #""zh":""#, before: UInt8(ascii: "\"")) + " "
                + Self.excerpt(of: line, behind: #""en":""#, before: UInt8(ascii: "\"")),
            description, Self.excerpt(of: line, behind: #""tags":["#, before: UInt8(ascii: "]")),
        ]
    }

    private static func excerpt(of line: ArraySlice<UInt8>, behind mark: StaticString, before end: UInt8) -> String {
        let length = mark.utf8CodeUnitCount
        return line.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return "" }
            var position = 0
            while position + length <= bytes.count {
                let rest = bytes.count - length - position + 1
                guard let found = memchr(start + position, Int32(mark.utf8Start[0]), rest) else { return "" }
                position = start.distance(to: UnsafeRawPointer(found))
                if memcmp(start + position, mark.utf8Start, length) == 0 {
                    return String(decoding: bytes[(position + length)...].prefix { $0 != end }, as: UTF8.self)
                }
                position += 1
            }
            return ""
        }
    }

    // MARK: - Files

    /// The command that loads a file of these records.
    func words(importing file: String) -> [String] { ["import", file, "--kind", kind, "--key", key, "--json"] }

    /// Writes the records `range` as JSON lines. In each hundred records, `changedPercent` have a different quantity.
    ///
    /// - Returns: the size of the lines in bytes, without line feeds.
    @discardableResult
    func writeJSONLines(_ path: String, _ range: Range<Int>, changedPercent: Int = 0) throws -> Int {
        try Self.write(path, range) { number in
            if lines != nil || number % 100 >= changedPercent { return record(number).line }
            return RecordGenerator.record(number, revision: 1).json
        }
    }

    /// Writes the records `range` as a table with a header.
    @discardableResult
    func writeTable(_ path: String, _ range: Range<Int>) throws -> Int {
        try Self.write(path, range, header: RecordGenerator.header) { RecordGenerator.record($0).csv }
    }

    private static func write(
        _ path: String,
        _ range: Range<Int>,
        header: String? = nil,
        _ line: (Int) -> [UInt8]
    ) throws -> Int {
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
        else { throw BenchFailure("cannot write \(path)") }
        defer { try? file.close() }
        var buffer: [UInt8] = header.map { Array(($0 + "\n").utf8) } ?? []
        var size = 0
        for number in range {
            let bytes = line(number)
            size += bytes.count
            buffer += bytes
            buffer.append(UInt8(ascii: "\n"))
            if buffer.count > 4 << 20 {
                try file.write(contentsOf: buffer)
                buffer.removeAll(keepingCapacity: true)
            }
        }
        try file.write(contentsOf: buffer)
        return size
    }
}
