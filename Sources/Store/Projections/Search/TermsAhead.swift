package import Catalog
package import DeltaLog
import Schema
import Synchronization

/// The terms of a delta's operations, computed before the delta is stored.
struct PreparedTerms: Sendable {
    private struct Entry {
        let restEnd: Int
        let nameEnd: Int
        let valueCount: Int
        /// The record's kind, if the operation writes the record's identity.
        let kind: String?
        /// The index of its writes in `forms`.
        let form: Int
    }

    private var rest: [UInt8] = []
    private var name: [UInt8] = []
    private var entries: [Entry] = []
    /// The writes of the operations. They are compared, because two deltas may have the same operations with different
    /// fields.
    private var forms: [[Write]] = []
    private var formBytes = 0

    /// Approximate bytes of memory.
    var size: Int { rest.count + name.count + entries.count * MemoryLayout<Entry>.stride + formBytes }

    init(_ operations: [VerifiedOperation]) {
        entries.reserveCapacity(operations.count)
        var terms = SearchTerms()
        // Operations of an import share their writes.
        var areNaming: [Bool] = []
        var identityIndex: Int?
        for operation in operations {
            let writes = operation.envelope.writes
            if forms.last.map({ !writes.isSameStorage(as: $0) }) ?? true {
                forms.append(writes)
                formBytes += Self.size(of: writes)
                let valued = writes.filter(\.hasValue)
                areNaming = valued.map { CatalogSchema.isSearchName($0.field) }
                identityIndex = valued.firstIndex { $0.field == .identity }
            }
            terms.removeAll()
            let content = operation.contentBytes
            // Verification has checked these bytes, so decoding succeeds.
            let values = (try? ContentReader.values(of: content)) ?? []
            var kind: String?
            for (index, (value, isNaming)) in zip(values, areNaming).enumerated() {
                let identity = Value.identity(encoded: value)
                if index == identityIndex { kind = identity?.kind }
                terms.append(encoded: value, identity, isNaming: isNaming)
            }
            rest += terms.rest
            name += terms.name
            entries.append(
                Entry(
                    restEnd: rest.count,
                    nameEnd: name.count,
                    valueCount: min(values.count, areNaming.count),
                    kind: kind,
                    form: forms.count - 1
                )
            )
        }
    }

    /// Approximate bytes of a form that no other form shares.
    private static func size(of writes: [Write]) -> Int {
        writes.reduce(32) { size, write in
            size + MemoryLayout<Write>.stride + write.field.text.utf8.count
                + write.supersedes.count * MemoryLayout<Citation>.stride
        }
    }

    /// True if the operation at an index has the same writes as this one.
    private func isPrepared(_ index: Int, _ operation: VerifiedOperation) -> Bool {
        guard entries.indices.contains(index) else { return false }
        let form = forms[entries[index].form]
        return form.isSameStorage(as: operation.envelope.writes) || form == operation.envelope.writes
    }

    /// The kind in the operation at an index; nil if the operation is a different one or names no kind.
    func kind(_ index: Int, of operation: VerifiedOperation) -> String? {
        isPrepared(index, operation) ? entries[index].kind : nil
    }

    /// Appends the terms of all values of the operation at an index. False if the operation or its number of values
    /// differs. Also false if `terms` is not empty, because the limit of a record's terms applies to all its
    /// operations.
    func append(
        _ index: Int,
        of operation: VerifiedOperation,
        valueCount: Int,
        to terms: inout SearchTerms
    ) -> Bool {
        guard terms.rest.isEmpty, terms.name.isEmpty, isPrepared(index, operation),
            entries[index].valueCount == valueCount
        else { return false }
        terms.rest += rest[(index == 0 ? 0 : entries[index - 1].restEnd)..<entries[index].restEnd]
        terms.name += name[(index == 0 ? 0 : entries[index - 1].nameEnd)..<entries[index].nameEnd]
        return true
    }
}

/// The terms of deltas that are not stored yet, computed by the threads that hold those deltas. Computing them is a
/// large part of the cost of a new record, and the writer has only one thread.
final class TermsAhead: Sendable {
    /// Bytes of one generation of the cache; dropped terms are computed again when needed. Two generations of 8 MiB
    /// hold the deltas between their check and their storage.
    static let bytesMax = 8 * 1024 * 1024
    /// Smaller deltas are not prepared, because the gain is too small.
    private static let operationsMin = 8

    /// By the delta's Merkle root.
    private let kept = Mutex(BoundedCache<Hash256, PreparedTerms>(weightMax: bytesMax))

    /// Approximate bytes kept; at most twice ``bytesMax``.
    var byteCount: Int { kept.withLock { $0.weight } }

    func prepare(_ operations: [VerifiedOperation], root: Hash256) {
        guard operations.count >= Self.operationsMin, kept.withLock({ $0.find(root) == nil }) else { return }
        let prepared = PreparedTerms(operations)
        kept.withLock { $0.insert(prepared, for: root, weight: prepared.size) }
    }

    /// Removes and returns the terms prepared for the delta with this root.
    func take(_ root: Hash256) -> PreparedTerms? { kept.withLock { $0.remove(root) } }
}

extension Store {
    /// Does a part of the work of storing a delta in advance, on any thread. A call changes only the time that storing
    /// takes.
    ///
    /// - Parameter root: The delta's Merkle root.
    package func prepare(_ operations: [VerifiedOperation], root: Hash256) {
        ahead.prepare(operations, root: root)
    }
}
