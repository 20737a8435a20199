package import Catalog
package import DeltaLog

// Rows of records, and the data derived from them.

extension WriteTransaction {
    package func record(_ id: RecordID) throws -> StoredRecord? {
        operations.forget()
        if let deferred = scratch.deferred[id] { return deferred.record }
        scratch.found = try RecordRow.find(id, session)
        guard let row = scratch.found else { return nil }
        let state = try cache.savedState(of: id, byteCount: row.state.count) ?? decode(row)
        let key: RecordKey
        if let held = row.key {
            key = held
        } else if let first = state.operations.first {
            key = try operations.operation(at: first.location).key
        } else {
            throw StoreError.damaged("table record")
        }
        return StoredRecord(id: id, owner: try cache.organizationID(row.owner, session), key: key, state: state)
    }

    func decode(_ row: RecordRow) throws -> RecordState {
        do {
            return try row.state.withUnsafeBytes { bytes in
                try StateCoding.decode(bytes) { try cache.logID($0, session) }
            }
        } catch is ByteReader.Damage {
            throw StoreError.damaged("table record")
        }
    }

    /// A record with at least this number of live operations is written once for all deltas of the transaction. A
    /// guess: hashing and writing them then costs several times as much as merging a delta.
    private static let deferredOperationsMin = 64
    /// Deferred records are written when their live operations exceed this number: some 60 MiB.
    private static let deferredOperationsMax = 512 * 1024

    package mutating func save(_ change: MergedRecord, hasher: some CatalogHasher) throws {
        let id = change.record.id
        // A single operation about a record is accounted for here. If there are several, each gets an entry in the
        // history.
        let arrived = change.arrived.flatMap { index in operations.delta.map { $0.location + Int64(index) } }
        if let arrived { account(arrived) }
        let size = change.record.state.operations.count
        let sizeBefore = change.before?.state.operations.count ?? 0
        if scratch.deferred[id] == nil {
            // A record that the lookup did not find is new.
            var found: RecordRow?
            if change.before != nil {
                found = scratch.found?.id == id ? scratch.found : try RecordRow.find(id, session)
            }
            scratch.found = nil
            guard max(size, sizeBefore) >= Self.deferredOperationsMin else {
                let row = try write(change.record, over: found, change.before, hasher: hasher)
                if let arrived, !change.record.state.operations.contains(where: { $0.location == arrived }) {
                    try projections.history.link(row, arrived, session)
                }
                return
            }
            scratch.deferred[id] = Deferred(
                found: found,
                before: change.before,
                record: change.record,
                hasher: hasher
            )
            scratch.deferredOperations += sizeBefore
        } else {
            scratch.deferred[id]?.record = change.record
            scratch.deferredOperations -= sizeBefore
        }
        if let arrived { scratch.deferred[id]?.arrived.append(arrived) }
        scratch.deferredOperations += size
        if scratch.deferredOperations > Self.deferredOperationsMax { try flushRecords() }
    }

    func flushRecords() throws {
        guard !scratch.deferred.isEmpty else { return }
        let deferred = scratch.deferred.values.sorted { $0.record.id < $1.record.id }
        scratch.deferred = [:]
        scratch.deferredOperations = 0
        for entry in deferred {
            let row = try write(entry.record, over: entry.found, entry.before, hasher: entry.hasher)
            // Most arrived operations are live, and usually few arrived: a set of all live ones pays only for many.
            let current = entry.record.state.operations
            let live = entry.arrived.count > 4 ? Set(current.map(\.location)) : nil
            for location in entry.arrived {
                let isLive = live?.contains(location) ?? current.contains { $0.location == location }
                if !isLive { try projections.history.link(row, location, session) }
            }
            for location in entry.touched { try projections.history.link(row, location, session) }
        }
    }

