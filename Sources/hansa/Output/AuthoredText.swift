import Commands

/// A value, and under it who wrote it and when.
enum AuthoredText {
    /// Two lines, cut to the terminal.
    ///
    /// - Parameter label: What stands before the value, with its indentation.
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
