/// Guards CSV cells against spreadsheets, which interpret some cells as formulas.
///
/// A cell that a spreadsheet would compute gets a leading apostrophe, which marks text in spreadsheets. If a text
/// begins with apostrophes before such a formula, the writer adds one more. The reader therefore removes exactly what
/// the writer has added.
enum SpreadsheetCell {
    private static let apostrophe = UInt8(ascii: "'")
    private static let equals = UInt8(ascii: "=")
    private static let quote = UInt8(ascii: "\"")

    /// The cell for a text; ``text(of:)`` returns the text again.
    ///
    /// - Parameter guardsFormulas: true to neutralize cells that a spreadsheet would compute. Plain negative numbers
    ///   stay unchanged: their computed value is the same.
    static func cell(_ text: String, guardsFormulas: Bool) -> String {
        guard let first = text.utf8.first, mayBegin(first) else { return text }
        let isMistaken = self.text(of: text) != nil
        let isDangerous = guardsFormulas && isRisky(withoutApostrophes(text)) && !isNegativeNumber(text)
        return isMistaken || isDangerous ? "'" + text : text
    }

    /// The text of a cell; nil if the cell is its own text.
    ///
    /// Besides the apostrophe it removes the form `="0012"`, which Excel users write to keep ids as text.
    static func text(of cell: String) -> String? {
        switch cell.utf8.first {
        case apostrophe?:
            return isRisky(withoutApostrophes(cell)) ? String(cell.dropFirstByte()) : nil
        case equals?: return literal(cell)
        default: return nil
        }
    }

    private static func withoutApostrophes(_ text: String) -> Substring.UTF8View {
        text.utf8.drop { $0 == apostrophe }
    }

    /// True for the first bytes of texts that need a full check.
    private static func mayBegin(_ byte: UInt8) -> Bool {
        switch byte {
        case apostrophe, equals, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "@"), ...0x20, 0x80...: true
        default: false
        }
    }

    /// True if a spreadsheet may compute the text. It begins with a tab or a line break, which some programs drop, or
    /// with a formula sign after blanks of any kind. Full-width signs count too.
    private static func isRisky(_ text: Substring.UTF8View) -> Bool {
        switch text.first {
        case 0x09?, 0x0A?, 0x0D?: return true
        case nil: return false
        default: break
        }
        switch Substring(text).unicodeScalars.first(where: { !VisibleText.isBlank($0) }) {
        case "="?, "+"?, "-"?, "@"?, "\u{FF1D}"?, "\u{FF0B}"?, "\u{FF0D}"?, "\u{FF20}"?: return true
        default: return false
        }
    }

    /// True for a minus followed by digits, with at most one decimal point among them.
    private static func isNegativeNumber(_ text: String) -> Bool {
        let digits = text.utf8.dropFirst()
        guard text.utf8.first == UInt8(ascii: "-"), let first = digits.first, let last = digits.last else {
            return false
        }
        func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
        return isDigit(first) && isDigit(last) && digits.count { !isDigit($0) } <= 1
            && digits.allSatisfy { isDigit($0) || $0 == UInt8(ascii: ".") }
    }

    /// The content of `="…"`; nil if the cell is more than one text.
    private static func literal(_ cell: String) -> String? {
        let bytes = Array(cell.utf8)
        guard bytes.count >= 3, bytes[1] == quote, bytes[bytes.count - 1] == quote else { return nil }
        var content: [UInt8] = []
        var index = 2
        while index < bytes.count - 1 {
            content.append(bytes[index])
            // A quote inside is doubled.
            if bytes[index] == quote {
                index += 1
                guard index < bytes.count - 1, bytes[index] == quote else { return nil }
            }
            index += 1
        }
        return String(decoding: content, as: UTF8.self)
    }
}

extension String {
    fileprivate func dropFirstByte() -> Substring { self[utf8.index(after: utf8.startIndex)...] }
}
