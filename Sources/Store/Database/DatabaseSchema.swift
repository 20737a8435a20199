import GRDB

/// The tables of the database, and the migrations of earlier formats.
///
/// **Truth**: ``truth``, in which `refusal` and `peer` record the contacts with peers. **Derived** from it, and rebuilt
/// by ``Store/rebuild(applier:progress:)``: ``catalog``, which holds the state of the records, and the tables of the
/// projections (``Projection``), which can also be rebuilt one by one.
enum DatabaseSchema {
    /// Distinguishes SQLite files of this program from others ("Hans").
    static let applicationID: Int64 = 0x4861_6E73
    /// The format of the tables that this program writes. A file with a newer format is refused; an older one is
    /// migrated. Each projection has a separate version for its tables.
    static let format: Int64 = 5
    /// The oldest format that this program reads.
    static let formatMin: Int64 = 1
    /// The first format with the table ``projection``.
    static let projectionFormatMin: Int64 = 5

    /// A new file gets the current tables in the first step; the later steps then do nothing.
    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1: log and directory") { database in
            for table in truth + catalog + [projection] { try table.create(in: database) }
            for type in Projections.types {
                try type.create(in: database)
                try note(type.name, version: type.version, in: database)
            }
            try database.execute(sql: whole)
            try database.execute(
                sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(format)"
            )
        }
        register("2: what a log's headers share once", format: 2, &migrator) { database in
            try database.execute(
                sql: """
                    ALTER TABLE log ADD COLUMN start BLOB NOT NULL DEFAULT x'';
                    ALTER TABLE log ADD COLUMN finish BLOB NOT NULL DEFAULT x'';
                    ALTER TABLE delta ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;
                    """
            )
            try database.execute(sql: whole)
        }
        register("3: what is derived is a function of the deltas held", format: 3, &migrator) { database in
            try database.execute(sql: withoutTraces)
            // Earlier formats indexed and compared all live operations of wide records.
            try projection.create(in: database)
            for name in [ProjectionName.search, .conflicts] { try note(name, version: 0, in: database) }
        }
        register("4: bounds of logs", format: 4, &migrator) { database in
            try database.execute(sql: "ALTER TABLE log ADD COLUMN bound INTEGER")
        }
        register("5: versions of projections", format: 5, &migrator) { database in
            for table in catalog + [projection] { try table.create(in: database) }
            // The first versions are those that the tables of format 4 have.
            for name in ProjectionName.allCases { try note(name, version: 1, in: database) }
        }
        return migrator
    }()

    private static func register(
        _ name: String,
        format: Int64,
        _ migrator: inout DatabaseMigrator,
        _ body: @escaping @Sendable (Database) throws -> Void
    ) {
        migrator.registerMigration(name) { database in
            guard try Int64.fetchOne(database, sql: "PRAGMA user_version") ?? 0 < format else { return }
            try body(database)
            try database.execute(sql: "PRAGMA user_version = \(format)")
        }
    }

    /// Records the version of a projection's tables, unless a version is recorded already.
    private static func note(_ name: ProjectionName, version: Int, in database: Database) throws {
        try database.execute(
            sql: "INSERT OR IGNORE INTO projection(name, version, cursor) VALUES(?, ?, NULL)",
            arguments: [name.rawValue, version]
        )
    }

    /// Rows are compact, because a database has millions of them: hashes are blobs, and repeated values are numbers.
    ///
    /// An operation that creates a record cites nothing. Its envelope differs only by the record's key from those of
    /// other records with the same fields. The bytes after the key, the shape, are stored once (``Shapes``).
    static let truth = [
        Table("meta", "(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"),
        Table("statement", "(id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID"),
        Table("announcement", "(node BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID"),
        Table(
            "invitation",
            """
            (
                key BLOB PRIMARY KEY, expires INTEGER NOT NULL, name TEXT, isOwn INTEGER NOT NULL,
                createdAt INTEGER NOT NULL, redeemer BLOB, redeemedAt INTEGER, isRevoked INTEGER NOT NULL DEFAULT 0
            ) WITHOUT ROWID
            """
        ),
        Table(
            "refusal",
            """
            (
                id INTEGER PRIMARY KEY, author BLOB NOT NULL, incarnation INTEGER NOT NULL, sequence INTEGER NOT NULL,
                code INTEGER NOT NULL, reason TEXT NOT NULL, peer BLOB NOT NULL, time INTEGER NOT NULL,
                count INTEGER NOT NULL, UNIQUE(author, incarnation, sequence, code, peer)
            )
            """
        ),
        Table("peer", "(node BLOB PRIMARY KEY, time INTEGER NOT NULL, note TEXT NOT NULL) WITHOUT ROWID"),
        log,
        Table(
            "delta",
            """
            (
                id INTEGER PRIMARY KEY, log INTEGER NOT NULL, sequence INTEGER NOT NULL, count INTEGER NOT NULL,
                header BLOB NOT NULL, signature BLOB NOT NULL, hash BLOB NOT NULL, cut INTEGER NOT NULL DEFAULT 0,
                UNIQUE(log, sequence)
            )
            """
        ),
        Table("shape", "(number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)"),
        Table(
            "operation",
            "(id INTEGER PRIMARY KEY, shape INTEGER NOT NULL, envelope BLOB NOT NULL, content BLOB NOT NULL)"
        ),
    ]

    /// All headers of a log begin with the same alliance, author and incarnation. These bytes are stored once, in
    /// `start`. Most headers that list no fields end with the organization of the first header. These bytes are stored
    /// once, in `finish`; `delta.cut` tells that they were left out. `delta.header` holds the rest. A log begun by
    /// format 1 has neither, and its rows hold whole headers.
    ///
    /// `bound` is the last sequence of the log that derived data includes; NULL for all.
    /// ``Store/relimit(_:to:applier:)`` sets it, and a rebuild keeps it.
    static let log = Table(
        "log",
        """
        (
            id INTEGER PRIMARY KEY, author BLOB NOT NULL, incarnation INTEGER NOT NULL,
            sequence INTEGER NOT NULL, hash BLOB, start BLOB NOT NULL DEFAULT x'', finish BLOB NOT NULL DEFAULT x'',
            bound INTEGER, UNIQUE(author, incarnation)
        )
        """
    )

    /// Deltas with whole headers.
    private static let whole = """
        CREATE VIEW whole AS
            SELECT id, log, sequence, count,
                CAST(
                    (SELECT start FROM log WHERE log.id = delta.log) || header
                    || CASE cut WHEN 0 THEN x'' ELSE (SELECT finish FROM log WHERE log.id = delta.log) END AS BLOB
                ) AS header, signature, hash
            FROM delta;
        """

    /// The state of the catalog. A rebuild empties these tables; the numbers of logs stay.
    ///
    /// The writer looks up numbers of paths by `field_path` instead of holding all paths in memory: peers choose how
    /// many there are. `record.short` is the first 4 bytes of the record's id, and `rest` the other 28. The index on
    /// `short` is kept small: at a million records, a batch of new records writes mostly to its leaves. The columns
    /// `kind`, `shown` and `trouble` of `record` belong to projections. When a record is derived again, its dangling
    /// references are removed by the index `waiting_record`.
    static let catalog = [
        Table(
            "field",
            "(number INTEGER PRIMARY KEY, path BLOB NOT NULL)",
            indexes: [TableIndex(name: "field_path", definition: "(path)", covering: "path >= x''", key: "number")],
            order: "number"
        ),
        Table(
            "organization",
            "(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE)",
            order: "number"
        ),
        // A kind without records may still have its number.
        Table(
            "kind",
            "(number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE)",
            order: "number",
            compared: "number IN (SELECT kind FROM main.tally)"
        ),
        record,
        Table(
            "aside",
            "(operation INTEGER PRIMARY KEY, record BLOB NOT NULL, why INTEGER NOT NULL)",
            indexes: [
                TableIndex(name: "aside_record", definition: "(record)", covering: "record >= x''", key: "operation")
            ],
            order: "operation"
        ),
        Table(
            "waiting",
            """
            (
                log INTEGER, sequence INTEGER, position INTEGER, record BLOB, field INTEGER, prefix INTEGER, number INTEGER,
                PRIMARY KEY(log, sequence, position, record, field, prefix, number)
            ) WITHOUT ROWID
            """,
            indexes: [
                TableIndex(name: "waiting_record", definition: "(record)", covering: "record >= x''", key: "position")
            ],
            order: "log, sequence, position, record, field, prefix, number"
        ),
        Table(
            "total",
            "(organization INTEGER PRIMARY KEY, digest BLOB NOT NULL, shown INTEGER NOT NULL)",
            order: "organization"
        ),
    ]

    static let record = Table(
        "record",
        """
        (
            id INTEGER PRIMARY KEY, short INTEGER NOT NULL, owner INTEGER NOT NULL, kind INTEGER NOT NULL,
            shown INTEGER NOT NULL, trouble INTEGER NOT NULL, rest BLOB NOT NULL, state BLOB NOT NULL, key BLOB
        )
        """,
        indexes: [TableIndex(name: "record_short", definition: "(short)", covering: "short >= 0", key: "id")],
        order: "id"
    )

    /// The columns of ``record`` that belong to the catalog; the projections own the others.
    static let recordColumns = ["id", "short", "owner", "rest", "state", "key"]

    /// The version and the cursor of each projection (``Projections``).
    static let projection = Table(
        "projection",
        "(name TEXT PRIMARY KEY, version INTEGER NOT NULL, cursor INTEGER) WITHOUT ROWID"
    )

    /// Earlier formats could keep the kind of a record that is no longer visible, and counts of zero. This depended on
    /// the order in which deltas arrived.
    private static let withoutTraces = """
        UPDATE record SET kind = 0 WHERE shown = 0 AND kind != 0;
        DELETE FROM tally WHERE shown = 0;
        DELETE FROM total WHERE shown = 0 AND digest = zeroblob(32);
        """
}
