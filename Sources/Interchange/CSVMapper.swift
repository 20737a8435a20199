internal import Catalog

/// Turns records of a CSV file into rows: the columns are looked up once, when the header and the kind are known.
final class CSVMapper {
    /// A header's worth of names, checked.
    struct Header {
        let names: [String]
        let keyCell: Int
        let kindCell: Int?
        let ownerCell: Int?
    }

    private struct Step {
        let cell: Int
        let target: Target
    }

    private struct Plan {
        /// What feeds what, in the order of the cells.
        let steps: [Step]
    }

    private let reader: CSVReader
    private let options: ImportOptions
    private var plans: [ByteKey: Plan] = [:]
    private var lastPlan: (kind: String, plan: Plan)?
    /// The plan where the kind is the same for all rows.
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
        guard reader.cellCount < CSVReader.cellsMax else {
            throw InterchangeError(.badHeader, "more than \(CSVReader.cellsMax) columns", line: reader.line)
        }
        var names: [String] = []
        var seen: [ByteKey: Int] = [:]
        for cell in 0..<reader.cellCount {
            func bad(_ text: String) -> InterchangeError {
                InterchangeError(.badHeader, text, line: reader.line, column: reader.offset(of: cell) + 1)
            }
            guard let name = reader.text(of: cell) else { throw bad("the name of column \(cell + 1) is not text") }
            guard !name.isEmpty else { throw bad("column \(cell + 1) has no name; give it one or delete it") }
            guard name.utf8.count <= FieldPath.bytesMax - 4 else {
                throw bad("the name of column \(cell + 1) is too long")
            }
            if let earlier = seen.updateValue(cell, forKey: ByteKey(name)) {
                throw bad("columns \(earlier + 1) and \(cell + 1) have the same name, '\(name)'; rename one")
            }
            names.append(name)
        }
        func index(of name: String) -> Int? { names.firstIndex { $0.hasSameBytes(as: name) } }
        let map = options.map
        for pair in map.pairs where index(of: pair.column) == nil {
            throw InterchangeError(
                .badMapping,
                "there is no column '\(pair.column)' for the field '\(pair.field.columnName)'; \(listed(names))"
            )
        }
        guard let keyCell = index(of: map.keyColumn) else {
            throw InterchangeError(.keyMissing, "there is no key column '\(map.keyColumn)'; \(listed(names))")
        }
        let kindCell = map.isExport ? index(of: "kind") : nil
        if options.kind == nil, kindCell == nil {
            throw InterchangeError(.badMapping, "no kind was given, and the file has no column 'kind' beside 'localId'")
        }
        return Header(
            names: names,
            keyCell: keyCell,
            kindCell: kindCell,
            ownerCell: map.isExport ? index(of: "owner") : nil
        )
    }

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
                        "the columns '\(other)' and '\(name)' both feed the field '\(field.path.columnName)'; "
                            + "map one of them to another field",
                        line: 1
                    )
                }
            }
            steps += fields.map { Step(cell: cell, target: Target($0)) }
        }
        let plan = Plan(steps: steps)
        // Kinds come from the file where none was given; a hostile one may name many.
        if plans.count >= 64 { plans.removeAll() }
        plans[ByteKey(kind)] = plan
        lastPlan = (kind, plan)
        return plan
    }

    /// The current record as a row, or what is wrong with it.
    func row(record: Int, keys: inout KeyIndex) throws(InterchangeError) -> MappedRow {
        guard reader.cellCount == header.names.count else {
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
        guard let localID = reader.text(of: header.keyCell) else { return .problem(badText(header.keyCell)) }
        let key = RowKey(
            localID: localID,
            column: header.names[header.keyCell],
            offset: reader.offset(of: header.keyCell)
        )
        var kind = options.kind
        if let cell = header.kindCell {
            guard let said = reader.text(of: cell) else { return .problem(badText(cell)) }
            if let problem = key.settleKind(&kind, said: said, offset: reader.offset(of: cell)) {
                return .problem(problem)
            }
        }
        // Without a kind asked for there is a column for it, and then it is settled.
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
            } else if let text = reader.text(of: cell) {
                if steps[position].target.isSet {
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
        var owner: String?
        if let cell = header.ownerCell, !reader.isEmpty(cell) {
            owner = reader.text(of: cell)
            if owner == nil { builder.reject(badText(cell)) }
        }
        return builder.finish(key, line: reader.line, record: record, kind: settled, owner: owner)
    }

    private func badText(_ cell: Int) -> RowProblem {
        RowProblem(
            code: .badEncoding,
            offset: reader.offset(of: cell),
            field: header.names[cell],
            text:
                "the cell has bytes that are not valid in the file's encoding; mend the file, or say which encoding it has"
        )
    }
}

/// What became of one record.
enum MappedRow {
    case row(SourceRow)
    case problem(RowProblem)
}

/// A row's key, with its place.
struct RowKey {
    let localID: String
    let column: String
    let offset: Int

    /// Compares what the row says of its kind with what was asked for, or takes it where nothing was.
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

    /// The checks that concern the key alone; notes it as seen.
    func check(kind: String, line: Int, keys: inout KeyIndex) -> RowProblem? {
        if localID.isEmpty {
            return RowProblem(code: .keyEmpty, offset: offset, field: column, text: "the row has no key")
        }
        let count = localID.utf8.count
        if count > CatalogRules.Limits.localIDBytesMax {
            return RowProblem(
                code: .keyTooLong,
                offset: offset,
                field: column,
                text: "a key of \(count) bytes; the longest is \(CatalogRules.Limits.localIDBytesMax)",
                value: localID
            )
        }
        if let first = keys.insert(kind: kind, key: localID, line: line) {
            return RowProblem(
                code: .keyRepeated,
                offset: offset,
                field: column,
                text: "the key of line \(first) again on line \(line); keys must be unique in a file",
                value: localID
            )
        }
        return nil
    }
}

extension RowBuilder {
    /// The row, or the first thing that is wrong with it.
    consuming func finish(_ key: RowKey, line: Int, record: Int, kind: String, owner: String?) -> MappedRow {
        if let problem { return .problem(problem) }
        guard hasName else {
            return .problem(
                RowProblem(
                    code: .nameMissing,
                    offset: 0,
                    text:
                        "the row has neither a name nor a description; tell which column has it: --column name=COLUMN",
                    value: key.localID
                )
            )
        }
        return .row(
            SourceRow(line: line, record: record, kind: kind, owner: owner, localID: key.localID, fields: fields)
        )
    }
}
