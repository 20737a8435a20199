import Catalog
import DeltaLog

/// A delta that is being merged.
struct ArrivingDelta {
    let log: LogID
    let sequence: UInt64
    /// The location of its first operation.
    let location: Int64
    let operations: [VerifiedOperation]

    /// The index in the delta of the operation at a location; nil where it is another delta's.
    func index(of location: Int64) -> Int? {
        let (index, overflow) = location.subtractingReportingOverflow(self.location)
        return !overflow && index >= 0 && index < Int64(operations.count) ? Int(index) : nil
    }
}

/// The operations of records as merging and the projections read them: those of the delta being merged are at hand, others
/// come from the database and are kept until ``forget()``.
final class OperationReader {
    private let session: Session
    private let cache: WriterCache
    /// The delta that is being merged.
    private(set) var delta: ArrivingDelta?
    /// The terms of its operations, where they were prepared.
    private var prepared: PreparedTerms?
    /// The operations read, by location.
    private var kept: [Int64: OperationBytes] = [:]

    init(_ session: Session, _ cache: WriterCache) {
        self.session = session
        self.cache = cache
    }

    /// Tells which delta is being merged; nil for none.
    func begin(_ delta: ArrivingDelta?, prepared: PreparedTerms? = nil) {
        self.delta = delta
        self.prepared = prepared
        kept = [:]
    }

    /// Forgets the operations read. To be called when another record comes.
    func forget() { kept.removeAll(keepingCapacity: true) }

    func operation(at location: Int64) throws -> OperationBytes {
        if let delta, let index = delta.index(of: location) { return OperationBytes(delta.operations[index]) }
        if let known = kept[location] { return known }
        let bytes = OperationBytes(try OperationRow.existing(at: location, session))
        cache.work.operationsRead += 1
        kept[location] = bytes
        return bytes
    }

    /// The number of the kind that the live identity names; 0 where there is none.
    func kind(of state: RecordState) throws -> Int64 {
        guard let (live, number) = state.identityWrite else { return 0 }
        if let delta, let index = delta.index(of: live.location),
            let kind = prepared?.kind(index, of: delta.operations[index])
        {
            return try cache.kindNumber(kind, session)
        }
        guard let value = try operation(at: live.location).value(of: number),
            let identity = Value.identity(encoded: value)
        else { throw StoreError.damaged("table operation") }
        return try cache.kindNumber(identity.kind, session)
    }

    /// How many of a state's first operations search looks at.
    func reach(of state: RecordState) throws -> Int {
        // One operation is always within reach, and need not be read to know that.
        if state.operations.count <= 1 { return state.operations.count }
        return try state.reach { try operation(at: $0.location).byteCount }.count
    }

    /// Appends the terms of an operation's live values.
    func appendTerms(of live: LiveOperation, to terms: inout SearchTerms) throws {
        // What was prepared holds of operations all of whose values are live.
        if let delta, let index = delta.index(of: live.location), let prepared,
            prepared.append(index, of: delta.operations[index], valueCount: live.writes.count, to: &terms)
        {
            return
        }
        let operation = try operation(at: live.location)
        let layout = try operation.layout
        for write in live.writes {
            guard let value = operation.value(of: write.number, layout) else { continue }
            terms.append(
                encoded: value,
                Value.identity(encoded: value),
                isNaming: try cache.fields.isNaming(write.field, session)
            )
        }
    }

    /// Counts terms that are entered in the index for search, or taken out of it.
    func noteWritten(_ terms: SearchTerms) { cache.work.termBytesWritten += terms.byteCount }
}
