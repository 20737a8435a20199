/// The number of visible records, by kind and owner: table `tally`.
struct RecordCounts: Projection {
    static let name = ProjectionName.counts
    static let version = 1
    static let tables = [
        Table(
            "tally",
            """
            (kind INTEGER, owner INTEGER, shown INTEGER NOT NULL, PRIMARY KEY(kind, owner)) WITHOUT ROWID
            """,
            order: "kind, owner"
        )
    ]

    private struct Group: Hashable, Comparable {
        let kind: Int64
        let owner: Int64
        static func < (left: Group, right: Group) -> Bool { (left.kind, left.owner) < (right.kind, right.owner) }
    }

    var cursor = wholeCursor
    /// Changes of the numbers of visible records, written at the end of the transaction.
    private var changes: [Group: Int] = [:]

    mutating func update(_ change: RecordChange, _ session: Session) {
        guard holds(change.row) else { return }
        add(change.after, owner: change.owner, 1)
        if let before = change.before { add(before, owner: change.owner, -1) }
    }

    mutating func enter(_ change: RecordChange, _ session: Session) { add(change.after, owner: change.owner, 1) }

    private mutating func add(_ facts: RecordChange.Facts, owner: Int64, _ count: Int) {
        if facts.isVisible { changes[Group(kind: facts.kind, owner: owner), default: 0] += count }
    }

    mutating func flush(_ session: Session) throws {
        guard !changes.isEmpty else { return }
        for (group, change) in changes.sorted(by: { $0.key < $1.key }) where change != 0 {
            try session(
                """
                INSERT INTO tally(kind, owner, shown) VALUES(?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET shown = shown + ?3
                """
            ).bind(1, group.kind).bind(2, group.owner).bind(3, Int64(change)).run()
            // A group without records must have no row, so that rows do not depend on the past.
            try session("DELETE FROM tally WHERE kind = ? AND owner = ? AND shown = 0").bind(1, group.kind)
                .bind(2, group.owner).run()
        }
        changes = [:]
    }
}
