/// The result of reading one record.
enum RecordOutcome {
    /// A record; its cells are available until the next call.
    case record
    /// An unreadable record, with the offset of the fault in it.
    case problem(RejectCode, offset: Int, text: String)
    /// The end of the file.
    case end
}

/// Reads CSV by RFC 4180, extended for real files:
/// - LF, CRLF and CR in any mixture end a record; blank lines between records are skipped.
/// - Quotes may enclose line breaks and doubled quotes.
/// - A quote inside an unquoted cell is text.
/// - A record may begin with a byte order mark.
///
/// The reader works on bytes and converts a cell to text on request only. Memory: the longest record's text, at most
/// ``recordBytesMax``, and 12 bytes per cell. The reader skips a longer record without storing it.
final class CSVReader {
    /// The maximum text of one record in the file, in bytes. For CSV, twice the limit of the values (``WriterLimits``)
    /// would be enough; JSON's `\u0000` needs six times.
    static let recordBytesMax = 2 * 1024 * 1024
    /// The maximum number of stored cells per record; an accepted header has fewer.
    static let cellsMax = 65536

    private struct Cell {
        var start: UInt32
        var end: UInt32
        var isDoubled: Bool
    }

    private static let quote = UInt8(ascii: "\"")
    private static let lineFeed: UInt8 = 0x0A
    private static let carriageReturn: UInt8 = 0x0D
    private static let stopsPlain: UInt8 = 1
    private static let stopsQuoted: UInt8 = 2

    private let window: ByteWindow
    private let delimiter: UInt8
    /// For each byte, whether it stops the scan of a plain or a quoted cell.
    private let stops: UnsafeMutablePointer<UInt8>
    private var cells: UnsafeMutablePointer<Cell>
    private var cellCapacity = 256
    private var scratch: [UInt8] = []
    private var lineBreaks = 0
    private var nextLine = 1
    private var recordBytes = 0
    private var contentBytes = 0
    private var isValid = false
    private var problem: (code: RejectCode, offset: Int, text: String)?

    /// The physical line on which the current record starts, from 1.
    private(set) var line = 0
    /// The number of cells of the current record.
    private(set) var cellCount = 0
    /// The number of lines without any byte that were skipped so far.
    private(set) var emptyLineCount = 0

    init(_ source: any ByteSource, delimiter: UInt8, windowBytes: Int = 256 * 1024) {
        window = ByteWindow(source, capacity: windowBytes, capacityMax: Self.recordBytesMax)
        self.delimiter = delimiter
        stops = .allocate(capacity: 256)
        stops.initialize(repeating: 0, count: 256)
        for byte in [delimiter, Self.lineFeed, Self.carriageReturn, 0] { stops[Int(byte)] |= Self.stopsPlain }
        for byte in [Self.quote, Self.lineFeed, Self.carriageReturn, 0] { stops[Int(byte)] |= Self.stopsQuoted }
        cells = .allocate(capacity: cellCapacity)
    }

    deinit {
        stops.deallocate()
        cells.deallocate()
    }

    /// Advances to the next record and skips empty lines.
    func next() throws(InterchangeError) -> RecordOutcome {
        while true {
            window.consume(recordBytes)
            recordBytes = 0
            line = nextLine
            try window.skipMarks()
            var length = scan(window.base, window.count, atEnd: window.isAtEnd)
            while length == nil {
                switch try window.refill() {
                case .more: length = scan(window.base, window.count, atEnd: false)
                case .ended: length = scan(window.base, window.count, atEnd: true)
                case .full: return try skipOversized()
                }
            }
            // The loop ends only after a complete scan.
            recordBytes = length!
            nextLine += lineBreaks
            if recordBytes == 0 { return .end }
            if let problem { return .problem(problem.code, offset: problem.offset, text: problem.text) }
            if cellCount == 1, contentBytes == 0 {
                emptyLineCount += 1
                continue
            }
            // Delimiters and quotes are ASCII: if the whole record is UTF-8, each cell is too.
            isValid = isUTF8(recordText)
            return .record
        }
    }

