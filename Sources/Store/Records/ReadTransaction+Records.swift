package import Catalog
package import DeltaLog

extension ReadTransaction {
    // MARK: - Single records

    /// The record with its values, visible or not; nil if it never existed. A wide record (``RecordReach``) is returned
    /// in part.
    ///
    /// - Complexity: Linear in the live operations; their values are read within ``RecordReach`` only.
    package func view(of id: RecordID) throws -> RecordView? {
        try RecordRow.find(id, session).map { try view($0) }
    }

    /// The record with all its values, without a bound; for planning writes.
    package func wholeView(of id: RecordID) throws -> RecordView? {
        try RecordRow.find(id, session).map { try view($0, nil) }
    }

    /// - Parameter extent: The part of a wide record that is read; nil for all of it.
    func view(_ row: RecordRow, _ extent: RecordView.Extent? = .shown) throws -> RecordView {
        let state = try state(row)
        // The operations within reach, which are few in a wide record. Others are read on demand.
        var operations: [Int64: OperationBytes] = [:]
        let isWide = try state.isWide { live in
            let bytes = try operation(at: live.location)
            operations[live.location] = bytes
            return bytes.byteCount
        }
        func bytes(of live: LiveOperation) throws -> OperationBytes {
            try operations[live.location] ?? operation(at: live.location)
        }
        let key: RecordKey
        if let held = row.key {
            key = held
        } else if let first = state.operations.first {
            key = try bytes(of: first).key
        } else {
            throw StoreError.damaged("table record")
        }
        let owner = try organization(row.owner)
        guard isWide, let extent else {
            return try RecordView(
                id: row.id,
                owner: owner,
                key: key,
                state: state,
                isWide: isWide,
                path: { try path(of: $0) },
                values: { try bytes(of: $0).values(of: $0.writes) }
            )
        }
        var (count, byteCount) = (0, 0)
        return try RecordView(
            extent,
            ofWide: state,
            id: row.id,
            owner: owner,
            key: key,
            path: { try path(of: $0) },
            values: { live in
                guard count < extent.operationsMax, byteCount <= extent.operationBytesMax else { return nil }
                let operation = try bytes(of: live)
                count += 1
                byteCount += operation.byteCount
                return try operation.values(of: live.writes)
            }
        )
    }

    /// The comparison of a record with an operation that would create it.
    package enum Likeness: Sendable {
        /// There is no such record.
        case absent
        /// The record equals the result of the operation.
        case same
        /// The record differs, or has another origin.
        case other
    }

    /// Compares a record with an operation that would create it, byte for byte and without decoding values. This is
    /// fast for most rows of a file that is imported again.
    ///
    /// - Parameter draft: An operation without citations.
    package func likeness(of id: RecordID, to draft: OperationDraft) throws -> Likeness {
        let found = try names.records.find(session, isWanted: { $0.id == id }) { try RecordRow.find(id, session) }
        guard let row = found else { return .absent }
        let state = try state(row)
        guard try isVisible(row, state), try hasNoConflict(row, state) else { return .other }
        let writes = draft.envelope.writes
        guard state.operations.count == 1, let live = state.operations.first, live.writes.count == writes.count else {
            return .other
        }
        let fields = try fields(of: live.writes)
        for (position, write) in writes.enumerated() {
            let stored = live.writes[position]
            guard stored.number == position, stored.mode == write.mode, fields[position] == write.field else {
                return .other
            }
        }
        let location = live.location
        let content = try names.contents.find(session, isWanted: { $0.location == location }) {
            (location, try OperationRow.existing(at: location, session).content)
        }
        guard let stored = content?.content else { throw StoreError.damaged("table operation") }
        let wanted = Content(salt: Array(stored.prefix(ContentReader.saltEnd).dropFirst(2)), values: draft.values)
        return wanted.encoded() == stored ? .same : .other
    }

    /// The paths of writes. The previous result is cached, because consecutive records of an import have the same
    /// writes.
    private func fields(of writes: LiveWrites) throws -> [FieldPath] {
        if let last = names.lastWrites, last.writes == writes { return last.paths }
        let paths = try writes.map { try path(of: $0.field) }
        names.lastWrites = (writes, paths)
        return paths
    }

    /// The record in the form that merging uses; nil if it never existed.
    package func storedRecord(_ id: RecordID) throws -> StoredRecord? {
        guard let row = try RecordRow.find(id, session) else { return nil }
        return StoredRecord(id: id, owner: try organization(row.owner), key: try view(row).key, state: try state(row))
    }

    /// The path of a field's number.
    package func fieldPath(_ number: FieldNumber) throws -> FieldPath { try path(of: number) }

