internal import Catalog
import Schema

/// Maps records of a CSV file to rows. It looks up the columns once, when the header and the kind are known.
final class CSVMapper {
    /// The checked names of a header.
    struct Header {
        let names: [String]
        let keyCell: Int
        let kindCell: Int?
        let ownerCell: Int?
        /// The cell in which an export stores the fields without a column.
        let moreCell: Int?
        /// The number of blank records before the header.
        let blankCount: Int
    }

    private struct Step {
        let cell: Int
        let target: Target
    }

    private struct Plan {
        /// Which cell feeds which target, in the order of the cells.
        let steps: [Step]
        /// The fields that have a column.
        var fed: Set<FieldPath> { Set(steps.map(\.target.path)) }
    }

    private let reader: CSVReader
    private let options: ImportOptions
    private var plans: [ByteKey: Plan] = [:]
    private var lastPlan: (kind: String, plan: Plan)?
    /// The plan, if all rows have the same kind.
    private var solePlan: Plan?
    let header: Header

    /// Reads the header.
    init(_ reader: CSVReader, options: ImportOptions) throws(InterchangeError) {
        self.reader = reader
        self.options = options
        header = try Self.readHeader(reader, options: options)
        if let kind = options.kind { solePlan = try plan(for: kind) }
    }

    private static func readHeader(_ reader: CSVReader, options: ImportOptions) throws(InterchangeError) -> Header {
        var blankCount = -1
        repeat {
            blankCount += 1
            switch try reader.next() {
            case .end: throw InterchangeError(.badHeader, "the file is empty; its first line must name the columns")
            case .problem(_, let offset, let text):
                throw InterchangeError(
                    .badHeader,
                    "the header cannot be read: \(text)",
                    line: reader.line,
                    column: offset + 1
                )
            case .record: break
            }
        } while reader.isBlankRecord
        guard reader.cellCount < CSVReader.cellsMax else {
            throw InterchangeError(.badHeader, "more than \(CSVReader.cellsMax) columns", line: reader.line)
        }
        var names: [String] = []
        var seen: [ByteKey: Int] = [:]
        for cell in 0..<reader.cellCount {
            func bad(_ text: String) -> InterchangeError {
                InterchangeError(.badHeader, text, line: reader.line, column: reader.offset(of: cell) + 1)
            }
            guard let name = text(of: cell, reader) else { throw bad("the name of column \(cell + 1) is not text") }
            guard !name.isEmpty else { throw bad("column \(cell + 1) has no name; give it one or delete it") }
            guard name.utf8.count <= FieldPath.bytesMax - 4 else {
                throw bad("the name of column \(cell + 1) is too long")
            }
            if let earlier = seen.updateValue(cell, forKey: ByteKey(name)) {
                let shown = Reject.shortened(name)
                throw bad("columns \(earlier + 1) and \(cell + 1) have the same name, '\(shown)'; rename one")
            }
            names.append(name)
        }
        func index(of name: String) -> Int? { names.firstIndex { $0.hasSameBytes(as: name) } }
        let map = options.map
        for pair in map.pairs where index(of: pair.column) == nil {
            throw InterchangeError(
                .badMapping,
                "there is no column '\(Reject.shortened(pair.column))' for the field "
                    + "'\(Reject.shortened(pair.field.columnName))'; \(listed(names))"
            )
        }
        guard let keyCell = index(of: map.keyColumn) else {
            let shown = Reject.shortened(map.keyColumn)
            throw InterchangeError(.keyMissing, "there is no key column '\(shown)'; \(listed(names))")
        }
        let kindCell = map.isExport ? index(of: "kind") : nil
        if options.kind == nil, kindCell == nil {
            throw InterchangeError(.badMapping, "no kind was given, and the file has no column 'kind' beside 'localId'")
        }
        return Header(
            names: names,
            keyCell: keyCell,
            kindCell: kindCell,
            ownerCell: map.isExport ? index(of: "owner") : nil,
            moreCell: map.isExport ? index(of: ColumnMap.moreColumn) : nil,
            blankCount: blankCount
        )
    }

    /// A cell's text, without the guard characters that a spreadsheet or an export for one has added. Nil if it is
    /// not UTF-8.
    private static func text(of cell: Int, _ reader: CSVReader) -> String? {
        guard let text = reader.text(of: cell) else { return nil }
        return SpreadsheetCell.text(of: text) ?? text
    }

    private func text(of cell: Int) -> String? { Self.text(of: cell, reader) }

