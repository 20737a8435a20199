import Commands

/// A value, and on the next line its author and time.
enum AuthoredText {
    /// Two lines, cut to the terminal's width.
    ///
    /// - Parameter label: The text before the value, including its indentation.
    static func lines(
        _ label: ShownText,
        _ value: String,
        by author: Authorship,
        importId: String? = nil
    ) -> [ShownText] {
        let width = Console.width.map { max(20, $0 - label.width) } ?? DisplayText.columnsMax
        let what = importId.map { ", import \(Words.short($0))" } ?? ""
        let written =
            "\(author.organization), \(Words.time(author.time)), node \(Words.short(author.node)) "
            + "no. \(author.sequence)\(what)"
        let faint: ShownText = "\(written, columns: width)"
        return [label + "\(value, columns: width)", .blanks(label.width) + faint.styled(.faint)]
    }
}
