package import Catalog
package import DeltaLog
import Schema
import Synchronization

/// The terms of a delta's operations, made before it is stored.
struct PreparedTerms: Sendable {
    private struct Entry {
        let restEnd: Int
        let nameEnd: Int
        let valueCount: Int
        /// The kind that it says the record is of, if it writes the record's identity.
        let kind: String?
        /// The place of its writes among the forms.
        let form: Int
    }

    private var rest: [UInt8] = []
    private var name: [UInt8] = []
    private var entries: [Entry] = []
    /// What operations write: two deltas may have the same operations, and mean other fields by them.
    private var forms: [[Write]] = []
    private var formBytes = 0

    /// Bytes of memory, about.
    var size: Int { rest.count + name.count + entries.count * MemoryLayout<Entry>.stride + formBytes }

    init(_ operations: [VerifiedOperation]) {
        entries.reserveCapacity(operations.count)
        var terms = SearchTerms()
        // Operations of an import share what they write.
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
            // What comes here was checked to be a content.
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

    /// What a form takes that no other one shares, about.
    private static func size(of writes: [Write]) -> Int {
        writes.reduce(32) { size, write in
            size + MemoryLayout<Write>.stride + write.field.text.utf8.count
                + write.supersedes.count * MemoryLayout<Citation>.stride
        }
    }

    /// True if the operation at an index is this one, as far as its terms go.
    private func isPrepared(_ index: Int, _ operation: VerifiedOperation) -> Bool {
        guard entries.indices.contains(index) else { return false }
        let form = forms[entries[index].form]
        return form.isSameStorage(as: operation.envelope.writes) || form == operation.envelope.writes
    }

    /// The kind that the operation at an index says its record is of; nil where it is another operation, or says none.
    func kind(_ index: Int, of operation: VerifiedOperation) -> String? {
        isPrepared(index, operation) ? entries[index].kind : nil
    }

    /// Appends the terms of all values of the operation at an index; false where it is another one, where it has another
    /// number of values, or where there are terms already: how many a record may have depends on all together.
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

/// The terms of operations whose delta is yet to be stored, computed by whoever has it already: making them takes a good
/// part of the time of storing a new record, and the writer has only one thread.
final class TermsAhead: Sendable {
    /// Bytes of one generation of what is kept; what is forgotten is made again when it is needed. Twice 8 MiB: what is
    /// under way between the one who checks deltas and the one who stores them.
    static let bytesMax = 8 * 1024 * 1024
    /// Deltas with fewer operations are not worth it.
    private static let operationsMin = 8

    /// By the delta's Merkle root.
    private let kept = Mutex(BoundedCache<Hash256, PreparedTerms>(weightMax: bytesMax))

    /// Bytes kept, about; at most twice ``bytesMax``.
    var byteCount: Int { kept.withLock { $0.weight } }

    func prepare(_ operations: [VerifiedOperation], root: Hash256) {
        guard operations.count >= Self.operationsMin, kept.withLock({ $0.find(root) == nil }) else { return }
        let prepared = PreparedTerms(operations)
        kept.withLock { $0.insert(prepared, for: root, weight: prepared.size) }
    }

    /// Hands over what was prepared for the delta with that root.
    func take(_ root: Hash256) -> PreparedTerms? { kept.withLock { $0.remove(root) } }
}

extension Store {
    /// Does what can be done of storing a delta before its turn comes; on any thread. Whether it is called changes nothing
    /// but the time that storing takes.
    ///
    /// - Parameter root: The delta's Merkle root.
    package func prepare(_ operations: [VerifiedOperation], root: Hash256) {
        ahead.prepare(operations, root: root)
    }
}
