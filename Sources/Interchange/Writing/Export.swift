package import Catalog
import Schema

/// A record for export: only visible content, in the order of writing.
package struct ExportRecord: Sendable {
    package let kind: String
    /// The owner's name.
    package let owner: String
    package let localID: String
    /// The elements of a set; for any other field the winner first, and further values are not written. Paths that
    /// users cannot write (``FieldPath/isOrdinary``) and fields without values are left out.
    package let fields: [(path: FieldPath, values: [Value])]

    package init(kind: String, owner: String, localID: String, fields: [(path: FieldPath, values: [Value])]) {
        self.kind = kind
        self.owner = owner
        self.localID = localID
        self.fields = fields
    }
}

/// Writes records in one format.
package protocol RecordWriter: Sendable {
    /// Writes one record.
    mutating func write(_ record: ExportRecord)
    /// Returns the bytes written since the last call and clears them.
    mutating func drain() -> [UInt8]
}

/// Chooses which fields of a CSV export have a column, by counts over all records.
///
/// A column costs a byte in every row, so rare fields of some records must not create columns for all. Fields get
/// columns in this order: fields declared for the kind, then the most frequent ones, then by path. The first
/// ``columnsForAllMax`` fields always get a column. A further field gets one if at least one record in a hundred has
/// it. The other fields share one column, as a JSON object.
///
/// Memory: ``pathsMax`` paths with ``pathBytesMax`` bytes in total. Beyond that the rarer half is forgotten and counted
/// from zero (Manku and Motwani 2002, lossy counting). Frequent paths stay.
package struct ColumnCounts {
    /// The number of columns that exist even for rare fields. A guess: more than a sheet that people read.
    package static let columnsForAllMax = 256
    /// The maximum number of columns, and the maximum size of their names in bytes.
    package static let columnsMax = 4096
    static let columnBytesMax = 256 * 1024
    private static let pathsMax = 65_536
    private static let pathBytesMax = 8 * 1024 * 1024

    private var counts: [FieldPath: Int] = [:]
    private var pathBytes = 0
    private var hasForgotten = false
    /// The number of records counted so far.
    package private(set) var recordCount = 0

    package init() {}

    /// Counts a record.
    package mutating func add(_ paths: some Sequence<FieldPath>) {
        recordCount += 1
        for path in paths where path.isOrdinary {
            let before = counts.count
            counts[path, default: 0] += 1
            guard counts.count > before else { continue }
            pathBytes += path.text.utf8.count
            if counts.count > Self.pathsMax || pathBytes > Self.pathBytesMax { forget() }
        }
    }

    /// Forgets the rarer half.
    private mutating func forget() {
        hasForgotten = true
        let order = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        counts = Dictionary(uniqueKeysWithValues: order.prefix(order.count / 2).map { ($0.key, $0.value) })
        pathBytes = counts.keys.reduce(0) { $0 + $1.text.utf8.count }
    }

    /// The fields with a column in ascending order, and whether there are other fields.
    package func columns(kind: String) -> (paths: [FieldPath], hasMore: Bool) {
        let known = CatalogSchema.fields(of: kind)
        func isKnown(_ path: FieldPath) -> Bool {
            let base = String(path.base)
            return known.contains(base) && (path.key == nil || CatalogSchema.languageFields.contains(base))
        }
        let order = counts.map { (path: $0.key, count: $0.value, isKnown: isKnown($0.key)) }.sorted { left, right in
            if left.isKnown != right.isKnown { return left.isKnown }
            return left.count != right.count ? left.count > right.count : left.path < right.path
        }
        var paths: [FieldPath] = []
        var bytes = 0
        for entry in order {
            let isCommon = paths.count < Self.columnsForAllMax || entry.count >= (recordCount + 99) / 100
            bytes += entry.path.text.utf8.count
            guard isCommon, paths.count < Self.columnsMax, bytes <= Self.columnBytesMax else { break }
            paths.append(entry.path)
        }
        return (paths.sorted(), hasForgotten || paths.count < order.count)
    }
}

