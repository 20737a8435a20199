/// The path of a value in a record: a field's name; for maps, a slash and the key follow (`name/zh`, `ext/Capacity`).
///
/// Each path is a separate register or set. Two paths are special: the empty path is a deletion's tombstone, and `@`
/// holds the record's identity. Paths of users never begin with `@`.
package struct FieldPath: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The path as written in operations.
    package let text: String

    /// Accepts any text, including paths that users may not write. For decoding and for the special paths.
    package init(unchecked text: String) {
        self.text = text
    }

    /// A path that a user may write: 1 to 1,024 bytes, not beginning with `@` or `/`.
    ///
    /// If it contains a slash, its first slash is not the last character. The part after `ext/` may hold any
    /// characters, like spreadsheet headers.
    package init?(_ text: String) {
        let utf8 = text.utf8
        guard let first = utf8.first, utf8.count <= Self.bytesMax, first != UInt8(ascii: "@"),
            first != UInt8(ascii: "/"), utf8.firstIndex(of: UInt8(ascii: "/")) != utf8.index(before: utf8.endIndex)
        else { return nil }
        self.text = text
    }

    /// The maximum length of a path in bytes of UTF-8.
    package static let bytesMax = 1024
    /// The path of a deletion's tombstone.
    package static let tombstone = FieldPath(unchecked: "")
    /// The record's identity: its kind and local id.
    package static let identity = FieldPath(unchecked: "@")

    /// `ext/COLUMN`: an imported column that matches no field.
    package static func ext(_ column: String) -> FieldPath { FieldPath(unchecked: "ext/" + column) }

    /// The part before the first slash.
    package var base: Substring { text[..<(firstSlash ?? text.endIndex)] }
    /// The part after the first slash; nil if there is none.
    package var key: Substring? {
        firstSlash.map { text[text.utf8.index(after: $0)...] }
    }
    /// Searches bytes: Swift would merge a slash and a combining mark after it into one character.
    private var firstSlash: String.Index? { text.utf8.firstIndex(of: UInt8(ascii: "/")) }
    /// True for paths that users and imports may write.
    package var isOrdinary: Bool { !text.isEmpty && text.utf8.first != UInt8(ascii: "@") }

    package var description: String { text }
    /// Compares byte for byte; Swift's string comparison treats canonically equivalent texts as equal.
    package static func == (left: FieldPath, right: FieldPath) -> Bool { left.text.hasSameBytes(as: right.text) }
    package func hash(into hasher: inout Hasher) { hasher.combine(bytesOf: text) }
    package static func < (left: FieldPath, right: FieldPath) -> Bool {
        left.text.precedesByBytes(right.text)
    }
}
