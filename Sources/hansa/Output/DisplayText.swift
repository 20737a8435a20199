/// Text for a terminal: its width, and its safe form.
package enum DisplayText {
    /// The most columns of a name, a path or a reason, in pipes too, so that authors cannot make lines arbitrarily long.
    package static let columnsMax = 200
    /// The most scalars shown for each column. Combining marks take no column, and an author may stack thousands.
    private static let scalarsPerColumn = 4

    /// The columns of a text: Chinese, Japanese and Korean characters and emoji take two, combining marks none.
    package static func width(_ text: String) -> Int {
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

    /// One line of at most `columns` columns without anything that controls a terminal. Control characters, line breaks,
    /// direction marks and characters without width are shown by name, as in `⟨ESC⟩` or `⟨U+202E⟩`. A cut text ends in an
    /// ellipsis.
    ///
    /// Complexity: linear in `columns`, regardless of the text's length.
    package static func line(_ text: some StringProtocol, columns: Int = columnsMax) -> String {
        shown(text, columns: columns).line
    }

    private static func shown(_ text: some StringProtocol, columns: Int) -> (line: String, isWhole: Bool) {
        let head = text.unicodeScalars.prefix(scalarsMax(columns))
        var shown = String.UnicodeScalarView()
        for scalar in head {
            if let name = name(ofHidden: scalar) {
                shown.append(contentsOf: "⟨\(name)⟩".unicodeScalars)
            } else {
                shown.append(scalar)
            }
        }
        let line = String(shown)
        if width(line) > columns { return (cut(line, to: columns), false) }
        return head.endIndex == text.unicodeScalars.endIndex ? (line, true) : (line + "…", false)
    }

    private static func scalarsMax(_ columns: Int) -> Int {
        columns > Int.max / scalarsPerColumn ? Int.max : columns * scalarsPerColumn
    }

    /// The name of a scalar that must not reach a terminal; nil for all others.
    ///
    /// Joiners pass, since emoji and some scripts need them between letters.
    static func name(ofHidden scalar: Unicode.Scalar) -> String? {
        switch scalar.value {
        case 0x20...0x7E, 0x200C, 0x200D: return nil
        case 0x09: return "TAB"
        case 0x0A: return "LF"
        case 0x0D: return "CR"
        case 0x1B: return "ESC"
        default: break
        }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: break
        default: return nil
        }
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// Cuts a text to at most `width` columns; a cut text ends in an ellipsis.
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

    /// Fills a text with blanks to `width` columns.
    static func padded(_ text: String, to width: Int, right: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - self.width(text)))
        return right ? blanks + text : text + blanks
    }

    /// Lines of at most `width` columns, broken at blanks or next to a wide character. A line break in the text begins a
    /// new line. Each line is as safe as ``line(_:columns:)`` makes it.
    ///
    /// - Parameters:
    ///   - columns: The most columns of the text that are shown.
    ///   - lines: The most lines.
    /// - Returns: The lines, and whether they hold the whole text.
    package static func wrapped(
        _ text: String,
        to width: Int,
        columns: Int,
        lines linesMax: Int
    ) -> (lines: [String], isWhole: Bool) {
        let head = text.unicodeScalars.prefix(scalarsMax(columns))
        var isWhole = head.endIndex == text.unicodeScalars.endIndex
        var lines: [String] = []
        var left = columns
        for paragraph in String(head).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            guard lines.count < linesMax, left > 0 else { return (lines, false) }
            let (line, isWholeLine) = shown(paragraph, columns: left)
            left -= max(1, self.width(line))
            let parts = broken(line, to: width)
            isWhole = isWhole && isWholeLine && parts.count <= linesMax - lines.count
            lines += parts.prefix(linesMax - lines.count)
        }
        return (lines, isWhole)
    }

    private static func broken(_ line: String, to width: Int) -> [String] {
        var lines: [String] = []
        var current = ""
        var used = 0
        // The last possible break of the line: an offset after a blank or a wide character.
        var breakable: String.Index?
        for character in line {
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
