package import Catalog
import Schema

/// Which column of a file feeds which field, as far as it can be said before the file is open.
///
/// A column is named by its header in CSV and by its member's name in JSON; both match exactly, case and blanks
/// included. The rules, first that fits:
/// 1. Columns named in `FIELD=COLUMN` pairs feed these fields and no others.
/// 2. The key column gives the local id. It is written as a field too if it is named like one.
/// 3. What Hansa's own files add is not stored: with `localId` as the key column, `kind` and `owner` (an export has
///    them; a file with another key may well have columns of its own by these names, and keeps them), and `_more`, which
///    feeds the fields that it names; always `_line`, `_code` and `_error`, which a file of rejects has.
/// 4. `ext/COLUMN` feeds that path; `field:PATH` feeds any path by its full name (exports use it for paths that
///    nothing else says).
/// 5. A column named like a field of the kind (``CatalogSchema/fields(of:)``) feeds it; a text that has languages by its
///    plain name (`name`, which is `name/und`), as `name.zh` or as `name/zh`. A field that a pair feeds is left out.
/// 6. Every other column feeds `ext/COLUMN`. `id` is such a one: in the files met it is as often a row number as an id.
package struct ColumnMap: Sendable {
    /// The key column of Hansa's exports.
    package static let exportKeyColumn = "localId"

    /// The column of Hansa's exports that holds, as a JSON object by their paths, the fields that have no column.
    package static let moreColumn = "_more"

    /// The column that holds the owner's own id.
    package let keyColumn: String
    /// The pairs, in the order given.
    package let pairs: [Pair]

    /// One column to one field.
    package struct Pair: Sendable {
        package let field: FieldPath
        package let column: String
        /// True if the field was written as the plain name of a text that has languages, so that a JSON object gives
        /// one register for each language.
        let isLanguageMap: Bool
    }

    /// Reads pairs as users write them.
    ///
    /// - Parameters:
    ///   - keyColumn: not empty.
    ///   - written: `FIELD=COLUMN` each, cut at the first `=`; fields as ``FieldPath/init(written:)`` reads them.
    ///
    /// Throws ``InterchangeError/Code/badMapping`` for a pair without `=`, with an empty side, with a field that no user
    /// may name, and for a field that is mapped twice.
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

    /// True if the file is taken for one of Hansa's exports.
    package var isExport: Bool { keyColumn.hasSameBytes(as: Self.exportKeyColumn) }

    /// The path that a column feeds without any pair in a file with this key column; nil if it is not stored, or if its
    /// name is too long for a path.
    package static func automaticPath(of column: String, kind: String, keyColumn: String) -> FieldPath? {
        guard let map = try? ColumnMap(keyColumn: keyColumn) else { return nil }
        return map.fields(fedBy: column, kind: kind).first?.path
    }

    struct MappedField {
        let path: FieldPath
        let isLanguageMap: Bool
    }

    /// The fields that a column feeds; empty for one that is not stored.
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
