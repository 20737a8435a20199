package import Catalog

/// A record's row: what merging needs to know of it.
package struct StoredRecord: Hashable, Sendable {
    package let id: RecordID
    package let owner: OrganizationID
    package let key: RecordKey
    package var state: RecordState

    package init(id: RecordID, owner: OrganizationID, key: RecordKey, state: RecordState) {
        self.id = id
        self.owner = owner
        self.key = key
        self.state = state
    }
}

/// A citation that waits for its operation.
package struct WaitingCitation: Hashable, Sendable {
    package let record: RecordID
    package let supersession: Supersession

    package init(record: RecordID, supersession: Supersession) {
        self.record = record
        self.supersession = supersession
    }
}

/// Why an operation is stored, relayed and shown, but not merged.
package enum SetAside: UInt8, Hashable, Sendable {
    /// It is about a record of another organization.
    case notOwner = 1
    /// A kind of operation that needs a newer node.
    case unknownKind = 2

    /// A few words for people.
    package var reason: String {
        switch self {
        case .notOwner: "void: only the owner may write this record"
        case .unknownKind: "needs a newer node"
        }
    }
}

/// A change of an organization's totals.
package struct TotalsChange: Hashable, Sendable {
    /// Canonical hashes that left the digest and that entered it.
    package var digest = CatalogDigest()
    /// Records shown, more or fewer.
    package var shown = 0
    package init() {}
}

/// What a node keeps: deltas as they came, and what is derived from them. The database implements it, and so does
/// memory; one conformance suite holds both.
///
/// All calls belong to one transaction, which the implementation's owner begins and ends.
package protocol DeltaStorage {
    /// The last delta held of a log, which means: stored and merged, or being merged.
    func head(of log: LogID) throws -> Head?
    /// Stores a delta that continues its log, and makes it the log's head. Returns the location of its first
    /// operation; the others follow one by one.
    mutating func append(_ delta: VerifiedDelta) throws -> Int64
    /// The path's number in this storage, given now if it had none.
    mutating func number(of field: FieldPath) throws -> FieldNumber
    func record(_ id: RecordID) throws -> StoredRecord?
    /// Stores a record's new state, with its entries in whatever is derived from it. Called once a record for each
    /// delta. `before` is what ``record(_:)`` gave. `arrived` is the operation that changed it, where it was a single
    /// one, whose content is at hand.
    mutating func save(
        _ record: StoredRecord,
        before: StoredRecord?,
        arrived: (location: Int64, operation: VerifiedOperation)?
    ) throws
    /// Notes that an operation is not merged.
    mutating func setAside(_ dot: Dot, record: RecordID, why: SetAside) throws
    mutating func addWaiting(_ citation: WaitingCitation) throws
    /// Takes out the citations that wait for operations of one delta, by the operation's index.
    mutating func takeWaiting(log: LogID, sequence: UInt64) throws -> [UInt32: [WaitingCitation]]
    /// Changes an organization's digest and count.
    mutating func change(_ totals: TotalsChange, of organization: OrganizationID) throws
}

