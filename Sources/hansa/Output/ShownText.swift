import Commands
import Foundation

/// Text that may reach a terminal. ``Console`` prints no other type.
///
/// Literals are this program's own words. Interpolated values are foreign: each becomes one line of at most
/// ``DisplayText/columnsMax`` columns without anything that controls a terminal. So no command can forget to escape, and no
/// text is escaped twice.
package struct ShownText: Hashable, Sendable, ExpressibleByStringInterpolation {
    /// The style of a piece of text on a terminal.
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

    /// Several lines: help and exported data, whose line breaks are legitimate.
    package init(lines text: String, columns: Int = 4 * DisplayText.columnsMax) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        self.init(safe: lines.map { DisplayText.line($0, columns: columns) }.joined(separator: "\n"))
    }

    /// An answer as JSON for people and scripts: indented, with sorted keys. Scalars that could control a terminal become
    /// `\u` and four digits, which every JSON reader decodes.
    package init(json value: some Encodable) {
        // Answers hold no number that JSON cannot express.
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
            // The encoder writes line breaks only between members; it escapes those within texts.
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

    /// True for the empty text.
    package var isEmpty: Bool { spans.isEmpty }

    /// The columns of the text, if it is one line.
    package var width: Int { spans.reduce(0) { $0 + DisplayText.width($1.text) } }

    /// The text in one style.
    package func styled(_ style: Style) -> ShownText {
        ShownText(safe: spans.map(\.text).joined(), style: style)
    }

    /// The text in the form that a terminal gets.
    ///
    /// - Parameter colours: True to add the sequences of the styles.
    package func rendered(colours: Bool) -> String {
        spans.map { span in
            colours && span.style != .plain ? "\u{1B}[\(span.style.rawValue)m\(span.text)\u{1B}[0m" : span.text
        }.joined()
    }

    /// Fills the text with blanks to `width` columns.
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

    /// Joins literals and interpolated values.
    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ShownText(safe: "")

        package init(literalCapacity: Int, interpolationCount: Int) {}

        package mutating func appendLiteral(_ literal: String) { text += ShownText(safe: literal) }

        /// Adds text that is already safe.
        package mutating func appendInterpolation(_ shown: ShownText) { text += shown }

        package mutating func appendInterpolation(_ number: some BinaryInteger) { text += ShownText(safe: "\(number)") }

        /// Adds foreign text, cut to `columns` columns.
        package mutating func appendInterpolation(
            _ foreign: some StringProtocol,
            columns: Int = DisplayText.columnsMax
        ) {
            text += ShownText(safe: DisplayText.line(foreign, columns: columns))
        }
    }
}

extension Sequence<ShownText> {
    /// Joins the texts with a separator.
    package func joined(separator: ShownText) -> ShownText {
        var text: ShownText = ""
        for (position, part) in enumerated() {
            if position > 0 { text += separator }
            text += part
        }
        return text
    }
}
