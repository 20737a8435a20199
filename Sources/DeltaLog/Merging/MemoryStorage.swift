package import Catalog

/// A storage in memory for the simulator and tests. It is also the reference model for the database.
package struct MemoryStorage: DeltaStorage {
    package private(set) var deltas: [LogID: [VerifiedDelta]] = [:]
    package private(set) var records: [RecordID: StoredRecord] = [:]
    package private(set) var totals: [OrganizationID: (digest: CatalogDigest, shown: Int)] = [:]
    /// Dangling references, by the delta that they cite and the operation's index.
    private var danglingReferences = DanglingReferences()
    /// The operations that do not count, each with its standing.
    package private(set) var excluded: [Dot: (record: RecordID, standing: Standing)] = [:]
    package private(set) var bounds: [LogID: UInt64] = [:]
    package private(set) var fields = FieldTable()
    private var operations: [VerifiedOperation] = []
    /// The location of each delta's first operation.
    private var locations: [LogID: [Int64]] = [:]

    package init() {}

    package func head(of log: LogID) -> Head? { deltas[log]?.last?.head }

    package mutating func append(_ delta: VerifiedDelta) -> Int64 {
        deltas[delta.log, default: []].append(delta)
        let location = Int64(operations.count)
        locations[delta.log, default: []].append(location)
        operations.append(contentsOf: delta.operations)
        return location
    }

    package mutating func number(of field: FieldPath) -> FieldNumber { fields.number(of: field) }

    package func record(_ id: RecordID) -> StoredRecord? { records[id] }

    package mutating func save(_ change: MergedRecord, hasher: some CatalogHasher) {
        records[change.record.id] = change.record
        addTotals(of: change, hasher: hasher)
    }

    private mutating func addTotals(of change: MergedRecord, hasher: some CatalogHasher) {
        let totals = change.totals(hasher: hasher)
        var total = self.totals[change.record.owner] ?? (CatalogDigest(), 0)
        total.digest.add(totals.digest)
        total.shown += totals.shown
        // Totals depend only on the records held now, so an empty entry is removed.
        self.totals[change.record.owner] = total == (CatalogDigest(), 0) ? nil : total
    }

    package mutating func exclude(_ dot: Dot, record: RecordID, as standing: Standing) {
        excluded[dot] = (record, standing)
    }

    package mutating func removeExclusion(_ dot: Dot) { excluded[dot] = nil }

    package mutating func addDangling(_ citation: DanglingReference) {
        danglingReferences.add(citation)
    }

    package func hasDangling(log: LogID, sequence: UInt64) -> Bool { danglingReferences.has(log, sequence) }

    package mutating func takeDangling(
        log: LogID,
        sequence: UInt64,
        where isWanted: (DanglingReference) -> Bool
    ) -> [UInt32: [DanglingReference]] {
        danglingReferences.take(log, sequence).mapValues { $0.filter(isWanted) }
    }

    package func bound(of log: LogID) -> UInt64? { bounds[log] }

    package mutating func setBound(_ bound: UInt64?, of log: LogID) { bounds[log] = bound }

    package func operationCount(about record: RecordID) -> Int { records[record]?.state.operations.count ?? 0 }

    private func delta(of log: LogID, sequence: UInt64) -> VerifiedDelta? {
        guard let deltas = deltas[log], (1...UInt64(deltas.count)).contains(sequence) else { return nil }
        return deltas[Int(sequence) - 1]
    }

    package func operations(
        of log: LogID,
        _ range: ClosedRange<UInt64>,
        hasher: some CatalogHasher
    ) -> [StoredOperation] {
        range.flatMap { stored(of: log, sequence: $0) { _ in true } }
    }

    package func operations(
        about record: RecordID,
        without range: ClosedRange<UInt64>,
        of log: LogID,
        hasher: some CatalogHasher
    ) -> [StoredOperation] {
        deltas.keys.sorted().flatMap { other in
            let count = min(UInt64(deltas[other]?.count ?? 0), bounds[other] ?? .max)
            return (0..<count).map { $0 + 1 }.filter { other != log || !range.contains($0) }.flatMap { sequence in
                stored(of: other, sequence: sequence) { $0.record == record }
                    .filter { excluded[$0.dot] == nil }
            }
        }
    }

    private func stored(
        of log: LogID,
        sequence: UInt64,
        where isWanted: (VerifiedOperation) -> Bool
    ) -> [StoredOperation] {
        guard let delta = delta(of: log, sequence: sequence), let location = locations[log]?[Int(sequence) - 1] else {
            return []
        }
        return delta.operations.indices.filter { isWanted(delta.operations[$0]) }.map { index in
            delta.stored(index, at: location)
        }
    }

    package mutating func replace(
        _ change: MergedRecord,
        operations: [StoredOperation],
        waiting: [DanglingReference],
        hasher: some CatalogHasher
    ) {
        danglingReferences.removeAll(of: change.record.id)
        for citation in waiting { danglingReferences.add(citation) }
        records[change.record.id] = operations.isEmpty ? nil : change.record
        addTotals(of: change, hasher: hasher)
    }

    /// The dangling references, by the operation that they cite.
    package var waiting: [Dot: [DanglingReference]] { danglingReferences.byDot }

    /// The digest over all organizations.
    package var digest: CatalogDigest {
        totals.values.reduce(into: CatalogDigest()) { $0.add($1.digest.sum) }
    }

    /// The number of visible records.
    package var visibleCount: Int { totals.values.reduce(0) { $0 + $1.shown } }

    package var frontier: Frontier {
        Frontier(deltas.compactMapValues { $0.last?.head })
    }

    /// The record with its values; nil if the storage has no such record.
    package func view(of id: RecordID) -> RecordView? {
        guard let record = records[id] else { return nil }
        return RecordView(
            id: id,
            owner: record.owner,
            key: record.key,
            state: record.state,
            isWide: record.state.isWide { operations[Int($0.location)].byteCount },
            path: { fields.path(of: $0) ?? .tombstone },
            values: { operations[Int($0.location)].valuesByNumber }
        )
    }
}

extension VerifiedOperation {
    /// The values by the number of their write.
    package var valuesByNumber: [UInt32: Value] { envelope.valuesByNumber(content) }
}

extension Envelope {
    /// The values of a content by the number of their write.
    package func valuesByNumber(_ content: Content) -> [UInt32: Value] {
        var values: [UInt32: Value] = [:]
        var iterator = content.values.makeIterator()
        for (number, write) in writes.enumerated() where write.hasValue {
            values[UInt32(number)] = iterator.next()
        }
        return values
    }
}
