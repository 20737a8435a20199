package import Catalog
package import DeltaLog
package import Store
import Synchronization

/// Writes this node's own log: it plans, signs and stores its deltas.
///
/// Isolation: any task may call it; writes go through the writer's queue, in order.
package final class OwnLogWriter: Sendable {
    private let writer: WriterQueue
    private let applier: DeltaApplier<SystemCryptography>
    private let organization: OrganizationID
    private let node: NodeKey
    private let signer: KeySigner
    private let token: VolatileToken?
    private let position: Mutex<Position>
    private let changes = Mutex(Changes())
    private let clock: Mutex<HybridLogicalClock>
    private let listener = Mutex(Listener())

    /// The position of the next delta.
    private struct Position {
        /// The own log; nil until the first write if the old log may not be continued.
        var log: LogID?
        var head: Head?
        /// The log that the next write begins if there is none.
        var next: LogID

        init(node: NodeKey) {
            next = LogID(author: node, incarnation: UInt64.random(in: 1...UInt64.max))
        }
    }

    /// The number of changes to this organization's records since the replica was opened, in total and by each running
    /// import.
    private struct Changes {
        var all: UInt64 = 0
        var byImport: [[UInt8]: UInt64] = [:]

        func byOthers(than id: [UInt8]) -> UInt64 { all - (byImport[id] ?? 0) }
    }

    /// A type of its own: Swift wraps a closure once more each time it is taken out of a generic type.
    private struct Listener: Sendable {
        var committed: (@Sendable ([VerifiedDelta], Replica.StoredTotals) -> Void)?
    }

    /// - Parameters:
    ///   - last: The log that this node wrote last, with its head and the stamp of its last delta; nil for none.
    ///   - isForked: True if that log has a proven fork: deltas behind a fork do not count.
    init(
        _ writer: WriterQueue,
        applier: DeltaApplier<SystemCryptography>,
        organization: OrganizationID,
        signer: KeySigner,
        token: VolatileToken?,
        last: (log: LogID, head: Head?, stamp: Stamp?)?,
        isForked: Bool
    ) {
        self.writer = writer
        self.applier = applier
        self.organization = organization
        self.signer = signer
        self.token = token
        node = NodeKey(signer.publicKey)
        var position = Position(node: node)
        if let last, !isForked, let token, token.proves(log: last.log, head: last.head) {
            (position.log, position.head) = (last.log, last.head)
            // The process may have been killed between the commit and this call.
            token.settle(log: last.log, head: last.head)
        }
        self.position = Mutex(position)
        clock = Mutex(HybridLogicalClock(latest: last?.stamp ?? Stamp(rawValue: 0)))
    }

    /// Sets the callback for own writes; it runs after each one, on the writer's queue, in order.
    package func onCommit(_ body: @escaping @Sendable ([VerifiedDelta], Replica.StoredTotals) -> Void) {
        listener.withLock { $0.committed = body }
    }

    /// The stamp of this node's last write, in Unix milliseconds of its own clock; 0 for never. Stamps of received deltas
    /// may move it ahead.
    package var lastWriteMilliseconds: UInt64 { clock.withLock { $0.latest.milliseconds } }

    /// Stops writing to a log that has a proven fork. The next write begins a new one.
    package func abandon(_ log: LogID) {
        writer.enqueue { [self] in
            position.withLock { if $0.log == log { $0 = Position(node: node) } }
        }
    }

    /// Advances the clock past the stamps of received deltas.
    func observe(_ deltas: [VerifiedDelta]) {
        let wall = WallClock.milliseconds
        clock.withLock { clock in
            for delta in deltas { clock.observe(delta.header.stamp, wallMilliseconds: wall) }
        }
    }

    /// Notes that records of this organization may have changed other than by ``commit(_:)``. Plans of imports that were
    /// made before are then made again.
    func noteOtherChange() { changes.withLock { $0.all += 1 } }

    // MARK: - Writing

    /// Writes to the own log. `plan` returns the operations; it runs in the transaction that writes them.
    ///
    /// The deltas are on disk when it returns. Nothing is written if `plan` gives no drafts.
    ///
    /// - Parameter plan: Called on the writer's queue, once. Its `result` runs after the writes and before the commit.
    /// - Throws: Errors of `plan` and `result`, and then nothing is written; ``Failure``.
    package func commit<Result: Sendable>(
        _ plan:
            @escaping @Sendable (inout WriteTransaction) throws -> (
                drafts: [OperationDraft], result: (WriteTransaction) throws -> Result
            )
    ) async throws -> (deltas: [VerifiedDelta], result: Result) {
        try await writer.run {
            try self.commitNow(importMark: nil) { transaction, log in
                let (drafts, result) = try plan(&transaction)
                return (try self.encode(drafts, for: log), result)
            }
        }
    }

    /// Operations that are planned over a snapshot and encoded before the transaction that writes them.
    package struct Plan<Result: Sendable>: Sendable {
        /// The basis that ``basis(of:)`` returned before the snapshot.
        package let basis: Basis
        /// The result of ``encode(_:for:)`` for the basis's log.
        package let parts: [EncodedOperations]
        /// The planner's own value, returned after the plan is written.
        package let result: Result

        package init(basis: Basis, parts: [EncodedOperations], result: Result) {
            self.basis = basis
            self.parts = parts
            self.result = result
        }
    }

    /// Writes plans in one transaction, as parts of an import. No two plans concern the same record.
    ///
    /// - Parameters:
    ///   - importMark: The first delta gets this part's number; the numbers of the next ones follow.
    ///   - replan: Makes the plan with that index again, within the transaction, if records of this organization have
    ///     changed since the plan was made.
    package func commit<Result: Sendable>(
        importMark: ImportMark,
        plans: [Plan<Result>],
        replan:
            @escaping @Sendable (Int, inout WriteTransaction, LogID) throws -> (
                parts: [EncodedOperations], result: Result
            )
    ) async throws -> (deltas: [VerifiedDelta], results: [Result]) {
        let outcome = try await writer.run {
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

    /// The state on which a plan rests that is made before its transaction.
    package struct Basis: Sendable {
        /// The log to which the plan will be written.
        package let log: LogID
        /// Changes to this organization's records by others than the plan's import. The import's own changes do not matter,
        /// since rows of one file concern different records.
        let changes: UInt64
    }

    /// The present state, for a plan of an import.
    package func basis(of importID: [UInt8]) -> Basis {
        let changes = changes.withLock { $0.byOthers(than: importID) }
        return Basis(log: position.withLock { $0.log ?? $0.next }, changes: changes)
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
                alliance: applier.alliance,
                organization: organization,
                log: log,
                hasher: applier.hasher
            )
            writer.prepare(encoded.operations, root: encoded.root)
            return encoded
        }
    }

    /// The parts to write, and the function that returns the caller's result after they are written.
    private typealias Planned<Result> = (parts: [EncodedOperations], result: (WriteTransaction) throws -> Result)

    private func commitNow<Result>(
        importMark: ImportMark?,
        _ plan: (inout WriteTransaction, LogID) throws -> Planned<Result>
    ) throws -> (deltas: [VerifiedDelta], result: Result) {
        var position = position.withLock { $0 }
        let outcome = try writer.write {
            transaction -> (deltas: [VerifiedDelta], result: Result, Replica.StoredTotals?) in
            let log = position.log ?? position.next
            let (parts, result) = try plan(&transaction, log)
            guard !parts.isEmpty else { return ([], try result(transaction), nil) }
            if position.log == nil {
                (position.log, position.head) = (log, nil)
                try transaction.setMeta(Replica.MetaKey.log, log.bytes)
            }
            let deltas = try sign(parts, importMark: importMark, after: &position.head)
            for delta in deltas {
                guard case .applied = try transaction.apply(delta, applier: applier) else {
                    throw Failure(.internal, "an own delta does not continue its own log")
                }
            }
            let given = try result(transaction)
            if let token {
                try token.note(log: log, head: self.position.withLock { $0.head }, intended: position.head)
            }
            return (deltas, given, Replica.StoredTotals(try transaction.reading.totals()))
        }
        guard let totals = outcome.2 else { return (outcome.deltas, outcome.result) }
        changes.withLock { changes in
            changes.all += 1
            if let importMark { changes.byImport[importMark.id, default: 0] += 1 }
        }
        // The token is written before the announcement: from now on, a folder that holds only the earlier head is a
        // restored one.
        if let token, let log = position.log { token.settle(log: log, head: position.head) }
        self.position.withLock { $0 = position }
        if let committed = listener.withLock({ $0.committed }) { committed(outcome.deltas, totals) }
        return (outcome.deltas, outcome.result)
    }

    private func sign(
        _ parts: [EncodedOperations],
        importMark: ImportMark?,
        after head: inout Head?
    ) throws -> [VerifiedDelta] {
        var deltas: [VerifiedDelta] = []
        for (offset, part) in parts.enumerated() {
            let delta = try VerifiedDelta(
                signing: part,
                as: VerifiedDelta.Authorship(
                    alliance: applier.alliance,
                    organization: organization,
                    log: part.log,
                    head: head,
                    stamp: clock.withLock { $0.tick(wallMilliseconds: WallClock.milliseconds) },
                    importMark: importMark.map {
                        ImportMark(id: $0.id, fileHash: $0.fileHash, part: $0.part + UInt32(offset))
                    }
                ),
                signer: signer,
                hasher: applier.hasher
            )
            head = delta.head
            deltas.append(delta)
        }
        return deltas
    }
}
