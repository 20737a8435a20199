import Catalog
import DeltaLog
import GRDB

/// The search index: table `search` of FTS5, by rows of table `record`.
///
/// The terms of a record are a function of its state and its operations only, so that the entered terms can be removed
/// again. Every live value within reach is indexed, including values that lose a conflict.
/// ``CatalogSchema/isSearchName(_:)``, ``SearchText`` and ``RecordReach`` belong to the rules that ``version`` numbers.
struct SearchIndex: Projection {
    static let name = ProjectionName.search
    static let version = 1

    /// The index gathers terms in 16 MiB of memory before it writes a segment, instead of 1 MiB. A transaction then
    /// gives one segment, and merges cost less (measured: 8 percent of an import's time, for 1.7 percent of the file).
    /// It merges eight segments of a level instead of four (measured: another 8 percent). It keeps no lengths of
    /// documents (`columnsize`), since FTS5's ranking is not used.
    static func create(in database: Database) throws {
        try database.execute(
            sql: """
                CREATE VIRTUAL TABLE IF NOT EXISTS search
                    USING fts5(rest, name, content = '', columnsize = 0, tokenize = 'ascii');
                INSERT INTO search(search, rank) VALUES('hashsize', 16777216);
                INSERT INTO search(search, rank) VALUES('automerge', 8);
                """
        )
    }

    var cursor = wholeCursor
    /// The checksums, if entries are only summed for a comparison; else nil.
    var checksums: TermChecksums?
    /// The terms that restrict searches to a kind and an owner, cached from the previous record.
    private var filters: (kind: Int64, owner: Int64, terms: [UInt8])?
    /// The terms of a record, and those it had before; kept to reuse their memory.
    private var terms = SearchTerms()
    private var termsBefore = SearchTerms()

    /// A single statement of unbounded duration: the index holds no texts, so it cannot be emptied record by record.
    mutating func empty(_ session: Session) throws {
        try session("INSERT INTO search(search) VALUES('delete-all')").run()
    }

    mutating func update(_ change: RecordChange, _ session: Session) throws {
        guard holds(change.row) else { return }
        let after = change.after
        guard let before = change.before, before.isVisible else { return try enter(change, session) }
        // Search reads only the first operations, so the terms of a record with more operations seldom change.
        if after.isVisible, before.kind == after.kind, Self.haveSameBeginning(before.state, after.state) { return }
        let (filter, filterBefore) = (filterTerms(of: after, change), filterTerms(of: before, change))
        try terms.collect(after, filter, change.operations)
        try termsBefore.collect(before, filterBefore, change.operations)
        guard !after.isVisible || terms != termsBefore else { return }
        try remove(termsBefore, change, session)
        if after.isVisible { try insert(terms, change, session) }
    }

    mutating func enter(_ change: RecordChange, _ session: Session) throws {
        guard change.after.isVisible else { return }
        let filter = filterTerms(of: change.after, change)
        try terms.collect(change.after, filter, change.operations)
        try insert(terms, change, session)
    }

    /// True if the operations that search reads are the same in both states.
    private static func haveSameBeginning(_ one: RecordState, _ other: RecordState) -> Bool {
        one.operations.prefix(RecordReach.operationsMax)
            .elementsEqual(other.operations.prefix(RecordReach.operationsMax)) {
                $0.location == $1.location && $0.writes == $1.writes
            }
    }

    private mutating func filterTerms(of facts: RecordChange.Facts, _ change: RecordChange) -> [UInt8] {
        let (kind, owner) = (facts.kind, change.owner)
        if let filters, filters.kind == kind, filters.owner == owner { return filters.terms }
        let terms = Array((SearchTerms.filter(kind: kind) + " " + SearchTerms.filter(owner: owner)).utf8)
        filters = (kind, owner, terms)
        return terms
    }

    private mutating func insert(_ terms: SearchTerms, _ change: RecordChange, _ session: Session) throws {
        change.operations.noteWritten(terms)
        guard checksums == nil else {
            checksums?.add(terms, row: change.row)
            return
        }
        try session("INSERT INTO search(rowid, rest, name) VALUES(?, ?, ?)").bind(1, change.row)
            .bind(2, text: terms.rest).bind(3, text: terms.name).run()
    }

    /// FTS5 needs the entered terms for a deletion, because the index holds no text.
    private mutating func remove(_ terms: SearchTerms, _ change: RecordChange, _ session: Session) throws {
        change.operations.noteWritten(terms)
        guard checksums == nil else {
            checksums?.subtract(terms, row: change.row)
            return
        }
        try session("INSERT INTO search(search, rowid, rest, name) VALUES('delete', ?, ?, ?)").bind(1, change.row)
            .bind(2, text: terms.rest).bind(3, text: terms.name).run()
    }

    /// Compares the entries of the index with those derived from the log, by checksums.
    func compare(_ session: Session, _ report: inout VerifyReport) throws {
        guard let expected = checksums else { return }
        var found = expected
        found.removeAll()
        let sql = try session("SELECT term, doc, col, \"offset\" FROM temp.found")
        defer { sql.reset() }
        while try sql.step() {
            let column: Int64 = sql.withBytes(2) { $0.first == UInt8(ascii: "n") } ? 1 : 0
            sql.withBytes(0) { found.add($0, row: sql.int(1), column: column, position: sql.int(3)) }
        }
        report.derivedRowCount += found.entryCount
        for rows in found.differences(from: expected) {
            report.add(
                "is not what the log gives",
                at: "search for records \(rows.lowerBound) to \(rows.upperBound)",
                of: Self.name
            )
        }
    }
}