    /// The bytes of the current record in the (converted) file, including its line break. Empty for a record that was
    /// too large to keep.
    var recordText: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: window.bytes.prefix(recordBytes))
    }

    /// True if the cell is empty.
    func isEmpty(_ cell: Int) -> Bool { cells[cell].start == cells[cell].end }

    /// True if the cell is empty or contains only blanks of any kind.
    func isBlank(_ cell: Int) -> Bool {
        let cell = cells[cell]
        return UnsafeBufferPointer(start: window.base + Int(cell.start), count: Int(cell.end - cell.start)).isBlank
    }

    /// True if all cells are blank. The cost is constant if the first cell is not.
    var isBlankRecord: Bool {
        cellCount <= cellCapacity && (0..<cellCount).allSatisfy { isBlank($0) }
    }

    /// The byte offset in the record at which the cell's content begins. For a cell that does not exist: the end of the
    /// last cell.
    func offset(of cell: Int) -> Int {
        cell < min(cellCount, cellCapacity) ? Int(cells[cell].start) : Int(cells[min(cellCount, cellCapacity) - 1].end)
    }

    /// The cell's text; nil if it is not UTF-8.
    func text(of cell: Int) -> String? {
        let cell = cells[cell]
        let start = window.base + Int(cell.start)
        let count = Int(cell.end - cell.start)
        guard cell.isDoubled else { return text(UnsafeBufferPointer(start: start, count: count)) }
        scratch.removeAll(keepingCapacity: true)
        var index = 0
        while index < count {
            let byte = start[index]
            scratch.append(byte)
            // Within quotes, every quote is doubled.
            index += byte == Self.quote ? 2 : 1
        }
        return scratch.withUnsafeBufferPointer { text($0) }
    }

    @inline(__always)
    private func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        isValid ? String(decoding: bytes, as: UTF8.self) : validText(bytes)
    }

    /// Finds the cells of the record that begins at `base`. Returns its length including the line break, 0 at the end
    /// of the file, or nil if more bytes are needed.
    private func scan(_ base: UnsafePointer<UInt8>, _ count: Int, atEnd: Bool) -> Int? {
        let stops = stops
        var index = 0
        var breaks = 0
        var found = 0
        problem = nil
        contentBytes = 0
        defer { lineBreaks = breaks }
        if count == 0 { return atEnd ? 0 : nil }

        while true {
            var cell = Cell(start: UInt32(index), end: 0, isDoubled: false)
            if index < count, base[index] == Self.quote {
                let openingBreaks = breaks
                index += 1
                cell.start += 1
                while true {
                    while index < count, stops[Int(base[index])] & Self.stopsQuoted == 0 { index += 1 }
                    guard index < count else {
                        guard atEnd else { return nil }
                        cellCount = found
                        problem = (
                            .quoteUnclosed, Int(cell.start) - 1,
                            "the quote opened on line \(line + openingBreaks) is never closed"
                        )
                        return count
                    }
                    let byte = base[index]
                    if byte == Self.quote {
                        guard index + 1 < count || atEnd else { return nil }
                        guard index + 1 < count, base[index + 1] == Self.quote else { break }
                        cell.isDoubled = true
                        index += 2
                        continue
                    }
                    if byte == 0 {
                        noteNUL(at: index)
                    } else if byte == Self.lineFeed || index + 1 == count || base[index + 1] != Self.lineFeed {
                        breaks += 1
                    }
                    index += 1
                }
                cell.end = UInt32(index)
                contentBytes += 1
                index += 1
                if index < count, stops[Int(base[index])] & Self.stopsPlain == 0, problem == nil {
                    problem = (.textAfterQuote, index, "text stands between a closing quote and the next delimiter")
                }
                while index < count {
                    if stops[Int(base[index])] & Self.stopsPlain != 0 {
                        guard base[index] == 0 else { break }
                        noteNUL(at: index)
                    }
                    index += 1
                }
            } else {
                while index < count {
                    if stops[Int(base[index])] & Self.stopsPlain != 0 {
                        guard base[index] == 0 else { break }
                        noteNUL(at: index)
                    }
                    index += 1
                }
                cell.end = UInt32(index)
                contentBytes += index - Int(cell.start)
            }
            if found < cellCapacity || grow(beyond: found) { cells[found] = cell }
            found += 1
            guard index < count else {
                guard atEnd else { return nil }
                cellCount = found
                return index
            }
            let byte = base[index]
            if byte == delimiter {
                index += 1
                continue
            }
            if byte == Self.carriageReturn {
                guard index + 1 < count || atEnd else { return nil }
                if index + 1 < count, base[index + 1] == Self.lineFeed { index += 1 }
            }
            breaks += 1
            cellCount = found
            return index + 1
        }
    }

    private func noteNUL(at index: Int) {
        if problem == nil {
            problem = (.badEncoding, index, "a NUL byte; is this a text file, and in the encoding that was taken?")
        }
    }

    /// Allocates room for more cells; false at the bound.
    private func grow(beyond found: Int) -> Bool {
        guard cellCapacity < Self.cellsMax else { return false }
        let larger = UnsafeMutablePointer<Cell>.allocate(capacity: cellCapacity * 2)
        larger.moveInitialize(from: cells, count: found)
        cells.deallocate()
        cells = larger
        cellCapacity *= 2
        return true
    }

    /// Skips a record that does not fit the window; stores nothing.
    private func skipOversized() throws(InterchangeError) -> RecordOutcome {
        enum Position { case cellStart, plain, quoted, quoteInQuoted, afterReturn }
        var position = Position.cellStart
        var openingLine = line
        var afterReturn = false
        cellCount = 0
        skipping: while true {
            let base = window.base
            for index in 0..<window.count {
                let byte = base[index]
                if position == .afterReturn {
                    window.consume(byte == Self.lineFeed ? index + 1 : index)
                    break skipping
                }
                if position == .quoted {
                    if byte == Self.quote { position = .quoteInQuoted }
                    if byte == Self.carriageReturn || (byte == Self.lineFeed && !afterReturn) { nextLine += 1 }
                    afterReturn = byte == Self.carriageReturn
                    continue
                }
                switch byte {
                case delimiter: position = .cellStart
                case Self.quote where position == .cellStart:
                    position = .quoted
                    openingLine = nextLine
                case Self.quote where position == .quoteInQuoted: position = .quoted
                case Self.lineFeed:
                    nextLine += 1
                    window.consume(index + 1)
                    break skipping
                case Self.carriageReturn:
                    nextLine += 1
                    position = .afterReturn
                default: position = .plain
                }
                afterReturn = false
            }
            window.consumeAll()
            if try window.refill() == .ended, window.count == 0 { break }
        }
        if position == .quoted {
            return .problem(
                .quoteUnclosed,
                offset: 0,
                text: "the quote opened on line \(openingLine) is never closed"
            )
        }
        return .problem(
            .recordTooLarge,
            offset: 0,
            text: "the row takes more than \(Self.recordBytesMax / 1024 / 1024) MiB; is a quote missing?"
        )
    }
}
