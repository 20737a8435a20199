/// Rows under headings, aligned by their width on a terminal.
package struct Table {
    private let headings: [String]
    private let rightAligned: Set<Int>
    private let flexible: [Int]
    private var rows: [[String]] = []

    private static let gap = "  "
    private static let flexibleWidthMin = 8
    /// The most columns to which cells are padded if no terminal limits the width. A longer name moves only its own row.
    private static let paddedWidthMax = 40

    /// - Parameters:
    ///   - rightAligned: Columns of numbers.
    ///   - flexible: Columns that are cut if the terminal is too narrow, the first one last.
    package init(_ headings: [String], rightAligned: Set<Int> = [], flexible: [Int] = [0]) {
        self.headings = headings
        self.rightAligned = rightAligned
        self.flexible = flexible
    }

    /// Adds a row: a cell for each heading. Cells may hold foreign text.
    package mutating func add(_ cells: [String]) {
        rows.append(cells.map { DisplayText.line($0) })
    }

    /// The table, without a line break at its end.
    ///
    /// - Parameter width: Columns of the terminal; nil for none, and then cells have up to ``DisplayText/columnsMax``
    ///   columns.
    package func text(width: Int? = Console.width) -> ShownText {
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
        } else {
            widths = widths.map { min($0, Self.paddedWidthMax) }
        }
        let head = line(headings, widths, isCut: width != nil).styled(.faint)
        return ([head] + rows.map { line($0, widths, isCut: width != nil) }).joined(separator: "\n")
    }

    private func line(_ cells: [String], _ widths: [Int], isCut: Bool) -> ShownText {
        var text = ""
        for (column, cell) in cells.enumerated() {
            let cell = isCut ? DisplayText.cut(cell, to: widths[column]) : cell
            let isLast = column == cells.count - 1
            let isRight = rightAligned.contains(column)
            text += isLast && !isRight ? cell : DisplayText.padded(cell, to: widths[column], right: isRight)
            if !isLast { text += Self.gap }
        }
        while text.last == " " { text.removeLast() }
        return "\(text, columns: .max)"
    }
}
