#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// How a file's bytes stand for text. The raw value is the name by which messages call it.
package enum TextEncoding: String, Sendable, CaseIterable {
    case utf8 = "UTF-8"
    case utf16LittleEndian = "UTF-16LE"
    case utf16BigEndian = "UTF-16BE"
    /// What Chinese spreadsheets write without saying so; GBK and GB2312 are parts of it.
    case gb18030 = "GB18030"
    case big5 = "Big5"
    case shiftJIS = "Shift_JIS"
    case eucJP = "EUC-JP"
    case eucKR = "EUC-KR"
    case windows1252 = "Windows-1252"
    case windows1250 = "Windows-1250"
    case windows1251 = "Windows-1251"
    case latin1 = "ISO-8859-1"

    /// Reads a name as users give it, whatever its case and with or without hyphens; nil for an unknown one.
    package init?(named name: String) {
        let plain = name.lowercased().filter { $0 != "-" && $0 != "_" }
        switch plain {
        case "utf8": self = .utf8
        case "utf16", "utf16le": self = .utf16LittleEndian
        case "utf16be": self = .utf16BigEndian
        case "gb18030", "gbk", "gb2312", "cp936": self = .gb18030
        case "big5", "cp950": self = .big5
        case "shiftjis", "sjis", "cp932", "windows31j": self = .shiftJIS
        case "eucjp": self = .eucJP
        case "euckr", "cp949": self = .eucKR
        case "windows1252", "cp1252": self = .windows1252
        case "windows1250", "cp1250": self = .windows1250
        case "windows1251", "cp1251": self = .windows1251
        case "iso88591", "latin1": self = .latin1
        default: return nil
        }
    }

    /// The names that ``init(named:)`` reads, one for each encoding, for people.
    package static let names =
        "utf-8, utf-16, utf-16be, gb18030, big5, shift_jis, euc-jp, euc-kr, windows-1252, windows-1250, windows-1251, latin1"

    /// What iconv calls it. Where Windows has a larger form, that is what spreadsheets write.
    fileprivate var systemName: String {
        switch self {
        case .big5: "BIG5"
        case .shiftJIS: "CP932"
        case .eucKR: "CP949"
        case .windows1252: "CP1252"
        case .windows1250: "CP1250"
        case .windows1251: "CP1251"
        default: rawValue
        }
    }

    /// Bytes of the smallest unit; what is skipped over an invalid one.
    fileprivate var unitBytes: Int {
        self == .utf16LittleEndian || self == .utf16BigEndian ? 2 : 1
    }
}

/// What the first pass over a file tells.
package struct InputSurvey: Equatable, Sendable {
    /// By what the encoding is known.
    package enum Origin: String, Sendable {
        /// A byte order mark.
        case mark
        /// What the bytes look like.
        case detected
        /// The user's word.
        case given
    }

    /// The encoding to read the file with.
    package let encoding: TextEncoding
    package let origin: Origin
    /// True if the file is UTF-8 but for a few bytes: rows that hold these are rejected as `bad-encoding`.
    package let isDamaged: Bool

    package init(encoding: TextEncoding, origin: Origin, isDamaged: Bool = false) {
        self.encoding = encoding
        self.origin = origin
        self.isDamaged = isDamaged
    }
}

extension InputFile {
    /// Reads the whole file once and decides on its encoding; the file is wound back to its beginning before and
    /// after. To be called first; set ``onRawBytes`` beforehand to hash the file in the same pass (it is called for
    /// this pass only, and left nil).
    ///
    /// The rule: byte order mark, then strict UTF-8, then GB18030 if every byte fits and what comes out looks like Chinese
    /// (``ChineseLikeness``): most files of other encodings fit too. A file in which valid UTF-8 sequences outnumber invalid bytes by eight to one is taken for UTF-8 with damaged places, since GB18030 would
    /// often accept it and turn all of its text into garbage without a word (in GBK text far
    /// fewer pairs happen to be valid UTF-8: one in seven, by the ranges of the bytes in GB2312). Eight is a guess.
    ///
    /// - Parameter encoding: what the user says; taken without a doubt, except that a mark of UTF-16 decides the byte
    ///   order. Invalid bytes are then found when their row is read.
    ///
    /// Throws ``InterchangeError/Code/badEncoding`` if nothing fits without a doubt, with a line of the file read in several
    /// encodings, and what ``read(into:)`` throws. Bounded memory.
    package func survey(encoding: TextEncoding? = nil) throws(InterchangeError) -> InputSurvey {
        try rewind()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 16)
        defer { buffer.deallocate() }
        var validator = UTF8Validator()
        var head: [UInt8] = []
        while true {
            let count = try read(into: buffer)
            if count == 0 { break }
            let portion = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            if head.count < 4 { head += portion.prefix(4 - head.count) }
            validator.take(portion)
        }
        validator.finish()
        onRawBytes = nil
        try rewind()