/// Merging a delta into a storage: a pure function of the delta and what is stored.
package struct DeltaApplier<Hasher: CatalogHasher>: Sendable {
    package let alliance: AllianceID
    package let hasher: Hasher

    package init(alliance: AllianceID, hasher: Hasher) {
        self.alliance = alliance
        self.hasher = hasher
    }

    /// What became of a delta.
    package enum Outcome: Hashable, Sendable {
        /// Stored and merged; how many records' state changed.
        case applied(records: Int)
        /// Held already.
        case duplicate
        /// It does not continue its log here: deltas before it are missing.
        case gap
        case refused(DeltaRefusal)
    }

    /// Stores a delta that continues its log, and merges it. Whether its author is enrolled with the organization that
    /// its header names is for the caller to judge before.
    ///
    /// - Complexity: Linear in operations and citations; each touches one record.
    package func apply(
        _ delta: VerifiedDelta,
        to storage: inout some DeltaStorage
    ) throws -> Outcome {
        let head = try storage.head(of: delta.log)
        let next = (head?.sequence ?? 0) + 1
        if delta.header.sequence < next {
            if delta.header.sequence == head?.sequence, delta.hash != head?.hash { return .refused(.fork) }
            return .duplicate
        }
        guard delta.header.sequence == next else { return .gap }
        guard delta.header.previous == head?.hash else { return .refused(.wrongChain) }
        let location = try storage.append(delta)
        return .applied(records: try merge(delta, at: location, into: &storage))
    }

    /// Merges a delta that is stored already; rebuilding calls this for every one. Deltas of one log come in their
    /// order; among logs any order gives the same.
    ///
    /// While it rebuilds, a storage must answer ``DeltaStorage/head(of:)`` with what has been merged so far, not with
    /// all that it stores: a citation of what is yet to be merged has to wait for it.
    package func merge(
        _ delta: VerifiedDelta,
        at location: Int64,
        into storage: inout some DeltaStorage
    ) throws -> Int {
        let organization = delta.header.organization
        var waiting = try storage.takeWaiting(log: delta.log, sequence: delta.header.sequence)
        var touched: [Touched] = []
        touched.reserveCapacity(delta.operations.count)
        var places: [RecordID: Int] = Dictionary(minimumCapacity: delta.operations.count)
        var plain = PlainWrites()
        for (index, operation) in delta.operations.enumerated() {
            let envelope = operation.envelope
            let owner = envelope.owner ?? organization
            let id = operation.record
            let dot = delta.dot(index)
            if case .unknown = envelope.kind {
                try storage.setAside(dot, record: id, why: .unknownKind)
                continue
            }
            guard owner == organization else {
                try storage.setAside(dot, record: id, why: .notOwner)
                continue
            }
            let place: Int
            if let known = places[id] {
                place = known
            } else {
                let before = try storage.record(id)
                let record = before ?? StoredRecord(id: id, owner: owner, key: envelope.key, state: RecordState())
                place = touched.count
                places[id] = place
                touched.append(Touched(before: before, record: record))
            }
            try merge(
                operation,
                at: (dot, location + Int64(index), delta.header.stamp),
                plain: &plain,
                waiting: &waiting,
                into: &touched[place].record,
                storage: &storage
            )
            touched[place].operations += 1
            touched[place].last = index
        }

        // Once a record, however many of the delta's operations are about it: hashing and saving cost as much as the
        // record has live writes, and a peer chooses both numbers.
        var changed = 0
        var totals = TotalsChange()
        for entry in touched {
            let id = entry.record.id
            guard entry.record.state != entry.before?.state ?? RecordState() else { continue }
            let before = entry.before?.state
            let last = entry.last
            try storage.save(
                entry.record,
                before: entry.before,
                arrived: entry.operations == 1 ? (location + Int64(last), delta.operations[last]) : nil
            )
            totals.digest.subtract(before?.canonicalHash(of: id, hasher: hasher))
            totals.digest.add(entry.record.state.canonicalHash(of: id, hasher: hasher))
            totals.shown += (entry.record.state.isShown ? 1 : 0) - (before?.isShown == true ? 1 : 0)
            changed += 1
        }
        if changed > 0 { try storage.change(totals, of: organization) }
        return changed
    }

    private func merge(
        _ operation: VerifiedOperation,
        at place: (dot: Dot, location: Int64, stamp: Stamp),
        plain: inout PlainWrites,
        waiting: inout [UInt32: [WaitingCitation]],
        into record: inout StoredRecord,
        storage: inout some DeltaStorage
    ) throws {
        var live: [LiveWrite] = []
        var held: [Supersession] = []
        let writes = operation.envelope.writes
        if let known = plain.live(of: writes) { live = known }
        for (number, write) in (live.isEmpty ? writes : []).enumerated() {
            let field = try storage.number(of: write.field)
            for citation in write.supersedes {
                let supersession = Supersession(
                    citation: citation,
                    field: operation.envelope.kind == .deletion ? nil : field
                )
                let cited = citation.dot
                if try isHeld(cited, before: place.dot, in: storage) {
                    held.append(supersession)
                } else if cited.log == place.dot.log, cited.sequence == place.dot.sequence,
                    cited.index > place.dot.index
                {
                    // A later operation of this delta: it has come, and is yet to be merged.
                    waiting[cited.index, default: []].append(
                        WaitingCitation(record: record.id, supersession: supersession)
                    )
                } else {
                    try storage.addWaiting(WaitingCitation(record: record.id, supersession: supersession))
                }
            }
            if write.mode != .remove {
                live.append(LiveWrite(number: UInt32(number), field: field, mode: write.mode))
            }
        }
        plain.note(writes, live: live)
        if !held.isEmpty { record.state.supersede(held) }
        let operation = LiveOperation(
            dot: place.dot,
            stamp: place.stamp,
            hash: operation.hash,
            location: place.location,
            writes: live
        )
        record.state.insert(
            operation,
            superseded: (waiting[place.dot.index] ?? []).filter { $0.record == record.id }.map(\.supersession)
        )
    }

    /// True if the cited operation was merged before the one at `current`. While a delta is applied it is its log's
    /// head already, so within it the index decides.
    private func isHeld(_ dot: Dot, before current: Dot, in storage: borrowing some DeltaStorage) throws -> Bool {
        if dot.log == current.log {
            return dot.sequence != current.sequence ? dot.sequence < current.sequence : dot.index < current.index
        }
        guard let head = try storage.head(of: dot.log) else { return false }
        return dot.sequence <= head.sequence
    }
}

/// The live writes of the last operation that cites nothing: those of an import write the same, one after the other, and
/// share what their envelopes say of it.
private struct PlainWrites {
    private var writes: [Write] = []
    private var live: [LiveWrite] = []

    /// What those writes give, where it is known.
    func live(of writes: [Write]) -> [LiveWrite]? {
        !live.isEmpty && writes.isSameStorage(as: self.writes) ? live : nil
    }

    mutating func note(_ writes: [Write], live: [LiveWrite]) {
        guard !writes.isSameStorage(as: self.writes), writes.allSatisfy({ $0.supersedes.isEmpty }) else { return }
        self.writes = writes
        self.live = live
    }
}

/// A record that a delta is about. Not within the generic type: its metadata would be looked up for every record.
private struct Touched {
    let before: StoredRecord?
    var record: StoredRecord
    /// How many of the delta's operations are about it.
    var operations = 0
    /// The index of the last of them.
    var last = 0
}
