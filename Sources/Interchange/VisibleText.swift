/// Characters that nobody sees: what counts as blank, and how messages show it.
package enum VisibleText {
    /// True for blanks of any width, line breaks, and characters that take no room: U+0020, U+00A0, U+3000, U+200B,
    /// U+FEFF and their like.
    static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x20: true
        case ..<0x80: false
        // Han, Kana, Hangul syllables and most of what stands between: by far the most of other characters.
        case 0x3001...0x3130, 0x3190...0xD7FF: false
        // A Braille cell without dots is no blank to Unicode, and looks like one.
        case 0x2800: true
        default: scalar.properties.isWhitespace || scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    /// True for text of nothing but blanks, the empty one included. Stops at the first other character.
    static func isBlank(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { isBlank($0) }
    }

    /// The text with what is invisible in angle brackets: `⟨TAB⟩`, `⟨NBSP⟩`, `⟨U+200B⟩`. The plain blank stays.
    ///
    /// The result neither breaks a line nor steers a terminal.
    package static func escaped(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { append(scalar, to: &result) }
        return String(result)
    }

    static func append(_ scalar: Unicode.Scalar, to result: inout String.UnicodeScalarView) {
        if isVisible(scalar) { result.append(scalar) } else { appendName(of: scalar, to: &result) }
    }

    /// As ``escaped(_:)``, and also blanks at the ends and characters that are only another form of others: for texts that
    /// differ in these alone.
    package static func distinct(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        let first = scalars.firstIndex { !isBlank($0) } ?? scalars.endIndex
        let last = scalars.lastIndex { !isBlank($0) } ?? scalars.startIndex
        var result = String.UnicodeScalarView()
        for (position, scalar) in scalars.enumerated() {
            let isMark = scalar.properties.canonicalCombiningClass != .notReordered
            if position < first || position > last || isMark || scalar.properties.isFullCompositionExclusion {
                appendName(of: scalar, to: &result)
            } else {
                append(scalar, to: &result)
            }
        }
        return String(result)
    }

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator, .surrogate: return false
        // A variation selector chooses between two forms of the character before it, as emoji have them.
        default: return scalar.properties.isVariationSelector || !isBlank(scalar)
        }
    }

    private static func appendName(of scalar: Unicode.Scalar, to result: inout String.UnicodeScalarView) {
        let name: String
        switch scalar.value {
        case 0x00: name = "NUL"
        case 0x09: name = "TAB"
        case 0x0A: name = "LF"
        case 0x0D: name = "CR"
        case 0x1B: name = "ESC"
        case 0x20: name = "SPACE"
        case 0xA0: name = "NBSP"
        default:
            let digits = String(scalar.value, radix: 16, uppercase: true)
            name = "U+" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
        }
        result.append(contentsOf: "⟨\(name)⟩".unicodeScalars)
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// True for UTF-8 of nothing but blanks; false where it is no UTF-8. Constant cost for what does not begin with one.
    var isBlank: Bool {
        guard let first else { return true }
        switch first {
        case 0x09...0x0D, 0x20, 0xC2, 0xCD, 0xD8, 0xE1...0xE3, 0xEF, 0xF0, 0xF3: break
        default: return false
        }
        return validText(self).map { VisibleText.isBlank($0) } ?? false
    }
}
