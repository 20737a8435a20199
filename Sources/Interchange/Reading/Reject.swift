/// The reason why a row was refused. People and scripts see the raw value.
package enum RejectCode: String, Sendable, CaseIterable {
    /// A JSON object has no member of the key's name (in CSV the whole file is refused instead).
    case keyMissing = "key-missing"
    /// The row's key is empty or contains only blanks.
    case keyEmpty = "key-empty"
    /// The row's key is longer than 1,024 bytes.
    case keyTooLong = "key-too-long"
    /// The row's key is neither text nor a number.
    case keyNotText = "key-not-text"
    /// An earlier row of the file has the same key.
    case keyRepeated = "key-repeated"
    /// The row's key looks like a different key of the file or of the stored records.
    case keyAlike = "key-alike"
    /// The row repeats the file's header.
    case headerRepeated = "header-repeated"
    /// The row has no name, description or similar field.
    case nameMissing = "name-missing"
    /// A value or an element is longer than 64 KiB.
    case valueTooLong = "value-too-long"
    /// The row is larger than 256 KiB, or its text in the file is larger than 2 MiB.
    case recordTooLarge = "record-too-large"
    /// The row has more or fewer cells than the header.
    case raggedRow = "ragged-row"
    /// A quoted cell does not end before the file does.
    case quoteUnclosed = "quote-unclosed"
    /// A quoted cell has text between its closing quote and the next delimiter.
    case textAfterQuote = "text-after-quote"
    /// The row is not valid JSON (RFC 8259), or a name occurs twice in an object.
    case badJSON = "bad-json"
    /// The row is JSON but not an object.
    case notAnObject = "not-an-object"
    /// The row has bytes that are not valid in the file's encoding, or a NUL byte.
    case badEncoding = "bad-encoding"
    /// The row has a visibility other than `alliance`.
    case badVisibility = "bad-visibility"
    /// Two members of one object write the same field.
    case fieldRepeated = "field-repeated"
    /// A member's name cannot be a field: empty, or longer than 1,024 bytes.
    case badField = "bad-field"
    /// The file gives the kind row by row, and this row has none.
    case kindMissing = "kind-missing"
    /// The row names another kind than the one being imported.
    case wrongKind = "wrong-kind"
}

/// A refused row, with its position and the reason.
package struct Reject: Equatable, Sendable, CustomStringConvertible {
    /// The file's name, as the user gave it.
    package let file: String
    /// The physical line on which the record starts, from 1.
    package let line: Int
    /// The record's number, from 1, without the header and blank lines; 0 if only the line is known.
    package let record: Int
    /// The byte, from 1, at which the faulty cell or member begins, counted from the record's first byte. If no line
    /// break precedes it in the record, it equals the byte column that editors show. If the file is in another
    /// encoding, it counts after the conversion to UTF-8.
    package let column: Int
    /// The column or member concerned, as the file names it; empty if the whole row is meant.
    package let field: String
    package let code: RejectCode
    /// The fault and its remedy.
    package let text: String
    /// The faulty value, shortened to some 40 characters; nil if there is none to show.
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

    /// `file:line:column: field: code: text (value)`, without field and value if there are none.
    package var description: String {
        var description = "\(file):\(line):\(column): "
        if !field.isEmpty { description += "\(Self.shortened(field)): " }
        description += "\(code.rawValue): \(text)"
        if let value { description += " (\(value))" }
        return description
    }

    /// At most 40 characters on one line, with invisible ones named (``VisibleText``). A value can neither break the
    /// report into lines nor control a terminal.
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
