package import Catalog
import Schema

/// Decides which column of a file feeds which field, as far as this is known before the file is opened.
///
/// A column is named by its header in CSV and by its member's name in JSON. Both match exactly, including case and
/// blanks. The first rule that fits applies:
/// 1. Columns named in `FIELD=COLUMN` pairs feed these fields and no others.
/// 2. The key column gives the local id. It is also written as a field if it has a field's name.
/// 3. Columns that Hansa adds to its own files are not stored. With `localId` as the key column these are `kind`,
///    `owner` and `_more` (which feeds the fields that it names). A file with another key keeps its own columns of
///    these names. The columns of a rejects file, `_line`, `_code` and `_error`, are never stored.
/// 4. `ext/COLUMN` feeds that path. `field:PATH` feeds any path by its full name; exports use it if no other name
///    leads to the path.
/// 5. A column named like a field of the kind (``CatalogSchema/fields(of:)``) feeds it. A text with languages is fed
///    by its plain name (`name`, which is `name/und`), by `name.zh` or by `name/zh`. A field that a pair feeds is
///    left out.
/// 6. Every other column feeds `ext/COLUMN`. This includes `id`: in real files it is as often a row number as an id.
package struct ColumnMap: Sendable {
    /// The key column of Hansa's exports.
    package static let exportKeyColumn = "localId"

    /// The column of Hansa's exports that holds the fields without a column, as a JSON object by path.
    package static let moreColumn = "_more"

    /// The column that holds the owner's own id.
    package let keyColumn: String
    /// The pairs, in the order given.
    package let pairs: [Pair]

    /// One column to one field.
    package struct Pair: Sendable {
        package let field: FieldPath
        package let column: String
        /// True if the field was written as the plain name of a text with languages. A JSON object then gives one
        /// register for each language.
        let isLanguageMap: Bool
    }

    /// Parses pairs in the form that users write.
    ///
    /// - Parameters:
    ///   - keyColumn: the name of the key column; not empty.
    ///   - written: one `FIELD=COLUMN` each, split at the first `=`. ``FieldPath/init(written:)`` parses the fields.
    ///
    /// Throws ``InterchangeError/Code/badMapping`` for a pair without `=` or with an empty side, for an invalid field
    /// name, and for a field that is mapped twice.
    package init(keyColumn: String = Self.exportKeyColumn, written: [String] = []) throws(InterchangeError) {
        guard !keyColumn.isEmpty else { throw InterchangeError(.badMapping, "the key column needs a name") }
        var pairs: [Pair] = []
        for text in written {
            guard let separator = text.utf8.firstIndex(of: UInt8(ascii: "=")) else {
                throw InterchangeError(.badMapping, "'\(text)' has no '='; write FIELD=COLUMN")
            }
            let field = String(text[..<separator])
            let column = String(text[text.utf8.index(after: separator)...])
            guard !field.isEmpty, !column.isEmpty else {
                throw InterchangeError(.badMapping, "'\(text)' has nothing on one side of '='; write FIELD=COLUMN")
            }
            guard let path = FieldPath(written: field) else {
                throw InterchangeError(.badMapping, "'\(field)' cannot be the name of a field")
            }
            if let earlier = pairs.first(where: { $0.field == path }) {
                throw InterchangeError(
                    .badMapping,
                    "the field '\(path.columnName)' is mapped twice, to '\(earlier.column)' and to '\(column)'"
                )
            }
            let isLanguageMap = CatalogSchema.languageFields.contains(field)
            pairs.append(Pair(field: path, column: column, isLanguageMap: isLanguageMap))
        }
        self.keyColumn = keyColumn
        self.pairs = pairs
    }

    /// True if the file is treated as one of Hansa's exports.
    package var isExport: Bool { keyColumn.hasSameBytes(as: Self.exportKeyColumn) }

    /// The path that a column feeds in a file with this key column and without pairs. Nil if the column is not
    /// stored, or if its name is too long for a path.
    package static func automaticPath(of column: String, kind: String, keyColumn: String) -> FieldPath? {
        guard let map = try? ColumnMap(keyColumn: keyColumn) else { return nil }
        return map.fields(fedBy: column, kind: kind).first?.path
    }

    struct MappedField {
        let path: FieldPath
        let isLanguageMap: Bool
    }

    /// The fields that a column feeds; empty if it is not stored.
    func fields(fedBy column: String, kind: String) -> [MappedField] {
        let explicit = pairs.filter { $0.column.hasSameBytes(as: column) }
        if !explicit.isEmpty { return explicit.map { MappedField(path: $0.field, isLanguageMap: $0.isLanguageMap) } }
        let named = Self.namedField(column, kind: kind).flatMap { field in
            pairs.contains { $0.field == field.path } ? nil : field
        }
        if column.hasSameBytes(as: keyColumn) { return named.map { [$0] } ?? [] }
        if isExport, column == "kind" || column == "owner" || column == Self.moreColumn { return [] }
        if column == "_line" || column == "_code" || column == "_error" { return [] }
        if let named { return [named] }
        return FieldPath("ext/" + column).map { [MappedField(path: $0, isLanguageMap: false)] } ?? []
    }

    private static func namedField(_ column: String, kind: String) -> MappedField? {
        if column.utf8.starts(with: "ext/".utf8) {
            return FieldPath(column).map { MappedField(path: $0, isLanguageMap: false) }
        }
        if column.utf8.starts(with: "field:".utf8) {
            return FieldPath(String(column.dropFirst(6))).map { MappedField(path: $0, isLanguageMap: false) }
        }
        guard let path = FieldPath(written: column) else { return nil }
        let base = String(path.base)
        guard CatalogSchema.fields(of: kind).contains(base),
            path.key == nil || CatalogSchema.languageFields.contains(base)
        else { return nil }
        return MappedField(path: path, isLanguageMap: CatalogSchema.languageFields.contains(column))
    }
}