    /// The ids of records that begin with these hexadecimal digits (either case, odd numbers too), ascending.
    ///
    /// - Parameter limit: The maximum number; ask for one more than needed to know whether there are more.
    /// - Returns: Nil if the text is not 1 to 64 hexadecimal digits.
    package func records(withPrefix text: String, limit: Int) throws -> [RecordID]? {
        let digits = text.lowercased()
        guard (1...64).contains(digits.utf8.count),
            let lower = Hash256(hex: digits + String(repeating: "0", count: 64 - digits.utf8.count)),
            let upper = Hash256(hex: digits + String(repeating: "f", count: 64 - digits.utf8.count))
        else { return nil }
        return try ids(in: RecordID(lower)...RecordID(upper), after: nil, limit: limit).map(\.id)
    }

    /// Rows of records with ids in a range, ascending by id.
    private func ids(
        in range: ClosedRange<RecordID>,
        after: RecordID?,
        limit: Int
    ) throws -> [(id: RecordID, row: Int64)] {
        // The index orders by the first 4 bytes only. The few ids that share them are sorted here.
        var found: [(id: RecordID, row: Int64)] = []
        var group: [(id: RecordID, row: Int64)] = []
        var groupShort: Int64 = -1
        let start = max(range.lowerBound, after ?? range.lowerBound)
        let sql = try session("SELECT short, rest, id FROM record WHERE short BETWEEN ? AND ? ORDER BY short")
        sql.bind(1, RecordRow.short(of: start)).bind(2, RecordRow.short(of: range.upperBound))
        defer { sql.reset() }
        while try sql.step() {
            let short = sql.int(0)
            if short != groupShort {
                found += group.sorted { $0.id < $1.id }
                group = []
                groupShort = short
                if found.count >= limit { break }
            }
            let id = try RecordRow.id(short: short, rest: sql, column: 1)
            if range.contains(id), after.map({ id > $0 }) ?? true { group.append((id, sql.int(2))) }
        }
        found += group.sorted { $0.id < $1.id }
        return Array(found.prefix(limit))
    }

    // MARK: - Lists

    /// A position in a list; opaque, and valid only for the same database.
    package struct ListCursor: Hashable, Sendable {
        let kind: String
        let owner: OrganizationID
        let row: Int64

        /// As text, for a URL.
        package var text: String { "\(row).\(owner.hex).\(kind)" }

        /// Reads ``text``.
        package init?(text: String) {
            let parts = text.split(atByte: UInt8(ascii: "."), partsMax: 3)
            guard parts.count == 3, let row = Int64(parts[0]), let owner = OrganizationID(hex: parts[1])
            else { return nil }
            self.init(kind: parts[2], owner: owner, row: row)
        }

        /// Equal if all bytes are equal.
        package static func == (left: ListCursor, right: ListCursor) -> Bool {
            left.kind.hasSameBytes(as: right.kind) && left.owner == right.owner && left.row == right.row
        }

        package func hash(into hasher: inout Hasher) {
            hasher.combine(bytesOf: kind)
            hasher.combine(owner)
            hasher.combine(row)
        }

        init(kind: String, owner: OrganizationID, row: Int64) {
            self.kind = kind
            self.owner = owner
            self.row = row
        }
    }

    /// A page of visible records, ascending by kind, owner and arrival at this node. It ends early if its records take
    /// more than ``pageBytesMax``.
    ///
    /// - Parameter extent: The part of a wide record that is read.
    /// - Returns: The records, and the cursor of the next page; nil after the last.
    /// - Complexity: Linear in the page, independent of its position.
    package func records(
        kind: String? = nil,
        owner: OrganizationID? = nil,
        after cursor: ListCursor? = nil,
        limit: Int,
        extent: RecordView.Extent = .exported
    ) throws -> (records: [RecordView], next: ListCursor?) {
        try require(.listing)
        var records: [RecordView] = []
        var next: ListCursor?
        let bytesBefore = names.operationBytesRead
        try forEachGroup(kind: kind, owner: owner, from: cursor?.kind) { group in
            var row: Int64 = 0
            if let cursor, group.name.hasSameBytes(as: cursor.kind) {
                if group.organization < cursor.owner { return true }
                if group.organization == cursor.owner { row = cursor.row }
            }
            let rows = try session(
                "SELECT id FROM record WHERE shown = 1 AND kind = ? AND owner = ? AND id > ? ORDER BY id LIMIT ?"
            )
            .bind(1, group.kind).bind(2, group.owner).bind(3, row).bind(4, Int64(limit - records.count))
            .all { $0.int(0) }
            for row in rows {
                guard let found = try RecordRow.at(row, session) else { throw StoreError.damaged("index of record") }
                records.append(try view(found, extent))
                if records.count >= limit || names.operationBytesRead - bytesBefore > Self.pageBytesMax {
                    next = ListCursor(kind: group.name, owner: group.organization, row: row)
                    return false
                }
            }
            return true
        }
        return (records, next)
    }

