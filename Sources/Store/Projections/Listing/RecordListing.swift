import Catalog

/// The visible records by kind and owner: the columns `kind` and `shown` of table `record`.
///
/// Counts and search are made by the same kind and visibility: a change of ``facts(of:_:)`` raises the versions of all three.
struct RecordListing: Projection {
    static let name = ProjectionName.listing
    static let version = 1
    static let recordColumns = ["kind", "shown"]
    static let recordIndexes = [
        TableIndex(
            name: "record_listing",
            definition: "(kind, owner) WHERE shown = 1",
            covering: "shown = 1 AND kind >= 0",
            key: "id"
        )
    ]

    var cursor = wholeCursor

    /// What a state says of its record. The kind is the one that the live identity names: all identities of a record name the
    /// same, since its key is made of it. A value of any other field that looks like an identity counts for nothing.
    static func facts(of state: RecordState, _ operations: OperationReader) throws -> RecordChange.Facts {
        let isVisible = state.isVisible
        return RecordChange.Facts(
            state: state,
            isVisible: isVisible,
            kind: isVisible ? try operations.kind(of: state) : 0
        )
    }

    /// The row is overwritten when its time comes.
    mutating func empty(_ session: Session) {}

    /// The columns were written with the row.
    mutating func update(_ change: RecordChange, _ session: Session) {}

    mutating func enter(_ change: RecordChange, _ session: Session) throws {
        try session("UPDATE record SET kind = ?1, shown = ?2 WHERE id = ?3 AND (kind != ?1 OR shown != ?2)")
            .bind(1, change.after.kind).bind(2, change.after.isVisible ? 1 : 0).bind(3, change.row).run()
    }
}
