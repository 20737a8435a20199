/// Splits a file into JSON records. If the file's first character is `[`, the records are the elements of that array
/// and may span lines. Otherwise each line is a record; blank lines are skipped, and any record may begin with a byte
/// order mark.
///
/// The reader only finds the end of a record; the consumer checks the JSON. Memory: the longest record's text, at most
/// ``CSVReader/recordBytesMax``.
final class JSONLinesReader {
    private enum Shape { case unknown, lines, arrayStart, arrayNext, arrayDone }

    private let window: ByteWindow
    private var shape = Shape.unknown
    private var nextLine = 1
    private var length = 0
    private var trailing = 0

    /// The physical line on which the current record starts, from 1.
    private(set) var line = 0
    /// The number of blank lines that were skipped so far.
    private(set) var emptyLineCount = 0

    init(_ source: any ByteSource, windowBytes: Int = 256 * 1024) {
        window = ByteWindow(source, capacity: windowBytes, capacityMax: CSVReader.recordBytesMax)
    }

    /// The text of the current record, valid until the next call of ``next()``. Empty for a record that was too large
    /// to keep.
    var recordText: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: window.base, count: length) }

    func next() throws(InterchangeError) -> RecordOutcome {
        window.consume(length + trailing)
        length = 0
        trailing = 0
        switch shape {
        case .unknown:
            try window.skipMarks()
            let first = try skipBlanks()
            shape = first == UInt8(ascii: "[") ? .arrayStart : .lines
            if shape == .lines { emptyLineCount = nextLine - 1 }
            if shape == .arrayStart {
                window.consume(1)
                return try nextElement()
            }
            return try nextLineRecord()
        case .lines: return try nextLineRecord()
        case .arrayStart, .arrayNext: return try nextElement()
        case .arrayDone: return .end
        }
    }

    /// Consumes blanks and line breaks. Returns the following byte without consuming it, nil at the end.
    private func skipBlanks() throws(InterchangeError) -> UInt8? {
        while true {
            let base = window.base
            var index = 0
            while index < window.count {
                let byte = base[index]
                if byte == 0x0A {
                    nextLine += 1
                } else if byte != 0x20, byte != 0x09, byte != 0x0D {
                    window.consume(index)
                    return byte
                }
                index += 1
            }
            window.consumeAll()
            if try window.refill() == .ended, window.count == 0 { return nil }
        }
    }

    private func nextLineRecord() throws(InterchangeError) -> RecordOutcome {
        while true {
            // Skips blank lines and blanks before a record. The record's line is then known, and columns count from its
            // first byte.
            var searched = 0
            line = nextLine
            try window.skipMarks()
            while true {
                let base = window.base
                let count = window.count
                if let found = Self.lineFeed(base, from: searched, to: count) {
                    length = found
                    trailing = 1
                    nextLine += 1
                    break
                }
                searched = count
                if window.isAtEnd {
                    length = count
                    break
                }
                if try window.refill() == .full { return try skipOversizedLine() }
            }
            if length == 0 && trailing == 0 { return .end }
            if recordText.isBlank {
                emptyLineCount += 1
                window.consume(length + trailing)
                length = 0
                trailing = 0
                continue
            }
            return .record
        }
    }

    private static func lineFeed(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int? {
        var index = start
        while index + 8 <= end {
            let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self) ^ 0x0A0A_0A0A_0A0A_0A0A
            if (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080 != 0 { break }
            index += 8
        }
        while index < end {
            if base[index] == 0x0A { return index }
            index += 1
        }
        // The fast loop stops at the first word with a line feed, so only the end leads here.
        return nil
    }

    private func skipOversizedLine() throws(InterchangeError) -> RecordOutcome {
        while true {
            if let found = Self.lineFeed(window.base, from: 0, to: window.count) {
                window.consume(found + 1)
                nextLine += 1
                break
            }
            window.consumeAll()
            if try window.refill() == .ended, window.count == 0 { break }
        }
        return .problem(
            .recordTooLarge,
            offset: 0,
            text: "the line is longer than \(CSVReader.recordBytesMax / 1024 / 1024) MiB"
        )
    }

    private func nextElement() throws(InterchangeError) -> RecordOutcome {
        var byte = try skipBlanks()
        if shape == .arrayNext, byte == UInt8(ascii: ",") {
            window.consume(1)
            byte = try skipBlanks()
        } else if byte == UInt8(ascii: "]") {
            window.consume(1)
            shape = .arrayDone
            guard try skipBlanks() == nil else { throw bad("unexpected text after the array") }
            return .end
        } else if shape == .arrayNext {
            throw bad(byte == nil ? "the array is not closed" : "expected a comma or ] behind a record")
        }
        guard let byte else { throw bad("the array is not closed") }
        guard byte != UInt8(ascii: ","), byte != UInt8(ascii: "]") else { throw bad("expected a record") }
        shape = .arrayNext
        line = nextLine
        while true {
            if let end = Self.elementEnd(window.base, window.count) {
                length = end
                nextLine += recordText.reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
                return .record
            }
            switch try window.refill() {
            case .more: continue
            case .full:
                throw bad("a record takes more than \(CSVReader.recordBytesMax / 1024 / 1024) MiB")
            case .ended:
                if let end = Self.elementEnd(window.base, window.count) {
                    length = end
                    nextLine += recordText.reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
                    return .record
                }
                throw bad("the array is not closed")
            }
        }
    }

    private func bad(_ reason: String) -> InterchangeError {
        InterchangeError(.badFile, "not a JSON array of objects: \(reason)", line: nextLine)
    }

    /// The end of the value that begins at `base`, found by brackets and quotes alone; nil if the value is incomplete.
    private static func elementEnd(_ base: UnsafePointer<UInt8>, _ count: Int) -> Int? {
        var depth = 0
        var inString = false
        var index = 0
        while index < count {
            let byte = base[index]
            index += 1
            if inString {
                if byte == UInt8(ascii: "\\") {
                    index += 1
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                    if depth == 0 { return index }
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): inString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return index - 1 }
                depth -= 1
                if depth == 0 { return index }
            case UInt8(ascii: ",") where depth == 0: return index - 1
            default: break
            }
        }
        return nil
    }
}
