import Catalog
import GRDB

/// The projections by the names under which the database knows them, in the order in which they are rebuilt. The history
/// comes first, since a relimit needs it.
package enum ProjectionName: String, CaseIterable, Sendable {
    case history, listing, counts, conflicts, search

    /// For people.
    package var title: String {
        switch self {
        case .history: "the history of records"
        case .listing: "the list of records"
        case .counts: "the count of records"
        case .conflicts: "the list of conflicts"
        case .search: "the search index"
        }
    }
}

/// Something derived from the state of the records alone, for one kind of question: it has tables or columns of its own, and a
/// version.
///
/// Whoever changes what a projection holds raises its version. The next program to open an older folder then rebuilds this
/// projection alone, in steps, while the node serves (``Store/rebuildProjectionStep(hasher:)``).
///
/// A projection that is being rebuilt holds exactly what its positions up to its cursor give. Positions are rows of table
/// `record`, or locations of operations.
protocol Projection: Sendable {
    static var name: ProjectionName { get }
    /// The version of the rules by which ``update(_:_:)`` makes it. From 1.
    static var version: Int { get }
    /// Its own tables.
    static var tables: [Table] { get }
    /// The columns of table `record` that it owns. They are written with the row (``RecordChange/Facts``).
    static var recordColumns: [String] { get }
    /// The indexes of table `record` that it owns.
    static var recordIndexes: [TableIndex] { get }

    /// The last position that it holds: ``wholeCursor`` where it is whole, 0 before the first, ``emptyingCursor`` where it
    /// has yet to be emptied.
    var cursor: Int64 { get set }

    /// Creates its tables, columns' indexes and settings, where they are missing.
    static func create(in database: Database) throws
    /// Deletes all that it holds.
    mutating func empty(_ session: Session) throws
    /// Takes in the change of a record that it holds; does nothing for others, whose time has not come.
    mutating func update(_ change: RecordChange, _ session: Session) throws
    /// Writes what ``update(_:_:)`` has put off to the end of the transaction.
    mutating func flush(_ session: Session) throws
    /// Enters a record that it does not hold yet.
    mutating func enter(_ change: RecordChange, _ session: Session) throws

    /// Compares the tables of the attached database `source` with those of `main`, which the log gives. The columns of
    /// `record` are compared with its other columns.
    func compare(_ session: Session, _ report: inout VerifyReport) throws
}

extension Projection {
    static var wholeCursor: Int64 { .max }
    static var emptyingCursor: Int64 { -1 }
    static var tables: [Table] { [] }
    static var recordColumns: [String] { [] }
    static var recordIndexes: [TableIndex] { [] }

    var isWhole: Bool { cursor == Self.wholeCursor }

    static func create(in database: Database) throws {
        for table in tables { try table.create(in: database) }
        for index in recordIndexes { try index.create(on: DatabaseSchema.record.name, in: database) }
    }

    func holds(_ position: Int64) -> Bool { position <= cursor }

    mutating func empty(_ session: Session) throws {
        for table in Self.tables { try table.empty(session) }
    }

    mutating func flush(_ session: Session) throws {}

    func compare(_ session: Session, _ report: inout VerifyReport) throws {
        for table in Self.tables { report.compare(table, of: Self.name, session) }
        for index in Self.recordIndexes { report.compare(index, of: DatabaseSchema.record, Self.name, session) }
    }
}

/// What a transaction has made of one record, for the projections.
struct RecordChange {
    /// What a state says of its record.
    struct Facts {
        let state: RecordState
        let isVisible: Bool
        /// The number of the kind; 0 for a record that is not visible.
        let kind: Int64
    }

    let row: Int64
    /// The number of the owner.
    let owner: Int64
    /// Nil for a record that had no row.
    let before: Facts?
    let after: Facts
    /// What somebody has to settle now.
    let conflictFlags: RecordRow.ConflictFlags
    /// Gives the operations of both states.
    let operations: OperationReader
}
