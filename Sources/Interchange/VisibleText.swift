/// Invisible characters: which ones count as blank, and how messages show them.
package enum VisibleText {
    /// True for blanks of any width, line breaks and characters of zero width: U+0020, U+00A0, U+3000, U+200B, U+FEFF
    /// and similar ones.
    static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x20: true
        case ..<0x80: false
        // Han, Kana, Hangul syllables and most characters between them: the large majority of characters beyond
        // ASCII.
        case 0x3001...0x3130, 0x3190...0xD7FF: false
        // Unicode does not count the empty Braille cell as a blank, but it looks like one.
        case 0x2800: true
        default: scalar.properties.isWhitespace || scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    /// True if the text is empty or contains only blanks. Stops at the first other character.
    static func isBlank(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { isBlank($0) }
    }

    /// The text with invisible characters named in angle brackets: `⟨TAB⟩`, `⟨NBSP⟩`, `⟨U+200B⟩`. The plain blank
    /// stays.
    ///
    /// The result contains neither line breaks nor terminal control characters.
    package static func escaped(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { append(scalar, to: &result) }
        return String(result)
    }

    static func append(_ scalar: Unicode.Scalar, to result: inout String.UnicodeScalarView) {
        if isVisible(scalar) { result.append(scalar) } else { appendName(of: scalar, to: &result) }
    }

    /// As ``escaped(_:)``, but also names blanks at the ends, combining marks and characters that NFC replaces. Use it
    /// for texts that differ only in these.
    package static func distinct(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        let first = scalars.firstIndex { !isBlank($0) } ?? scalars.endIndex
        let last = scalars.lastIndex { !isBlank($0) } ?? scalars.startIndex
        var result = String.UnicodeScalarView()
        for (position, scalar) in scalars.enumerated() {
            let isTombstone = scalar.properties.canonicalCombiningClass != .notReordered
            if position < first || position > last || isTombstone || scalar.properties.isFullCompositionExclusion {
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
        // A variation selector chooses between two forms of the preceding character, for example in emoji.
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
    /// True for UTF-8 that contains only blanks; false if the bytes are not UTF-8. The cost is constant if the first
    /// byte cannot begin a blank.
    var isBlank: Bool {
        guard let first else { return true }
        switch first {
        case 0x09...0x0D, 0x20, 0xC2, 0xCD, 0xD8, 0xE1...0xE3, 0xEF, 0xF0, 0xF3: break
        default: return false
        }
        return validText(self).map { VisibleText.isBlank($0) } ?? false
    }
}
