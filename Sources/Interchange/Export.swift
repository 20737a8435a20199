package import Catalog

/// A record as it is exported: only what is shown, in the order in which it is to be written.
package struct ExportRecord: Sendable {
    package let kind: String
    /// The owner's name.
    package let owner: String
    package let localID: String
    /// For a set its elements, for any other field the winner first; further values of it are not written. Paths that
    /// no user writes (``FieldPath/isOrdinary``) and fields without values are left out.
    package let fields: [(path: FieldPath, values: [Value])]

    package init(kind: String, owner: String, localID: String, fields: [(path: FieldPath, values: [Value])]) {
        self.kind = kind
        self.owner = owner
        self.localID = localID
        self.fields = fields
    }
}

/// Writes records as CSV (RFC 4180, lines end with LF), to be read back by ``SourceReader`` with the key column
/// `localId` to an identical catalog.
///
/// What CSV cannot say: a number, a boolean, bytes and structured values outside sets come back as text; so does an
/// empty text as no value, and a text with a NUL byte is refused. JSON lines keep all of these. Cells that begin with
/// `=`, `+`, `-` or `@` are written as they are, although spreadsheets take them for formulas: a file that is changed
/// on export would not load back to the same catalog. Who opens foreign catalogs in a spreadsheet should import the
/// columns as text.
///
/// Collect ``bytes`` as often as is convenient with ``drain()``.
package struct CSVWriter {
    /// What has been written and not yet drained.
    package private(set) var bytes: [UInt8] = []
    /// The header's names, `localId`, `owner` and `kind` first.
    package let columns: [String]

    private struct Place {
        let column: Int
        let isSet: Bool
    }

    private let places: [FieldPath: Place]
    private let delimiter: UInt8
    private var cells: [String?]

    /// Writes the header.
    ///
    /// A field's column is named ``FieldPath/columnName``, and `ext/COLUMN` plainly COLUMN, wherever a file of the
    /// kinds given would load it back to that path by itself and no other column has the name; else by the path
    /// (`ext/COLUMN`), or by `field:PATH`.
    ///
    /// - Parameters:
    ///   - paths: the union of the fields of all records to come, in the order wanted. A field that is not among them
    ///     is not written.
    ///   - kinds: the kinds of all records to come.
    ///   - delimiter: a comma, or the tab of a `.tsv`.
    ///   - writesMark: begins with a byte order mark, without which Excel takes the file for another encoding.
    package init(
        paths: some Sequence<FieldPath>,
        kinds: Set<String>,
        delimiter: UInt8 = UInt8(ascii: ","),
        writesMark: Bool = false
    ) {
        self.delimiter = delimiter
        var columns = [ColumnMap.exportKeyColumn, "owner", "kind"]
        var taken = Set(columns.map { ByteKey($0) })
        var places: [FieldPath: Place] = [:]
        for path in paths where path.isOrdinary && places[path] == nil {
            let candidates =
                (path.base == "ext" ? path.key.map { [String($0)] } ?? [] : [path.columnName]) + [path.text]
            let name =
                candidates.first { candidate in
                    !candidate.isEmpty && !taken.contains(ByteKey(candidate))
                        && kinds.allSatisfy { MemberName.loadsBack(candidate, to: path, kind: $0) }
                } ?? "field:" + path.text
            taken.insert(ByteKey(name))
            places[path] = Place(column: columns.count, isSet: CatalogRules.isSet(path))
            columns.append(name)
        }
        self.columns = columns
        self.places = places
        cells = Array(repeating: nil, count: columns.count)
        if writesMark { bytes += [0xEF, 0xBB, 0xBF] }
        writeRow(columns)
    }

    /// Writes one record.
    package mutating func write(_ record: ExportRecord) {
        for index in cells.indices { cells[index] = nil }
        cells[0] = record.localID
        cells[1] = record.owner
        cells[2] = record.kind
        for (path, values) in record.fields {
            guard let place = places[path], let first = values.first else { continue }
            cells[place.column] = place.isSet ? SetCell.cell(values) : Self.text(first)
        }
        writeRow(cells)
    }

    /// Hands over what has been written since the last call.
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
            if index > 0 { bytes.append(delimiter) }
            if var cell = row[index] { appendCell(&cell) }
        }
        bytes.append(0x0A)
    }

    private mutating func appendCell(_ cell: inout String) {
        let quote = UInt8(ascii: "\"")
        cell.withUTF8 { content in
            var needsQuotes = false
            for index in 0..<content.count {
                let byte = content[index]
                if byte == quote || byte == delimiter || byte == 0x0A || byte == 0x0D {
                    needsQuotes = true
                    break
                }
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

/// Writes records as JSON lines, to be read back by ``SourceReader`` with the key column `localId` to an identical
/// catalog, types included; see ``JSONValue`` for what JSON has no form of.
///
/// `{"kind":…,"owner":…,"localId":…,"name":{"zh":…},"tags":[…],"ext":{…}}`: texts that have languages as an object by
/// language (a sole text in no language plainly), sets as arrays, unknown columns under `ext`.
package struct JSONLinesWriter {
    /// What has been written and not yet drained.
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// How a path is written in records of one kind; found once.
    private struct Shape {
        /// The member under which it is gathered with others: a text that has languages, or `ext`.
        let group: String?
        /// Its name in the group.
        let key: String
        /// `"NAME":` of the group, or of the field itself.
        let name: [UInt8]
        let isSet: Bool
    }

    private var shapes: [ByteText: [FieldPath: Shape]] = [:]
    /// More paths than that, and they are found anew.
    private static let shapesMax = 8192

    private static func shape(_ path: FieldPath, kind: String) -> Shape {
        let base = String(path.base)
        var name: [UInt8] = []
        let isGrouped =
            base == "ext"
            || (CatalogRules.languageFields.contains(base) && CatalogRules.fields(of: kind).contains(base))
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
        return Shape(group: nil, key: "", name: name, isSet: CatalogRules.isSet(path))
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
                    appendElements(values)
                } else {
                    JSONValue.append(values[0], to: &bytes)
                }
                continue
            }
            // A group stands where its first member does.
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

    private mutating func appendElements(_ values: [Value]) {
        bytes.append(UInt8(ascii: "["))
        for index in values.indices {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONValue.append(values[index], to: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
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

    /// Hands over what has been written since the last call.
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