        if head.starts(with: [0x50, 0x4B, 3, 4]) {
            throw InterchangeError(
                .badFile,
                "\(name) is a packed file (an Excel workbook?); save the sheet as CSV and import that"
            )
        }
        let marked: TextEncoding? =
            if head.starts(with: [0xEF, 0xBB, 0xBF]) {
                .utf8
            } else if head.starts(with: [0xFF, 0xFE]) {
                .utf16LittleEndian
            } else if head.starts(with: [0xFE, 0xFF]) {
                .utf16BigEndian
            } else {
                nil
            }
        if let encoding {
            let decided = encoding.unitBytes == 2 ? marked ?? encoding : encoding
            return InputSurvey(encoding: decided, origin: marked == decided ? .mark : .given)
        }
        if let marked {
            let isDamaged = marked == .utf8 && validator.invalidCount > 0
            return InputSurvey(encoding: marked, origin: .mark, isDamaged: isDamaged)
        }
        if validator.invalidCount == 0 { return InputSurvey(encoding: .utf8, origin: .detected) }
        if validator.validCount >= 8 * validator.invalidCount {
            return InputSurvey(encoding: .utf8, origin: .detected, isDamaged: true)
        }
        if try isChinese(buffer) { return InputSurvey(encoding: .gb18030, origin: .detected) }
        throw try doubt(firstInvalid: validator.firstInvalidOffset)
    }

    /// True if every byte fits GB18030, and what comes out looks like Chinese.
    private func isChinese(_ buffer: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Bool {
        let tap = LikenessTap(self)
        let converter = try Transcoder(tap, from: .gb18030)
        while converter.invalidCount == 0, try converter.read(into: buffer) > 0 {}
        try rewind()
        return converter.invalidCount == 0 && tap.likeness.isConvincing
    }

    /// The encodings in which a line is shown where it is in doubt which one the file has.
    private static let shownEncodings: [TextEncoding] = [.gb18030, .big5, .shiftJIS, .windows1252]

    /// Tells that the encoding is in doubt, and how the first line in question reads in several.
    private func doubt(firstInvalid offset: Int) throws(InterchangeError) -> InterchangeError {
        let (line, bytes) = try sample(around: offset)
        let width = Self.shownEncodings.map(\.rawValue.utf8.count).max() ?? 0
        var rows: [String] = []
        for encoding in Self.shownEncodings {
            // A C library without the encoding has nothing to show.
            guard let converter = try? Transcoder(MemorySource(bytes), from: encoding) else { continue }
            let text = String(decoding: try converter.readAll(), as: UTF8.self)
            let padding = String(repeating: " ", count: width - encoding.rawValue.utf8.count)
            rows.append("\(encoding.rawValue)\(padding)  \(VisibleText.escaped(text))")
        }
        return InterchangeError(
            .badEncoding,
            "the encoding of \(name) is in doubt at line \(line)",
            details: rows
        )
    }

    /// Bytes of a line that are shown, and those of them before the one in question.
    private static let sampleBytesMax = 60
    private static let sampleBytesBefore = 30

    /// The number of the line that holds a byte, and the part of it around that byte; the file is wound back.
    private func sample(around offset: Int) throws(InterchangeError) -> (line: Int, bytes: [UInt8]) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
        defer { buffer.deallocate() }
        var position = 0
        var line = 1
        var part: [UInt8] = []
        reading: while true {
            let count = try read(into: buffer)
            if count == 0 { break }
            for byte in buffer[..<count] {
                if byte == 0x0A || byte == 0x0D {
                    if position > offset { break reading }
                    if byte == 0x0A { line += 1 }
                    part.removeAll(keepingCapacity: true)
                } else {
                    part.append(byte)
                    // A byte below 0x30 is a character of its own in all these encodings, so it may be cut behind one.
                    if position <= offset, part.count > Self.sampleBytesBefore, byte < 0x30 { part.removeAll() }
                    if position > offset, part.count >= Self.sampleBytesMax, byte < 0x80 { break reading }
                }
                position += 1
            }
        }
        try rewind()
        return (line, Array(part.prefix(2 * Self.sampleBytesMax)))
    }
}

