import CZlib
import Catalog
import Foundation
import Interchange
import Testing

struct InputTests {
    private func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        deflateInit2_(
            &stream,
            6,
            Z_DEFLATED,
            31,
            8,
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size)
        )
        var input = bytes
        var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))) + 64)
        let written = input.withUnsafeMutableBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target in
                stream.next_in = source.baseAddress
                stream.avail_in = UInt32(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(target.count)
                deflate(&stream, Z_FINISH)
                return target.count - Int(stream.avail_out)
            }
        }
        deflateEnd(&stream)
        return Array(output[..<written])
    }

    private func noise(_ count: Int) -> [UInt8] {
        var random = SplitMix64(seed: 7)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() & 0x3F) + 32 }
    }

    @Test(arguments: [0, 1, 2, 70_000])
    func readsPlainAndCompressedFilesTwice(_ count: Int) throws {
        let content = noise(count)
        for (bytes, isCompressed) in [(content, false), (gzip(content), true)] {
            let stored = try TemporaryFile(bytes)
            let file = try InputFile(path: stored.path)
            for _ in 0..<2 {
                var raw: [UInt8] = []
                file.onRawBytes = { raw += $0 }
                #expect(try contents(file) == content)
                #expect(raw == bytes)
                #expect(file.bytesRead == bytes.count)
                #expect(file.byteCount == bytes.count)
                #expect(file.isCompressed == isCompressed)
                try file.rewind()
            }
            #expect(try contents(file, portion: 1) == content)
        }
    }

    @Test func readsSeveralMembersAndPadding() throws {
        let bytes = gzip(Array("id,name\n".utf8)) + gzip([]) + gzip(Array("1,a\n".utf8)) + [0, 0, 0]
        let stored = try TemporaryFile(bytes)
        #expect(try contents(InputFile(path: stored.path)) == Array("id,name\n1,a\n".utf8))
    }

    @Test func refusesEveryTruncation() throws {
        let whole = gzip(noise(300)) + gzip(noise(10))
        let first = gzip(noise(300)).count
        for count in 2..<whole.count where count != first {
            let stored = try TemporaryFile(Array(whole[..<count]))
            let file = try InputFile(path: stored.path)
            let error = #expect(throws: InterchangeError.self) { try contents(file) }
            #expect(error?.code == .badGzip, "\(count)")
        }
    }

    @Test func refusesGarbageAfterTheEnd() throws {
        let stored = try TemporaryFile(gzip([65]) + [1])
        let file = try InputFile(path: stored.path)
        #expect(throws: InterchangeError(.badGzip, "")) { try contents(file) }
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func survivesDamage(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var bytes = gzip(noise(2000))
        for _ in 0...random.below(3) {
            bytes[2 + random.below(bytes.count - 2)] = UInt8(truncatingIfNeeded: random.next())
        }
        let stored = try TemporaryFile(bytes)
        let file = try InputFile(path: stored.path)
        do {
            #expect(try contents(file).count == 2000, "seed \(seed)")
        } catch {
            #expect(error.code == .badGzip, "seed \(seed)")
        }
    }

    @Test func saysWhyAFileCannotBeOpened() {
        let error = #expect(throws: InterchangeError.self) { try InputFile(path: "/nowhere/x.csv") }
        #expect(error?.code == .cannotRead)
        #expect(error?.message == "/nowhere/x.csv cannot be opened: No such file or directory")
        #expect(throws: InterchangeError(.cannotRead, "")) { try InputFile(path: "/tmp") }
    }

    @Test
    func `a device, a pipe or a socket is refused at once`() throws {
        let pipe = FileManager.default.temporaryDirectory.path + "/hansa-test-\(UUID().uuidString)"
        try #require(mkfifo(pipe, 0o600) == 0)
        defer { unlink(pipe) }
        // A pipe without a writer would block a reader that opens it.
        for (path, what) in [("/dev/zero", "a device"), ("/dev/null", "a device"), (pipe, "a pipe")] {
            let error = #expect(throws: InterchangeError.self) { try InputFile(path: path, shownName: "f") }
            #expect(error?.code == .cannotRead)
            #expect(error?.message == "f is \(what); give a file")
        }
    }

    @Test
    func `reading ends when the consumer stops`() throws {
        let stored = try TemporaryFile(Array(repeating: UInt8(ascii: "x"), count: 3_000_000))
        let file = try InputFile(path: stored.path)
        var asked = 0
        file.isCancelled = {
            asked += 1
            return asked > 5
        }
        #expect(throws: InterchangeError(.cancelled, "")) { try file.survey() }
        #expect(file.bytesRead < 3_000_000)
    }

    // "id,name\n1,北京大学\n" in each encoding.
    static let encoded: [(TextEncoding, InputSurvey.Origin, [UInt8])] = {
        let head = Array("id,name\n1,".utf8)
        let utf16 = Array("id,name\n1,北京大学\n".utf16)
        return [
            (.utf8, .detected, head + Array("北京大学\n".utf8)),
            (.utf8, .mark, [0xEF, 0xBB, 0xBF] + head + Array("北京大学\n".utf8)),
            (.gb18030, .detected, head + [0xB1, 0xB1, 0xBE, 0xA9, 0xB4, 0xF3, 0xD1, 0xA7, 0x0A]),
            (.utf16LittleEndian, .mark, [0xFF, 0xFE] + utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }),
            (.utf16BigEndian, .mark, [0xFE, 0xFF] + utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }),
        ]
    }()

    @Test(arguments: encoded.indices)
    func findsTheEncoding(_ index: Int) throws {
        let (encoding, origin, bytes) = Self.encoded[index]
        for bytes in [bytes, gzip(bytes)] {
            let stored = try TemporaryFile(bytes)
            let file = try InputFile(path: stored.path)
            let survey = try file.survey()
            #expect(survey == InputSurvey(encoding: encoding, origin: origin))
            let reader = try SourceReader(file: file, survey: survey, format: .csv, options: options())
            let row = try #require(try reader.next()?.row)
            #expect(row["name/und"] == text("北京大学"))
            #expect(row.localID == "1")
        }
    }

    @Test(arguments: encoded.indices)
    func convertsAtEverySplit(_ index: Int) throws {
        let (encoding, _, bytes) = Self.encoded[index]
        guard encoding != .utf8 else { return }
        for portion in 1...bytes.count {
            let converter = try Transcoder(MemorySource(bytes, portionBytesMax: portion), from: encoding)
            let text = String(decoding: try contents(converter, portion: portion), as: UTF8.self)
            #expect(text.replacing("\u{FEFF}", with: "") == "id,name\n1,北京大学\n")
        }
    }

    @Test func doesNotTurnDamagedUTF8IntoGarbage() throws {
        // Two characters each lost a byte; GB18030 could decode the whole file, into nonsense.
        var bytes = Array("id,name\n".utf8)
        for record in 0..<20 { bytes += Array("\(record),北京大学校\n".utf8) }
        bytes += Array("20,".utf8) + [0xE5, 0x8C, 0xE4, 0xBA, 0xAC, 0x0A] + Array("21,好\n".utf8)
        let stored = try TemporaryFile(bytes)
        let file = try InputFile(path: stored.path)
        let survey = try file.survey()
        #expect(survey == InputSurvey(encoding: .utf8, origin: .detected, isDamaged: true))
        let reader = try SourceReader(file: file, survey: survey, format: .csv, options: options())
        var found: [SourceEvent] = []
        while let event = try reader.next() {
            found.append(event)
            if event.reject != nil {
                #expect(reader.lastRecordText == Array("20,".utf8) + [0xE5, 0x8C, 0xE4, 0xBA, 0xAC])
            }
        }
        #expect(found.compactMap(\.row).count == 21)
        let reject = try #require(found.compactMap(\.reject).first)
        #expect(reject.code == .badEncoding)
        #expect(reject.line == 22)
        #expect(reject.column == 4)
    }

    @Test func refusesTextInNoEncoding() throws {
        let stored = try TemporaryFile(Array("id,name\n1,".utf8) + [0xFF, 0x0A])
        let file = try InputFile(path: stored.path, shownName: "f.csv")
        let error = #expect(throws: InterchangeError.self) { try file.survey() }
        #expect(error?.code == .badEncoding)
        #expect(error?.message.hasPrefix("the encoding of f.csv is in doubt at line 2") == true)
    }

    @Test func rejectsInvalidBytesOfAnEncodingGiven() throws {
        let stored = try TemporaryFile(Array("id,name\n1,".utf8) + [0xB1, 0xB1, 0xFF, 0x0A] + Array("2,b\n".utf8))
        let file = try InputFile(path: stored.path)
        let survey = try file.survey(encoding: .gb18030)
        let reader = try SourceReader(file: file, survey: survey, format: .csv, options: options())
        let reject = try #require(try reader.next()?.reject)
        #expect(reject.code == .badEncoding)
        #expect(reject.line == 2 && reject.column == 3)
        #expect(reject.field == "name")
        #expect(try reader.next()?.row?.localID == "2")
    }

    @Test func recognizesAWorkbook() throws {
        let stored = try TemporaryFile([0x50, 0x4B, 3, 4, 0, 0, 0, 0])
        let file = try InputFile(path: stored.path)
        #expect(throws: InterchangeError(.badFile, "")) { try file.survey() }
    }

    @Test(arguments: [
        ("a.csv", SourceFormat.csv), ("a.CSV.GZ", .csv), ("a.tsv", .tsv), ("a.jsonl", .jsonLines),
        ("a.json", .jsonLines),
        ("a.xlsx", nil),
    ])
    func derivesTheFormatFromTheName(_ path: String, _ format: SourceFormat?) {
        #expect(SourceFormat(path: path) == format)
    }
}
