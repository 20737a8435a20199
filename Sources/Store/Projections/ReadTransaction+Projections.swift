import Catalog

/// A projection that is being rebuilt.
package struct ProjectionProgress: Hashable, Sendable {
    package let name: ProjectionName
    /// The positions that it holds, and the number of all positions: rows of records, or locations of operations.
    package let done: Int64
    package let total: Int64

    /// The finished part, from 0 to 100.
    package var percent: Int { total <= 0 ? 0 : Int(clamping: min(100, 100 * done / total)) }
}

extension ReadTransaction {
    /// The projections that are being rebuilt, in the order of their rebuild; empty if all are whole.
    package func unfinishedProjections() throws -> [ProjectionProgress] {
        let cursors = try unfinished()
        guard !cursors.isEmpty else { return [] }
        let rows = try session("SELECT max(id) FROM record").first { $0.int(0) } ?? 0
        let operations = try session("SELECT max(id) FROM operation").first { $0.int(0) } ?? 0
        return ProjectionName.allCases.compactMap { name in
            cursors[name].map {
                let total = name == .history ? operations : rows
                return ProjectionProgress(name: name, done: min(max(0, $0), total), total: total)
            }
        }
    }

    private func unfinished() throws -> [ProjectionName: Int64] {
        if let known = names.unfinished { return known }
        let found = try Projections.unfinished(session)
        names.unfinished = found
        return found
    }

    /// Throws `projectionRebuilding` if a projection is not whole. Every read of a projection calls this first, because
    /// a partial projection gives false answers.
    func require(_ projection: ProjectionName) throws {
        if try unfinished()[projection] != nil { throw StoreError.rebuilding(projection) }
    }

    /// True if a record is visible. The row tells this, or the state if the listing does not hold the record yet.
    func isVisible(_ row: RecordRow, _ known: RecordState? = nil) throws -> Bool {
        guard let cursor = try unfinished()[.listing], row.row > cursor else { return row.isVisible }
        return try (known ?? state(row)).isVisible
    }

    /// True if a record is known to have no conflict.
    func hasNoConflict(_ row: RecordRow, _ state: RecordState) throws -> Bool {
        guard let cursor = try unfinished()[.conflicts], row.row > cursor else { return row.conflictFlags.isEmpty }
        return !state.isEditedWhileDeleted && state.contestedFields.isEmpty
    }
}
