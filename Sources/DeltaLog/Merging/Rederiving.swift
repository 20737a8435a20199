package import Catalog

/// A stored operation: the data that merging needs.
package struct StoredOperation: Sendable {
    package let record: RecordID
    package let dot: Dot
    package let stamp: Stamp
    /// The organization that its delta's header names.
    package let organization: OrganizationID
    package let hash: Hash256
    /// The operation's location in the storage.
    package let location: Int64
    package let envelope: Envelope

    package init(
        record: RecordID,
        dot: Dot,
        stamp: Stamp,
        organization: OrganizationID,
        hash: Hash256,
        location: Int64,
        envelope: Envelope
    ) {
        self.record = record
        self.dot = dot
        self.stamp = stamp
        self.organization = organization
        self.hash = hash
        self.location = location
        self.envelope = envelope
    }
}

extension VerifiedDelta {
    /// One of the delta's operations in stored form.
    ///
    /// - Parameter location: The location of the delta's first operation.
    package func stored(_ index: Int, at location: Int64) -> StoredOperation {
        let operation = operations[index]
        return StoredOperation(
            record: operation.record,
            dot: dot(index),
            stamp: header.stamp,
            organization: header.organization,
            hash: operation.hash,
            location: location + Int64(index),
            envelope: operation.envelope
        )
    }
}

/// A citation that matches none of the operations from which a record was derived.
package struct DanglingCitation: Hashable, Sendable {
    /// The citing operation.
    package let by: Dot
    package let citation: DanglingReference

    package init(by: Dot, citation: DanglingReference) {
        self.by = by
        self.citation = citation
    }
}

/// Derives a record from all its operations. This is a pure function.
///
/// ``DeltaApplier`` reaches the same state delta by delta; a property test compares the two.
///
/// - Parameters:
///   - operations: All operations about the record within the bounds of their logs, each once, in any order.
///   - number: Returns the storage's number of a field. Called only for operations that count.
/// - Returns: The state, and the citations that match none of the operations, self-citations included. The cited
///   operation has not arrived, belongs to another record, exceeds its log's bound or does not count.
/// - Complexity: Linear in writes and citations, plus sorting the operations.
package func rederive(
    _ record: RecordID,
    from operations: [StoredOperation],
    under authority: some Authority,
    number: (FieldPath) throws -> FieldNumber
) rethrows -> (state: RecordState, dangling: [DanglingCitation]) {
    let counting =
        operations.filter { authority.standing(of: $0.dot, $0.envelope, by: $0.organization) == .counts }
        .sorted { $0.dot < $1.dot }
    let dots = Set(counting.map(\.dot))
    var superseded: [Supersession] = []
    var dangling: [DanglingCitation] = []
    var live: [LiveOperation] = []
    live.reserveCapacity(counting.count)
    for operation in counting {
        let isDeletion = operation.envelope.kind == .deletion
        var writes: [LiveWrite] = []
        for (index, write) in operation.envelope.writes.enumerated() {
            let field = try number(write.field)
            for citation in write.supersedes {
                let supersession = Supersession(citation: citation, field: isDeletion ? nil : field)
                if citation.dot != operation.dot, dots.contains(citation.dot) {
                    superseded.append(supersession)
                } else {
                    let waiting = DanglingReference(record: record, supersession: supersession)
                    dangling.append(DanglingCitation(by: operation.dot, citation: waiting))
                }
            }
            if write.mode != .remove {
                writes.append(LiveWrite(number: UInt32(index), field: field, mode: write.mode))
            }
        }
        live.append(
            LiveOperation(
                dot: operation.dot,
                stamp: operation.stamp,
                hash: operation.hash,
                location: operation.location,
                writes: writes
            )
        )
    }
    var state = RecordState()
    state.insert(live)
    state.supersede(superseded)
    return (state, dangling)
}

