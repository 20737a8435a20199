package import Catalog
import Schema

/// A row's statement about one field.
package enum FieldInput: Equatable, Sendable {
    /// The column exists and is empty (in JSON: null, or a set without elements). The import removes a present value.
    case absent
    case value(Value)
    /// The elements of a set in the order of the file: at least one, without repetition.
    case elements([Value])
}

/// One field of a row. It is a structure because arrays of tuples are freed through run-time type information; profiles
/// of imports showed this cost.
package struct SourceField: Equatable, Sendable {
    package let path: FieldPath
    package let input: FieldInput

    package init(path: FieldPath, input: FieldInput) {
        self.path = path
        self.input = input
    }
}

/// One row of a file, mapped to a record. Fields that the row does not mention (in JSON, absent members) are not
/// listed. No field is listed twice.
package struct SourceRow: Sendable {
    /// The physical line on which the record starts, from 1.
    package let line: Int
    /// The record's number, from 1. It counts rejected records, but not the header and blank lines.
    package let record: Int
    /// The kind: the given one, or the row's if none was given.
    package let kind: String
    /// The owner's name in a row of an export; nil if there is none.
    package let owner: String?
    /// The local id as in the file, 1 to 1,024 bytes.
    package let localID: String
    /// In the order of the file's columns or members.
    package let fields: [SourceField]
}

extension SourceRow: Equatable {
    /// Equal in every part, byte for byte.
    package static func == (left: SourceRow, right: SourceRow) -> Bool {
        left.line == right.line && left.record == right.record && left.kind.hasSameBytes(as: right.kind)
            && (left.owner ?? "").hasSameBytes(as: right.owner ?? "") && (left.owner == nil) == (right.owner == nil)
            && left.localID.hasSameBytes(as: right.localID) && left.fields == right.fields
    }
}

/// The next event of a source.
package enum SourceEvent: Equatable, Sendable {
    case row(SourceRow)
    case reject(Reject)
}

/// The layout of a file.
package enum SourceFormat: Equatable, Sendable {
    /// Cells separated by one ASCII byte: a comma, a tab or a semicolon.
    case csv(delimiter: UInt8)
    /// One JSON object per line, or one array of objects.
    case jsonLines

    package static let csv = SourceFormat.csv(delimiter: UInt8(ascii: ","))
    package static let tsv = SourceFormat.csv(delimiter: 0x09)

    /// The format by the file's name: `.csv`, `.tsv`, `.tab`, `.jsonl`, `.ndjson` or `.json`, each optionally followed
    /// by `.gz`. Nil for any other name.
    package init?(path: String) {
        var name = path.lowercased()
        if name.hasSuffix(".gz") { name.removeLast(3) }
        if name.hasSuffix(".csv") {
            self = .csv
        } else if name.hasSuffix(".tsv") || name.hasSuffix(".tab") {
            self = .tsv
        } else if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") || name.hasSuffix(".json") {
            self = .jsonLines
        } else {
            return nil
        }
    }
}

/// How an import maps a file's rows.
package struct ImportOptions: Sendable {
    /// The kind of all rows; nil to take it from the column `kind` of an export.
    package let kind: String?
    package let map: ColumnMap
    /// The folder for keys beyond ``keysInMemoryMax``; nil to keep all in memory.
    package let keyFolder: String?
    /// The number of keys in memory at which a run is written. For 1.6 million keys the index takes 32 MiB, and half as
    /// much again while it grows or a run is sorted.
    package let keysInMemoryMax: Int

    package init(kind: String?, map: ColumnMap, keyFolder: String? = nil, keysInMemoryMax: Int = 1_600_000) {
        self.kind = kind
        self.map = map
        self.keyFolder = keyFolder
        self.keysInMemoryMax = keysInMemoryMax
    }
}

/// The target of a column's content.
struct Target {
    let path: FieldPath
    let isSet: Bool
    let isNaming: Bool
    let isVisibility: Bool
    let isLanguageMap: Bool
    let pathBytes: Int

    init(_ field: ColumnMap.MappedField) {
        self.init(field.path, isLanguageMap: field.isLanguageMap)
    }

