package import Catalog
package import DeltaLog

extension ReadTransaction {
    /// An operation on a record, and what became of it.
    package struct HistoryEntry: Sendable {
        /// What became of an operation.
        package enum Standing: Hashable, Sendable {
            /// The numbers of those of its writes that nothing supersedes.
            case live(writes: Set<UInt32>)
            /// Everything that it wrote is superseded, or it only removed.
            case dead
            /// Stored, relayed and shown, but not merged.
            case aside(SetAside)
        }

        package let dot: Dot
        package let delta: DeltaInfo
        package let envelope: Envelope
        package let content: Content
        package let hash: Hash256
        package let standing: Standing
    }

    /// Every operation held that is about a record, ascending by clock, then dot.
    ///
    /// - Complexity: Linear in their number; each reads its delta's header.
    package func history(of id: RecordID, hasher: some CatalogHasher) throws -> [HistoryEntry] {
        var standings: [Int64: HistoryEntry.Standing] = [:]
        if let row = try RecordRow.find(id, session) {
            let dead = try session("SELECT operation FROM touch WHERE record = ?").bind(1, row.row).all { $0.int(0) }
            for location in dead { standings[location] = .dead }
            for live in try state(row).operations {
                standings[live.location] = .live(writes: Set(live.writes.map(\.number)))
            }
        }
        let aside = try session("SELECT operation, why FROM aside WHERE record = ?").bind(1, id.hash)
            .all { ($0.int(0), try Self.why($0.int(1))) }
        for (location, why) in aside { standings[location] = .aside(why) }
        return try standings.map { try entry(at: $0.key, standing: $0.value, hasher: hasher) }
            .sorted { left, right in
                let stamps = (left.delta.header.stamp, right.delta.header.stamp)
                return stamps.0 != stamps.1 ? stamps.0 < stamps.1 : left.dot < right.dot
            }
    }

    private static func why(_ number: Int64) throws -> SetAside {
        guard let why = UInt8(exactly: number).flatMap(SetAside.init(rawValue:)) else {
            throw StoreError.damaged("table aside")
        }
        return why
    }

    private func entry(
        at location: Int64,
        standing: HistoryEntry.Standing,
        hasher: some CatalogHasher
    ) throws -> HistoryEntry {
        let delta = try deltaInfo(location: location)
        let row = try OperationRow.existing(at: location, session)
        guard let envelope = try? Envelope(decoding: row.envelope[...], in: delta.header),
            let content = try? Content(decoding: row.content[...])
        else { throw StoreError.damaged("table operation") }
        return HistoryEntry(
            dot: Dot(
                log: delta.header.log,
                sequence: delta.header.sequence,
                index: UInt32(location - delta.position)
            ),
            delta: delta,
            envelope: envelope,
            content: content,
            hash: operationHash(
                envelope: hasher.hash(row.envelope),
                content: hasher.hash(row.content),
                hasher: hasher
            ),
            standing: standing
        )
    }

    /// The operations of a delta, in their order; nil where it is not held.
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
    package struct AsideEntry: Hashable, Sendable {
        /// For paging.
        package let position: Int64
        package let dot: Dot
        package let record: RecordID
        package let why: SetAside
    }

    /// Operations that are stored but not merged, in the order of their arrival.
    package func aside(after position: Int64 = 0, limit: Int) throws -> [AsideEntry] {
        let rows = try session(
            "SELECT operation, record, why FROM aside WHERE operation > ? ORDER BY operation LIMIT ?"
        )
        .bind(1, position).bind(2, Int64(limit))
        .all { ($0.int(0), RecordID(try $0.hash(1)), try Self.why($0.int(2))) }
        return try rows.map { location, record, why in
            let delta = try deltaInfo(location: location)
            let dot = Dot(
                log: delta.header.log,
                sequence: delta.header.sequence,
                index: UInt32(location - delta.position)
            )
            return AsideEntry(position: location, dot: dot, record: record, why: why)
        }
    }

    /// Citations that wait for their operation, at most so many.
    package func waiting(limit: Int) throws -> [WaitingCitation] {
        let sql = try session("SELECT position, record, field, prefix, number, log, sequence FROM waiting LIMIT ?")
        return try sql.bind(1, Int64(limit)).all { sql in
            try WriteTransaction.waiting(sql, log: log(sql.int(5)), sequence: UInt64(bitPattern: sql.int(6)))
        }
    }
}
