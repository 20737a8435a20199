import Catalog

/// The visible records by kind and owner: the columns `kind` and `shown` of table `record`.
///
/// Counts and search use the same kind and visibility. A change of ``facts(of:_:)`` must raise the versions of all
/// three.
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

    /// The properties of a record by its state. The kind is the one in the live identity. All identities of a record
    /// name the same kind, since its key is derived from it. Values of other fields that look like an identity are
    /// ignored.
    static func facts(of state: RecordState, _ operations: OperationReader) throws -> RecordChange.Facts {
        let isVisible = state.isVisible
        return RecordChange.Facts(
            state: state,
            isVisible: isVisible,
            kind: isVisible ? try operations.kind(of: state) : 0
        )
    }

    /// The rebuild overwrites each row in turn.
    mutating func empty(_ session: Session) {}

    /// The columns were written with the row.
    mutating func update(_ change: RecordChange, _ session: Session) {}

    mutating func enter(_ change: RecordChange, _ session: Session) throws {
        try session("UPDATE record SET kind = ?1, shown = ?2 WHERE id = ?3 AND (kind != ?1 OR shown != ?2)")
            .bind(1, change.after.kind).bind(2, change.after.isVisible ? 1 : 0).bind(3, change.row).run()
    }
}
