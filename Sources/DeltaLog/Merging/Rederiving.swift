package import Catalog

/// An operation as a storage holds it: all that merging needs of it.
package struct StoredOperation: Sendable {
    package let record: RecordID
    package let dot: Dot
    package let stamp: Stamp
    /// The organization that its delta's header names.
    package let organization: OrganizationID
    package let hash: Hash256
    /// Where the storage keeps it.
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
    /// One of its operations, as a storage holds it.
    ///
    /// - Parameter location: That of the delta's first operation.
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

/// A citation of an operation that is not among those that a record was derived from.
package struct DanglingCitation: Hashable, Sendable {
    /// The citing operation.
    package let by: Dot
    package let citation: WaitingCitation

    package init(by: Dot, citation: WaitingCitation) {
        self.by = by
        self.citation = citation
    }
}

/// Derives a record from its operations. Pure; ``DeltaApplier`` gives the same state one delta after the other, which a
/// property test holds.
///
/// - Parameters:
///   - operations: All about the record that lie within the bounds of their logs, each once, in any order.
///   - number: Gives the storage's number of a field. Asked for operations that count alone.
/// - Returns: The state, and the citations that hit none of the operations given: the cited operation has not come, is
///   about another record, lies beyond its log's bound or does not count. An operation's citation of itself is one of them.
/// - Complexity: Linear in writes and citations, beside sorting the operations.
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
                    let waiting = WaitingCitation(record: record, supersession: supersession)
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
    /// Moves a log's bound one step towards another one, and derives again the records that the operations in between are
    /// about. Each step leaves what is derived as a function of the deltas held within the bounds, so anything may come
    /// between two steps, a crash too. Idempotent.
    ///
    /// - Parameters:
    ///   - target: The last sequence that is to count; nil for all.
    ///   - operationsMax: Operations of the log that a step moves over; more where a single delta has more.
    ///   - readsMax: Operations of the records concerned that a step reads; more where a single delta's records have more.
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

    /// The part of a range of sequences that one step takes, from its end or its beginning, with its operations.
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
        var waiting: [WaitingCitation] = []
        for citation in dangling {
            let cited = citation.citation.supersession.citation.dot
            // An operation that is held and was not hit is never hit, unless a bound rises: then this is done again.
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
