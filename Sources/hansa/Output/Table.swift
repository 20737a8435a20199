/// Rows under headings, aligned by what a terminal shows.
struct Table {
    private let headings: [String]
    private let rightAligned: Set<Int>
    private let flexible: [Int]
    private var rows: [[String]] = []

    private static let gap = "  "
    private static let flexibleWidthMin = 8

    /// - Parameters:
    ///   - rightAligned: Columns of numbers.
    ///   - flexible: Columns that are cut where the terminal is too narrow, the first ones last.
    init(_ headings: [String], rightAligned: Set<Int> = [], flexible: [Int] = [0]) {
        self.headings = headings
        self.rightAligned = rightAligned
        self.flexible = flexible
    }

    mutating func add(_ cells: [String]) {
        rows.append(cells.map(DisplayText.line))
    }

    /// The table's text, without a line break at its end.
    ///
    /// - Parameter width: Columns of the terminal; nil to cut nothing.
    func text(width: Int? = Console.width) -> String {
        var widths = headings.indices.map { column in
            ([headings[column]] + rows.map { $0[column] }).map(DisplayText.width).max() ?? 0
        }
        if let width {
            var excess = widths.reduce(0, +) + Self.gap.count * (widths.count - 1) - width
            for column in flexible.reversed() where excess > 0 {
                let narrower = max(min(widths[column], Self.flexibleWidthMin), widths[column] - excess)
                excess -= widths[column] - narrower
                widths[column] = narrower
            }
        }
        let head = Console.styled(line(headings, widths), .faint)
        return ([head] + rows.map { line($0, widths) }).joined(separator: "\n")
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var text = ""
        for (column, cell) in cells.enumerated() {
            let cell = DisplayText.cut(cell, to: widths[column])
            let isLast = column == cells.count - 1
            let isRight = rightAligned.contains(column)
            text += isLast && !isRight ? cell : DisplayText.padded(cell, to: widths[column], right: isRight)
            if !isLast { text += Self.gap }
        }
        while text.last == " " { text.removeLast() }
        return text
    }
}
