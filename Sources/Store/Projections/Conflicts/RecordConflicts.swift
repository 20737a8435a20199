import Catalog

/// The records with conflicts: the column `trouble` of table `record`.
struct RecordConflicts: Projection {
    static let name = ProjectionName.conflicts
    static let version = 1
    static let recordColumns = ["trouble"]
    static let recordIndexes = [
        TableIndex(
            name: "record_trouble",
            definition: "(trouble) WHERE trouble > 0",
            covering: "trouble > 0",
            key: "id"
        )
    ]

    var cursor = wholeCursor

    /// The flags of a state.
    static func flags(of state: RecordState, _ operations: OperationReader) throws -> RecordRow.ConflictFlags {
        var flags: RecordRow.ConflictFlags = []
        if state.isEditedWhileDeleted { flags.insert(.editedWhileDeleted) }
        if try hasConflict(state, operations) { flags.insert(.conflict) }
        return flags
    }

    /// True if a register has different live values. In a wide record, several live writes suffice.
    private static func hasConflict(_ state: RecordState, _ operations: OperationReader) throws -> Bool {
        let contested = state.contestedFields
        guard !contested.isEmpty else { return false }
        if try state.isWide({ try operations.operation(at: $0.location).byteCount }) { return true }
        var values: [FieldNumber: ArraySlice<UInt8>] = [:]
        for live in state.operations where live.writes.contains(where: { contested.contains($0.field) }) {
            let operation = try operations.operation(at: live.location)
            let layout = try operation.layout
            for write in live.writes where contested.contains(write.field) {
                // Values are equal if their bytes are.
                guard let value = operation.value(of: write.number, layout) else { continue }
                if let other = values[write.field] {
                    if other != value { return true }
                } else {
                    values[write.field] = value
                }
            }
        }
        return false
    }

    /// The rebuild overwrites each row in turn.
    mutating func empty(_ session: Session) {}

    /// The column was written with the row.
    mutating func update(_ change: RecordChange, _ session: Session) {}

    mutating func enter(_ change: RecordChange, _ session: Session) throws {
        try session("UPDATE record SET trouble = ?1 WHERE id = ?2 AND trouble != ?1")
            .bind(1, change.conflictFlags.rawValue).bind(2, change.row).run()
    }
}