    /// Writes a record's row and all data derived from it.
    ///
    /// - Parameter found: Its previous row, which holds `before`.
    /// - Returns: The row's number.
    func write(
        _ record: StoredRecord,
        over found: RecordRow?,
        _ before: StoredRecord?,
        hasher: some CatalogHasher
    ) throws -> Int64 {
        // The cached operations are of no use for the next record.
        defer { operations.forget() }
        let owner: Int64
        if let found { owner = found.owner } else { owner = try cache.organizationNumber(record.owner, session) }
        let after = try RecordListing.facts(of: record.state, operations)
        let conflictFlags = try RecordConflicts.flags(of: record.state, operations)
        let factsBefore = try found.map { try facts(of: $0, before?.state ?? RecordState()) }

        let row: Int64
        if let found {
            row = found.row
            try update(record, over: found, after, conflictFlags)
        } else {
            row = try insert(record, after, conflictFlags)
        }
        cache.work.recordsSaved += 1
        let change = RecordChange(
            row: row,
            owner: owner,
            before: factsBefore,
            after: after,
            conflictFlags: conflictFlags,
            operations: operations
        )
        try projections.update(change, session)

        var totals = TotalsChange()
        if let before {
            totals.digest.subtract(cache.canonicalHash(of: record.id, before.state, isSaved: true, hasher))
            if before.state.isVisible { totals.shown -= 1 }
        }
        totals.digest.add(cache.canonicalHash(of: record.id, record.state, isSaved: false, hasher))
        if after.isVisible { totals.shown += 1 }
        scratch.totals[record.owner, default: TotalsChange()].add(totals)
        return row
    }

    /// The properties of a record, from the columns of its row if these hold them, else from its state.
    private func facts(of row: RecordRow, _ state: RecordState) throws -> RecordChange.Facts {
        guard projections.listing.holds(row.row) else { return try RecordListing.facts(of: state, operations) }
        return RecordChange.Facts(state: state, isVisible: row.isVisible, kind: row.kind)
    }

    /// Inserts a row with the columns of the projections.
    func insert(
        _ record: StoredRecord,
        _ facts: RecordChange.Facts,
        _ conflictFlags: RecordRow.ConflictFlags
    ) throws -> Int64 {
        try session(
            """
            INSERT INTO record(id, short, owner, kind, shown, trouble, rest, state, key)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        .bind(1, try cache.rowNumber(of: record.id, session)).bind(2, RecordRow.short(of: record.id))
        .bind(3, try cache.organizationNumber(record.owner, session)).bind(4, facts.kind)
        .bind(5, facts.isVisible ? 1 : 0).bind(6, conflictFlags.rawValue).bind(7, RecordRow.rest(of: record.id))
        .bind(8, try encode(record)).bind(9, record.state.isEmpty ? record.key.bytes : nil).run()
        return session.lastInsertedRow
    }

    private func update(
        _ record: StoredRecord,
        over found: RecordRow,
        _ facts: RecordChange.Facts,
        _ conflictFlags: RecordRow.ConflictFlags
    ) throws {
        let state = try encode(record)
        let key: RecordKey? = record.state.isEmpty ? record.key : nil
        // An update that names a column rewrites its index entries even if the value is the same.
        if found.kind == facts.kind, found.isVisible == facts.isVisible, found.conflictFlags == conflictFlags,
            found.key == key
        {
            try session("UPDATE record SET state = ? WHERE id = ?").bind(1, state).bind(2, found.row).run()
        } else {
            try session("UPDATE record SET kind = ?, shown = ?, trouble = ?, state = ?, key = ? WHERE id = ?")
                .bind(1, facts.kind).bind(2, facts.isVisible ? 1 : 0).bind(3, conflictFlags.rawValue).bind(4, state)
                .bind(5, key?.bytes).bind(6, found.row).run()
        }
    }

    private func encode(_ record: StoredRecord) throws -> [UInt8] {
        let bytes = try StateCoding.encode(record.state) { try cache.logNumber($0, session) }
        cache.work.stateBytesWritten += bytes.count
        cache.noteSaved(record.state, of: record.id, byteCount: bytes.count)
        return bytes
    }

    // MARK: - The end of the transaction

    /// Writes the data deferred to the end of the transaction: records with many live operations, digests and counts.
    func flush() throws {
        try flushRecords()
        for (organization, change) in scratch.totals.sorted(by: { $0.key < $1.key }) {
            try add(change, of: organization)
        }
        scratch.totals = [:]
        try projections.flush(session)
    }

    private func add(_ change: TotalsChange, of organization: OrganizationID) throws {
        let number = try cache.organizationNumber(organization, session)
        let before = try session("SELECT digest, shown FROM total WHERE organization = ?").bind(1, number)
            .first { (CatalogDigest(sum: try $0.hash(0)), $0.int(1)) }
        var (digest, shown) = before ?? (CatalogDigest(), 0)
        digest.add(change.digest)
        shown &+= Int64(change.shown)
        guard digest != CatalogDigest() || shown != 0 else {
            try session("DELETE FROM total WHERE organization = ?").bind(1, number).run()
            return
        }
        try session("INSERT OR REPLACE INTO total(organization, digest, shown) VALUES(?, ?, ?)").bind(1, number)
            .bind(2, digest.sum).bind(3, shown).run()
    }
}