    init(_ path: FieldPath, isLanguageMap: Bool = false) {
        self.path = path
        self.isLanguageMap = isLanguageMap
        isSet = CatalogSchema.isSet(path)
        isNaming = CatalogSchema.namingFields.contains(String(path.base))
        isVisibility = path.text == "visibility"
        pathBytes = path.text.utf8.count
    }
}

/// A row's fault, before its position in the file is known.
struct RowProblem {
    let code: RejectCode
    let offset: Int
    var field = ""
    let text: String
    var value: String?
}

extension RowProblem {
    static func unnameable(_ name: String, _ offset: Int) -> RowProblem {
        RowProblem(
            code: .badField,
            offset: offset,
            field: name,
            text: "the name cannot be a field's: it is empty or longer than \(FieldPath.bytesMax) bytes"
        )
    }

    static func repeated(_ path: FieldPath, _ offset: Int, field: String) -> RowProblem {
        RowProblem(
            code: .fieldRepeated,
            offset: offset,
            field: field,
            text: "another column or member of the row writes the field '\(Reject.shortened(path.columnName))' too"
        )
    }
}

/// Collects the fields of one row and checks each field.
struct RowBuilder {
    private(set) var fields: [SourceField] = []
    /// The first fault found.
    private(set) var problem: RowProblem?
    private(set) var hasName = false
    private var contentBytes = 0

    init(capacity: Int) {
        fields.reserveCapacity(capacity)
    }

    mutating func reject(_ found: @autoclosure () -> RowProblem) {
        if problem == nil { problem = found() }
    }

    mutating func add(_ target: Target, _ input: FieldInput, offset: Int, column: @autoclosure () -> String) {
        var largest = 0
        switch input {
        case .absent: break
        case .value(let value):
            largest = Self.byteCount(value)
            contentBytes += largest
            if target.isNaming, largest > 0 { hasName = true }
        case .elements(let elements):
            for element in elements {
                let count = Self.byteCount(element)
                largest = max(largest, count)
                contentBytes += count + 4
            }
            if target.isNaming { hasName = true }
        }
        contentBytes += target.pathBytes + 8
        if largest > WriterLimits.fieldBytesMax {
            reject(
                RowProblem(
                    code: .valueTooLong,
                    offset: offset,
                    field: column(),
                    text: "a value of \(largest) bytes; the longest is \(WriterLimits.fieldBytesMax)",
                    value: Self.sample(input)
                )
            )
        }
        if contentBytes > WriterLimits.recordBytesMax {
            reject(
                RowProblem(
                    code: .recordTooLarge,
                    offset: offset,
                    field: column(),
                    text: "the row holds more than \(WriterLimits.recordBytesMax) bytes"
                )
            )
        }
        if target.isVisibility { checkVisibility(input, offset: offset, column: column()) }
        fields.append(SourceField(path: target.path, input: input))
    }

    private mutating func checkVisibility(_ input: FieldInput, offset: Int, column: String) {
        let text: String
        switch input {
        case .absent, .value(.text("alliance")): return
        case .value(.text("named")):
            text = "records for named members are refused until they can be sealed; leave the row out"
        case .value(.text("private")):
            text =
                "import does not take private records yet, and without that mark the whole alliance would see it; "
                + "leave the row out"
        default: text = "the only visibility that import takes is 'alliance'"
        }
        reject(RowProblem(code: .badVisibility, offset: offset, field: column, text: text, value: Self.sample(input)))
    }

    private static func sample(_ input: FieldInput) -> String? {
        switch input {
        case .absent: nil
        case .value(let value): String(value.displayText.unicodeScalars.prefix(48))
        case .elements(let elements): (elements.first?.displayText.unicodeScalars.prefix(48)).map { String($0) }
        }
    }

    static func byteCount(_ value: Value) -> Int {
        switch value {
        case .text(let text), .decimal(let text), .json(let text): text.utf8.count
        case .integer: 8
        case .boolean: 1
        case .bytes(let bytes), .unknown(let bytes): bytes.count
        case .identity(let identity): identity.kind.utf8.count + identity.localID.utf8.count
        }
    }
}
