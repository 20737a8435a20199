import GRDB

/// Why the directory's database could not do what was asked of it.
package struct StoreError: Error, Equatable, CustomStringConvertible {
    /// What kind of failure it is; programs decide by it. More may be added.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Name: String {
            case notADataFolder, alreadyExists, corrupt, diskFull, readOnly, olderFormat, newerFormat, locked
            case inputOutput, rebuilding, projectionRebuilding, closed, `internal`
        }

        private let name: Name

        /// There is no directory's database in the folder, or the file is another program's.
        package static let notADataFolder = Code(name: .notADataFolder)
        /// The folder holds a database already, so none is created.
        package static let alreadyExists = Code(name: .alreadyExists)
        /// The file's contents are damaged.
        package static let corrupt = Code(name: .corrupt)
        /// No room left; nothing of the transaction was kept, and the store may be used on.
        package static let diskFull = Code(name: .diskFull)
        /// The file or its folder may not be written.
        package static let readOnly = Code(name: .readOnly)
        /// The database was written by an older program in a format that this one does not read.
        package static let olderFormat = Code(name: .olderFormat)
        /// The database was written by a newer program.
        package static let newerFormat = Code(name: .newerFormat)
        /// Another process has the database in use.
        package static let locked = Code(name: .locked)
        /// The system could not read or write. **Fatal for the process**: what is on disk is unknown until the file is
        /// opened anew, and until then this store refuses every write.
        package static let inputOutput = Code(name: .inputOutput)
        /// What is derived is being made anew; until it is done, nothing else is written.
        package static let rebuilding = Code(name: .rebuilding)
        /// A projection that a read needs is being rebuilt; it can be read when that is done.
        package static let projectionRebuilding = Code(name: .projectionRebuilding)
        /// The store was closed.
        package static let closed = Code(name: .closed)
        /// A fault of this program.
        package static let `internal` = Code(name: .internal)

        package var description: String { name.rawValue }
    }

    /// A remedy for damaged data other than a backup.
    package enum Repair: Hashable, Sendable {
        /// Check the folder, to learn what is damaged.
        case verify
        /// Rebuild what is derived from the log.
        case rebuild
    }

    package let code: Code
    /// What happened, for people.
    package let message: String
    /// The remedy; nil except with `corrupt`, and nil there where the log itself is damaged.
    package let repair: Repair?
    /// The error below it.
    package let cause: (any Error)?

    init(_ code: Code, _ message: String, repair: Repair? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.repair = repair
        self.cause = cause
    }

    /// True if the process should end rather than go on with this store.
    package var isFatal: Bool { code == .inputOutput || code == .corrupt }

    /// True if another program's lock was in the way: the same may be tried again, and nothing of it was done.
    package var isPassing: Bool { code == .locked }

    package var description: String { "\(code): \(message)" }
    /// Errors are told apart by their codes alone.
    package static func == (left: StoreError, right: StoreError) -> Bool { left.code == right.code }
}

extension StoreError {
    /// What an error of SQLite's means for a directory.
    init(_ error: DatabaseError) {
        let detail = error.message ?? "code \(error.extendedResultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self.init(
                .corrupt,
                "the directory's database is damaged (\(detail))",
                repair: .verify,
                cause: error
            )
        case .SQLITE_FULL:
            self.init(
                .diskFull,
                "no room left on the disk: this write was given up, all before it is whole; free some room and try again",
                cause: error
            )
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN:
            self.init(
                .readOnly,
                "the directory's database cannot be opened for writing (\(detail)): check the folder's owner and mode",
                cause: error
            )
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self.init(
                .locked,
                "another program holds a lock on the directory's database, so nothing was done: "
                    + "try again when it has let go of it",
                cause: error
            )
        case .SQLITE_IOERR:
            self.init(
                .inputOutput,
                "the disk failed (\(detail)): the node must stop; check the disk, then start it again",
                cause: error
            )
        case .SQLITE_MISUSE where detail.contains("closed"):
            self.init(.closed, "the directory's database was closed", cause: error)
        default:
            self.init(.internal, "the database refused: \(detail)", cause: error)
        }
    }

    /// A projection that is not whole yet.
    static func rebuilding(_ projection: ProjectionName) -> StoreError {
        StoreError(
            .projectionRebuilding,
            "\(projection.title) is being rebuilt: try again when 'status' tells no more of it"
        )
    }

    /// Bytes in a table that this program never wrote there.
    static func damaged(_ location: String) -> StoreError {
        // What is derived can be made anew; the log itself cannot.
        let isLog = ["operation", "delta", "log", "shape"].contains { location.hasSuffix("table \($0)") }
        return isLog
            ? StoreError(
                .corrupt,
                "\(location), a part of the log, is damaged: restore a backup; other members' nodes send what is lacking"
            ) : StoreError(.corrupt, "\(location) is damaged", repair: .rebuild)
    }

    /// Runs `body`; errors of SQLite come out as errors of the store, all others as they are.
    static func mapping<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as DatabaseError {
            throw StoreError(error)
        }
    }
}
