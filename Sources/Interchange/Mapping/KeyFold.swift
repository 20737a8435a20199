internal import Foundation

/// Detects keys that look alike. They differ only in blanks at their ends, in the kind of blanks, in invisible
/// characters, or in the form of an accent.
package enum KeyFold {
    /// The form that keys which look alike share. Nil if the key already has that form, as nearly all keys do.
    ///
    /// The form is Unicode's NFC with plain blanks, without blanks at the ends and without invisible characters.
    /// Full-width digits and capitals look different from other characters, so they stay.
    package static func folded(_ key: String) -> String? {
        if isPlain(key) { return nil }
        var folded = String.UnicodeScalarView()
        var blanks = 0
        for scalar in key.unicodeScalars {
            if scalar.properties.isWhitespace {
                blanks += folded.isEmpty ? 0 : 1
            } else if !VisibleText.isBlank(scalar) {
                folded.append(contentsOf: repeatElement(" ", count: blanks))
                blanks = 0
                folded.append(scalar)
            }
        }
        let normal = String(folded).precomposedStringWithCanonicalMapping
        return normal.utf8.elementsEqual(key.utf8) ? nil : normal
    }

    /// True if the bytes alone show that a key has its own form: ASCII without blanks at its ends, and most of Han
    /// and Hangul.
    private static func isPlain(_ key: String) -> Bool {
        var key = key
        return key.withUTF8 { bytes in
            guard let first = bytes.first, let last = bytes.last, first != 0x20, last != 0x20 else { return false }
            var index = 0
            while index < bytes.count {
                switch bytes[index] {
                case 0x20..<0x7F: index += 1
                // U+4000 to U+9FFF, U+B000 to U+CFFF: no character in these ranges is blank, composes or decomposes.
                case 0xE4...0xE9, 0xEB, 0xEC: index += 3
                default: return false
                }
            }
            return true
        }
    }
}
