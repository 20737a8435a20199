/// Why one row was not taken. The raw value is what people and scripts see.
package enum RejectCode: String, Sendable, CaseIterable {
    /// A JSON object has no member of the key's name (in CSV the whole file is refused instead).
    case keyMissing = "key-missing"
    /// The row's key is empty, or nothing but blanks.
    case keyEmpty = "key-empty"
    /// The row's key is longer than 1,024 bytes.
    case keyTooLong = "key-too-long"
    /// The row's key is neither text nor a number.
    case keyNotText = "key-not-text"
    /// An earlier row of the file has the same key.
    case keyRepeated = "key-repeated"
    /// The row's key looks like another one of the file, or of the records held, and is not the same.
    case keyAlike = "key-alike"
    /// The row is the file's header again.
    case headerRepeated = "header-repeated"
    /// The row has no name, description or the like.
    case nameMissing = "name-missing"
    /// A value or an element is longer than 64 KiB.
    case valueTooLong = "value-too-long"
    /// The row is larger than 256 KiB, or its text in the file than 2 MiB.
    case recordTooLarge = "record-too-large"
    /// The row has more or fewer cells than the header.
    case raggedRow = "ragged-row"
    /// A quoted cell does not end before the file does.
    case quoteUnclosed = "quote-unclosed"
    /// Something stands between a closing quote and the next delimiter.
    case textAfterQuote = "text-after-quote"
    /// The row is not JSON by RFC 8259, or a name occurs twice in an object.
    case badJSON = "bad-json"
    /// The row is JSON, but no object.
    case notAnObject = "not-an-object"
    /// Bytes that are not valid in the file's encoding, or a NUL byte.
    case badEncoding = "bad-encoding"
    /// A visibility other than `alliance`.
    case badVisibility = "bad-visibility"
    /// Two members of one object write the same field.
    case fieldRepeated = "field-repeated"
    /// A member's name cannot be a field: empty, or longer than 1,024 bytes.
    case badField = "bad-field"
    /// The file gives the kind row by row and this one has none.
    case kindMissing = "kind-missing"
    /// The row says that it is of another kind than the one being imported.
    case wrongKind = "wrong-kind"
}

/// A row that was not taken, with its place and the reason.
package struct Reject: Equatable, Sendable, CustomStringConvertible {
    /// The file's name, as the user gave it.
    package let file: String
    /// The physical line on which the record starts, from 1.
    package let line: Int
    /// The record's number, from 1, the header and blank lines not counted; 0 where only the line is known.
    package let record: Int
    /// The byte at which the offending cell or member begins, counted from the first byte of the record, from 1. As
    /// long as no line break stands before it in the record, it is the byte column that editors show. After
    /// conversion to UTF-8, where the file is in another encoding.
    package let column: Int
    /// The column or member concerned, as the file names it; empty where the whole row is meant.
    package let field: String
    package let code: RejectCode
    /// What is wrong and what to do.
    package let text: String
    /// The offending value, shortened to some 40 characters; nil where there is none to show.
    package let value: String?

    package init(
        file: String,
        line: Int,
        record: Int,
        column: Int,
        field: String = "",
        code: RejectCode,
        text: String,
        value: String? = nil
    ) {
        self.file = file
        self.line = line
        self.record = record
        self.column = column
        self.field = field
        self.code = code
        self.text = text
        self.value = value.map { Self.shortened($0) }
    }

    /// `file:line:column: field: code: text (value)`; field and value are left out where there are none.
    package var description: String {
        var description = "\(file):\(line):\(column): "
        if !field.isEmpty { description += "\(Self.shortened(field)): " }
        description += "\(code.rawValue): \(text)"
        if let value { description += " (\(value))" }
        return description
    }

    /// At most 40 characters on one line, invisible ones by their names (``VisibleText``), so that a value can neither
    /// break the report into lines nor steer a terminal.
    package static func shortened(_ text: String) -> String {
        var shortened = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < 40 else { return String(shortened) + "…" }
            VisibleText.append(scalar, to: &shortened)
            count += 1
        }
        return String(shortened)
    }
}
