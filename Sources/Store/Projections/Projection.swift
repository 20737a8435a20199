import Catalog
import GRDB

/// The names of the projections in the database, in the order of their rebuild. The history comes first, since a
/// relimit needs it.
package enum ProjectionName: String, CaseIterable, Sendable {
    case history, listing, counts, conflicts, search

    /// The name for people.
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

/// Data derived only from the state of the records, for one kind of query. A projection owns tables or columns, and has
/// a version.
///
/// A change of a projection's content must raise its version. A program that opens an older folder then rebuilds only
/// this projection, in steps, while the node serves (``Store/rebuildProjectionStep(hasher:)``).
///
/// A projection that is being rebuilt holds exactly the entries of the positions up to its cursor. Positions are rows
/// of table `record`, or locations of operations.
protocol Projection: Sendable {
    static var name: ProjectionName { get }
    /// The version of the rules that ``update(_:_:)`` follows. From 1.
    static var version: Int { get }
    /// The tables that it owns.
    static var tables: [Table] { get }
    /// The columns of table `record` that it owns. They are written with the row (``RecordChange/Facts``).
    static var recordColumns: [String] { get }
    /// The indexes of table `record` that it owns.
    static var recordIndexes: [TableIndex] { get }

    /// The last position that it holds: ``wholeCursor`` if it is whole, 0 before the first, ``emptyingCursor`` before
    /// it is emptied.
    var cursor: Int64 { get set }

    /// Creates its tables, the indexes of its columns and its settings if they are missing.
    static func create(in database: Database) throws
    /// Deletes all its entries.
    mutating func empty(_ session: Session) throws
    /// Applies the change of a record up to the cursor; does nothing for a record after the cursor.
    mutating func update(_ change: RecordChange, _ session: Session) throws
    /// Writes the changes that ``update(_:_:)`` has deferred to the end of the transaction.
    mutating func flush(_ session: Session) throws
    /// Enters a record that it does not hold yet.
    mutating func enter(_ change: RecordChange, _ session: Session) throws

    /// Compares the tables of the attached database `source` with those of `main`, which were derived from the log. The
    /// columns of `record` are compared together with its other columns.
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

/// The change of one record in a transaction, for the projections.
struct RecordChange {
    /// The properties of a record by its state.
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
    /// The conflicts that users have to resolve now.
    let conflictFlags: RecordRow.ConflictFlags
    /// Reads the operations of both states.
    let operations: OperationReader
}
