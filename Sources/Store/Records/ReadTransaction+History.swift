package import Catalog
package import DeltaLog

extension ReadTransaction {
    /// An operation on a record, and its standing.
    package struct HistoryEntry: Sendable {
        /// The standing of an operation.
        package enum Standing: Hashable, Sendable {
            /// Some writes are not superseded; the numbers of these writes.
            case live(writes: Set<UInt32>)
            /// Everything that it wrote is superseded, or it only removed values.
            case dead
            /// Stored, relayed and displayed, but not merged: pending or void.
            case excluded(DeltaLog.Standing)
        }

        package let dot: Dot
        package let delta: DeltaInfo
        package let envelope: Envelope
        package let content: Content
        package let hash: Hash256
        package let standing: Standing
    }

    /// Operations about a record.
    package struct History: Sendable {
        /// Ascending by clock, then dot.
        package let entries: [HistoryEntry]
        /// True if these are all operations about the record.
        package let isWhole: Bool
    }

    /// The maximum number of operations of each standing in a history. A guess: more than a user reads of one record.
    package static let historyEntriesMax = 2_048

    /// The operations about a record within the bounds of their logs, at most ``historyEntriesMax`` of each standing.
    /// It takes the live operations with the latest clocks, and the dead and excluded ones that arrived last. The
    /// entries end when they exceed ``pageBytesMax`` together with their headers.
    ///
    /// - Complexity: Linear in the live operations and in the returned entries; each entry reads its delta's header.
    package func recentHistory(of id: RecordID, hasher: some CatalogHasher) throws -> History {
        try require(.history)
        let countMax = Self.historyEntriesMax
        // One more of each than is returned, to know whether there are more.
        var live: [LiveOperation] = []
        var dead: [Int64] = []
        if let row = try RecordRow.find(id, session) {
            live = try state(row).operations
            let isLive = Set(live.map(\.location))
            dead = try session("SELECT operation FROM touch WHERE record = ? ORDER BY operation DESC LIMIT ?")
                .bind(1, row.row).bind(2, Int64(countMax + 1 + min(isLive.count, countMax))).all { $0.int(0) }
                .filter { !isLive.contains($0) }
        }
        let excluded = try session("SELECT operation, why FROM aside WHERE record = ? ORDER BY operation DESC LIMIT ?")
            .bind(1, id.hash).bind(2, Int64(countMax + 1)).all { ($0.int(0), try Self.standing($0.int(1))) }
        live.sort { $0.stamp != $1.stamp ? $0.stamp > $1.stamp : $1.dot < $0.dot }
        let standings: [(Int64, HistoryEntry.Standing)] =
            live.prefix(countMax).map { ($0.location, .live(writes: Set($0.writes.map(\.number)))) }
            + dead.prefix(countMax).map { ($0, .dead) } + excluded.prefix(countMax).map { ($0.0, .excluded($0.1)) }
        var isWhole = max(live.count, dead.count, excluded.count) <= countMax
        var entries: [HistoryEntry] = []
        var byteCount = 0
        for (location, standing) in standings {
            guard byteCount <= Self.pageBytesMax else {
                isWhole = false
                break
            }
            let (entry, size) = try entry(at: location, standing: standing, hasher: hasher)
            entries.append(entry)
            byteCount += size
        }
        entries.sort { left, right in
            let stamps = (left.delta.header.stamp, right.delta.header.stamp)
            return stamps.0 != stamps.1 ? stamps.0 < stamps.1 : left.dot < right.dot
        }
        return History(entries: entries, isWhole: isWhole)
    }

    /// The entries of ``recentHistory(of:hasher:)``.
    package func history(of id: RecordID, hasher: some CatalogHasher) throws -> [HistoryEntry] {
        try recentHistory(of: id, hasher: hasher).entries
    }

    private static func standing(_ number: Int64) throws -> Standing {
        guard let standing = UInt8(exactly: number).flatMap(Standing.init(number:)) else {
            throw StoreError.damaged("table aside")
        }
        return standing
    }

    /// An entry, and the bytes of its operation and its delta's header.
    private func entry(
        at location: Int64,
        standing: HistoryEntry.Standing,
        hasher: some CatalogHasher
    ) throws -> (entry: HistoryEntry, byteCount: Int) {
        let delta = try deltaInfo(location: location)
        let operation = try operation(at: location)
        guard let envelope = try? Envelope(decoding: operation.envelope, in: delta.header),
            let content = try? Content(decoding: operation.content)
        else { throw StoreError.damaged("table operation") }
        let entry = HistoryEntry(
            dot: try Self.dot(of: location, in: delta),
            delta: delta,
            envelope: envelope,
            content: content,
            hash: operationHash(
                envelope: hasher.hash(operation.envelope),
                content: hasher.hash(operation.content),
                hasher: hasher
            ),
            standing: standing
        )
        return (entry, operation.byteCount + delta.header.estimatedSize)
    }

    static func dot(of location: Int64, in delta: DeltaInfo) throws -> Dot {
        guard let index = UInt32(exactly: location &- delta.position) else { throw StoreError.damaged("table delta") }
        return Dot(log: delta.header.log, sequence: delta.header.sequence, index: index)
    }

    /// The operations of a delta, in their order; nil if the delta is not held.
    package func operations(log: LogID, sequence: UInt64) throws -> [(envelope: Envelope, content: Content)]? {
        guard let delta = try deltaInfo(log: log, sequence: sequence) else { return nil }
        let sql = try session("SELECT shape, envelope, content FROM operation WHERE id >= ? AND id < ? ORDER BY id")
        let operations = try sql.bind(1, delta.position).bind(2, delta.position &+ Int64(delta.header.count)).all {
            sql in
            let row = try OperationRow(sql, session)
            guard let envelope = try? Envelope(decoding: row.envelope[...], in: delta.header),
                let content = try? Content(decoding: row.content[...])
            else { throw StoreError.damaged("table operation") }
            return (envelope, content)
        }
        guard operations.count == Int(delta.header.count) else { throw StoreError.damaged("table operation") }
        return operations
    }

    /// An operation that is stored but not merged.
    package struct ExcludedEntry: Hashable, Sendable {
        /// For paging.
        package let position: Int64
        package let dot: Dot
        package let record: RecordID
        package let standing: Standing
    }

    /// Operations that are stored but not merged, in the order of their arrival.
    package func excluded(after position: Int64 = 0, limit: Int) throws -> [ExcludedEntry] {
        let rows = try session(
            "SELECT operation, record, why FROM aside WHERE operation > ? ORDER BY operation LIMIT ?"
        )
        .bind(1, position).bind(2, Int64(limit))
        .all { ($0.int(0), RecordID(try $0.hash(1)), try Self.standing($0.int(2))) }
        return try rows.map { location, record, standing in
            let dot = try Self.dot(of: location, in: deltaInfo(location: location))
            return ExcludedEntry(position: location, dot: dot, record: record, standing: standing)
        }
    }

    /// Dangling references, at most `limit`.
    package func waiting(limit: Int) throws -> [DanglingReference] {
        let sql = try session("SELECT position, record, field, prefix, number, log, sequence FROM waiting LIMIT ?")
        return try sql.bind(1, Int64(limit)).all { sql in
            try WriteTransaction.waiting(sql, log: log(sql.int(5)), sequence: UInt64(bitPattern: sql.int(6)))
        }
    }
}
