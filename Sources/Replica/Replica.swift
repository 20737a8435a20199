package import Catalog
package import DeltaLog
import Dispatch
package import Governance
import Interchange
package import Store

/// One organization's copy of the alliance's directory, opened for work: the store, the keys, and the writer of this node's
/// own log.
///
/// A running node and a command without a running node use it alike. One process at a time has it open (see
/// ``FolderLock``). One queue does all writing, in order (``WriterQueue``); no method blocks a thread of Swift's pool.
package final class Replica: Sendable {
    package let folder: DataFolder
    package let charter: Charter
    package let alliance: AllianceID
    package let organization: OrganizationID
    package let node: NodeKey
    package let signer: KeySigner
    package let cryptography: SystemCryptography
    package let applier: DeltaApplier<SystemCryptography>
    /// Writes the own log.
    package let ownLog: OwnLogWriter
    let members: KnownMembers
    let writer: WriterQueue

    /// For reads; only ``writer`` writes.
    private let store: Store
    private let lock: FolderLock
    private let readers = DispatchQueue(label: "hansa.readers", attributes: .concurrent)

    /// Digest and number of records after a write.
    package struct StoredTotals: Hashable, Sendable {
        package let digest: CatalogDigest
        package let records: UInt64

        init(_ totals: ReadTransaction.Totals) {
            digest = totals.digest
            records = UInt64(clamping: totals.shown)
        }
    }

    /// Keys of the node's own values in the store.
    package enum MetaKey {
        package static let charter = "charter"
        package static let organization = "organization"
        package static let node = "node"
        package static let log = "log"
    }

    /// Opens a folder.
    ///
    /// - Parameter patience: How long to wait for another process that has it open.
    /// - Throws: ``Failure``: ``Reason/noNodeHere``, ``Reason/folderInUse``, ``Reason/databaseLocked``, and the faults of
    ///   the disk, the key or the data.
    package init(opening folder: DataFolder, patience: Duration = .zero) throws {
        try NodeFolder.requireNode(folder)
        lock = try FolderLock(folder, patience: patience)
        let cryptography = SystemCryptography()
        let signer = try folder.loadNodeKey()
        let node = NodeKey(signer.publicKey)
        let store = try Self.translating { try Store.open(folder: folder.path) }
        let loaded = try Self.translating { try store.read(Loaded.init) }
        guard let bytes = loaded.charter, let charter = Charter(bytes: bytes),
            let organization = loaded.organization.flatMap({ OrganizationID(bytes: $0) })
        else {
            throw Failure(
                .folderIncomplete,
                "\(folder.path) is incomplete; delete it and found or join again, or restore a backup"
            )
        }
        guard loaded.node == node.bytes else {
            throw Failure(.wrongKey, "\(folder.nodeKey) is not the key of the node that this folder belongs to")
        }
        let alliance = charter.alliance(cryptography)
        let governance = try GovernanceSet(
            stored: loaded.statements,
            in: folder,
            alliance: alliance,
            cryptography: cryptography
        )
        self.folder = folder
        self.cryptography = cryptography
        self.signer = signer
        self.node = node
        self.store = store
        self.charter = charter
        self.organization = organization
        self.alliance = alliance
        applier = DeltaApplier(alliance: alliance, hasher: cryptography)
        members = KnownMembers(
            Roster(charter: charter, statements: governance, hasher: cryptography),
            forks: governance.forks
        )
        writer = WriterQueue(store)
        ownLog = OwnLogWriter(
            writer,
            applier: applier,
            organization: organization,
            signer: signer,
            token: VolatileToken(folder: folder, hasher: cryptography),
            last: loaded.last,
            isForked: loaded.last.map { governance.forks[$0.log] != nil } ?? false
        )
    }

    /// The parts of the store that opening needs.
    private struct Loaded {
        let charter: [UInt8]?
        let organization: [UInt8]?
        let node: [UInt8]?
        let statements: [[UInt8]]
        /// The log that this node wrote last.
        let last: (log: LogID, head: Head?, stamp: Stamp?)?

        init(_ reading: ReadTransaction) throws {
            charter = try reading.meta(MetaKey.charter)
            organization = try reading.meta(MetaKey.organization)
            node = try reading.meta(MetaKey.node)
            statements = try reading.statements()
            guard let log = try reading.meta(MetaKey.log).flatMap({ LogID(bytes: $0) }) else {
                last = nil
                return
            }
            let head = try reading.head(of: log)
            let delta = try head.flatMap { try reading.deltaInfo(log: log, sequence: $0.sequence) }
            last = (log, head, delta?.header.stamp)
        }
    }

    /// Closes the store. No other method may be called afterwards.
    package func close() { writer.close() }

    // MARK: - Reading

    /// Runs a body on a snapshot of the store, off Swift's threads.
    package func read<Result: Sendable>(
        _ body: @escaping @Sendable (ReadTransaction) throws -> Result
    ) async throws -> Result {
        let store = store
        return try await onReaders { try store.read(body) }
    }

    /// Runs a body on a snapshot of the store, on the caller's thread.
    ///
    /// - Throws: Errors of the body; ``StoreError``.
    package func snapshot<Result>(_ body: (ReadTransaction) throws -> Result) throws -> Result { try store.read(body) }

    /// Runs a body on the readers' queue, without a snapshot.
    package func onReaders<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            readers.async {
                continuation.resume(
                    with: Swift.Result { try Self.translating { try Self.translatingInterchange(body) } }
                )
            }
        }
    }

    /// Digest and records, as stored.
    package func totals() throws -> StoredTotals { StoredTotals(try store.read { try $0.totals() }) }

    /// Sizes of the database and of its write-ahead log, in bytes.
    package var fileSizes: (database: Int, log: Int) { store.fileSizes() }

    /// The state of the database: locked by another program, or refused by the disk.
    package var health: StoreHealth { store.health }

    /// Checks the database, as ``Store/verify(deep:applier:progress:)``. Call it on the readers' queue.
    package func verify(deep: Bool, progress: (Store.Progress) throws -> Void) throws -> VerifyReport {
        try store.verify(deep: deep, applier: applier, progress: progress)
    }

    /// Prepares the storing of a peer's delta on the caller's thread.
    package func prepare(_ delta: VerifiedDelta) { writer.prepare(delta.operations, root: delta.header.root) }

    // MARK: - Writing

    /// Sets the callback for a write that meets a disk or a file that can no longer be trusted. The caller of the write
    /// gets the error, and the process should end.
    package func onFailure(_ body: @escaping @Sendable (Failure) -> Void) { writer.onFailure(body) }

    /// Writes to the store in one transaction.
    ///
    /// - Throws: Errors of the body, and then nothing is written; ``Failure``, with ``Reason/databaseLocked`` if another
    ///   program's lock blocked the queue for too long.
    package func write<Result: Sendable>(
        _ body: @escaping @Sendable (inout WriteTransaction) throws -> Result
    ) async throws -> Result {
        let writer = writer
        return try await writer.run { try writer.write(body) }
    }

    /// Queues a body on the writer's queue, without waiting for it.
    package func enqueueOnWriter(_ body: @escaping @Sendable () -> Void) { writer.enqueue(body) }

    /// Writes to the store in one transaction. Call it on the writer's queue.
    package func writeNow<Result>(_ body: (inout WriteTransaction) throws -> Result) throws -> Result {
        try writer.write(body)
    }

    /// Repeats a body while another program's lock blocks it. Call it on the writer's queue.
    ///
    /// - Throws: Errors of the body; the lock's error after ``stopWaiting()`` was called.
    package func awaitingLock<Result>(_ body: () throws -> Result) throws -> Result { try writer.awaitingLock(body) }

    /// Rebuilds everything that is derived from the logs.
    ///
    /// - Throws: ``Failure``.
    package func rebuild(progress: @escaping @Sendable (Store.Progress) -> Void = { _ in }) async throws {
        let (writer, applier) = (writer, applier)
        try await writer.run { try writer.access { try $0.rebuild(applier: applier, progress: progress) } }
    }

    /// Maintains the database by one step, if nothing was written for `pause`. A step checks that the disk takes writes,
    /// merges segments of the search index, or checkpoints the write-ahead log. Call it on the writer's queue.
    ///
    /// - Returns: True if a further step has work.
    /// - Throws: ``StoreError``.
    package func maintainNow(ifIdleFor pause: Duration) throws -> Bool {
        try writer.access { store in
            try store.probe(ifIdleFor: pause)
            if try store.optimize(ifIdleFor: pause) { return true }
            if try store.checkpoint(ifIdleFor: pause) { FreedMemory.giveBack() }
            return false
        }
    }

    // MARK: - Stopping

    /// Ends all waits for another program's lock, present and future, because the process stops.
    package func stopWaiting() { writer.stopWaiting() }

    /// True after ``stopWaiting()`` was called.
    package var isStopping: Bool { writer.isStopping }

    // MARK: - Errors

    /// Runs a body and turns the store's errors into ``Failure``.
    package static func translating<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as StoreError {
            throw Failure(storeError: error)
        }
    }

    /// Runs a body and turns errors of `Interchange` into ``Failure``.
    package static func translatingInterchange<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as InterchangeError {
            if error.code == .cancelled { throw CancellationError() }
            throw Failure(cause: error)
        }
    }
}
