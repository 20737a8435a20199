import GRDB

/// Why an operation on the directory's database failed.
package struct StoreError: Error, Equatable, CustomStringConvertible {
    /// The kind of failure, for decisions in code. More kinds may be added.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Name: String {
            case notADataFolder, alreadyExists, corrupt, diskFull, readOnly, olderFormat, newerFormat, locked
            case inputOutput, rebuilding, projectionRebuilding, closed, `internal`
        }

        private let name: Name

        /// The folder has no directory database, or the file belongs to another program.
        package static let notADataFolder = Code(name: .notADataFolder)
        /// The folder holds a database already, so none is created.
        package static let alreadyExists = Code(name: .alreadyExists)
        /// The file's contents are damaged.
        package static let corrupt = Code(name: .corrupt)
        /// No room is left. Nothing of the transaction was kept, and the store remains usable.
        package static let diskFull = Code(name: .diskFull)
        /// The file or its folder may not be written.
        package static let readOnly = Code(name: .readOnly)
        /// The database was written by an older program in a format that this one does not read.
        package static let olderFormat = Code(name: .olderFormat)
        /// The database was written by a newer program.
        package static let newerFormat = Code(name: .newerFormat)
        /// Another process has the database in use.
        package static let locked = Code(name: .locked)
        /// The system could not read or write. **Fatal for the process**: the state of the disk is unknown until the
        /// file is opened again. This store refuses every write from then on.
        package static let inputOutput = Code(name: .inputOutput)
        /// Derived data is being rebuilt; no other write is accepted until the rebuild is done.
        package static let rebuilding = Code(name: .rebuilding)
        /// A projection that the read needs is being rebuilt; it can be read after the rebuild.
        package static let projectionRebuilding = Code(name: .projectionRebuilding)
        /// The store was closed.
        package static let closed = Code(name: .closed)
        /// A fault of this program.
        package static let `internal` = Code(name: .internal)

        package var description: String { name.rawValue }
    }

    /// A remedy for damaged data other than a backup.
    package enum Repair: Hashable, Sendable {
        /// Verify the folder to find the damage.
        case verify
        /// Rebuild the data derived from the log.
        case rebuild
    }

    package let code: Code
    /// A description of the failure, for people.
    package let message: String
    /// The remedy. Set only with `corrupt`, and nil if the log itself is damaged.
    package let repair: Repair?
    /// The underlying error.
    package let cause: (any Error)?

    init(_ code: Code, _ message: String, repair: Repair? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.repair = repair
        self.cause = cause
    }

    /// True if the process should end instead of using this store further.
    package var isFatal: Bool { code == .inputOutput || code == .corrupt }

    /// True if another program's lock prevented the operation. Nothing was done, and a retry may succeed.
    package var isPassing: Bool { code == .locked }

    package var description: String { "\(code): \(message)" }
    /// Errors are equal if their codes are.
    package static func == (left: StoreError, right: StoreError) -> Bool { left.code == right.code }
}

extension StoreError {
    /// Maps an error of SQLite to an error of the store.
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

    /// The error for a read of a projection that is not whole yet.
    static func rebuilding(_ projection: ProjectionName) -> StoreError {
        StoreError(
            .projectionRebuilding,
            "\(projection.title) is being rebuilt: try again when 'status' tells no more of it"
        )
    }

    /// The error for bytes in a table that this program never wrote there.
    static func damaged(_ location: String) -> StoreError {
        // Derived data can be rebuilt; the log cannot.
        let isLog = ["operation", "delta", "log", "shape"].contains { location.hasSuffix("table \($0)") }
        return isLog
            ? StoreError(
                .corrupt,
                "\(location), a part of the log, is damaged: restore a backup; other members' nodes send what is lacking"
            ) : StoreError(.corrupt, "\(location) is damaged", repair: .rebuild)
    }

    /// Runs `body` and converts errors of SQLite to errors of the store; other errors pass unchanged.
    static func mapping<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as DatabaseError {
            throw StoreError(error)
        }
    }
}