    private static func listed(_ names: [String]) -> String {
        let shown = names.prefix(40).map { Reject.shortened($0) }.joined(separator: ", ")
        return "the columns are: \(shown)" + (names.count > 40 ? " and \(names.count - 40) more" : "")
    }

    /// The plan for a kind. Throws ``InterchangeError/Code/badMapping`` if two columns feed one field.
    private func plan(for kind: String) throws(InterchangeError) -> Plan {
        if let lastPlan, lastPlan.kind.hasSameBytes(as: kind) { return lastPlan.plan }
        if let plan = plans[ByteKey(kind)] {
            lastPlan = (kind, plan)
            return plan
        }
        var feeding: [FieldPath: String] = [:]
        var steps: [Step] = []
        for (cell, name) in header.names.enumerated() {
            let fields = options.map.fields(fedBy: name, kind: kind)
            for field in fields {
                if let other = feeding.updateValue(name, forKey: field.path) {
                    throw InterchangeError(
                        .badMapping,
                        "the columns '\(Reject.shortened(other))' and '\(Reject.shortened(name))' both feed the field "
                            + "'\(Reject.shortened(field.path.columnName))'; "
                            + "map one of them to another field",
                        line: 1
                    )
                }
            }
            steps += fields.map { Step(cell: cell, target: Target($0)) }
        }
        let plan = Plan(steps: steps)
        // If no kind was given, kinds come from the file, and a hostile file may name many.
        if plans.count >= 64 { plans.removeAll() }
        plans[ByteKey(kind)] = plan
        lastPlan = (kind, plan)
        return plan
    }

    /// True for a row that repeats the header, which occurs in concatenated files.
    private var isHeader: Bool {
        header.names.indices.allSatisfy { cell in
            text(of: cell).map { $0.hasSameBytes(as: header.names[cell]) } ?? false
        }
    }

    /// Maps the current record to a row, or reports its fault.
    func row(record: Int, keys: inout KeyIndex) throws(InterchangeError) -> MappedRow {
        guard reader.cellCount == header.names.count else {
            if reader.isBlankRecord { return .blank }
            return .problem(
                RowProblem(
                    code: .raggedRow,
                    offset: reader.offset(of: header.names.count),
                    text:
                        "the row has \(reader.cellCount) cells, the header \(header.names.count); is a quote or a delimiter "
                        + "missing or too many?"
                )
            )
        }
        if reader.isBlank(header.keyCell), reader.isBlankRecord { return .blank }
        guard let localID = text(of: header.keyCell) else { return .problem(badText(header.keyCell)) }
        if localID.hasSameBytes(as: header.names[header.keyCell]), isHeader {
            return .problem(
                RowProblem(
                    code: .headerRepeated,
                    offset: 0,
                    text: "the header is repeated here; were files joined? delete this line"
                )
            )
        }
        let key = RowKey(
            localID: localID,
            column: header.names[header.keyCell],
            offset: reader.offset(of: header.keyCell)
        )
        var kind = options.kind
        if let cell = header.kindCell {
            guard let said = text(of: cell) else { return .problem(badText(cell)) }
            if let problem = key.settleKind(&kind, said: said, offset: reader.offset(of: cell)) {
                return .problem(problem)
            }
        }
        // If no kind was given, the header has a kind column, so the kind is settled here.
        let settled = kind ?? ""
        if let problem = key.check(kind: settled, line: reader.line, keys: &keys) { return .problem(problem) }
        let steps = if let solePlan { solePlan.steps } else { try plan(for: settled).steps }
        var builder = RowBuilder(capacity: steps.count)
        for position in steps.indices {
            let cell = steps[position].cell
            let offset = reader.offset(of: cell)
            let input: FieldInput
            if reader.isEmpty(cell) {
                input = .absent
            } else if let text = text(of: cell) {
                if text.isEmpty {
                    input = .absent
                } else if steps[position].target.isSet {
                    let elements = SetCell.elements(text)
                    input = elements.isEmpty ? .absent : .elements(elements)
                } else {
                    input = .value(.text(text))
                }
            } else {
                builder.reject(badText(cell))
                continue
            }
            builder.add(steps[position].target, input, offset: offset, column: header.names[cell])
        }
        if let cell = header.moreCell, !reader.isEmpty(cell) {
            if let text = text(of: cell) {
                try readMore(text, cell, kind: settled, &builder)
            } else {
                builder.reject(badText(cell))
            }
        }
        var owner: String?
        if let cell = header.ownerCell, !reader.isEmpty(cell) {
            owner = text(of: cell)
            if owner == nil { builder.reject(badText(cell)) }
        }
        return builder.finish(key, line: reader.line, record: record, kind: settled, owner: owner)
    }

