import Catalog
import DeltaLog

/// A delta that is being merged.
struct ArrivingDelta {
    let log: LogID
    let sequence: UInt64
    /// The location of its first operation.
    let location: Int64
    let operations: [VerifiedOperation]

    /// The index in the delta of the operation at a location; nil if the operation belongs to another delta.
    func index(of location: Int64) -> Int? {
        let (index, overflow) = location.subtractingReportingOverflow(self.location)
        return !overflow && index >= 0 && index < Int64(operations.count) ? Int(index) : nil
    }
}

/// Reads operations for merging and for the projections. Operations of the delta being merged are in memory. Others
/// come from the database and are cached until ``forget()``.
final class OperationReader {
    private let session: Session
    private let cache: WriterCache
    /// The delta that is being merged.
    private(set) var delta: ArrivingDelta?
    /// The terms of its operations, if they were prepared.
    private var prepared: PreparedTerms?
    /// The operations read, by location.
    private var kept: [Int64: OperationBytes] = [:]

    init(_ session: Session, _ cache: WriterCache) {
        self.session = session
        self.cache = cache
    }

    /// Sets the delta that is being merged; nil for none.
    func begin(_ delta: ArrivingDelta?, prepared: PreparedTerms? = nil) {
        self.delta = delta
        self.prepared = prepared
        kept = [:]
    }

    /// Drops the cached operations. Call it before work on another record.
    func forget() { kept.removeAll(keepingCapacity: true) }

    func operation(at location: Int64) throws -> OperationBytes {
        if let delta, let index = delta.index(of: location) { return OperationBytes(delta.operations[index]) }
        if let known = kept[location] { return known }
        let bytes = OperationBytes(try OperationRow.existing(at: location, session))
        cache.work.operationsRead += 1
        kept[location] = bytes
        return bytes
    }

    /// The number of the kind in the live identity; 0 if there is none.
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

    /// The number of a state's first operations that search reads.
    func reach(of state: RecordState) throws -> Int {
        // A single operation is always within reach, so it need not be read.
        if state.operations.count <= 1 { return state.operations.count }
        return try state.reach { try operation(at: $0.location).byteCount }.count
    }

    /// Appends the terms of an operation's live values.
    func appendTerms(of live: LiveOperation, to terms: inout SearchTerms) throws {
        // Prepared terms are usable only if all values of the operation are live.
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

    /// Counts the terms that are added to the search index or removed from it.
    func noteWritten(_ terms: SearchTerms) { cache.work.termBytesWritten += terms.byteCount }
}