/// The columns of a CSV export. One layout serves all parts of the export.
package struct CSVLayout: Sendable {
    fileprivate struct Slot {
        let column: Int
        let isSet: Bool
    }

    /// The header's names: `localId`, `owner` and `kind` first, ``ColumnMap/moreColumn`` last if it exists.
    package let columns: [String]
    fileprivate let slots: [FieldPath: Slot]
    fileprivate let hasMore: Bool
    fileprivate let delimiter: UInt8

    /// Names the columns.
    ///
    /// The candidates for a name are ``FieldPath/columnName`` (for `ext/COLUMN` plain COLUMN), then the path. The first
    /// candidate is used that no other column has and that an import of the given kinds would load back to the same
    /// path. Otherwise the name is `field:PATH`.
    ///
    /// - Parameters:
    ///   - paths: the fields with a column, in the desired order.
    ///   - hasMore: true if the other fields share one column; otherwise a field outside `paths` is not written.
    ///   - kinds: the kinds of all records of the export.
    ///   - delimiter: a comma, or the tab of a `.tsv`.
    package init(
        paths: some Sequence<FieldPath>,
        hasMore: Bool = false,
        kinds: Set<String>,
        delimiter: UInt8 = UInt8(ascii: ",")
    ) {
        self.delimiter = delimiter
        self.hasMore = hasMore
        var columns = [ColumnMap.exportKeyColumn, "owner", "kind"]
        var taken = Set(columns.map { ByteKey($0) })
        var slots: [FieldPath: Slot] = [:]
        for path in paths where path.isOrdinary && slots[path] == nil {
            let candidates =
                (path.base == "ext" ? path.key.map { [String($0)] } ?? [] : [path.columnName]) + [path.text]
            let name =
                candidates.first { candidate in
                    !candidate.isEmpty && !taken.contains(ByteKey(candidate))
                        && kinds.allSatisfy { MemberName.loadsBack(candidate, to: path, kind: $0) }
                } ?? "field:" + path.text
            taken.insert(ByteKey(name))
            slots[path] = Slot(column: columns.count, isSet: CatalogSchema.isSet(path))
            columns.append(name)
        }
        if hasMore { columns.append(ColumnMap.moreColumn) }
        self.columns = columns
        self.slots = slots
    }
}