    /// Reads the cell in which an export stores fields without a column: a JSON object of fields by path.
    private func readMore(
        _ text: String,
        _ cell: Int,
        kind: String,
        _ builder: inout RowBuilder
    ) throws(InterchangeError) {
        let (offset, column) = (reader.offset(of: cell), header.names[cell])
        let fed = try plan(for: kind).fed
        do throws(JSONProblem) {
            try Array(text.utf8).withUnsafeBufferPointer { (bytes) throws(JSONProblem) in
                // Not empty.
                var scanner = JSONScanner(bytes.baseAddress!, from: 0, to: bytes.count, isValid: true)
                var seen = fed
                try scanner.readObject { (scanner, name) throws(JSONProblem) in
                    guard let path = FieldPath(name) else {
                        builder.reject(RowProblem.unnameable(name, offset))
                        _ = try JSONValue.read(&scanner)
                        return
                    }
                    let target = Target(path)
                    let input = try JSONValue.readInput(&scanner, isSet: target.isSet)
                    if seen.insert(path).inserted {
                        builder.add(target, input, offset: offset, column: column)
                    } else {
                        builder.reject(RowProblem.repeated(path, offset, field: column))
                    }
                }
                guard scanner.peek() == 0, scanner.index == bytes.count else {
                    throw scanner.problem("unexpected text after the object")
                }
            }
        } catch {
            builder.reject(
                RowProblem(
                    code: .badJSON,
                    offset: offset,
                    field: column,
                    text: "the fields that have no column of their own: \(error.reason)",
                    value: text
                )
            )
        }
    }

    private func badText(_ cell: Int) -> RowProblem {
        RowProblem(
            code: .badEncoding,
            offset: reader.offset(of: cell),
            field: header.names[cell],
            text:
                "the cell has bytes that are not valid in the file's encoding; correct the file, or name its encoding"
        )
    }
}

/// The outcome of mapping one record.
enum MappedRow {
    case row(SourceRow)
    case problem(RowProblem)
    /// A record without any content.
    case blank
}

/// A row's key and its position.
struct RowKey {
    let localID: String
    let column: String
    let offset: Int

    /// Compares the row's kind with the given kind; adopts the row's kind if none was given.
    func settleKind(_ kind: inout String?, said: String, offset: Int) -> RowProblem? {
        if let asked = kind {
            guard !said.isEmpty, !said.hasSameBytes(as: asked) else { return nil }
            return RowProblem(
                code: .wrongKind,
                offset: offset,
                field: "kind",
                text: "the row is of another kind; '\(asked)' is being imported",
                value: said
            )
        }
        kind = said
        guard said.isEmpty else { return nil }
        return RowProblem(
            code: .kindMissing,
            offset: offset,
            field: "kind",
            text: "no kind was given, and the row has none"
        )
    }

    /// Checks the key alone and records it as seen.
    func check(kind: String, line: Int, keys: inout KeyIndex) -> RowProblem? {
        if VisibleText.isBlank(localID) {
            return RowProblem(code: .keyEmpty, offset: offset, field: column, text: "the row has no key")
        }
        let count = localID.utf8.count
        if count > WriterLimits.localIDBytesMax {
            return RowProblem(
                code: .keyTooLong,
                offset: offset,
                field: column,
                text: "a key of \(count) bytes; the longest is \(WriterLimits.localIDBytesMax)",
                value: localID
            )
        }
        switch keys.insert(kind: kind, key: localID, line: line) {
        case nil: return nil
        case .repeated(let first):
            return RowProblem(
                code: .keyRepeated,
                offset: offset,
                field: column,
                text: KeyIndex.text(repeating: first, on: line),
                value: localID
            )
        case .alike(let first, let other):
            return RowProblem(
                code: .keyAlike,
                offset: offset,
                field: column,
                text: KeyIndex.text(localID, like: other, of: first, on: line)
            )
        }
    }
}

extension RowBuilder {
    /// The row, or its first fault.
    consuming func finish(_ key: RowKey, line: Int, record: Int, kind: String, owner: String?) -> MappedRow {
        if let problem { return .problem(problem) }
        guard hasName else {
            return .problem(
                RowProblem(
                    code: .nameMissing,
                    offset: 0,
                    text:
                        "the row has neither a name nor a description; say which column has it",
                    value: key.localID
                )
            )
        }
        return .row(
            SourceRow(line: line, record: record, kind: kind, owner: owner, localID: key.localID, fields: fields)
        )
    }
}
