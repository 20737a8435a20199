/// Suggests a name for a misspelt one.
package enum NearestName {
    /// The candidate with the fewest changes from a name: one letter added, removed or replaced, or two neighbouring
    /// letters swapped (optimal string alignment distance). Ignores case. Nil if the nearest candidate takes more changes
    /// than a third of the name's length, at least 2.
    package static func of(_ name: String, in candidates: [String]) -> String? {
        let bound = max(2, name.count / 3)
        return candidates.map { (name: $0, distance: distance(name.lowercased(), $0.lowercased())) }
            .filter { $0.distance <= bound }.min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
    }

    private static func distance(_ left: String, _ right: String) -> Int {
        // A longer name is no misspelling, and its table would be large.
        let (left, right) = (Array(left.prefix(100)), Array(right.prefix(100)))
        var rows = [Array(0...right.count)]
        for row in 0..<left.count {
            var next = [row + 1]
            for column in 0..<right.count {
                var best = min(
                    rows[row][column] + (left[row] == right[column] ? 0 : 1),
                    rows[row][column + 1] + 1,
                    next[column] + 1
                )
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, rows[row - 1][column - 1] + 1)
                }
                next.append(best)
            }
            rows.append(next)
        }
        return rows[left.count][right.count]
    }
}