/// Writes records as CSV (RFC 4180; lines end with LF). ``SourceReader`` with the key column `localId` reads them back
/// to an identical catalog, except for the losses below.
///
/// CSV loses types: numbers, booleans, bytes and structured values outside sets come back as text. An empty text comes
/// back as no value, and a text with a NUL byte is refused. JSON lines keep all of these, and so does the shared column
/// of fields without their own. Cells that spreadsheets interpret as formulas are written unchanged or guarded
/// (``SpreadsheetCell``); both load back to the same text.
///
/// Call ``drain()`` at any time to collect ``bytes``.
package struct CSVWriter: RecordWriter {
    /// The bytes written and not yet drained.
    package private(set) var bytes: [UInt8] = []

    private let layout: CSVLayout
    private let guardsFormulas: Bool
    private var cells: [String?]

    /// - Parameter guardsFormulas: guards cells that a spreadsheet would compute, because values come from other
    ///   members.
    package init(_ layout: CSVLayout, guardsFormulas: Bool = false) {
        self.layout = layout
        self.guardsFormulas = guardsFormulas
        cells = Array(repeating: nil, count: layout.columns.count)
    }

    /// Writes the header.
    ///
    /// - Parameter writesMark: begins with a byte order mark; without it Excel assumes another encoding.
    package mutating func writeHeader(writesTombstone: Bool = false) {
        if writesTombstone { bytes += [0xEF, 0xBB, 0xBF] }
        writeRow(layout.columns)
    }

    /// Writes one record.
    package mutating func write(_ record: ExportRecord) {
        for index in cells.indices { cells[index] = nil }
        cells[0] = record.localID
        cells[1] = record.owner
        cells[2] = record.kind
        var more: [UInt8] = []
        for (path, values) in record.fields {
            guard let first = values.first else { continue }
            if let slot = layout.slots[path] {
                cells[slot.column] = slot.isSet ? SetCell.cell(values) : Self.text(first)
            } else if layout.hasMore, path.isOrdinary {
                more.append(more.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
                JSONValue.appendString(path.text, to: &more)
                more.append(UInt8(ascii: ":"))
                if CatalogSchema.isSet(path) {
                    JSONValue.append(elements: values, to: &more)
                } else {
                    JSONValue.append(first, to: &more)
                }
            }
        }
        if !more.isEmpty {
            more.append(UInt8(ascii: "}"))
            cells[cells.count - 1] = String(decoding: more, as: UTF8.self)
        }
        writeRow(cells)
    }

    /// Returns the bytes written since the last call and clears them.
    package mutating func drain() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    private static func text(_ value: Value) -> String {
        switch value {
        case .unknown:
            var json: [UInt8] = []
            JSONValue.append(value, to: &json)
            return String(decoding: json, as: UTF8.self)
        default: return value.displayText
        }
    }

    private mutating func writeRow(_ row: [String?]) {
        for index in row.indices {
            if index > 0 { bytes.append(layout.delimiter) }
            if let text = row[index] { appendCell(SpreadsheetCell.cell(text, guardsFormulas: guardsFormulas)) }
        }
        bytes.append(0x0A)
    }

    private mutating func appendCell(_ cell: String) {
        let quote = UInt8(ascii: "\"")
        let delimiter = layout.delimiter
        var cell = cell
        cell.withUTF8 { content in
            // A reader would drop a byte order mark at the start of a record.
            var needsQuotes = content.first == 0xEF
            for byte in content where byte == quote || byte == delimiter || byte == 0x0A || byte == 0x0D {
                needsQuotes = true
                break
            }
            guard needsQuotes else {
                bytes.append(contentsOf: content)
                return
            }
            bytes.append(quote)
            for byte in content {
                if byte == quote { bytes.append(quote) }
                bytes.append(byte)
            }
            bytes.append(quote)
        }
    }
}

/// Writes records as JSON lines. ``SourceReader`` with the key column `localId` reads them back to an identical
/// catalog, including types. See ``JSONValue`` for values without a JSON form.
///
/// `{"kind":…,"owner":…,"localId":…,"name":{"zh":…},"tags":[…],"ext":{…}}`: a text with languages is an object by
/// language (a single text without a language is a string), sets are arrays, unknown columns are under `ext`.
package struct JSONLinesWriter: RecordWriter {
    /// The bytes written and not yet drained.
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// The written form of a path in records of one kind; computed once.
    private struct Shape {
        /// The member that groups it with others: a text with languages, or `ext`.
        let group: String?
        /// The path's name in the group.
        let key: String
        /// `"NAME":` of the group, or of the field itself.
        let name: [UInt8]
        let isSet: Bool
    }

    private var shapes: [ByteText: [FieldPath: Shape]] = [:]
    /// The maximum number of remembered paths per kind; beyond it they are computed again.
    private static let shapesMax = 8192

    private static func shape(_ path: FieldPath, kind: String) -> Shape {
        let base = String(path.base)
        var name: [UInt8] = []
        let isGrouped =
            base == "ext"
            || (CatalogSchema.languageFields.contains(base) && CatalogSchema.fields(of: kind).contains(base))
        if isGrouped, let key = path.key, !key.isEmpty {
            JSONValue.appendString(base, to: &name)
            name.append(UInt8(ascii: ":"))
            return Shape(group: base, key: String(key), name: name, isSet: false)
        }
        JSONValue.appendString(
            MemberName.loadsBack(path.text, to: path, kind: kind) ? path.text : "field:" + path.text,
            to: &name
        )
        name.append(UInt8(ascii: ":"))
        return Shape(group: nil, key: "", name: name, isSet: CatalogSchema.isSet(path))
    }

    /// Writes one record as one line.
    package mutating func write(_ record: ExportRecord) {
        let kind = ByteText(record.kind)
        var known = shapes.removeValue(forKey: kind) ?? [:]
        if known.count > Self.shapesMax { known.removeAll() }
        bytes.append(contentsOf: "{\"kind\":".utf8)
        JSONValue.appendString(record.kind, to: &bytes)
        bytes.append(contentsOf: ",\"owner\":".utf8)
        JSONValue.appendString(record.owner, to: &bytes)
        bytes.append(contentsOf: ",\"localId\":".utf8)
        JSONValue.appendString(record.localID, to: &bytes)
        var written: [(path: FieldPath, shape: Shape, values: [Value])] = []
        written.reserveCapacity(record.fields.count)
        for (path, values) in record.fields where path.isOrdinary && !values.isEmpty {
            let shape = known[path] ?? Self.shape(path, kind: record.kind)
            known[path] = shape
            written.append((path, shape, values))
        }
        shapes[kind] = known
        var done: Set<String> = []
        for (position, (_, shape, values)) in written.enumerated() {
            guard let group = shape.group else {
                bytes.append(UInt8(ascii: ","))
                bytes.append(contentsOf: shape.name)
                if shape.isSet {
                    JSONValue.append(elements: values, to: &bytes)
                } else {
                    JSONValue.append(values[0], to: &bytes)
                }
                continue
            }
            // A group is written at the position of its first member.
            guard done.insert(group).inserted else { continue }
            bytes.append(UInt8(ascii: ","))
            bytes.append(contentsOf: shape.name)
            let members = written[position...].lazy.filter { $0.shape.group == group }.map {
                ($0.shape.key, $0.values[0])
            }
            appendGroup(Array(members), canBePlain: group != "ext")
        }
        bytes.append(UInt8(ascii: "}"))
        bytes.append(0x0A)
    }

    private mutating func appendGroup(_ members: [(key: String, value: Value)], canBePlain: Bool) {
        if canBePlain, members.count == 1, members[0].key == "und", case .text = members[0].value {
            JSONValue.append(members[0].value, to: &bytes)
            return
        }
        for (index, member) in members.enumerated() {
            bytes.append(index == 0 ? UInt8(ascii: "{") : UInt8(ascii: ","))
            JSONValue.appendString(member.key, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            JSONValue.append(member.value, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// Returns the bytes written since the last call and clears them.
    package mutating func drain() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }
}

/// How exports name columns and members.
private enum MemberName {
    private static let exportMap = try? ColumnMap()

    /// True if an import of an export feeds the path, and only it, from a column of this name.
    static func loadsBack(_ name: String, to path: FieldPath, kind: String) -> Bool {
        guard name != ColumnMap.exportKeyColumn, let fields = exportMap?.fields(fedBy: name, kind: kind) else {
            return false
        }
        return fields.count == 1 && fields[0].path == path
    }
}
