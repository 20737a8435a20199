import Node

/// A value, and under it who wrote it and when.
enum AuthoredText {
    /// Two lines, cut to the terminal.
    ///
    /// - Parameter label: What stands before the value, with its indentation.
    static func lines(_ label: String, _ value: String, by author: Authorship, importID: String? = nil) -> [String] {
        let column = DisplayText.width(label)
        let what = importID.map { ", import \(Words.short($0))" } ?? ""
        let written =
            "\(author.organization), \(Words.time(author.time)), node \(Words.short(author.node)) "
            + "no. \(author.sequence)\(what)"
        return [
            label + fitted(value, behind: column),
            String(repeating: " ", count: column) + Console.styled(fitted(written, behind: column), .faint),
        ]
    }

    private static func fitted(_ text: String, behind column: Int) -> String {
        let text = DisplayText.line(text)
        guard let width = Console.width else { return text }
        return DisplayText.cut(text, to: max(20, width - column))
    }
}
