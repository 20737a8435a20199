/// Reads a file row by row and maps each to a record: the one entrance to this target for imports.
///
/// In order: ``InputFile``, ``InputFile/survey(encoding:)``, this, then ``next()`` until nil. Reading twice (to plan,
/// then to apply) means two of these over one file, wound back between. Memory: the longest record (2 MiB at most),
/// the header, and what keys are given (``ImportOptions``). Not Sendable; one task drives it.
package final class SourceReader {
    private enum Layout {
        case csv(CSVReader, CSVMapper)
        case json(JSONLinesReader, JSONMapper)
    }

    /// The file's name in rejects.
    package let name: String
    /// The columns in the order of the header; empty for JSON.
    package let columns: [String]
    /// Records read so far, rejected ones included.
    package private(set) var recordCount = 0
    /// Rows without any content that were skipped so far: blank lines, blank cells alone, objects that say nothing. They
    /// are no records.
    package var blankCount: Int {
        switch layout {
        case .csv(let reader, _): blankRecordCount + reader.emptyLineCount
        case .json(let reader, _): blankRecordCount + reader.emptyLineCount
        }
    }
    private var blankRecordCount = 0

    private let layout: Layout
    private var keys: KeyIndex
    /// Keys that repeat, as far as that is known at the end only.
    private var repetitions: KeyIndex.Repetitions?
    private let keyColumn: String
    private var hasEnded = false

    /// Reads a surveyed file from its beginning.
    ///
    /// - Parameter before: The reader that has read the whole file, which gives away what it knows of the keys: each must
    ///   stand on the same line again. It must not be used afterwards. Of more keys than memory is given for nothing is
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

    /// Reads UTF-8 from any source; the header of CSV at once.
    ///
    /// Throws ``InterchangeError/Code/badHeader``, ``InterchangeError/Code/badMapping``,
    /// ``InterchangeError/Code/keyMissing`` and what the source throws.
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

    /// The next row, or why the next row is not taken; nil at the end, and from then on. A row with several faults is
    /// rejected with the first one found. Of very many rows, keys that repeat may be told behind the last one, as rejects
    /// without a record's number.
    ///
    /// Throws what makes the rest of the file unreadable, ``InterchangeError/Code/badFile`` for a JSON array that is
    /// not one; the reader must not be used after that.
    package func next() throws(InterchangeError) -> SourceEvent? {
        while true {
            guard !hasEnded else { return try nextRepetition() }
            if let event = try nextRecord() { return event }
        }
    }

    /// Nil for what is no event: a blank record, or the end.
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

    /// A key that repeats, and that was not found where it stands: of a file with very many.
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

    /// The bytes of the record that ``next()`` told of last (which is not that of a reject without a record's number), as
    /// UTF-8 and without its line break, for a file of rejects; empty if it was too large to keep.
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