    /// Calls `body` with every visible record, in the order of ``records(kind:owner:after:limit:)``, in bounded memory.
    package func forEachRecord(
        kind: String? = nil,
        owner: OrganizationID? = nil,
        _ body: (RecordView) throws -> Void
    ) throws {
        var cursor: ListCursor?
        repeat {
            let page = try records(kind: kind, owner: owner, after: cursor, limit: 256)
            for record in page.records { try body(record) }
            cursor = page.next
        } while cursor != nil
    }

    /// Calls `body` with every visible record, ascending by the record's id: the order that all nodes share.
    package func forEachRecordByID(_ body: (RecordView) throws -> Void) throws {
        var last: RecordID?
        let all = RecordID(.zero)...RecordID(Hash256(.max, .max, .max, .max))
        while true {
            let page = try ids(in: all, after: last, limit: 256)
            for (_, row) in page {
                guard let found = try RecordRow.at(row, session), try isVisible(found) else { continue }
                try body(view(found))
            }
            guard let end = page.last else { return }
            last = end.id
        }
    }

    /// Records with conflicts: a register has different values, or the record was edited while it was deleted.
    /// Ascending by arrival. Returns fewer if they take more than ``pageBytesMax``.
    package func conflicts(after row: Int64 = 0, limit: Int) throws -> (records: [RecordView], next: Int64?) {
        try require(.conflicts)
        let rows = try session("SELECT id FROM record WHERE trouble > 0 AND id > ? ORDER BY id LIMIT ?")
            .bind(1, row).bind(2, Int64(limit)).all { $0.int(0) }
        var records: [RecordView] = []
        let bytesBefore = names.operationBytesRead
        for row in rows {
            guard let found = try RecordRow.at(row, session) else { throw StoreError.damaged("index of record") }
            records.append(try view(found))
            if names.operationBytesRead - bytesBefore > Self.pageBytesMax { return (records, row) }
        }
        return (records, rows.count == limit ? rows.last : nil)
    }

    /// The number of records with conflicts.
    package func conflictCount() throws -> Int {
        try require(.conflicts)
        return try session("SELECT count(*) FROM record WHERE trouble > 0").first { Int($0.int(0)) } ?? 0
    }

    /// As ``conflictCount()``; nil while it is being rebuilt.
    package func conflictCountIfKnown() throws -> Int? {
        do {
            return try conflictCount()
        } catch let error as StoreError where error.code == .projectionRebuilding {
            return nil
        }
    }

    // MARK: - Comparing with another node

    /// For each first byte of a record's id, the sum of the canonical hashes. Reads every record.
    package func bucketSums(hasher: some CatalogHasher) throws -> [CatalogDigest] {
        var sums = Array(repeating: CatalogDigest(), count: 256)
        let sql = try session("SELECT id, short, rest, owner, kind, shown, trouble, state, key FROM record")
        defer { sql.reset() }
        while try sql.step() {
            let row = try RecordRow(sql)
            sums[Int(row.id.hash.word0 >> 56)].add(try state(row).canonicalHash(of: row.id, hasher: hasher))
        }
        return sums
    }

    /// Records whose id begins with a byte, ascending, each with its canonical hash. Records without live writes are
    /// left out, so a page may be short. The list ends when `next` is nil.
    package func bucket(
        _ byte: UInt8,
        after id: RecordID? = nil,
        limit: Int,
        hasher: some CatalogHasher
    ) throws -> (records: [(id: RecordID, hash: Hash256)], next: RecordID?) {
        let first = UInt64(byte) << 56
        let lower = RecordID(Hash256(first, 0, 0, 0))
        let upper = RecordID(Hash256(first | 0x00FF_FFFF_FFFF_FFFF, .max, .max, .max))
        let page = try ids(in: lower...upper, after: id, limit: limit)
        let records = try page.compactMap { id, row -> (id: RecordID, hash: Hash256)? in
            guard let found = try RecordRow.at(row, session) else { throw StoreError.damaged("index of record") }
            return try state(found).canonicalHash(of: id, hasher: hasher).map { (id, $0) }
        }
        return (records, page.count == limit ? page.last?.id : nil)
    }
}
