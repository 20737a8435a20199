#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// The encoding of a file's text. Messages use the raw value as its name.
package enum TextEncoding: String, Sendable, CaseIterable {
    case utf8 = "UTF-8"
    case utf16LittleEndian = "UTF-16LE"
    case utf16BigEndian = "UTF-16BE"
    /// Chinese spreadsheets write this encoding without a mark. GBK and GB2312 are subsets of it.
    case gb18030 = "GB18030"
    case big5 = "Big5"
    case shiftJIS = "Shift_JIS"
    case eucJP = "EUC-JP"
    case eucKR = "EUC-KR"
    case windows1252 = "Windows-1252"
    case windows1250 = "Windows-1250"
    case windows1251 = "Windows-1251"
    case latin1 = "ISO-8859-1"

    /// Parses a name in any case, with or without hyphens; nil for an unknown one.
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

    /// The names that ``init(named:)`` accepts, one for each encoding, for people.
    package static let names =
        "utf-8, utf-16, utf-16be, gb18030, big5, shift_jis, euc-jp, euc-kr, windows-1252, windows-1250, windows-1251, latin1"

    /// The name for iconv. If Windows has an extended variant, this is the variant, because spreadsheets write it.
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

    /// The size of the smallest unit in bytes; the transcoder skips one unit at an invalid byte.
    fileprivate var unitBytes: Int {
        self == .utf16LittleEndian || self == .utf16BigEndian ? 2 : 1
    }
}

/// The result of the first pass over a file.
package struct InputSurvey: Equatable, Sendable {
    /// How the encoding was determined.
    package enum Origin: String, Sendable {
        /// A byte order mark.
        case mark
        /// The bytes indicate it.
        case detected
        /// The user named it.
        case given
    }

    /// The encoding to read the file with.
    package let encoding: TextEncoding
    package let origin: Origin
    /// True if the file is UTF-8 except for a few bytes. Rows with such bytes are rejected as `bad-encoding`.
    package let isDamaged: Bool

    package init(encoding: TextEncoding, origin: Origin, isDamaged: Bool = false) {
        self.encoding = encoding
        self.origin = origin
        self.isDamaged = isDamaged
    }
}

extension InputFile {
    /// Reads the whole file once and determines its encoding. Rewinds the file before and after. Call it first. Set
    /// ``onRawBytes`` before the call to hash the file in the same pass; the call sets it to nil at the end.
    ///
    /// The rules in order:
    /// - A byte order mark decides.
    /// - Valid UTF-8 is UTF-8.
    /// - A file whose valid UTF-8 sequences outnumber invalid bytes by eight to one is damaged UTF-8. GB18030 would
    ///   often accept such a file and silently turn its text into garbage. In GBK text far fewer pairs are valid UTF-8
    ///   by chance: one in seven, by the byte ranges of GB2312. Eight is a guess.
    /// - A file is GB18030 if every byte fits and the decoded text looks like Chinese (``ChineseLikeness``): most files
    ///   of other encodings fit too.
    ///
    /// - Parameter encoding: the user's choice. It is accepted without a check, except that a UTF-16 mark decides the
    ///   byte order. Invalid bytes are then found when their row is read.
    ///
    /// Throws ``InterchangeError/Code/badEncoding`` if no encoding fits clearly, with a line of the file decoded in
    /// several encodings. Throws ``InterchangeError/Code/badFile`` for a ZIP file, such as an Excel workbook. Throws
    /// the errors of ``rewind()`` and ``read(into:)``. Bounded memory.
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

    /// True if every byte fits GB18030 and the decoded text looks like Chinese.
    private func isChinese(_ buffer: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Bool {
        let tap = LikenessTap(self)
        let converter = try Transcoder(tap, from: .gb18030)
        while converter.invalidCount == 0, try converter.read(into: buffer) > 0 {}
        try rewind()
        return converter.invalidCount == 0 && tap.likeness.isConvincing
    }

    /// The encodings in which a line is shown if the file's encoding is ambiguous.
    private static let shownEncodings: [TextEncoding] = [.gb18030, .big5, .shiftJIS, .windows1252]

    /// The error for an ambiguous encoding; shows the first line in question in several encodings.
    private func doubt(firstInvalid offset: Int) throws(InterchangeError) -> InterchangeError {
        let (line, bytes) = try sample(around: offset)
        let width = Self.shownEncodings.map(\.rawValue.utf8.count).max() ?? 0
        var rows: [String] = []
        for encoding in Self.shownEncodings {
            // The C library may lack the encoding.
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

    /// The maximum number of shown bytes of a line, and the number of them before the byte in question.
    private static let sampleBytesMax = 60
    private static let sampleBytesBefore = 30

    /// The number of the line that contains a byte, and the part of the line around it. Rewinds the file.
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
                    // A byte below 0x30 is a character of its own in all these encodings, so the line may be cut after
                    // one.
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
    /// The number of valid sequences of two or more bytes.
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
                // Skips eight ASCII bytes at a time.
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
                    // The previous sequence is broken; this byte is examined again.
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

/// Converts another encoding to UTF-8 with the C library's iconv.
///
/// An invalid byte becomes FF, which is not valid UTF-8. The reader then rejects exactly the row concerned and reports
/// the position.
package final class Transcoder: ByteSource {
    /// The number of invalid units so far.
    package private(set) var invalidCount = 0

    private let source: any ByteSource
    private let unitBytes: Int
    private let descriptor: iconv_t
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    private var pending = 0..<0
    private var sourceEnded = false
    private var needsMore = true

    /// Throws ``InterchangeError/Code/badEncoding`` if the C library lacks the encoding.
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

    /// Reads all remaining bytes, for small sources.
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

    /// The bytes that did not fit a very small target (only tests have such targets).
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
                // Invalid, or truncated at the end of the file.
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
