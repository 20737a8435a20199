package import Catalog
package import DeltaLog
import Synchronization

/// The terms of operations whose delta is yet to be stored, computed by whoever has it already: making them takes a good
/// part of the time of storing a new record, and the writer has only one thread.
final class TermsAhead: Sendable {
    /// What one operation's values give, with their number.
    struct Prepared: Sendable {
        let terms: WriteTransaction.Terms
        let valueCount: Int
    }

    private struct Kept {
        var byRoot: [Hash256: [Prepared]] = [:]
        /// In the order in which they came, with their sizes.
        var order: [(root: Hash256, size: Int)] = []
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
        // Operations of an import write the same fields in the same order.
        var naming: [(path: FieldPath, isNaming: Bool)] = []
        var size = 0
        let prepared = operations.map { operation in
            var terms = WriteTransaction.Terms()
            var values = operation.content.values.makeIterator()
            var count = 0
            for write in operation.envelope.writes where write.hasValue {
                guard let value = values.next() else { break }
                if count == naming.count { naming.append((write.field, WriterCache.isNaming(write.field))) }
                if naming[count].path != write.field {
                    naming[count] = (write.field, WriterCache.isNaming(write.field))
                }
                terms.append(value, isNaming: naming[count].isNaming)
                count += 1
            }
            size += terms.rest.count + terms.name.count + 64
            return Prepared(terms: terms, valueCount: count)
        }
        kept.withLock { kept in
            guard kept.byRoot.updateValue(prepared, forKey: root) == nil else { return }
            kept.order.append((root, size))
            kept.size += size
            while kept.size > Self.bytesMax, let oldest = kept.order.first {
                kept.order.removeFirst()
                kept.size -= oldest.size
                kept.byRoot[oldest.root] = nil
            }
        }
    }

    /// Hands over what was prepared for the delta with that root.
    func take(_ root: Hash256) -> [Prepared]? {
        kept.withLock { kept in
            guard let prepared = kept.byRoot.removeValue(forKey: root) else { return nil }
            if let position = kept.order.firstIndex(where: { $0.root == root }) {
                kept.size -= kept.order.remove(at: position).size
            }
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
