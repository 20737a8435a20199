/// Where in a record a value stands: a field's name, and for maps the key behind a slash (`name/zh`, `ext/Capacity`).
///
/// Each path is a register or a set of its own. Two paths are special: the empty one is a deletion's mark, and `@`
/// holds the record's identity; no path that users name begins with `@`.
package struct FieldPath: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The path as written in operations.
    package let text: String

    /// Takes any text, also what no user may name; for decoding.
    package init(unchecked text: String) {
        self.text = text
    }

    /// A path that a user may write: at most 1,024 bytes, not beginning with `@` or `/`, with something behind its
    /// first slash if it has one. What follows `ext/` may hold any characters, as headers of spreadsheets do.
    package init?(_ text: String) {
        let utf8 = text.utf8
        guard let first = utf8.first, utf8.count <= Self.bytesMax, first != UInt8(ascii: "@"),
            first != UInt8(ascii: "/"), utf8.firstIndex(of: UInt8(ascii: "/")) != utf8.index(before: utf8.endIndex)
        else { return nil }
        self.text = text
    }

    /// The longest path in bytes of UTF-8.
    package static let bytesMax = 1024
    /// A deletion's mark.
    package static let mark = FieldPath(unchecked: "")
    /// The record's identity: its kind and local id.
    package static let identity = FieldPath(unchecked: "@")

    /// `ext/COLUMN`: a column that no field answers to.
    package static func ext(_ column: String) -> FieldPath { FieldPath(unchecked: "ext/" + column) }

    /// The part before the first slash.
    package var base: Substring { text[..<(firstSlash ?? text.endIndex)] }
    /// The part behind the first slash; nil where there is none.
    package var key: Substring? {
        firstSlash.map { text[text.utf8.index(after: $0)...] }
    }
    /// By bytes: a slash with a combining mark behind it is no slash to Swift's comparison of characters.
    private var firstSlash: String.Index? { text.utf8.firstIndex(of: UInt8(ascii: "/")) }
    /// True for what users and imports write.
    package var isOrdinary: Bool { !text.isEmpty && text.utf8.first != UInt8(ascii: "@") }

    package var description: String { text }
    /// Byte for byte: Swift's own comparison of strings would take canonically equivalent ones for equal.
    package static func == (left: FieldPath, right: FieldPath) -> Bool { left.text.hasSameBytes(as: right.text) }
    package func hash(into hasher: inout Hasher) { hasher.combine(bytesOf: text) }
    package static func < (left: FieldPath, right: FieldPath) -> Bool {
        left.text.precedesByBytes(right.text)
    }
}
