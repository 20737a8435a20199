/// Text as a terminal shows it: how wide it is, and safe to print.
enum DisplayText {
    /// Columns that a text takes: Chinese, Japanese and Korean characters and emoji take two, combining marks none.
    static func width(_ text: String) -> Int {
        text.reduce(0) { $0 + width($1) }
    }

    static func width(_ character: Character) -> Int {
        var widest = 0
        for scalar in character.unicodeScalars {
            if scalar.value == 0xFE0F { return 2 }
            widest = max(widest, width(scalar))
        }
        return widest
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7F ? 1 : 0 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control, .lineSeparator, .paragraphSeparator: return 0
        default: break
        }
        if scalar.properties.isEmojiPresentation { return 2 }
        return wide.contains { $0.contains(scalar.value) } ? 2 : 1
    }

    /// The blocks of Unicode's East Asian Width W and F.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
        0xA000...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F,
        0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18D08, 0x1AFF0...0x1B2FB, 0x1F200...0x1F265,
        0x20000...0x3FFFD,
    ]

    /// One line, without what could steer a terminal: text of other members is shown, never obeyed.
    static func line(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: result.append(" ")
            case .format where !isJoiner(scalar): continue
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// What emoji and some scripts need between letters; marks of direction are not among them.
    private static func isJoiner(_ scalar: Unicode.Scalar) -> Bool { scalar.value == 0x200C || scalar.value == 0x200D }

    /// At most `width` columns; what is cut ends in an ellipsis.
    static func cut(_ text: String, to width: Int) -> String {
        guard self.width(text) > width else { return text }
        var result = ""
        var used = 0
        for character in text {
            let next = self.width(character)
            guard used + next <= width - 1 else { break }
            result.append(character)
            used += next
        }
        return result + "…"
    }

    /// Filled with blanks to `width` columns.
    static func padded(_ text: String, to width: Int, right: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - self.width(text)))
        return right ? blanks + text : text + blanks
    }

    /// Lines of at most `width` columns, broken at blanks, or anywhere beside a wide character.
    static func wrapped(_ text: String, to width: Int) -> [String] {
        var lines: [String] = []
        for paragraph in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            var current = ""
            var used = 0
            // Where the line may be broken: an offset behind a blank or a wide character.
            var breakable: String.Index?
            for character in line(String(paragraph)) {
                let next = self.width(character)
                if used + next > width, !current.isEmpty {
                    let at = self.width(character) == 2 ? current.endIndex : breakable ?? current.endIndex
                    lines.append(String(current[..<at]).trimmingBlanks)
                    current = String(current[at...])
                    used = self.width(current)
                    breakable = nil
                }
                current.append(character)
                used += next
                if character == " " || next == 2 { breakable = current.endIndex }
            }
            lines.append(current.trimmingBlanks)
        }
        return lines
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
