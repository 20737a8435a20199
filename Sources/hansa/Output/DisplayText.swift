/// Text as a terminal shows it: how wide it is, and safe to print.
package enum DisplayText {
    /// Columns that a name, a path or a reason takes at most, in pipes too: what authors write decides no line's length.
    package static let columnsMax = 200
    /// Scalars that are shown for each column at most. Combining marks take none, and an author may stack thousands.
    private static let scalarsPerColumn = 4

    /// Columns that a text takes: Chinese, Japanese and Korean characters and emoji take two, combining marks none.
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

    /// One line of at most `columns` columns in which nothing steers a terminal: control characters, line breaks, marks of
    /// direction and characters without width are named, as in `⟨ESC⟩` or `⟨U+202E⟩`. What is cut ends in an ellipsis.
    ///
    /// Linear in `columns`, however long the text is.
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

    /// How a scalar is named that must not reach a terminal as it is; nil for all others.
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

    /// Lines of at most `width` columns, broken at blanks, or anywhere beside a wide character; a line break of the text
    /// begins a new one. Each line is as safe as ``line(_:columns:)`` makes it.
    ///
    /// - Parameters:
    ///   - columns: Columns of the text that are shown at most.
    ///   - lines: Lines that are made at most.
    /// - Returns: The lines, and whether they are the whole text.
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
        // Where the line may be broken: an offset behind a blank or a wide character.
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
