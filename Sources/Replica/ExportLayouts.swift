package import Interchange
import Synchronization

/// The columns of running exports. Peers choose the number of paths, so the columns stay on the node and are not sent with
/// each page.
package final class ExportLayouts: Sendable {
    /// Layouts kept at a time. The export that asked least recently is forgotten first and must start again. A guess.
    private static let countMax = 8

    private let kept = Mutex<[(id: String, layout: CSVLayout)]>([])

    /// Keeps a layout and returns its id.
    package func keep(_ layout: CSVLayout) -> String {
        let id = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        kept.withLock { kept in
            if kept.count >= Self.countMax { kept.removeFirst() }
            kept.append((id, layout))
        }
        return id
    }

    /// Returns the layout of an id.
    ///
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