/// Counts valid sequences and invalid bytes of UTF-8 (RFC 3629) in a stream.
struct UTF8Validator {
    /// Sequences of two bytes or more that are valid.
    private(set) var validCount = 0
    private(set) var invalidCount = 0
    private(set) var firstInvalidOffset = 0
    private var position = 0
    private var needed = 0
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    mutating func take(_ portion: UnsafeRawBufferPointer) {
        var index = 0
        let count = portion.count
        while index < count {
            if needed == 0 {
                // Eight bytes of ASCII at a time.
                while index + 8 <= count,
                    portion.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index += 8
                }
                guard index < count else { break }
                let byte = portion[index]
                if byte >= 0x80 { begin(byte, at: position + index) }
                index += 1
            } else {
                let byte = portion[index]
                if byte < lower || byte > upper {
                    // The sequence before is broken; this byte is looked at anew.
                    invalid(at: position + index)
                    needed = 0
                } else {
                    needed -= 1
                    if needed == 0 { validCount += 1 }
                    index += 1
                }
                lower = 0x80
                upper = 0xBF
            }
        }
        position += count
    }

    mutating func finish() {
        if needed > 0 { invalid(at: position) }
        needed = 0
    }

    private mutating func begin(_ byte: UInt8, at offset: Int) {
        switch byte {
        case 0xC2...0xDF: needed = 1
        case 0xE0...0xEF:
            needed = 2
            if byte == 0xE0 { lower = 0xA0 }
            if byte == 0xED { upper = 0x9F }
        case 0xF0...0xF4:
            needed = 3
            if byte == 0xF0 { lower = 0x90 }
            if byte == 0xF4 { upper = 0x8F }
        default: invalid(at: offset)
        }
    }

    private mutating func invalid(at offset: Int) {
        if invalidCount == 0 { firstInvalidOffset = offset }
        invalidCount += 1
    }
}

/// Turns another encoding into UTF-8 by the C library's iconv.
///
/// A byte that is invalid comes out as FF, which is no UTF-8, so that the reader behind it rejects the very row and
/// names the place.
package final class Transcoder: ByteSource {
    /// Invalid units met so far.
    package private(set) var invalidCount = 0

    private let source: any ByteSource
    private let unitBytes: Int
    private let descriptor: iconv_t
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    private var pending = 0..<0
    private var sourceEnded = false
    private var needsMore = true

    /// Throws ``InterchangeError/Code/badEncoding`` where the C library does not have the encoding.
    package init(_ source: any ByteSource, from encoding: TextEncoding) throws(InterchangeError) {
        guard let opened = iconv_open("UTF-8", encoding.systemName), Int(bitPattern: opened) != -1 else {
            throw InterchangeError(.badEncoding, "this system cannot convert from \(encoding.rawValue)")
        }
        descriptor = opened
        unitBytes = encoding.unitBytes
        self.source = source
    }

    deinit {
        iconv_close(descriptor)
        buffer.deallocate()
    }

    package func read(into target: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Int {
        if target.count < 16 { return try readThroughSmallBuffer(into: target) }
        var produced = 0
        while produced == 0 {
            if needsMore { try fill() }
            if pending.isEmpty && sourceEnded { return 0 }
            produced += convert(into: UnsafeMutableRawBufferPointer(rebasing: target[produced...]))
        }
        return produced
    }

    /// All that is left, for small sources.
    func readAll() throws(InterchangeError) -> [UInt8] {
        let portion = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 16)
        defer { portion.deallocate() }
        var bytes: [UInt8] = []
        while true {
            let count = try read(into: portion)
            if count == 0 { return bytes }
            bytes += portion[..<count]
        }
    }

    /// What did not fit a very small target (only tests have such).
    private var spill: ArraySlice<UInt8> = []

    private func readThroughSmallBuffer(into target: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Int {
        if spill.isEmpty {
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 1)
            defer { room.deallocate() }
            let count = try read(into: room)
            spill = Array(room[..<count])[...]
        }
        let count = min(spill.count, target.count)
        target.copyBytes(from: spill.prefix(count))
        spill = spill.dropFirst(count)
        return count
    }

    private func fill() throws(InterchangeError) {
        needsMore = false
        let kept = pending.count
        if kept > 0, pending.lowerBound > 0, let base = buffer.baseAddress {
            base.copyMemory(from: base + pending.lowerBound, byteCount: kept)
        }
        pending = 0..<kept
        guard !sourceEnded else { return }
        let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[kept...]))
        if count == 0 { sourceEnded = true }
        pending = 0..<kept + count
    }

    private func convert(into target: UnsafeMutableRawBufferPointer) -> Int {
        guard !pending.isEmpty, let inputBase = buffer.baseAddress, let outputBase = target.baseAddress else {
            needsMore = true
            return 0
        }
        var input: UnsafeMutablePointer<CChar>? = (inputBase + pending.lowerBound).assumingMemoryBound(to: CChar.self)
        var inputLeft = pending.count
        var output: UnsafeMutablePointer<CChar>? = outputBase.assumingMemoryBound(to: CChar.self)
        var outputLeft = target.count
        let result = iconv(descriptor, &input, &inputLeft, &output, &outputLeft)
        let reason = errno
        pending = pending.dropFirst(pending.count - inputLeft)
        var produced = target.count - outputLeft
        if result == -1 {
            switch reason {
            case E2BIG: break
            case EINVAL where !sourceEnded: needsMore = true
            default:
                // Invalid, or cut short by the end of the file.
                if outputLeft > 0 {
                    target[produced] = 0xFF
                    produced += 1
                    invalidCount += 1
                    pending = pending.dropFirst(min(unitBytes, pending.count))
                }
            }
        } else {
            needsMore = true
        }
        return produced
    }
}
