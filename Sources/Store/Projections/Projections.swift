import GRDB

/// The projections of one connection, with their cursors.
final class Projections {
    static let types: [any Projection.Type] = [
        HistoryLinks.self, RecordListing.self, RecordCounts.self, RecordConflicts.self, SearchIndex.self,
    ]

    var history = HistoryLinks()
    var listing = RecordListing()
    var counts = RecordCounts()
    var conflicts = RecordConflicts()
    var search = SearchIndex()

    /// All projections as whole.
    init() {}

    /// The projections with their cursors in the database.
    init(_ session: Session) throws {
        for (name, cursor) in try Self.unfinished(session) {
            switch name {
            case .history: history.cursor = cursor
            case .listing: listing.cursor = cursor
            case .counts: counts.cursor = cursor
            case .conflicts: conflicts.cursor = cursor
            case .search: search.cursor = cursor
            }
        }
    }

    /// Applies the change of a record. The record's row, including the columns of the projections, is already written.
    func update(_ change: RecordChange, _ session: Session) throws {
        try history.update(change, session)
        try search.update(change, session)
        counts.update(change, session)
    }

    func flush(_ session: Session) throws { try counts.flush(session) }

    // MARK: - Table `projection`

    /// The projections that are being rebuilt, with the last position that each holds.
    static func unfinished(_ session: Session) throws -> [ProjectionName: Int64] {
        let rows = try session("SELECT name, cursor FROM projection WHERE cursor IS NOT NULL").all {
            ($0.text(0), $0.int(1))
        }
        var cursors: [ProjectionName: Int64] = [:]
        for (text, cursor) in rows {
            guard let name = ProjectionName(rawValue: text) else { throw StoreError.damaged("table projection") }
            cursors[name] = cursor
        }
        return cursors
    }

    /// Records the last position that a projection holds; nil if it is whole.
    static func setCursor(_ cursor: Int64?, of name: ProjectionName, _ session: Session) throws {
        try session("UPDATE projection SET cursor = ? WHERE name = ?").bind(1, cursor).bind(2, text: name.rawValue)
            .run()
    }

    /// True if a projection was made by another version, or is missing.
    static func hasOutdated(_ database: Database, versions: [ProjectionName: Int]) throws -> Bool {
        try !outdated(Session(database), versions).isEmpty
    }

    /// Marks for rebuilding every projection that was made by another version, and creates those that are missing.
    static func prepare(_ database: Database, versions: [ProjectionName: Int]) throws {
        let session = try Session(database)
        for (type, version) in try outdated(session, versions) {
            try type.create(in: database)
            try session("INSERT OR REPLACE INTO projection(name, version, cursor) VALUES(?, ?, -1)")
                .bind(1, text: type.name.rawValue).bind(2, Int64(version)).run()
        }
    }

    private static func outdated(
        _ session: Session,
        _ versions: [ProjectionName: Int]
    ) throws -> [(type: any Projection.Type, version: Int)] {
        let stored = try Self.versions(session)
        return types.map { ($0, versions[$0.name] ?? $0.version) }.filter { stored[$0.name.rawValue] != $1 }
    }

    /// Throws if a newer program has made a projection.
    static func checkVersions(_ database: Database, versions: [ProjectionName: Int]) throws {
        let known = Dictionary(uniqueKeysWithValues: types.map { ($0.name.rawValue, versions[$0.name] ?? $0.version) })
        for (name, version) in try Self.versions(Session(database)).sorted(by: { $0.key < $1.key }) {
            guard let own = known[name] else {
                throw StoreError(
                    .newerFormat,
                    "the data folder has a projection '\(name)', which this program does not know: install the newer one"
                )
            }
            guard version <= own else {
                throw StoreError(
                    .newerFormat,
                    "the data folder has version \(version) of the projection '\(name)'; this program reads \(own): "
                        + "install the newer one"
                )
            }
        }
    }

    private static func versions(_ session: Session) throws -> [String: Int] {
        let rows = try session("SELECT name, version FROM projection").all { ($0.text(0), Int($0.int(1))) }
        return Dictionary(rows, uniquingKeysWith: { $1 })
    }
}
