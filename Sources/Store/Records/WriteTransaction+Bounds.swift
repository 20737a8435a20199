package import Catalog
package import DeltaLog

// Bounds of logs, and the re-derivation of records from all their operations.

extension WriteTransaction {
    package func bound(of log: LogID) throws -> UInt64? { try cache.log(log, session)?.bound }

    package mutating func setBound(_ bound: UInt64?, of log: LogID) throws {
        try cache.setBound(bound, of: log, session)
    }

    package func operationCount(about record: RecordID) throws -> Int {
        guard let row = try RecordRow.find(record, session) else { return 0 }
        let touched = try session("SELECT count(*) FROM touch WHERE record = ?").bind(1, row.row).first { $0.int(0) }
        return max(try self.record(record)?.state.operations.count ?? 0, Int(clamping: touched ?? 0))
    }

    package func operations(
        of log: LogID,
        _ range: ClosedRange<UInt64>,
        hasher: some CatalogHasher
    ) throws -> [StoredOperation] {
        let number = try cache.logNumber(log, session)
        let deltas = try session(
            "SELECT id, header, hash FROM whole WHERE log = ? AND sequence BETWEEN ? AND ? ORDER BY sequence"
        )
        .bind(1, number).bind(2, Int64(clamping: range.lowerBound)).bind(3, Int64(clamping: range.upperBound))
        .all(ReadTransaction.info)
        return try deltas.flatMap { delta in
            try (0..<Int64(delta.header.count)).map {
                try stored(at: delta.position &+ $0, in: delta, hasher: hasher)
            }
        }
    }

    package func operations(
        about record: RecordID,
        without range: ClosedRange<UInt64>,
        of log: LogID,
        hasher: some CatalogHasher
    ) throws -> [StoredOperation] {
        try flushRecords()
        guard projections.history.isWhole else { throw StoreError.rebuilding(.history) }
        guard let row = try RecordRow.find(record, session), let state = try self.record(record)?.state else {
            return []
        }
        let touched = try session("SELECT operation FROM touch WHERE record = ?").bind(1, row.row).all { $0.int(0) }
        let reading = try reading
        var operations: [StoredOperation] = []
        var delta: ReadTransaction.DeltaInfo?
        // Operations of one delta are adjacent.
        for location in Set(state.operations.map(\.location) + touched).sorted() {
            let held: ReadTransaction.DeltaInfo
            if let delta, location &- delta.position < Int64(delta.header.count) {
                held = delta
            } else {
                held = try reading.deltaInfo(location: location)
                delta = held
            }
            if held.header.log == log, range.contains(held.header.sequence) { continue }
            operations.append(try stored(at: location, in: held, hasher: hasher))
        }
        return operations
    }

    /// The operation at a location within a delta.
    func stored(
        at location: Int64,
        in delta: ReadTransaction.DeltaInfo,
        hasher: some CatalogHasher
    ) throws -> StoredOperation {
        let row = try OperationRow.existing(at: location, session)
        cache.work.operationsRead += 1
        guard let envelope = try? Envelope(decoding: row.envelope[...], in: delta.header) else {
            throw StoreError.damaged("table operation")
        }
        let organization = delta.header.organization
        return StoredOperation(
            record: RecordID(
                alliance: delta.header.alliance,
                owner: envelope.owner ?? organization,
                key: envelope.key,
                hasher: hasher
            ),
            dot: try ReadTransaction.dot(of: location, in: delta),
            stamp: delta.header.stamp,
            organization: organization,
            hash: operationHash(
                envelope: hasher.hash(row.envelope),
                content: hasher.hash(row.content),
                hasher: hasher
            ),
            location: location,
            envelope: envelope
        )
    }

    package mutating func removeExclusion(_ dot: Dot) throws {
        try session("DELETE FROM aside WHERE operation = ?").bind(1, try location(of: dot)).run()
    }

    package mutating func replace(
        _ change: MergedRecord,
        operations: [StoredOperation],
        waiting: [DanglingReference],
        hasher: some CatalogHasher
    ) throws {
        try flushRecords()
        self.operations.begin(nil)
        let (id, state) = (change.record.id, change.record.state)
        try session("DELETE FROM waiting WHERE record = ?").bind(1, id.hash).run()
        for citation in waiting { try addDangling(citation) }
        let found = try RecordRow.find(id, session)
        guard found != nil || !operations.isEmpty else { return }
        let row: Int64
        if let found, state == change.before?.state {
            row = found.row
        } else {
            row = try write(change.record, over: found, change.before, hasher: hasher)
        }
        try projections.history.unlink(row, session)
        guard !operations.isEmpty else {
            try session("DELETE FROM record WHERE id = ?").bind(1, row).run()
            return
        }
        // A live operation needs no history link, unless its delta has others about the record.
        let live = Set(state.operations.map(\.location))
        var counts: [LogID: [UInt64: Int]] = [:]
        for operation in operations { counts[operation.dot.log, default: [:]][operation.dot.sequence, default: 0] += 1 }
        for operation in operations {
            let isAlone = counts[operation.dot.log]?[operation.dot.sequence] == 1
            if !isAlone || !live.contains(operation.location) {
                try projections.history.link(row, operation.location, session)
            }
        }
    }
}

extension ReadTransaction {
    /// The logs that have a bound, and the last sequence that counts. Linear in the number of logs.
    package func bounds() throws -> [LogID: UInt64] {
        let rows = try session("SELECT author, incarnation, bound FROM log WHERE bound IS NOT NULL").all {
            (
                LogID(author: NodeKey(try $0.hash(0)), incarnation: UInt64(bitPattern: $0.int(1))),
                UInt64(bitPattern: $0.int(2))
            )
        }
        return Dictionary(uniqueKeysWithValues: rows)
    }
}
