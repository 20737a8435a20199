package import Interchange
import Synchronization

/// The columns of exports that are under way: peers choose how many paths there are, so they stay where the records are
/// instead of being sent with each page.
package final class ExportLayouts: Sendable {
    /// Exports at a time; of more, the one that asked last the longest ago has to begin anew. A guess.
    private static let countMax = 8

    private let kept = Mutex<[(id: String, layout: CSVLayout)]>([])

    /// Keeps a layout, and gives the id by which it is found again.
    package func keep(_ layout: CSVLayout) -> String {
        let id = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        kept.withLock { kept in
            if kept.count >= Self.countMax { kept.removeFirst() }
            kept.append((id, layout))
        }
        return id
    }

    /// - Throws: ``Failure`` with ``Reason/exportForgotten``.
    package func layout(_ id: String) throws -> CSVLayout {
        let found = kept.withLock { kept -> CSVLayout? in
            guard let position = kept.firstIndex(where: { $0.id == id }) else { return nil }
            let entry = kept.remove(at: position)
            kept.append(entry)
            return entry.layout
        }
        guard let found else {
            throw Failure(
                .exportForgotten,
                "the node does not know of this export any more (it was started again, or there were "
                    + "\(Self.countMax) others since); begin it again"
            )
        }
        return found
    }
}
