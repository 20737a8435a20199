import Catalog
import DeltaLog
import Gossip
import Governance

// The disks: they execute transactions one after the other, each completely or not at all.

extension Simulation {
    /// Queues a transaction; the disk executes it after all earlier ones.
    func begin(_ transaction: Transaction, at nodeIndex: Int) {
        guard settings.costs == nil else { return beginInTurn(transaction, at: nodeIndex) }
        let node = nodes[nodeIndex]
        let range = node.storingMilliseconds ?? settings.storingMilliseconds
        let time = UInt64.random(in: range.lowerBound * 1_000_000...range.upperBound * 1_000_000, using: &diskRandom)
        node.diskFreeAt = max(node.diskFreeAt, now) + time
        node.transactions.append(transaction)
        events.add(.transaction(node: nodeIndex, epoch: node.epoch), at: node.diskFreeAt)
    }

    /// Executes the next transaction.
    func commitNext(at nodeIndex: Int) {
        guard settings.costs == nil else { return endTransaction(at: nodeIndex) }
        let node = nodes[nodeIndex]
        guard node.nextTransaction < node.transactions.count else { return }
        let transaction = node.transactions[node.nextTransaction]
        node.nextTransaction += 1
        if node.nextTransaction == node.transactions.count {
            node.transactions.removeAll(keepingCapacity: true)
            node.nextTransaction = 0
        }
        if let input = commit(transaction, at: nodeIndex) { answer(input, at: nodeIndex) }
    }

    /// Executes a transaction and returns the engine's input about it.
    func commit(_ transaction: Transaction, at nodeIndex: Int) -> EngineInput? {
        let node = nodes[nodeIndex]
        switch transaction {
        case .write, .change: break
        case .store, .statement, .announcement: keepHistory(node)
        }
        switch transaction {
        case .store(let token, let deltas, _):
            for delta in deltas { node.storingBytes -= delta.byteCount }
            let outcomes = deltas.map { store($0, at: node) }
            changed(node)
            guard settings.plant != .ackBeforeStoring else { return nil }
            return .stored(token: token, outcomes, summary: node.summary)
        case .statement(let statement, _):
            var ignored: Hash256?
            _ = node.governance.insert(statement, replaced: &ignored)
            node.seenStatements.insert(MixHash(of: statement.encoded))
            guard case .fork(let log, _) = statement.body, relimit(log, at: node) else { return nil }
            return .committed([], summary: node.summary)
        case .announcement(let announcement):
            _ = node.announcements.insert(announcement)
            return nil
        case .write(let delta):
            keep(delta, at: node)
            return nil
        case .change(let changes, let askedAt):
            change(nodeIndex, changes, askedAt: askedAt)
            return nil
        }
    }

    /// Reports the result of a transaction to the engine, in the order of the transactions. A crash may occur before
    /// the report.
    func answer(_ input: EngineInput, at nodeIndex: Int) {
        let node = nodes[nodeIndex]
        node.answeredAt = max(node.answeredAt, now + UInt64.random(in: 0...2_000_000, using: &diskRandom))
        events.add(.input(node: nodeIndex, epoch: node.epoch, input), at: node.answeredAt)
    }

    private func store(_ delta: VerifiedDelta, at node: VirtualNode) -> StoreOutcome {
        let organization = node.box?.engine.roster.organization(of: delta.log.author)
        guard organization == delta.header.organization else { return .refused(.unknownAuthor) }
        switch apply(delta, to: node) {
        case .applied(let records):
            node.notes.deliveries += 1
            node.notes.recordsDelivered += records
            node.clock.observe(delta.header.stamp, wallMilliseconds: node.wallMilliseconds(at: now))
            if let index = pool.index(ofHead: delta.hash) { spread.stored(index, at: node.nodeIndex, now: now) }
            return .applied
        case .duplicate, .gap: return .skipped
        case .refused(let refusal): return .refused(refusal)
        }
    }

