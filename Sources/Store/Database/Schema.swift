import GRDB

/// The tables, and how they came to be.
///
/// **Truth**: `meta`, `statement`, `announcement`, `invitation`, `log`, `delta`, `shape`, `operation`; what peers told is in
/// `refusal` and `peer`. **Derived** from it, and made anew by a rebuild: everything in ``derivedTables`` and `search`.
enum Schema {
    /// Tells SQLite files of this program from others ("Hans").
    static let applicationID: Int64 = 0x4861_6E73
    /// The format of the tables that this program writes. A file with a newer one is refused; an older one is brought up
    /// to date.
    static let format: Int64 = 4
    /// The oldest format that can be.
    static let formatMin: Int64 = 1

    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1: log and directory") { database in
            try database.execute(sql: truth)
            try database.execute(sql: derived)
            try database.execute(sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = 1")
        }
        migrator.registerMigration("2: what a log's headers share once") { database in
            try database.execute(sql: headerEnds)
            try database.execute(sql: "PRAGMA user_version = 2")
        }
        migrator.registerMigration("3: what is derived is a function of the deltas held") { database in
            try database.execute(sql: fieldIndex)
            try database.execute(sql: withoutTraces)
            try WriteTransaction.deriveWideRecordsAnew(database)
            try database.execute(sql: "PRAGMA user_version = 3")
        }
        migrator.registerMigration("4: bounds of logs") { database in
            try database.execute(sql: bounds)
            try database.execute(sql: waitingIndex)
            try database.execute(sql: "PRAGMA user_version = 4")
        }
        return migrator
    }()

    /// Rows are as small as they can be, since a million of them count: hashes are blobs, what repeats is a number.
    ///
    /// An operation that creates a record cites nothing, so its envelope is that of every other record with the same
    /// fields but for the record's key. What follows the key, its shape, is kept once (``Shapes``).
    static let truth = """
        CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE statement(id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE announcement(node BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE invitation(
            key BLOB PRIMARY KEY, expires INTEGER NOT NULL, name TEXT, isOwn INTEGER NOT NULL,
            createdAt INTEGER NOT NULL, redeemer BLOB, redeemedAt INTEGER, isRevoked INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID;
        CREATE TABLE refusal(
            id INTEGER PRIMARY KEY, author BLOB NOT NULL, incarnation INTEGER NOT NULL, sequence INTEGER NOT NULL,
            code INTEGER NOT NULL, reason TEXT NOT NULL, peer BLOB NOT NULL, time INTEGER NOT NULL,
            count INTEGER NOT NULL, UNIQUE(author, incarnation, sequence, code, peer)
        );
        CREATE TABLE peer(node BLOB PRIMARY KEY, time INTEGER NOT NULL, note TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE log(
            id INTEGER PRIMARY KEY, author BLOB NOT NULL, incarnation INTEGER NOT NULL,
            sequence INTEGER NOT NULL, hash BLOB, UNIQUE(author, incarnation)
        );
        CREATE TABLE delta(
            id INTEGER PRIMARY KEY, log INTEGER NOT NULL, sequence INTEGER NOT NULL, count INTEGER NOT NULL,
            header BLOB NOT NULL, signature BLOB NOT NULL, hash BLOB NOT NULL, UNIQUE(log, sequence)
        );
        CREATE TABLE shape(number INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
        CREATE TABLE operation(
            id INTEGER PRIMARY KEY, shape INTEGER NOT NULL, envelope BLOB NOT NULL, content BLOB NOT NULL
        );
        """

    /// All headers of a log begin with the same alliance, author and incarnation: those bytes, its `start`, are kept once.
    /// Nearly all that list no fields end with the organization of the first: its `finish`, which `delta.cut` says was left
    /// out. `delta.header` holds the rest. A log that format 1 began has neither, and whole headers.
    static let headerEnds = """
        ALTER TABLE log ADD COLUMN start BLOB NOT NULL DEFAULT x'';
        ALTER TABLE log ADD COLUMN finish BLOB NOT NULL DEFAULT x'';
        ALTER TABLE delta ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;
        CREATE VIEW whole AS
            SELECT id, log, sequence, count,
                CAST(
                    (SELECT start FROM log WHERE log.id = delta.log) || header
                    || CASE cut WHEN 0 THEN x'' ELSE (SELECT finish FROM log WHERE log.id = delta.log) END AS BLOB
                ) AS header, signature, hash
            FROM delta;
        """

    /// `record.short` is the first 4 bytes of the record's id, and `rest` the other 28. The index on it has no room for
    /// more: at a million records its leaves are what a batch of new ones writes to most.
    ///
    /// The index gathers terms in 16 MiB of memory before it writes a segment, instead of 1 MiB: a transaction then gives
    /// one segment, and merging them costs less (measured: 8 percent of an import, for 1.7 percent of the file). Eight of a
    /// level are merged, instead of four (measured: another 8 percent). It keeps no lengths of documents (`columnsize`),
    /// since its own ranking is not used.
    static let derived = """
        CREATE TABLE field(number INTEGER PRIMARY KEY, path BLOB NOT NULL);
        CREATE TABLE organization(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);
        CREATE TABLE kind(number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);
        CREATE TABLE record(
            id INTEGER PRIMARY KEY, short INTEGER NOT NULL, owner INTEGER NOT NULL, kind INTEGER NOT NULL,
            shown INTEGER NOT NULL, trouble INTEGER NOT NULL, rest BLOB NOT NULL, state BLOB NOT NULL, key BLOB
        );
        CREATE INDEX record_short ON record(short);
        CREATE INDEX record_listing ON record(kind, owner) WHERE shown = 1;
        CREATE INDEX record_trouble ON record(trouble) WHERE trouble > 0;
        CREATE TABLE touch(record INTEGER, operation INTEGER, PRIMARY KEY(record, operation)) WITHOUT ROWID;
        CREATE TABLE aside(operation INTEGER PRIMARY KEY, record BLOB NOT NULL, why INTEGER NOT NULL);
        CREATE INDEX aside_record ON aside(record);
        CREATE TABLE waiting(
            log INTEGER, sequence INTEGER, position INTEGER, record BLOB, field INTEGER, prefix INTEGER, number INTEGER,
            PRIMARY KEY(log, sequence, position, record, field, prefix, number)
        ) WITHOUT ROWID;
        CREATE TABLE total(organization INTEGER PRIMARY KEY, digest BLOB NOT NULL, shown INTEGER NOT NULL);
        CREATE TABLE tally(
            kind INTEGER, owner INTEGER, shown INTEGER NOT NULL, PRIMARY KEY(kind, owner)
        ) WITHOUT ROWID;
        CREATE VIRTUAL TABLE search USING fts5(rest, name, content = '', columnsize = 0, tokenize = 'ascii');
        INSERT INTO search(search, rank) VALUES('hashsize', 16777216);
        INSERT INTO search(search, rank) VALUES('automerge', 8);
        """

    /// The writer looks up numbers of paths by it instead of holding all paths in memory: peers choose how many there are.
    static let fieldIndex = "CREATE INDEX field_path ON field(path);"

    /// `log.bound` is the last sequence of the log by which what is derived stands; NULL for all. It is set by
    /// ``Store/relimit(_:to:applier:)`` and stays in a rebuild.
    private static let bounds = "ALTER TABLE log ADD COLUMN bound INTEGER;"

    /// A record that is derived again gives up the citations that wait.
    static let waitingIndex = "CREATE INDEX waiting_record ON waiting(record);"

    /// Earlier formats kept the kind of a record that is no longer shown, and counts of what is no longer there: whether they
    /// did depended on the order in which deltas came.
    private static let withoutTraces = """
        UPDATE record SET kind = 0 WHERE shown = 0 AND kind != 0;
        DELETE FROM tally WHERE shown = 0;
        DELETE FROM total WHERE shown = 0 AND digest = zeroblob(32);
        """

    /// Tables that a rebuild empties, beside `search`. Numbers given to logs stay.
    static let derivedTables = [
        "field", "organization", "kind", "record", "touch", "aside", "waiting", "total", "tally",
    ]
}