extension DeltaApplier {
    /// Moves a log's bound one step towards a target, and re-derives the records that the operations in between are
    /// about.
    ///
    /// After each step, the derived data is a function of the deltas within the bounds. Other calls, or a crash, may
    /// therefore come between two steps. Idempotent.
    ///
    /// - Parameters:
    ///   - target: The last sequence that counts; nil for no bound.
    ///   - operationsMax: The maximum number of the log's operations per step. A single delta may exceed it.
    ///   - readsMax: The maximum number of operations of the records concerned that a step reads. The records of a single
    ///     delta may exceed it.
    /// - Returns: True once the bound is the target.
    /// - Complexity: Linear in the operations moved over and in all operations that count for their records. A log whose
    ///   deltas are about different records with more than `readsMax` operations together takes a step for each of them.
    package func relimit(
        _ log: LogID,
        to target: UInt64?,
        operationsMax: Int,
        readsMax: Int = .max,
        in storage: inout some DeltaStorage
    ) throws -> Bool {
        let head = try storage.head(of: log)?.sequence ?? 0
        let bound = try storage.bound(of: log)
        let (from, end) = (min(bound ?? .max, head), min(target ?? .max, head))
        guard from != end else {
            if bound != target { try storage.setBound(target, of: log) }
            return true
        }
        let isFalling = end < from
        let (range, operations) = try part(
            of: log,
            min(from, end) + 1...max(from, end),
            fromEnd: isFalling,
            operationsMax: operationsMax,
            readsMax: readsMax,
            storage
        )
        var moved: [RecordID: [StoredOperation]] = [:]
        for operation in operations {
            let standing = authority.standing(of: operation.dot, operation.envelope, by: operation.organization)
            if standing == .counts {
                moved[operation.record, default: []].append(operation)
            } else if isFalling {
                try storage.removeExclusion(operation.dot)
            } else {
                try storage.exclude(operation.dot, record: operation.record, as: standing)
            }
        }
        for (record, operations) in moved.sorted(by: { $0.key < $1.key }) {
            var counting = try storage.operations(about: record, without: range, of: log, hasher: hasher)
            if !isFalling { counting += operations }
            try replace(
                record,
                key: operations[0].envelope.key,
                from: counting,
                operations[0].organization,
                in: &storage
            )
        }
        let reached = isFalling ? range.lowerBound - 1 : range.upperBound
        try storage.setBound(reached == end ? target : reached, of: log)
        return reached == end
    }

    /// The part of a range of sequences that one step covers, with its operations: its end if `fromEnd` is true, otherwise
    /// its beginning.
    private func part(
        of log: LogID,
        _ range: ClosedRange<UInt64>,
        fromEnd: Bool,
        operationsMax: Int,
        readsMax: Int,
        _ storage: borrowing some DeltaStorage
    ) throws -> (range: ClosedRange<UInt64>, operations: [StoredOperation]) {
        var taken: [StoredOperation] = []
        var records: Set<RecordID> = []
        var reads = 0
        var next = fromEnd ? range.upperBound : range.lowerBound
        var end: UInt64?
        while true {
            let operations = try storage.operations(of: log, next...next, hasher: hasher)
            for operation in operations where records.insert(operation.record).inserted {
                reads += try storage.operationCount(about: operation.record)
            }
            if end != nil, taken.count + operations.count > operationsMax || reads > readsMax { break }
            taken += operations
            end = next
            guard next != (fromEnd ? range.lowerBound : range.upperBound) else { break }
            next = fromEnd ? next - 1 : next + 1
        }
        let last = end ?? next
        return (fromEnd ? last...range.upperBound : range.lowerBound...last, taken)
    }

    private func replace(
        _ id: RecordID,
        key: RecordKey,
        from operations: [StoredOperation],
        _ owner: OrganizationID,
        in storage: inout some DeltaStorage
    ) throws {
        let (state, dangling) = try rederive(id, from: operations, under: authority) { try storage.number(of: $0) }
        var waiting: [DanglingReference] = []
        for citation in dangling {
            let cited = citation.citation.supersession.citation.dot
            // A citation of a held operation that does not match it can match only after a bound rises; that derives
            // the record again.
            let hasCome = try storage.head(of: cited.log).map { cited.sequence <= $0.sequence } ?? false
            if !hasCome || cited == citation.by { waiting.append(citation.citation) }
        }
        let before = try storage.record(id)
        var record = before ?? StoredRecord(id: id, owner: owner, key: key, state: RecordState())
        record.state = state
        try storage.replace(
            MergedRecord(before: before, record: record, arrived: nil),
            operations: operations,
            waiting: waiting,
            hasher: hasher
        )
    }
}
