import Catalog
import DeltaLog

// The rebuild of single projections, step by step.

extension WriteTransaction {
    /// Empties all projections and marks them as whole. They then hold exactly the records that are merged from now on.
    func restartProjections() throws {
        try restart(\.history)
        try restart(\.listing)
        try restart(\.counts)
        try restart(\.conflicts)
        try restart(\.search)
    }

    private func restart<P: Projection>(_ projection: ReferenceWritableKeyPath<Projections, P>) throws {
        try projections[keyPath: projection].empty(session)
        try setCursor(P.wholeCursor, of: projection)
    }

    /// One step of the rebuild of the first projection that is not whole.
    ///
    /// - Returns: False if all are whole.
    func rebuildProjectionStep(_ limit: ProjectionStepLimit, hasher: some CatalogHasher) throws -> Bool {
        if !projections.history.isWhole {
            try rebuild(\.history) { try linkOperations(after: $0, limit, hasher: hasher) }
        } else if !projections.listing.isWhole {
            try rebuild(\.listing) { try enterRecords(after: $0, limit, into: \.listing) }
        } else if !projections.counts.isWhole {
            try rebuild(\.counts) { try enterRecords(after: $0, limit, into: \.counts) }
        } else if !projections.conflicts.isWhole {
            try rebuild(\.conflicts) { try enterRecords(after: $0, limit, into: \.conflicts) }
        } else if !projections.search.isWhole {
            try rebuild(\.search) { try enterRecords(after: $0, limit, into: \.search) }
        } else {
            return false
        }
        return true
    }

    /// - Parameter advance: Enters the entries after a position. Returns the last position entered; nil if there is
    ///   none.
    private func rebuild<P: Projection>(
        _ projection: ReferenceWritableKeyPath<Projections, P>,
        advance: (Int64) throws -> Int64?
    ) throws {
        let cursor = projections[keyPath: projection].cursor
        if cursor < 0 {
            try projections[keyPath: projection].empty(session)
            try setCursor(0, of: projection)
        } else {
            try setCursor(try advance(cursor) ?? P.wholeCursor, of: projection)
        }
    }

    private func setCursor<P: Projection>(
        _ cursor: Int64,
        of projection: ReferenceWritableKeyPath<Projections, P>
    ) throws {
        projections[keyPath: projection].cursor = cursor
        try Projections.setCursor(cursor == P.wholeCursor ? nil : cursor, of: P.name, session)
    }

    // MARK: - By records

    private func enterRecords<P: Projection>(
        after cursor: Int64,
        _ limit: ProjectionStepLimit,
        into projection: ReferenceWritableKeyPath<Projections, P>
    ) throws -> Int64? {
        let end = ContinuousClock.now + limit.duration
        var last = cursor
        for _ in 0..<limit.positions {
            let next = try session(RecordRow.byFollowing).bind(1, last).first { try RecordRow($0) }
            guard let row = next else { return nil }
            let state = try decode(row)
            defer { operations.forget() }
            let change = RecordChange(
                row: row.row,
                owner: row.owner,
                before: nil,
                after: try RecordListing.facts(of: state, operations),
                conflictFlags: try RecordConflicts.flags(of: state, operations),
                operations: operations
            )
            try projections[keyPath: projection].enter(change, session)
            last = row.row
            if ContinuousClock.now >= end { break }
        }
        return last
    }

    // MARK: - By operations

    /// Links the operations of the deltas that follow a location.
    private func linkOperations(
        after cursor: Int64,
        _ limit: ProjectionStepLimit,
        hasher: some CatalogHasher
    ) throws -> Int64? {
        let end = ContinuousClock.now + limit.duration
        var last = cursor
        // The locations of live operations by record, cached because many deltas may be about one wide record.
        var live = BoundedCache<RecordID, LiveLocations>(weightMax: Self.liveOperationsMax)
        while last - cursor < Int64(limit.positions) {
            let next = try session("SELECT id, header, hash FROM whole WHERE id > ? ORDER BY id LIMIT 1")
                .bind(1, last).first(ReadTransaction.info)
            guard let delta = next else { return nil }
            let bound = try bound(of: delta.header.log)
            if delta.header.sequence <= bound ?? .max { try link(delta, &live, hasher: hasher) }
            last = delta.position &+ Int64(delta.header.count) &- 1
            if ContinuousClock.now >= end { break }
        }
        return last
    }

    /// The maximum number of cached locations of live operations in one step: some 20 MiB.
    private static let liveOperationsMax = 256 * 1024

    private struct LiveLocations {
        let row: Int64
        let locations: Set<Int64>
    }

    private func link(
        _ delta: ReadTransaction.DeltaInfo,
        _ live: inout BoundedCache<RecordID, LiveLocations>,
        hasher: some CatalogHasher
    ) throws {
        let locations = delta.position..<delta.position &+ Int64(delta.header.count)
        let excluded = try Set(
            session("SELECT operation FROM aside WHERE operation >= ? AND operation < ?")
                .bind(1, locations.lowerBound).bind(2, locations.upperBound).all { $0.int(0) }
        )
        var counting: [RecordID: [Int64]] = [:]
        for location in locations where !excluded.contains(location) {
            counting[try stored(at: location, in: delta, hasher: hasher).record, default: []].append(location)
        }
        for (record, locations) in counting.sorted(by: { $0.key < $1.key }) {
            guard let found = try liveLocations(of: record, &live) else { continue }
            for location in locations where locations.count > 1 || !found.locations.contains(location) {
                try projections.history.enter(found.row, location, session)
            }
        }
    }

    private func liveLocations(
        of record: RecordID,
        _ live: inout BoundedCache<RecordID, LiveLocations>
    ) throws -> LiveLocations? {
        if let known = live.find(record) { return known }
        guard let row = try RecordRow.find(record, session) else { return nil }
        let found = LiveLocations(row: row.row, locations: Set(try decode(row).operations.map(\.location)))
        live.insert(found, for: record, weight: found.locations.count + 1)
        return found
    }
}

/// The limits of one step of a rebuild.
struct ProjectionStepLimit {
    let positions: Int
    let duration: Duration
}
