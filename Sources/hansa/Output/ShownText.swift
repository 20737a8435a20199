import Commands
import Foundation

/// Text that may reach a terminal. ``Console`` prints nothing else.
///
/// Literals are this program's own words. Whatever is put into them is taken for somebody else's: it becomes one line of
/// at most ``DisplayText/columnsMax`` columns in which nothing steers a terminal. So no command can forget it, and no
/// text is escaped twice.
package struct ShownText: Hashable, Sendable, ExpressibleByStringInterpolation {
    /// How a piece of text stands out on a terminal.
    package enum Style: String, Sendable {
        case plain = ""
        case bold = "1"
        case good = "1;32"
        case warning = "1;33"
        case faint = "2"
    }

    private struct Span: Hashable {
        let text: String
        let style: Style
    }

    private var spans: [Span]

    private init(safe text: String, style: Style = .plain) {
        spans = text.isEmpty ? [] : [Span(text: text, style: style)]
    }

    package init(stringLiteral literal: String) { self.init(safe: literal) }

    package init(stringInterpolation interpolation: StringInterpolation) { self = interpolation.text }

    /// Several lines: help and exported data, in which line breaks are not anybody's trick.
    package init(lines text: String, columns: Int = 4 * DisplayText.columnsMax) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        self.init(safe: lines.map { DisplayText.line($0, columns: columns) }.joined(separator: "\n"))
    }

    /// An answer as JSON for people and scripts: indented, with sorted keys. What could steer a terminal is written as
    /// `\u` and four digits, which every reader of JSON turns back into what it stands for.
    package init(json value: some Encodable) {
        // Answers hold no number that JSON lacks.
        guard
            let data = try? AnswerJSON.encode(
                value,
                formatting: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            )
        else {
            self.init(safe: "null")
            return
        }
        var text = String.UnicodeScalarView()
        for scalar in String(decoding: plainNames(in: Array(data)), as: UTF8.self).unicodeScalars {
            // The encoder itself puts line breaks between members, and escapes those within texts.
            guard scalar != "\n", DisplayText.name(ofHidden: scalar) != nil else {
                text.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                let zeros = String(repeating: "0", count: 4 - digits.count)
                text.append(contentsOf: "\\u\(zeros)\(digits)".unicodeScalars)
            }
        }
        self.init(safe: String(text))
    }

    /// True for no text at all.
    package var isEmpty: Bool { spans.isEmpty }

    /// Columns that it takes, if it is one line.
    package var width: Int { spans.reduce(0) { $0 + DisplayText.width($1.text) } }

    /// The text in one style.
    package func styled(_ style: Style) -> ShownText {
        ShownText(safe: spans.map(\.text).joined(), style: style)
    }

    /// The text as it is sent to a terminal.
    ///
    /// - Parameter colours: True to add the sequences that make it stand out.
    package func rendered(colours: Bool) -> String {
        spans.map { span in
            colours && span.style != .plain ? "\u{1B}[\(span.style.rawValue)m\(span.text)\u{1B}[0m" : span.text
        }.joined()
    }

    /// Filled with blanks to `width` columns.
    package func padded(to width: Int, right: Bool = false) -> ShownText {
        let blanks = ShownText(safe: String(repeating: " ", count: max(0, width - self.width)))
        return right ? blanks + self : self + blanks
    }

    /// `count` blanks.
    package static func blanks(_ count: Int) -> ShownText {
        ShownText(safe: String(repeating: " ", count: max(0, count)))
    }

    package static func + (left: ShownText, right: ShownText) -> ShownText {
        var text = left
        text += right
        return text
    }

    package static func += (left: inout ShownText, right: ShownText) { left.spans += right.spans }

    /// Puts a literal and what stands between its parts together.
    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ShownText(safe: "")

        package init(literalCapacity: Int, interpolationCount: Int) {}

        package mutating func appendLiteral(_ literal: String) { text += ShownText(safe: literal) }

        /// Text that is shown already as it may be.
        package mutating func appendInterpolation(_ shown: ShownText) { text += shown }

        package mutating func appendInterpolation(_ number: some BinaryInteger) { text += ShownText(safe: "\(number)") }

        /// Anybody's text, cut to `columns` columns.
        package mutating func appendInterpolation(
            _ foreign: some StringProtocol,
            columns: Int = DisplayText.columnsMax
        ) {
            text += ShownText(safe: DisplayText.line(foreign, columns: columns))
        }
    }
}

extension Sequence<ShownText> {
    /// All of them with a separator between.
    package func joined(separator: ShownText) -> ShownText {
        var text: ShownText = ""
        for (position, part) in enumerated() {
            if position > 0 { text += separator }
            text += part
        }
        return text
    }
}
