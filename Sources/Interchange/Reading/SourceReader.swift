/// Reads a file row by row and maps each row to a record. Imports enter this target here only.
///
/// Order of calls: ``InputFile``, ``InputFile/survey(encoding:)``, this initializer, then ``next()`` until nil. To read
/// twice (to plan, then to apply), create two readers over one file and rewind it between them. Memory: the longest
/// record (2 MiB at most), the header, and the memory for keys (``ImportOptions``). Not Sendable; one task drives it.
package final class SourceReader {
    private enum Layout {
        case csv(CSVReader, CSVMapper)
        case json(JSONLinesReader, JSONMapper)
    }

    /// The file's name in rejects.
    package let name: String
    /// The columns in the order of the header; empty for JSON.
    package let columns: [String]
    /// The number of records read so far, including rejected ones.
    package private(set) var recordCount = 0
    /// The number of rows without content that were skipped so far: blank lines, rows of blank cells, objects without
    /// content. They do not count as records.
    package var blankCount: Int {
        switch layout {
        case .csv(let reader, _): blankRecordCount + reader.emptyLineCount
        case .json(let reader, _): blankRecordCount + reader.emptyLineCount
        }
    }
    private var blankRecordCount = 0

    private let layout: Layout
    private var keys: KeyIndex
    /// Repeated keys that are known only at the end.
    private var repetitions: KeyIndex.Repetitions?
    private let keyColumn: String
    private var hasEnded = false

    /// Reads a surveyed file from its beginning.
    ///
    /// - Parameter before: The reader that has read the whole file. It gives up its index of keys: each key must be on
    ///   the same line again. It must not be used afterwards. If the keys exceeded the memory limit, they are not
    ///   checked again.
    ///
    /// Throws as ``init(_:name:format:options:)`` and as ``InputFile/rewind()``.
    package convenience init(
        file: InputFile,
        survey: InputSurvey,
        format: SourceFormat,
        options: ImportOptions,
        after before: SourceReader? = nil
    ) throws(InterchangeError) {
        try file.rewind()
        let source: any ByteSource = survey.encoding == .utf8 ? file : try Transcoder(file, from: survey.encoding)
        try self.init(source, name: file.name, format: format, options: options)
        if let before {
            swap(&keys, &before.keys)
            keys.beginAgain()
        }
    }

    /// Reads UTF-8 from any source; reads a CSV header at once.
    ///
    /// Throws ``InterchangeError/Code/badHeader``, ``InterchangeError/Code/badMapping``,
    /// ``InterchangeError/Code/keyMissing`` and the source's errors.
    package init(
        _ source: any ByteSource,
        name: String,
        format: SourceFormat,
        options: ImportOptions,
        windowBytes: Int = 256 * 1024
    ) throws(InterchangeError) {
        self.name = name
        keys = KeyIndex(countMax: options.keysInMemoryMax, folder: options.keyFolder)
        keyColumn = options.map.keyColumn
        switch format {
        case .csv(let delimiter):
            let reader = CSVReader(source, delimiter: delimiter, windowBytes: windowBytes)
            let mapper = try CSVMapper(reader, options: options)
            layout = .csv(reader, mapper)
            columns = mapper.header.names
            blankRecordCount = mapper.header.blankCount
        case .jsonLines:
            layout = .json(JSONLinesReader(source, windowBytes: windowBytes), JSONMapper(options: options))
            columns = []
        }
    }

    /// The next row, or the reason why it is refused; nil at the end and after it. A row with several faults is
    /// rejected with the first one found. If the keys exceed the memory limit, repeated keys may be reported after the
    /// last row, as rejects without a record number.
    ///
    /// Throws errors that make the rest of the file unreadable, and ``InterchangeError/Code/badFile`` for an invalid
    /// JSON array. The reader must not be used after an error.
    package func next() throws(InterchangeError) -> SourceEvent? {
        while true {
            guard !hasEnded else { return try nextRepetition() }
            if let event = try nextRecord() { return event }
        }
    }

    /// Nil if there is no event: a blank record, or the end.
    private func nextRecord() throws(InterchangeError) -> SourceEvent? {
        let outcome: RecordOutcome
        let line: Int
        switch layout {
        case .csv(let reader, _):
            outcome = try reader.next()
            line = reader.line
        case .json(let reader, _):
            outcome = try reader.next()
            line = reader.line
        }
        switch outcome {
        case .end:
            hasEnded = true
            repetitions = try keys.repetitions()
            return nil
        case .problem(let code, let offset, let text):
            recordCount += 1
            return .reject(reject(RowProblem(code: code, offset: offset, text: text), line: line))
        case .record:
            recordCount += 1
            let mapped: MappedRow
            switch layout {
            case .csv(_, let mapper): mapped = try mapper.row(record: recordCount, keys: &keys)
            case .json(let reader, let mapper):
                mapped = mapper.row(reader.recordText, line: line, record: recordCount, keys: &keys)
            }
            if let failure = keys.failure { throw failure }
            switch mapped {
            case .row(let row): return .row(row)
            case .problem(let problem): return .reject(reject(problem, line: line))
            case .blank:
                recordCount -= 1
                blankRecordCount += 1
                return nil
            }
        }
    }

    /// A repeated key that was found only at the end, because the keys exceeded the memory limit.
    private func nextRepetition() throws(InterchangeError) -> SourceEvent? {
        guard let (first, line, isAlike) = try repetitions?.next() else {
            repetitions = nil
            return nil
        }
        return .reject(
            Reject(
                file: name,
                line: line,
                record: 0,
                column: 1,
                field: keyColumn,
                code: isAlike ? .keyAlike : .keyRepeated,
                text: isAlike
                    ? KeyIndex.text(nil, like: nil, of: first, on: line) : KeyIndex.text(repeating: first, on: line),
                value: nil
            )
        )
    }

    /// The bytes of the record that ``next()`` returned last, as UTF-8 and without its line break, for a rejects file.
    /// A reject without a record number does not change it. Empty if the record was too large to keep.
    package var lastRecordText: [UInt8] {
        var text =
            switch layout {
            case .csv(let reader, _): Array(reader.recordText)
            case .json(let reader, _): Array(reader.recordText)
            }
        while text.last == 0x0A || text.last == 0x0D { text.removeLast() }
        return text
    }

    private func reject(_ problem: RowProblem, line: Int) -> Reject {
        Reject(
            file: name,
            line: line,
            record: recordCount,
            column: problem.offset + 1,
            field: problem.field,
            code: problem.code,
            text: problem.text,
            value: problem.value
        )
    }
}
