package import Catalog
package import DeltaLog

/// Reads of one snapshot of the directory. Valid only within the body of ``Store/read(_:)``.
///
/// All methods throw ``StoreError``: `corrupt` if a row is not as this program writes it, `inputOutput` if the disk
/// fails.
package struct ReadTransaction {
    /// Caches of recently used numbers (a snapshot's numbers do not change), and the cursors of sequential reads.
    final class Names {
        let fields: FieldNames
        var logs = BoundedCache<Int64, LogID>(weightMax: WriterCache.entriesMax)
        var organizations = BoundedCache<Int64, OrganizationID>(weightMax: WriterCache.entriesMax)
        var kinds = BoundedCache<Int64, String>(weightMax: WriterCache.kindBytesMax)
        /// The live writes of the last compared record, with their paths.
        var lastWrites: (writes: LiveWrites, paths: [FieldPath])?
        let records = RowsInTurn(following: RecordRow.byFollowing, read: RecordRow.init, number: { $0.row })
        let contents = RowsInTurn(
            following: "SELECT id, content FROM operation WHERE id > ? ORDER BY id",
            read: { (location: $0.int(0), content: $0.bytes(1)) },
            number: { $0.location }
        )
        /// Projections that are being rebuilt, with their cursors; nil until first used.
        var unfinished: [ProjectionName: Int64]?
        /// The number and bytes of operations read for views and histories.
        var operationsRead = 0
        var operationBytesRead = 0

        init(_ fields: FieldNames) { self.fields = fields }
    }

    let session: Session
    let names: Names

    /// - Parameter fields: A cache of known paths.
    init(_ session: Session, fields: FieldNames = FieldNames()) {
        self.session = session
        names = Names(fields)
    }

    func path(of number: FieldNumber) throws -> FieldPath { try names.fields.path(of: number, session) }

    func log(_ number: Int64) throws -> LogID {
        if let known = names.logs.find(number) { return known }
        let id = try Lookup.log(number, session)
        names.logs.insert(id, for: number, weight: 1)
        return id
    }

    func organization(_ number: Int64) throws -> OrganizationID {
        if let known = names.organizations.find(number) { return known }
        let id = try Lookup.organization(number, session)
        names.organizations.insert(id, for: number, weight: 1)
        return id
    }

    func state(_ row: RecordRow) throws -> RecordState {
        do {
            return try row.state.withUnsafeBytes { try StateCoding.decode($0) { try log($0) } }
        } catch is ByteReader.Damage {
            throw StoreError.damaged("table record")
        }
    }

    /// The operations that views and histories have read so far. Readers of many records stop by their bytes; the count
    /// is for tests.
    package var work: (operationsRead: Int, operationBytesRead: Int) {
        (names.operationsRead, names.operationBytesRead)
    }

    /// The maximum bytes of operations of a page of records or search hits. The last record may exceed it.
    package static let pageBytesMax = 16 * 1024 * 1024

    /// The bytes of an operation.
    func operation(at location: Int64) throws -> OperationBytes {
        let bytes = OperationBytes(try OperationRow.existing(at: location, session))
        names.operationsRead += 1
        names.operationBytesRead += bytes.byteCount
        return bytes
    }

    // MARK: - Logs

    /// The heads of all logs held. Linear in the number of logs.
    package func frontier() throws -> Frontier {
        var frontier = Frontier()
        let sql = try session("SELECT author, incarnation, sequence, hash FROM log WHERE sequence != 0")
        defer { sql.reset() }
        while try sql.step() {
            let log = LogID(author: NodeKey(try sql.hash(0)), incarnation: UInt64(bitPattern: sql.int(1)))
            frontier[log] = Head(sequence: UInt64(bitPattern: sql.int(2)), hash: try sql.hash(3))
        }
        return frontier
    }

    private func number(of log: LogID) throws -> Int64? {
        try session("SELECT id FROM log WHERE author = ? AND incarnation = ?").bind(1, log.author.hash)
            .bind(2, Int64(bitPattern: log.incarnation)).first { $0.int(0) }
    }

    /// The last delta held of a log; nil if none is held.
    package func head(of log: LogID) throws -> Head? {
        try session("SELECT sequence, hash FROM log WHERE author = ? AND incarnation = ? AND sequence != 0")
            .bind(1, log.author.hash).bind(2, Int64(bitPattern: log.incarnation))
            .first { Head(sequence: UInt64(bitPattern: $0.int(0)), hash: try $0.hash(1)) }
    }

    /// The exact bytes of the Delta messages of a log from a sequence on: as many as fit in `bytesMax`, but at least
    /// one if there is one.
    package func deltas(of log: LogID, from sequence: UInt64, bytesMax: Int) throws -> [(
        sequence: UInt64, bytes: [UInt8]
    )] {
        guard let number = try number(of: log) else { return [] }
        var deltas: [(sequence: UInt64, bytes: [UInt8])] = []
        var size = 0
        let sql = try session(
            """
            SELECT id, sequence, count, header, signature FROM whole WHERE log = ? AND sequence >= ? ORDER BY sequence
            """
        )
        sql.bind(1, number).bind(2, Int64(clamping: sequence))
        defer { sql.reset() }
        while try sql.step() {
            let bytes = try message(sql.int(0), count: sql.int(2), header: sql.bytes(3), signature: sql.bytes(4))
            guard deltas.isEmpty || size + bytes.count <= bytesMax else { break }
            size += bytes.count
            deltas.append((UInt64(bitPattern: sql.int(1)), bytes))
            if size >= bytesMax { break }
        }
        return deltas
    }

    /// The Delta message of a row of `delta`.
    func message(_ id: Int64, count: Int64, header: [UInt8], signature: [UInt8]) throws -> [UInt8] {
        let operationsMax = Int64(FormatLimits.operationsMax)
        var writer = DeltaWriter(capacity: 512 + Int(clamping: min(max(0, count), operationsMax)) * 512)
        writer.append(header: header, signature: signature)
        let sql = try session("SELECT shape, envelope, content FROM operation WHERE id >= ? AND id < ? ORDER BY id")
        sql.bind(1, id).bind(2, id &+ max(0, count))
        defer { sql.reset() }
        var found: Int64 = 0
        var envelope: [UInt8] = []
        var shape: Int64 = 0
        while try sql.step() {
            found += 1
            let number = sql.int(0)
            if number == 0 {
                envelope = sql.bytes(1)
            } else if number == shape {
                // The envelope differs from the previous one only by its key.
                try sql.withBytes(1) { try Shapes.setKey($0, of: &envelope) }
            } else {
                let bytes = try session.shape(number)
                envelope = sql.withBytes(1) { Shapes.envelope(key: $0, shape: bytes) }
            }
            shape = number
            envelope.withUnsafeBytes { envelope in
                sql.withBytes(2) { writer.append(envelope: envelope, content: $0) }
            }
        }
        guard found == count else { throw StoreError.damaged("table operation") }
        return writer.bytes
    }

    /// A stored header.
    package struct StoredHeader: Hashable, Sendable {
        package let sequence: UInt64
        package let header: [UInt8]
        package let signature: [UInt8]
        /// The hash of header and signature, which the next header names.
        package let hash: Hash256
    }

    /// The headers of a log within a range of sequences, ascending; headers not held are left out.
    package func headers(of log: LogID, _ range: ClosedRange<UInt64>) throws -> [StoredHeader] {
        guard let number = try number(of: log) else { return [] }
        return try session(
            """
            SELECT sequence, header, signature, hash FROM whole
            WHERE log = ? AND sequence BETWEEN ? AND ? ORDER BY sequence
            """
        )
        .bind(1, number).bind(2, Int64(clamping: range.lowerBound)).bind(3, Int64(clamping: range.upperBound))
        .all {
            StoredHeader(
                sequence: UInt64(bitPattern: $0.int(0)),
                header: $0.bytes(1),
                signature: $0.bytes(2),
                hash: try $0.hash(3)
            )
        }
    }

    /// A delta without its operations.
    package struct DeltaInfo: Hashable, Sendable {
        /// Ascending by arrival at this node; for paging.
        package let position: Int64
        package let header: Header
        /// The hash of the header with its signature.
        package let hash: Hash256
    }

    /// Deltas, in reverse order of arrival.
    ///
    /// - Parameters:
    ///   - author: Only deltas by this node.
    ///   - position: Only deltas that arrived before this one (``DeltaInfo/position``).
    ///   - limit: The maximum number.
    package func recentDeltas(
        author: NodeKey? = nil,
        before position: Int64? = nil,
        limit: Int
    ) throws -> [DeltaInfo] {
        let end = position ?? .max
        guard let author else {
            return try session("SELECT id, header, hash FROM whole WHERE id < ? ORDER BY id DESC LIMIT ?")
                .bind(1, end).bind(2, Int64(limit)).all(Self.info)
        }
        // Each log of the author is read from its end. The author chooses the number of logs.
        let logs = try session("SELECT id FROM log WHERE author = ? AND sequence != 0").bind(1, author.hash)
            .all { $0.int(0) }
        var infos: [DeltaInfo] = []
        func keepLatest() {
            infos.sort { $0.position > $1.position }
            infos.removeLast(max(0, infos.count - limit))
        }
        for log in logs {
            let sql = try session(
                "SELECT id, header, hash FROM whole WHERE log = ? AND id < ? ORDER BY sequence DESC LIMIT ?"
            )
            infos += try sql.bind(1, log).bind(2, end).bind(3, Int64(limit)).all(Self.info)
            if infos.count / 2 >= max(limit, 500) { keepLatest() }
        }
        keepLatest()
        return infos
    }

    static func info(_ sql: SQL) throws -> DeltaInfo {
        guard let header = try? Header(decoding: sql.bytes(1)[...]) else { throw StoreError.damaged("table delta") }
        return DeltaInfo(position: sql.int(0), header: header, hash: try sql.hash(2))
    }

    /// The delta with this log and sequence; nil if it is not held.
    package func deltaInfo(log: LogID, sequence: UInt64) throws -> DeltaInfo? {
        guard let number = try number(of: log) else { return nil }
        return try session("SELECT id, header, hash FROM whole WHERE log = ? AND sequence = ?").bind(1, number)
            .bind(2, Int64(bitPattern: sequence)).first(Self.info)
    }

    /// The delta that holds the operation at a location.
    func deltaInfo(location: Int64) throws -> DeltaInfo {
        let info = try session("SELECT id, header, hash FROM whole WHERE id <= ? ORDER BY id DESC LIMIT 1")
            .bind(1, location).first(Self.info)
        guard let info else { throw StoreError.damaged("table delta") }
        return info
    }

    // MARK: - Totals

    /// The digest and counts of the directory.
    package struct Totals: Hashable, Sendable {
        /// The digest over all organizations.
        package let digest: CatalogDigest
        /// Visible records.
        package let shown: Int
        /// By organization.
        package let organizations: [OrganizationID: OrganizationTotals]
    }

    /// The digest and counts of one organization's records.
    package struct OrganizationTotals: Hashable, Sendable {
        package let digest: CatalogDigest
        package let shown: Int
    }

    /// Digests and counts. Linear in the number of organizations.
    package func totals() throws -> Totals {
        var digest = CatalogDigest()
        var shown = 0
        var organizations: [OrganizationID: OrganizationTotals] = [:]
        let rows = try session("SELECT organization, digest, shown FROM total").all {
            ($0.int(0), CatalogDigest(sum: try $0.hash(1)), Int($0.int(2)))
        }
        for row in rows {
            digest.add(row.1)
            shown &+= row.2
            organizations[try organization(row.0)] = OrganizationTotals(digest: row.1, shown: row.2)
        }
        return Totals(digest: digest, shown: shown, organizations: organizations)
    }

    /// The number of visible records of one kind and owner.
    package struct Count: Hashable, Sendable {
        package let kind: String
        package let owner: OrganizationID
        package let shown: Int
    }

    /// The number of visible records by kind and owner, ascending by both. Linear in kinds times owners.
    ///
    /// - Throws: ``StoreError`` with `projectionRebuilding`.
    package func counts() throws -> [Count] {
        var counts: [Count] = []
        try forEachGroup { group in
            counts.append(Count(kind: group.name, owner: group.organization, shown: group.shown))
            return true
        }
        return counts
    }

    /// True if a kind has visible records.
    package func hasRecords(of kind: String) throws -> Bool {
        var isFound = false
        try forEachGroup(kind: kind) { _ in
            isFound = true
            return false
        }
        return isFound
    }

    struct Group {
        let kind: Int64
        let owner: Int64
        let name: String
        let organization: OrganizationID
        let shown: Int
    }

    /// Calls `body` with kinds and owners that have visible records, ascending by the kind's bytes and the owner, until
    /// it returns false.
    ///
    /// - Parameters:
    ///   - kind: Only this kind.
    ///   - owner: Only this owner.
    ///   - first: Only from this kind on. Earlier kinds are not read, because peers choose the number of kinds.
    func forEachGroup(
        kind: String? = nil,
        owner: OrganizationID? = nil,
        from first: String? = nil,
        _ body: (Group) throws -> Bool
    ) throws {
        try require(.counts)
        let sql: SQL
        if let kind {
            sql = try session(
                """
                SELECT kind.number, kind.name, tally.owner, organization.id, tally.shown
                FROM kind JOIN tally ON tally.kind = kind.number JOIN organization ON organization.number = tally.owner
                WHERE kind.name = ? AND tally.shown != 0 ORDER BY organization.id
                """
            ).bind(1, Array(kind.utf8))
        } else {
            // Blobs compare by their bytes. SQLite sorts the owners of each kind separately.
            sql = try session(
                """
                SELECT kind.number, kind.name, tally.owner, organization.id, tally.shown
                FROM kind CROSS JOIN tally ON tally.kind = kind.number
                CROSS JOIN organization ON organization.number = tally.owner
                WHERE kind.name >= ? AND tally.shown != 0 ORDER BY kind.name, organization.id
                """
            ).bind(1, Array((first ?? "").utf8))
        }
        defer { sql.reset() }
        while try sql.step() {
            let group = Group(
                kind: sql.int(0),
                owner: sql.int(2),
                name: sql.text(1),
                organization: OrganizationID(try sql.hash(3)),
                shown: Int(sql.int(4))
            )
            if let owner, owner != group.organization { continue }
            guard try body(group) else { return }
        }
    }

    /// The number of operations that are stored but not merged, and the number of dangling references.
    package func pendingCounts() throws -> (excluded: Int, waiting: Int) {
        (
            try session("SELECT count(*) FROM aside").first { Int($0.int(0)) } ?? 0,
            try session("SELECT count(*) FROM waiting").first { Int($0.int(0)) } ?? 0
        )
    }
}
