package import Catalog

/// The field paths that a delta's header lists, so that its operations name each by a number: at a dozen fields a record
/// their names are a quarter of what would be sent.
///
/// A path that is listed is never written out in an operation, so there is one way to write each operation under a header.
package struct FieldList: Sendable {
    /// The most paths.
    package static let countMax = 128
    /// The most bytes of UTF-8 of all paths together.
    package static let bytesMax = 4096

    /// In the order of their positions, the first of which is 1.
    package private(set) var paths: [FieldPath] = []
    private var positions: [FieldPath: UInt32] = [:]
    private var byteCount = 0

    package init() {}

    /// Adds a path, unless it is empty, listed already, or too much.
    ///
    /// - Returns: Whether it was added.
    package mutating func add(_ path: FieldPath) -> Bool {
        let size = path.text.utf8.count
        guard path != .mark, positions[path] == nil, paths.count < Self.countMax, byteCount + size <= Self.bytesMax
        else {
            return false
        }
        paths.append(path)
        byteCount += size
        positions[path] = UInt32(paths.count)
        return true
    }

    /// The position by which writes name a path; nil where it is not listed.
    package func position(of path: FieldPath) -> UInt32? { paths.isEmpty ? nil : positions[path] }

    /// The path at a position; nil where there is none.
    package func path(at position: UInt32) -> FieldPath? {
        position > 0 && position <= paths.count ? paths[Int(position) - 1] : nil
    }
}

extension FieldList: Hashable {
    package static func == (left: FieldList, right: FieldList) -> Bool { left.paths == right.paths }
    package func hash(into hasher: inout Hasher) { hasher.combine(paths) }
}

extension FieldList {
    /// The paths that the operations write more than once, in the order in which they first come: the others would be
    /// written once either way.
    ///
    /// - Complexity: Linear in the writes; a comparison for each where an operation writes what the one before it does.
    init(repeatedIn drafts: [OperationDraft]) {
        self.init()
        var seen: [FieldPath: Bool] = [:]
        var order: [FieldPath] = []
        var previous: [Write] = []
        // True once each path of `previous` is known to come again.
        var isRepeated = false
        for draft in drafts {
            let writes = draft.envelope.writes
            let isSame = writes.elementsEqual(previous) { $0.field == $1.field }
            if isSame, isRepeated { continue }
            for write in writes where write.field != .mark {
                switch seen[write.field] {
                case nil:
                    seen[write.field] = false
                    order.append(write.field)
                case false?: seen[write.field] = true
                case true?: break
                }
            }
            isRepeated = isSame
            previous = writes
        }
        for path in order where seen[path] == true { _ = add(path) }
    }
}
