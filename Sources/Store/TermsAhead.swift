package import Catalog
package import DeltaLog
import Synchronization

/// The terms of a delta's operations, made before it is stored.
struct PreparedTerms: Sendable {
    private struct Entry {
        let restEnd: Int
        let nameEnd: Int
        let valueCount: Int
        /// What its identity says, if it has one.
        let kind: String?
        /// The place of its writes among the forms.
        let form: Int
    }

    private var rest: [UInt8] = []
    private var name: [UInt8] = []
    private var entries: [Entry] = []
    /// What operations write: two deltas may have the same operations, and mean other fields by them.
    private var forms: [[Write]] = []

    /// Bytes of memory, about.
    var size: Int { rest.count + name.count + entries.count * MemoryLayout<Entry>.size }

    init(_ operations: [VerifiedOperation]) {
        entries.reserveCapacity(operations.count)
        var terms = WriteTransaction.Terms()
        // Operations of an import share what they write.
        var areNaming: [Bool] = []
        for operation in operations {
            let writes = operation.envelope.writes
            if forms.last.map({ !writes.isSameStorage(as: $0) }) ?? true {
                forms.append(writes)
                areNaming = writes.filter(\.hasValue).map { WriterCache.isNaming($0.field) }
            }
            terms.removeAll()
            let content = operation.contentBytes
            // What comes here was checked to be a content.
            let values = (try? ContentReader.values(of: content)) ?? []
            var kind: String?
            for (value, isNaming) in zip(values, areNaming) {
                let identity = Value.identity(encoded: value)
                if kind == nil { kind = identity?.kind }
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

    /// The kind that the operation at an index names by its identity, if it has one.
    func kind(_ index: Int) -> String?? { entries.indices.contains(index) ? .some(entries[index].kind) : nil }

    /// Appends the terms of all values of the operation at an index; false where it is another one, where it has another
    /// number of values, or where there are terms already: how many a record may have depends on all together.
    func append(
        _ index: Int,
        of operation: VerifiedOperation,
        valueCount: Int,
        to terms: inout WriteTransaction.Terms
    ) -> Bool {
        guard entries.indices.contains(index), entries[index].valueCount == valueCount, terms.rest.isEmpty,
            terms.name.isEmpty
        else { return false }
        let form = forms[entries[index].form]
        guard form.isSameStorage(as: operation.envelope.writes) || form == operation.envelope.writes else {
            return false
        }
        terms.rest += rest[(index == 0 ? 0 : entries[index - 1].restEnd)..<entries[index].restEnd]
        terms.name += name[(index == 0 ? 0 : entries[index - 1].nameEnd)..<entries[index].nameEnd]
        return true
    }
}

/// The terms of operations whose delta is yet to be stored, computed by whoever has it already: making them takes a good
/// part of the time of storing a new record, and the writer has only one thread.
final class TermsAhead: Sendable {
    private struct Kept {
        var byRoot: [Hash256: PreparedTerms] = [:]
        /// In the order in which they came.
        var order: [Hash256] = []
        var size = 0
    }

    /// Bytes of terms kept; of more the oldest are dropped, and made again when they are needed. 16 MiB: what is under way
    /// between the one who checks deltas and the one who stores them.
    private static let bytesMax = 16 * 1024 * 1024
    /// Deltas with fewer operations are not worth it.
    private static let operationsMin = 8

    private let kept = Mutex(Kept())

    func prepare(_ operations: [VerifiedOperation], root: Hash256) {
        guard operations.count >= Self.operationsMin, !(kept.withLock { $0.byRoot[root] != nil }) else { return }
        let prepared = PreparedTerms(operations)
        kept.withLock { kept in
            guard kept.byRoot.updateValue(prepared, forKey: root) == nil else { return }
            kept.order.append(root)
            kept.size += prepared.size
            while kept.size > Self.bytesMax, let oldest = kept.order.first {
                kept.order.removeFirst()
                kept.size -= kept.byRoot.removeValue(forKey: oldest)?.size ?? 0
            }
        }
    }

    /// Hands over what was prepared for the delta with that root.
    func take(_ root: Hash256) -> PreparedTerms? {
        kept.withLock { kept in
            guard let prepared = kept.byRoot.removeValue(forKey: root) else { return nil }
            kept.order.removeAll { $0 == root }
            kept.size -= prepared.size
            return prepared
        }
    }
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
