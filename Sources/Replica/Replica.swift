package import Catalog
package import DeltaLog
import Dispatch
import Foundation
package import Governance
package import Store
import Synchronization

/// One organization's copy of the alliance's directory, opened for work: the store, the keys, and the pen with which
/// this node writes its own log.
///
/// A running node and a command with the node stopped use it alike. Only one process at a time has it (see
/// ``FolderLock``). All writing happens on one queue, in order; nothing here blocks a thread of Swift's pool.
package final class Replica: Sendable {
    package let folder: DataFolder
    package let store: Store
    package let charter: Charter
    package let alliance: AllianceID
    package let organization: OrganizationID
    package let node: NodeKey
    package let signer: KeySigner
    package let cryptography: SystemCryptography
    package let applier: DeltaApplier<SystemCryptography>

    private let lock: FolderLock
    private let token: VolatileToken?
    private let writer = DispatchQueue(label: "hansa.writer")
    let readers = DispatchQueue(label: "hansa.readers", attributes: .concurrent)
    /// The layouts of exports that are under way.
    package let exports = ExportLayouts()
    private let pen: Mutex<Pen>
    private let changes = Mutex(Changes())
    private let clock: Mutex<HybridLogicalClock>
    private let members: Mutex<Members>
    private let provenForks: Mutex<[LogID: UInt64]>
    private let listeners = Mutex(Listeners())
    private let turns = Mutex(Turns())

    /// Where this node's next delta goes.
    private struct Pen {
        /// The own log; nil until the first write where the old one may not be continued.
        var log: LogID?
        var head: Head?
        /// The log that is begun where there is none.
        var next: LogID

        init(node: NodeKey) {
            next = LogID(author: node, incarnation: UInt64.random(in: 1...UInt64.max))
        }
    }

    /// Who is told of writes. A type of their own: a closure that is itself the value of a generic type would be wrapped once
    /// more each time it is taken out, until calling it no longer fits on the stack.
    private struct Listeners: Sendable {
        var committed: (@Sendable ([VerifiedDelta], StoredTotals) -> Void)?
        var failed: (@Sendable (Failure) -> Void)?
    }

    /// Commands' bodies that wait for their turn on the writer's queue. While another program's lock holds the queue up,
    /// they are given up instead of waiting for as long as that takes.
    private struct Turns: Sendable {
        var next: UInt64 = 0
        var givesUp: [UInt64: @Sendable (any Error) -> Void] = [:]
        /// True once the process stops.
        var isOver = false
    }

    /// How often records of this organization have changed since the directory was opened, and how often by each import
    /// that is under way.
    private struct Changes {
        var all: UInt64 = 0
        var byImport: [[UInt8]: UInt64] = [:]

        func byOthers(than id: [UInt8]) -> UInt64 { all - (byImport[id] ?? 0) }
    }

    /// Digest and number of records after a write.
    package struct StoredTotals: Hashable, Sendable {
        package let digest: CatalogDigest
        package let records: UInt64

        fileprivate init(_ totals: ReadTransaction.Totals) {
            digest = totals.digest
            records = UInt64(clamping: totals.shown)
        }
    }

    /// Keys under which the store keeps what is this node's own.
    package enum MetaKey {
        package static let charter = "charter"
        package static let organization = "organization"
        package static let node = "node"
        package static let log = "log"
    }

    /// Opens a folder.
    ///
    /// - Parameter patience: How long to wait for another process that has it open.
    /// - Throws: ``Failure``: ``Reason/noNodeHere``, ``Reason/folderInUse``, ``Reason/databaseLocked``, and what the disk, the
    ///   key or the data is found to be.
    package init(opening folder: DataFolder, patience: Duration = .zero) throws {
        try NodeFolder.requireNode(folder)
        lock = try FolderLock(folder, patience: patience)
        let cryptography = SystemCryptography()
        self.folder = folder
        self.cryptography = cryptography
        signer = try folder.loadNodeKey()
        let node = NodeKey(signer.publicKey)
        self.node = node
        store = try Self.translating { try Store.open(folder: folder.path) }
        let store = store
        let loaded = try Self.translating {
            try store.read { reading in
                (
                    charter: try reading.meta(MetaKey.charter),
                    organization: try reading.meta(MetaKey.organization),
                    node: try reading.meta(MetaKey.node),
                    log: try reading.meta(MetaKey.log),
                    statements: try reading.statements()
                )
            }
        }
        guard let bytes = loaded.charter, let charter = Charter(bytes: bytes),
            let organization = loaded.organization.flatMap({ OrganizationID(bytes: $0) })
        else {
            throw Failure(
                .folderIncomplete,
                "\(folder.path) was left half made; delete it and found or join again, or restore a backup"
            )
        }
        guard loaded.node == node.bytes else {
            throw Failure(.wrongKey, "\(folder.nodeKey) is not the key of the node that this folder belongs to")
        }
        self.charter = charter
        self.organization = organization
        let alliance = charter.alliance(cryptography)
        self.alliance = alliance
        applier = DeltaApplier(alliance: alliance, hasher: cryptography)

        var governance = GovernanceSet()
        for bytes in loaded.statements {
            guard let statement = try? Statement(verifying: bytes, alliance: alliance, cryptography: cryptography)
            else { throw Failure(.dataDamaged, "a governance statement in \(folder.path) is damaged") }
            var replaced: Hash256?
            _ = governance.insert(statement, replaced: &replaced)
        }
        members = Mutex(Members(Roster(charter: charter, statements: governance, hasher: cryptography)))
        provenForks = Mutex(governance.forks)

        token = VolatileToken(folder: folder, hasher: cryptography)
        var pen = Pen(node: node)
        var latest = Stamp(rawValue: 0)
        if let log = loaded.log.flatMap({ LogID(bytes: $0) }) {
            let (head, last) = try Self.translating {
                try store.read { reading in
                    let head = try reading.head(of: log)
                    return (head, try head.flatMap { try reading.deltaInfo(log: log, sequence: $0.sequence) })
                }
            }
            // Nothing counts that is written behind a fork.
            if governance.forks[log] == nil, let token, token.proves(log: log, head: head) {
                (pen.log, pen.head) = (log, head)
                // Where a kill came between the commit and the settling.
                token.settle(log: log, head: head)
            }
            if let last { latest = last.header.stamp }
        }
        self.pen = Mutex(pen)
        clock = Mutex(HybridLogicalClock(latest: latest))
    }

    /// Closes the store. Nothing may be called after it.
    package func close() {
        stopWaiting()
        // What could not be checkpointed stays in the write-ahead log, and is read from there.
        writer.sync { try? store.close() }
    }

    // MARK: - Who belongs

    /// The roster, and how its members are named.
    private struct Members {
        let roster: Roster
        let names: [OrganizationID: String]

        init(_ roster: Roster) {
            self.roster = roster
            let folded = roster.members.mapValues { NameFolding.fold($0.name) }
            let counts = Dictionary(folded.values.map { ($0, 1) }, uniquingKeysWith: +)
            names = roster.members.mapValues { member in
                let isUnique = folded[member.id].flatMap { counts[$0] } == 1
                return isUnique ? member.name : "\(member.name) (\(member.id.short))"
            }
        }
    }

    /// Who belongs to the alliance, as this node knows it.
    package var roster: Roster { members.withLock { $0.roster } }

    /// What the stored statements give: they, and the roster.
    ///
    /// Signatures were checked before they were stored, and are not checked again.
    ///
    /// - Throws: ``Failure`` with ``Reason/dataDamaged``.
    func storedRoster(_ reading: ReadTransaction) throws -> (statements: [Statement], roster: Roster) {
        var governance = GovernanceSet()
        for bytes in try reading.statements() {
            guard
                let statement = try? Statement(
                    verifying: bytes,
                    alliance: alliance,
                    cryptography: CheckedBefore(hasher: cryptography)
                )
            else { throw Failure(.dataDamaged, "a governance statement in \(folder.path) is damaged") }
            var replaced: Hash256?
            _ = governance.insert(statement, replaced: &replaced)
        }
        let roster = Roster(charter: charter, statements: governance, hasher: cryptography)
        return (Array(governance.statements.values), roster)
    }

    /// Cryptography for bytes whose signatures have been checked: hashes, and holds every signature for good.
    private struct CheckedBefore: Cryptography {
        let hasher: SystemCryptography

        func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 { hasher.hash(bytes) }
        func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool { true }
    }

    /// Takes the roster that governance gives now.
    package func adopt(_ roster: Roster) {
        let now = Members(roster)
        members.withLock { $0 = now }
    }

    /// Logs with a proof that they are forked, and the lowest sequence number proven.
    package var forks: [LogID: UInt64] { provenForks.withLock { $0 } }

    /// Takes note of a proof.
    package func note(forkOf log: LogID, at sequence: UInt64) {
        provenForks.withLock { $0[log] = min($0[log] ?? .max, sequence) }
    }

    /// When this node last wrote, by its own clock, in Unix milliseconds; 0 for never. What others wrote meanwhile may count.
    package var lastWriteMilliseconds: UInt64 { clock.withLock { $0.latest.milliseconds } }

    /// The name of an organization, with its id's beginning where the name is not the only one.
    package func name(of organization: OrganizationID) -> String {
        members.withLock { $0.names[organization] } ?? organization.short
    }

    /// Calls back after each own write, on the writer's queue, in order.
    package func onCommit(_ body: @escaping @Sendable ([VerifiedDelta], StoredTotals) -> Void) {
        listeners.withLock { $0.committed = body }
    }

    /// Calls back when an own write meets a disk or a file that is not to be trusted any more: whoever asked for the write
    /// gets the error, and the process should end.
    package func onFailure(_ body: @escaping @Sendable (Failure) -> Void) {
        listeners.withLock { $0.failed = body }
    }

    // MARK: - Reading

    /// Runs a body on a snapshot of the store, off Swift's threads.
    package func read<Result: Sendable>(
        _ body: @escaping @Sendable (ReadTransaction) throws -> Result
    ) async throws -> Result {
        let store = store
        return try await onQueue(readers) { try store.read(body) }
    }

    func onQueue<Result: Sendable>(
        _ queue: DispatchQueue,
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try Self.translating(body) }) }
        }
    }

    /// Runs a body on the writer's queue.
    ///
    /// - Throws: What the body throws; ``Failure`` with ``Reason/databaseLocked`` where another program's lock held the
    ///   queue up for too long, and then the body was not run.
    package func onWriter<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let turn = turns.withLock { turns in
                turns.next += 1
                turns.givesUp[turns.next] = { continuation.resume(throwing: $0) }
                return turns.next
            }
            writer.async { [self] in
                guard turns.withLock({ $0.givesUp.removeValue(forKey: turn) }) != nil else { return }
                continuation.resume(with: Swift.Result { try Self.translating(body) })
            }
        }
    }

    /// Runs a body again and again until no lock of another program is in its way. Runs on the writer's queue: what was
    /// asked for behind it keeps its order, and commands that wait there are told to try again.
    ///
    /// - Throws: What the body throws; what the lock gave once ``stopWaiting()`` was called.
    package func awaitingLock<Result>(_ body: () throws -> Result) throws -> Result {
        while true {
            do {
                return try body()
            } catch let error as StoreError where error.isPassing {
                let (waiting, isOver) = turns.withLock { turns in
                    defer { turns.givesUp = [:] }
                    return (turns.givesUp.values, turns.isOver)
                }
                for giveUp in waiting { giveUp(Failure(storeError: error)) }
                if isOver { throw error }
            }
        }
    }

    /// Has every wait for another program's lock end, now and later: the process stops.
    package func stopWaiting() {
        turns.withLock { $0.isOver = true }
        store.endWaiting()
    }

    /// True once ``stopWaiting()`` was called.
    package var isStopping: Bool { turns.withLock { $0.isOver } }

    /// Queues a body on the writer's queue, without waiting for it.
    package func enqueueOnWriter(_ body: @escaping @Sendable () -> Void) {
        writer.async(execute: body)
    }

    // MARK: - Writing

    /// Writes to the own log: `plan` says what, in the transaction in which it is written.
    ///
    /// When it returns, the deltas are on disk. Nothing is written where `plan` asks for nothing.
    ///
    /// - Parameter plan: Called on the writer's queue, once. The `result` that it gives is called behind it, when what it
    ///   asks for is written and not yet committed.
    /// - Throws: What `plan` and `result` throw, and then nothing is written; ``Failure``.
    package func commit<Result: Sendable>(
        _ plan:
            @escaping @Sendable (inout WriteTransaction) throws -> (
                drafts: [OperationDraft], result: (WriteTransaction) throws -> Result
            )
    ) async throws -> (deltas: [VerifiedDelta], result: Result) {
        try await onWriter {
            try self.commitNow(importMark: nil) { transaction, log in
                let (drafts, result) = try plan(&transaction)
                return (try self.encode(drafts, for: log), result)
            }
        }
    }

    /// What is to be written, planned over a snapshot and encoded before its transaction.
    package struct Plan<Result: Sendable>: Sendable {
        /// What ``basis(of:)`` was before the snapshot was taken.
        package let basis: Basis
        /// By ``encode(_:for:)``, for the basis's log.
        package let parts: [EncodedOperations]
        /// What whoever planned it wants to know of it.
        package let result: Result

        package init(basis: Basis, parts: [EncodedOperations], result: Result) {
            self.basis = basis
            self.parts = parts
            self.result = result
        }
    }

    /// Writes plans, each about records that no other one is about, in one transaction and as parts of an import.
    ///
    /// - Parameters:
    ///   - importMark: The first delta gets this part's number, the next ones count on.
    ///   - replan: Makes the plan with that index again, within the transaction, where records of this organization have
    ///     changed since.
    package func commit<Result: Sendable>(
        importMark: ImportMark,
        plans: [Plan<Result>],
        replan:
            @escaping @Sendable (Int, inout WriteTransaction, LogID) throws -> (
                parts: [EncodedOperations], result: Result
            )
    ) async throws -> (deltas: [VerifiedDelta], results: [Result]) {
        let outcome = try await onWriter {
            try self.commitNow(importMark: importMark) { transaction, log in
                let changes = self.changes.withLock { $0.byOthers(than: importMark.id) }
                var parts: [EncodedOperations] = []
                var results: [Result] = []
                for (index, plan) in plans.enumerated() {
                    let isSame = changes == plan.basis.changes && log == plan.basis.log
                    let now = isSame ? (plan.parts, plan.result) : try replan(index, &transaction, log)
                    parts += now.0
                    results.append(now.1)
                }
                return (parts, { _ in results })
            }
        }
        return (outcome.deltas, outcome.result)
    }

    /// What a plan that is made before its transaction rests on.
    package struct Basis: Sendable {
        /// The log that will be written to.
        package let log: LogID
        /// Changes of this organization's records that others made. Rows of one file are about different records, so its
        /// import's own changes are none of its business.
        let changes: UInt64
    }

    /// What a plan of an import rests on that is made now.
    package func basis(of importID: [UInt8]) -> Basis {
        let changes = changes.withLock { $0.byOthers(than: importID) }
        return Basis(log: pen.withLock { $0.log ?? $0.next }, changes: changes)
    }

    /// Forgets an import that has ended.
    package func endImport(_ id: [UInt8]) { changes.withLock { $0.byImport[id] = nil } }

    /// Encodes and hashes drafts, packed into as many deltas as they need.
    package func encode(_ drafts: [OperationDraft], for log: LogID) throws -> [EncodedOperations] {
        guard !drafts.isEmpty else { return [] }
        var packer = DeltaPacker()
        var batches: [[OperationDraft]] = []
        for draft in drafts {
            if let full = packer.add(draft) { batches.append(full) }
        }
        batches.append(packer.finish())
        return try batches.map { batch in
            let random = try SystemRandom.bytes(count: batch.count * Content.saltByteCount)
            let salts = batch.indices.map { index in
                Array(random[index * Content.saltByteCount..<(index + 1) * Content.saltByteCount])
            }
            let encoded = try EncodedOperations(
                batch,
                salts: salts,
                alliance: alliance,
                organization: organization,
                log: log,
                hasher: cryptography
            )
            store.prepare(encoded.operations, root: encoded.root)
            return encoded
        }
    }

    /// What is to be written, and what is told of it once it is written.
    private typealias Planned<Result> = (parts: [EncodedOperations], result: (WriteTransaction) throws -> Result)

    private func commitNow<Result>(
        importMark: ImportMark?,
        _ plan: (inout WriteTransaction, LogID) throws -> Planned<Result>
    ) throws -> (deltas: [VerifiedDelta], result: Result) {
        do {
            return try commitPlanned(importMark: importMark, plan)
        } catch let error as StoreError where error.isFatal {
            listeners.withLock { $0.failed }?(Failure(storeError: error))
            throw error
        }
    }

    private func commitPlanned<Result>(
        importMark: ImportMark?,
        _ plan: (inout WriteTransaction, LogID) throws -> Planned<Result>
    ) throws -> (deltas: [VerifiedDelta], result: Result) {
        var pen = pen.withLock { $0 }
        let outcome = try store.write { transaction -> (deltas: [VerifiedDelta], result: Result, StoredTotals?) in
            let log = pen.log ?? pen.next
            let (parts, result) = try plan(&transaction, log)
            guard !parts.isEmpty else { return ([], try result(transaction), nil) }
            if pen.log == nil {
                (pen.log, pen.head) = (log, nil)
                try transaction.setMeta(MetaKey.log, log.bytes)
            }
            let deltas = try sign(parts, importMark: importMark, pen: &pen)
            for delta in deltas {
                guard case .applied = try transaction.apply(delta, applier: applier) else {
                    throw Failure(.internal, "an own delta does not continue its own log")
                }
            }
            let told = try result(transaction)
            if let token {
                try token.note(log: log, head: self.pen.withLock { $0.head }, intended: pen.head)
            }
            return (deltas, told, StoredTotals(try transaction.reading.totals()))
        }
        guard let totals = outcome.2 else { return (outcome.deltas, outcome.result) }
        changes.withLock { changes in
            changes.all += 1
            if let importMark { changes.byImport[importMark.id, default: 0] += 1 }
        }
        // Before anybody hears of the new head: from now on a folder that holds only the one before is a restored one.
        if let token, let log = pen.log { token.settle(log: log, head: pen.head) }
        self.pen.withLock { $0 = pen }
        if let committed = listeners.withLock({ $0.committed }) { committed(outcome.deltas, totals) }
        return (outcome.deltas, outcome.result)
    }

    private func sign(_ parts: [EncodedOperations], importMark: ImportMark?, pen: inout Pen) throws -> [VerifiedDelta] {
        var deltas: [VerifiedDelta] = []
        for (offset, part) in parts.enumerated() {
            let delta = try VerifiedDelta(
                signing: part,
                as: VerifiedDelta.Authorship(
                    alliance: alliance,
                    organization: organization,
                    log: part.log,
                    head: pen.head,
                    stamp: clock.withLock { $0.tick(wallMilliseconds: WallClock.milliseconds) },
                    importMark: importMark.map {
                        ImportMark(id: $0.id, fileHash: $0.fileHash, part: $0.part + UInt32(offset))
                    }
                ),
                signer: signer,
                hasher: cryptography
            )
            pen.head = delta.head
            deltas.append(delta)
        }
        return deltas
    }

    /// Never again writes to this log: it was found to be forked. The next write begins a new one.
    package func abandon(_ log: LogID) {
        writer.async { [self] in
            pen.withLock { if $0.log == log { $0 = Pen(node: node) } }
        }
    }

    /// Takes peers' deltas, in one transaction. Runs on the writer's queue.
    ///
    /// - Parameter patience: How long the transaction may go on; at least one delta is taken.
    /// - Returns: What became of those that were taken, the processor's time for each in microseconds, and the totals
    ///   afterwards.
    package func applyNow(
        _ deltas: [VerifiedDelta],
        patience: Duration
    ) throws -> (
        outcomes: [DeltaApplier<SystemCryptography>.Outcome], microseconds: [UInt64], totals: StoredTotals
    ) {
        let roster = roster
        let wall = WallClock.milliseconds
        for delta in deltas { clock.withLock { $0.observe(delta.header.stamp, wallMilliseconds: wall) } }
        let applied = try store.applyBatch(
            deltas,
            organization: { roster.organization(of: $0) },
            applier: applier,
            patience: patience
        )
        // Another node of this organization has written.
        if deltas.contains(where: { $0.header.organization == organization }) { changes.withLock { $0.all += 1 } }
        return (applied.outcomes, applied.microseconds, StoredTotals(applied.totals))
    }

    /// Takes a step towards the bounds that follow from the proofs of forks: a log counts up to the delta before its lowest
    /// proven fork. Runs on the writer's queue.
    ///
    /// - Parameter excluded: Logs that are left as they are for now.
    /// - Returns: The log, whether it has its bound now, and the totals after the step; nil where every other log has its
    ///   bound.
    package func relimitNext(
        except excluded: Set<LogID> = []
    ) throws -> (log: LogID, isDone: Bool, totals: StoredTotals)? {
        let (forks, bounds) = (forks, try store.read { try $0.bounds() })
        func limit(of log: LogID) -> UInt64? { forks[log].map { $0 - min($0, 1) } }
        // A bound without a proof is one whose proof was lost in a crash; it comes again.
        let log = Set(forks.keys).union(bounds.keys).subtracting(excluded).sorted()
            .first { bounds[$0] != limit(of: $0) }
        guard let log else { return nil }
        let (isDone, totals) = try store.relimitStep(log, to: limit(of: log), applier: applier)
        // Records of this organization may be among those that have changed.
        changes.withLock { $0.all += 1 }
        return (log, isDone, StoredTotals(totals))
    }

    /// Digest and records, as stored.
    package func totals() throws -> StoredTotals { StoredTotals(try store.read { try $0.totals() }) }

    // MARK: - Errors

    /// Runs a body and turns the store's errors into those that users meet.
    package static func translating<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as StoreError {
            throw Failure(storeError: error)
        }
    }
}