    /// Merges a delta into a node's disk, and checks that it continues the log.
    @discardableResult
    func apply(_ delta: VerifiedDelta, to node: VirtualNode) -> DeltaApplier<SimulatedCryptography>.Outcome {
        let before = node.disk.index(of: delta.log, sequence: delta.header.sequence - 1)
        let isHeld = node.disk.index(of: delta.log, sequence: delta.header.sequence) != nil
        node.disk.plant?.merging = delta.log
        // Storing in memory never throws.
        let outcome = try! applier.apply(delta, to: &node.disk)
        if case .applied = outcome {
            note(delta.hash.word0, "node \(node.nodeIndex) stores \(name(of: delta.log)):\(delta.header.sequence)")
            if isHeld { violate("node \(node.nodeIndex) applies delta \(delta.header.sequence) of a log twice") }
            let previous = before.map { pool.entries[Int($0)].delta.hash }
            if previous != delta.header.previous {
                violate("node \(node.nodeIndex) applies delta \(delta.header.sequence) of a log out of its chain")
            }
            if settings.plant == .applyTwice, UInt8.random(in: 0..<20, using: &faultRandom) == 0,
                let index = pool.index(ofHead: delta.hash)
            {
                _ = try! applier.merge(delta, at: pool.entries[Int(index)].base, into: &node.disk)
            }
        }
        node.disk.plant?.merging = nil
        return outcome
    }

    /// The number of operations that one step of a relimit processes; small, so that runs have many steps.
    private static let relimitOperations = 3

    /// Sets a log's bound on a node's disk to the value that a fork proof or the plan demands. Returns true if the set
    /// of counting deltas has changed.
    @discardableResult
    func relimit(_ log: LogID, at node: VirtualNode) -> Bool {
        let before = node.disk.frontierSum
        let fork = node.governance.forks[log].map { $0 - min($0, 1) }
        let limit = [fork, node.limits[log]].compactMap(\.self).min()
        // Storing in memory never throws.
        while try! !applier.relimit(log, to: limit, operationsMax: Self.relimitOperations, in: &node.disk) {
            changed(node)
        }
        guard node.disk.frontierSum != before else { return false }
        note(limit ?? 0, "node \(node.nodeIndex) counts \(name(of: log)) up to \(limit.map { "\($0)" } ?? "its end")")
        changed(node)
        return true
    }

    /// Checks a node's disk after a change.
    func changed(_ node: VirtualNode) {
        let frontier = node.disk.frontierSum
        note(frontier.low)
        if let other = checkers.compare(frontier: frontier, digest: node.disk.digest, nodeIndex: node.nodeIndex) {
            violate("nodes \(other) and \(node.nodeIndex) hold the same deltas and have different digests")
        }
    }

    // MARK: - Reading

    func read(_ range: LogRange, bytesMax: UInt64, at nodeIndex: Int) -> [StoredDelta] {
        var size: UInt64 = 0
        var deltas: [StoredDelta] = []
        var sequence = range.from
        while let index = nodes[nodeIndex].disk.index(of: range.log, sequence: sequence) {
            let entry = pool.entries[Int(index)]
            guard deltas.isEmpty || size + UInt64(entry.bytes.count) <= bytesMax else { break }
            size += UInt64(entry.bytes.count)
            deltas.append(StoredDelta(sequence: sequence, bytes: entry.bytes))
            sequence += 1
        }
        return deltas
    }

    func readHeaders(_ range: LogRange, at nodeIndex: Int) -> [SignedHeader] {
        var headers: [SignedHeader] = []
        var sequence = range.from
        while sequence <= range.to, let index = nodes[nodeIndex].disk.index(of: range.log, sequence: sequence) {
            let delta = pool.entries[Int(index)].delta
            headers.append(SignedHeader(header: delta.headerBytes, signature: delta.signature))
            sequence += 1
        }
        return headers
    }

    // MARK: - Snapshots

    /// The maximum number of transactions that a lying disk can lose.
    private static let historyMax = 8

    /// Keeps a snapshot if the disk may lose transactions.
    func keepHistory(_ node: VirtualNode) {
        guard node.isLying else { return }
        node.history.append(snapshot(node))
        if node.history.count > Self.historyMax { node.history.removeFirst() }
    }

    func snapshot(_ node: VirtualNode) -> Snapshot {
        Snapshot(
            disk: node.disk,
            governance: node.governance,
            announcements: node.announcements,
            lastLog: node.lastLog
        )
    }

    /// Restores a disk. Promises about deltas that it no longer has are dropped.
    func restore(_ snapshot: Snapshot, at node: VirtualNode) {
        let plant = node.disk.plant
        node.disk = snapshot.disk
        node.disk.plant = plant
        node.governance = snapshot.governance
        node.announcements = snapshot.announcements
        node.lastLog = snapshot.lastLog
        for (log, sequence) in node.acknowledged {
            node.acknowledged[log] = min(sequence, node.disk.head(of: log)?.sequence ?? 0)
        }
    }
}
