import Foundation
import GRDB
import GRDBSQLite
import Glibc
import Synchronization

/// The directory's database: the log and the data derived from it, in one SQLite file in the node's data folder.
///
/// Calls block, and any thread may make them. Writes wait for each other; reads see the last committed state and never
/// wait for writes. Do not call the store from within the body of one of its calls.
package final class Store: Sendable {
    /// The database's file, in the data folder.
    package static let fileName = "directory.sqlite"

    /// State that only the writer's queue may use.
    final class Writer {
        var session: Session?
        var cache: WriterCache?
        /// Pages in the write-ahead log after the last commit, as far as they are not known to be copied back.
        var logPages = 0
        var lastCommit = ContinuousClock.now
        /// True after a load, until the memory that the index took for it is released.
        var isSwollen = false
        /// True if merging the index's segments had nothing left to do, and nothing was written since.
        var isOptimized = false
    }

    private struct Condition {
        /// Why further writes are refused; nil while they are allowed.
        var failure: StoreError?
    }

    private let pool: DatabasePool
    /// Used only on the pool's writer queue.
    private nonisolated(unsafe) let writer = Writer()
    private let condition = Mutex(Condition())
    private let obstacles: WriteObstacles
    let ahead = TermsAhead()
    /// The data folder's path.
    package let folder: String
    let configuration: Configuration

    var databasePath: String { folder + "/" + Self.fileName }

    // MARK: - Opening and closing

    /// Creates the database in an existing folder that has none. When this returns, the tables are on disk; when it
    /// throws, no file of the database is left in the folder.
    ///
    /// - Throws: ``StoreError`` with `alreadyExists`, `readOnly`, `diskFull`, `inputOutput`.
    package static func create(in folder: String, configuration: Configuration = Configuration()) throws -> Store {
        let path = folder + "/" + fileName
        guard !FileManager.default.fileExists(atPath: path) else {
            throw StoreError(.alreadyExists, "\(folder) holds a directory already")
        }
        // Creating the file here ensures that its mode never lets others read it.
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw StoreError(.readOnly, "cannot write in \(folder): check that it exists, its owner and its mode")
        }
        Glibc.close(file)
        do {
            return try Store(folder: folder, isNew: true, configuration: configuration)
        } catch {
            // The next attempt would mistake a partial file for a directory.
            for end in ["", "-journal", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) }
            throw error
        }
    }

    /// Opens the database of a folder and migrates tables of an older format. No other process may write to it
    /// meanwhile.
    ///
    /// A projection made by another version is marked for rebuilding by ``rebuildProjectionStep(hasher:)``.
    ///
    /// - Parameter projectionVersions: For tests: versions that replace the program's own.
    /// - Throws: ``StoreError`` with `notADataFolder`, `corrupt`, `olderFormat`, `newerFormat`, `locked`, `readOnly`,
    ///   `diskFull`, `inputOutput`.
    package static func open(
        folder: String,
        configuration: Configuration = Configuration(),
        projectionVersions: [ProjectionName: Int] = [:]
    ) throws -> Store {
        guard FileManager.default.fileExists(atPath: folder + "/" + fileName) else {
            throw StoreError(.notADataFolder, "\(folder) holds no directory")
        }
        return try Store(
            folder: folder,
            isNew: false,
            configuration: configuration,
            projectionVersions: projectionVersions
        )
    }

    private init(
        folder: String,
        isNew: Bool,
        configuration: Configuration,
        projectionVersions: [ProjectionName: Int] = [:]
    ) throws {
        self.folder = folder
        self.configuration = configuration
        let path = folder + "/" + Self.fileName
        let obstacles = WriteObstacles(patience: .seconds(configuration.busyTimeoutSeconds))
        self.obstacles = obstacles
        pool = try StoreError.mapping {
            if !isNew {
                try WriteAheadLog.saveAgain(ofDatabase: path)
                try Self.checkFormat(path, configuration, projectionVersions)
            }
            return try DatabasePool(path: path, configuration: Self.grdbConfiguration(configuration, obstacles))
        }
        try StoreError.mapping {
            try pool.writeWithoutTransaction { database in
                // GRDB sets NORMAL when it enables the write-ahead log, and a power failure may then lose commits. FULL
                // must be set before the tables are created, because callers rely on a created store.
                try database.execute(
                    sql: """
                        PRAGMA synchronous = FULL;
                        PRAGMA cache_size = -\(configuration.writerCacheKiB);
                        PRAGMA journal_size_limit = \(configuration.checkpointPages * 4096)
                        """
                )
                watchLog(database)
                if let pages = configuration.pagesMax {
                    try database.execute(sql: "PRAGMA max_page_count = \(pages)")
                }
            }
            guard try synchronous() == 2 else {
                throw StoreError(.internal, "SQLite does not keep synchronous=FULL: commits would not be safe")
            }
            try DatabaseSchema.migrator.migrate(pool)
            guard try pool.read({ try Projections.hasOutdated($0, versions: projectionVersions) }) else { return }
            try pool.write { try Projections.prepare($0, versions: projectionVersions) }
        }
    }

    private static func grdbConfiguration(
        _ configuration: Configuration,
        _ obstacles: WriteObstacles
    ) -> GRDB.Configuration {
        var result = GRDB.Configuration()
        result.label = "directory"
        result.maximumReaderCount = configuration.readersMax
        // For the writer only; readers wait for ten seconds (GRDB 7, `DatabasePool.readerConfiguration`).
        result.busyMode = .callback { obstacles.shouldTryAgain(after: $0) }
        // The tables declare no foreign keys.
        result.foreignKeysEnabled = false
        result.prepareDatabase { database in
            // 4 KiB is SQLite's default. Larger pages waste less on long rows. But each random write to the index on
            // record ids then costs a larger page in the write-ahead log. Measured in Docs/Benchmarks.md: 16 KiB save 5
            // percent of an import's time and 3 percent of the file. They quadruple the log bytes of single edits.
            try database.execute(
                sql: """
                    PRAGMA page_size = 4096;
                    PRAGMA secure_delete = ON;
                    PRAGMA temp_store = MEMORY;
                    PRAGMA cache_size = -\(configuration.readerCacheKiB)
                    """
            )
        }
        return result
    }

    /// Keeps ``Writer/logPages`` current. This replaces SQLite's own hook, which copies the log back but does not
    /// report a disk failure.
    private func watchLog(_ database: Database) {
        sqlite3_wal_hook(
            database.sqliteConnection,
            { writer, _, _, pages in
                // The store owns the writer for as long as it has the connection.
                if let writer { Unmanaged<Writer>.fromOpaque(writer).takeUnretainedValue().logPages = Int(pages) }
                return SQLITE_OK
            },
            Unmanaged.passUnretained(writer).toOpaque()
        )
    }

    /// Checks a file's format before anything may change it.
    private static func checkFormat(
        _ path: String,
        _ configuration: Configuration,
        _ projectionVersions: [ProjectionName: Int]
    ) throws {
        var look = GRDB.Configuration()
        look.busyMode = .timeout(configuration.busyTimeoutSeconds)
        let queue = try DatabaseQueue(path: path, configuration: look)
        defer { try? queue.close() }
        let (application, format) = try queue.read { database in
            (
                try Int64.fetchOne(database, sql: "PRAGMA application_id") ?? 0,
                try Int64.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            )
        }
        guard application == DatabaseSchema.applicationID else {
            throw StoreError(.notADataFolder, "\(path) is not a directory's database")
        }
        if format > DatabaseSchema.format {
            throw StoreError(
                .newerFormat,
                "the data folder has format \(format); this program reads \(DatabaseSchema.format): install the newer one"
            )
        }
        if format < DatabaseSchema.formatMin {
            throw StoreError(
                .olderFormat,
                "the data folder has format \(format), which this program no longer reads"
            )
        }
        if format >= DatabaseSchema.projectionFormatMin {
            try queue.read { try Projections.checkVersions($0, versions: projectionVersions) }
        }
    }

    /// The writer's `PRAGMA synchronous`, read back: 2 is FULL.
    package func synchronous() throws -> Int {
        try StoreError.mapping {
            try pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") ?? -1 }
        }
    }

    /// Copies the write-ahead log back into the file and closes the store. Make no call after it.
    package func close() throws {
        // Pages that cannot be copied back now stay in the log, which the next opening reads.
        obstacles.endWaiting()
        try StoreError.mapping {
            try? pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
            pool.writeWithoutTransaction { _ in
                writer.cache = nil
                writer.session = nil
            }
            try pool.close()
        }
    }

    /// Copies the write-ahead log back into the file as far as readers allow, and truncates it if they allow that.
    ///
    /// - Throws: ``StoreError``. After `inputOutput` the store takes no more writes.
    package func checkpoint() throws {
        try refusingAfterFailure {
            try pool.writeWithoutTransaction { database in
                do {
                    _ = try database.checkpoint(.truncate)
                } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
                    return
                }
            }
        }
    }

    /// Below this number of pages in the write-ahead log, an idle checkpoint is not worth its cost.
    private static let idlePagesMin = 256

    /// Copies the write-ahead log back into the file, as far as readers allow, if nothing was written for a while.
    /// Without this, the edit that exceeds the log's limit would wait for the copy of a whole load.
    ///
    /// - Returns: True if there was work to do.
    /// - Throws: ``StoreError``. After `inputOutput` the store takes no more writes.
    @discardableResult
    package func checkpoint(ifIdleFor pause: Duration) throws -> Bool {
        try refusingAfterFailure {
            try pool.writeWithoutTransaction { database in
                guard writer.logPages >= Self.idlePagesMin, writer.lastCommit.duration(to: .now) >= pause else {
                    return false
                }
                try checkpointQuietly(database)
                writer.logPages = 0
                return true
            }
        }
    }

    /// Approximate pages of the index that one step of ``optimize(ifIdleFor:)`` writes: some 20 ms.
    private static let optimizePages = 300

    /// Merges segments of the search index, one step, if nothing else was written for a while. A load leaves many
    /// segments; without this, the edit that exceeds their limit would wait for the merge.
    ///
    /// - Returns: True if there is more to do.
    /// - Throws: ``StoreError``. After `inputOutput` the store takes no more writes.
    package func optimize(ifIdleFor pause: Duration) throws -> Bool {
        try refusingAfterFailure {
            try pool.writeWithoutTransaction { database in
                let last = writer.lastCommit
                guard !writer.isOptimized, last.duration(to: .now) >= pause else { return false }
                let isMore = try transact(database, whileRebuilding: true) { transaction in
                    let before = transaction.session.totalChanges
                    try transaction.session("INSERT INTO search(search, rank) VALUES('merge', ?)")
                        .bind(1, Int64(Self.optimizePages)).run()
                    // The statement itself counts as one change (SQLite's documentation of FTS5, section 6.8).
                    return transaction.session.totalChanges - before >= 2
                }
                writer.lastCommit = last
                writer.isOptimized = !isMore
                if !isMore, writer.isSwollen {
                    try writer.session?.forgetSchema()
                    writer.isSwollen = false
                }
                return isMore
            }
        }
    }

    /// Tests whether writes succeed, if the last one failed or none was made for a while. So an idle store notices
    /// another program's lock, and that a disk has room again. It waits for no lock.
    ///
    /// - Throws: ``StoreError``: the reason that prevents writes. After `inputOutput` the store takes no more writes.
    package func probe(ifIdleFor pause: Duration) throws {
        try refusingAfterFailure {
            try pool.writeWithoutTransaction { database in
                let last = writer.lastCommit
                guard obstacles.hasFailed || last.duration(to: .now) >= pause else { return }
                let wasOptimized = writer.isOptimized
                try obstacles.withoutWaiting {
                    try transact(database, whileRebuilding: true) { transaction in
                        // Taking the lock writes nothing. After a failure, one page is written unchanged.
                        guard obstacles.hasFailed else { return }
                        try transaction.session("UPDATE meta SET value = value WHERE key = (SELECT min(key) FROM meta)")
                            .run()
                    }
                }
                writer.lastCommit = last
                writer.isOptimized = wasOptimized
            }
        }
    }

    /// Whether the store can be written now, as far as known. Never waits.
    package var health: StoreHealth { obstacles.health(ofDatabase: databasePath) }

    /// Ends every present and future wait for another program's lock as if it had timed out. For a process that stops.
    package func endWaiting() { obstacles.endWaiting() }

    /// The sizes of the file and of its write-ahead log, in bytes.
    package func fileSizes() -> (database: Int, log: Int) {
        func size(_ path: String) -> Int {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            return (attributes?[.size] as? NSNumber)?.intValue ?? 0
        }
        return (size(databasePath), size(databasePath + "-wal"))
    }

    // MARK: - Transactions

    /// Runs `body` in one durable transaction. When this returns, the changes are on disk. When it throws, no change is
    /// kept, except perhaps after `inputOutput`.
    ///
    /// - Throws: ``StoreError``, and any error of `body`. After `inputOutput` the store takes no more writes, and the
    ///   next opening keeps this one as a whole or not at all.
    package func write<Result>(_ body: (inout WriteTransaction) throws -> Result) throws -> Result {
        try write(whileRebuilding: false, body)
    }

    func write<Result>(
        whileRebuilding: Bool,
        _ body: (inout WriteTransaction) throws -> Result
    ) throws -> Result {
        try refusingAfterFailure {
            try pool.writeWithoutTransaction { database in
                try transact(database, whileRebuilding: whileRebuilding, body)
            }
        }
    }

    /// Runs `body`, unless the disk has failed before. If the disk fails now, all later calls throw the same error.
    private func refusingAfterFailure<Result>(_ body: () throws -> Result) throws -> Result {
        if let failure = condition.withLock({ $0.failure }) { throw failure }
        do {
            return try StoreError.mapping(body)
        } catch let error as StoreError {
            obstacles.failed(error)
            if error.code == .inputOutput { condition.withLock { $0.failure = error } }
            throw error
        }
    }

    /// A transaction that changes at least this number of rows counts as a load: some hundred records. A guess.
    private static let loadRowsMin = 2_000

    private func transact<Result>(
        _ database: Database,
        whileRebuilding: Bool,
        _ body: (inout WriteTransaction) throws -> Result
    ) throws -> Result {
        let session: Session
        if let known = writer.session {
            session = known
        } else {
            session = try Session(database)
            writer.session = session
        }
        var result: Result?
        let changesBefore = session.totalChanges
        do {
            try database.inTransaction(.immediate) {
                obstacles.acquiredLock()
                let cache = try writer.cache ?? WriterCache(session)
                writer.cache = cache
                if !whileRebuilding, try RebuildMark.read(session) != nil {
                    throw StoreError(.rebuilding, "a rebuild was begun and not finished")
                }
                var transaction = WriteTransaction(session: session, cache: cache, ahead: ahead)
                result = try body(&transaction)
                try transaction.flush()
                return .commit
            }
        } catch {
            // The caches hold changes that are not in the file.
            writer.cache = nil
            session.forget()
            throw error
        }
        guard let result else { throw StoreError(.internal, "a transaction without a result") }
        writer.lastCommit = .now
        writer.isOptimized = false
        if session.totalChanges != changesBefore { obstacles.written() }
        if session.totalChanges - changesBefore >= Self.loadRowsMin { writer.isSwollen = true }
        try checkpointIfLong(database)
        return result
    }

    /// Copies a long write-ahead log back, as far as readers allow.
    ///
    /// - Throws: An error if the disk fails. The commit before it is durable, but no later write may go to this disk.
    private func checkpointIfLong(_ database: Database) throws {
        guard writer.logPages >= configuration.checkpointPages else { return }
        try checkpointQuietly(database)
    }

    private func checkpointQuietly(_ database: Database) throws {
        do {
            _ = try database.checkpoint(.passive)
        } catch let error as DatabaseError where error.resultCode != .SQLITE_IOERR {
            // No room, or a reader blocks the copy: the log stays as it is, and the next commit tries again.
        }
    }

    /// Runs `body` on a snapshot of the committed state. All its reads see one state, and no writer waits for it.
    ///
    /// - Throws: ``StoreError``, and any error of `body`.
    package func read<Result>(_ body: (ReadTransaction) throws -> Result) throws -> Result {
        try StoreError.mapping {
            try pool.read { database in try body(ReadTransaction(try Session(database))) }
        }
    }

    /// Drops the writer's cache; the next transaction reads it again.
    func forgetCaches() {
        pool.writeWithoutTransaction { _ in writer.cache = nil }
    }

    // MARK: - For tests

    /// The work of the writer's transactions since the store was opened, or since one of them failed.
    package func work() -> StoreWork {
        pool.writeWithoutTransaction { _ in writer.cache?.work ?? StoreWork() }
    }

    /// Approximate bytes of field paths that the writer keeps, and the maximum. Peers cannot make it exceed the
    /// maximum.
    package func fieldCacheBytes() -> (kept: Int, max: Int) {
        pool.writeWithoutTransaction { _ in (writer.cache?.fields.byteCount ?? 0, FieldNames.keptBytesMax) }
    }

    /// Approximate bytes kept from ``prepare(_:root:)``, and the maximum.
    package var preparedBytes: (kept: Int, max: Int) { (ahead.byteCount, 2 * TermsAhead.bytesMax) }

    // MARK: - For tools of this target

    /// Runs `body` on the writer's connection, outside any transaction.
    func withWriter<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try StoreError.mapping { try pool.writeWithoutTransaction(body) }
    }
}
