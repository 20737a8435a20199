package import Catalog

/// The field paths that a delta's header lists. Operations name each by a number.
///
/// Written out, the paths would take a quarter of the bytes of a record with a dozen fields. An operation never writes
/// out a listed path, so each operation has exactly one encoding under a header.
package struct FieldList: Sendable {
    /// The maximum number of paths.
    package static let countMax = 128
    /// The maximum total size of all paths in bytes of UTF-8.
    package static let bytesMax = 4096

    /// The paths in the order of their positions. Positions start at 1.
    package private(set) var paths: [FieldPath] = []
    private var positions: [FieldPath: UInt32] = [:]
    private var byteCount = 0

    package init() {}

    /// Adds a path, unless it is empty, already listed or beyond the limits.
    ///
    /// - Returns: True if the path was added.
    package mutating func add(_ path: FieldPath) -> Bool {
        let size = path.text.utf8.count
        guard path != .tombstone, positions[path] == nil, paths.count < Self.countMax, byteCount + size <= Self.bytesMax
        else {
            return false
        }
        paths.append(path)
        byteCount += size
        positions[path] = UInt32(paths.count)
        return true
    }

    /// The position that stands for the path in a write; nil if the list does not contain the path.
    package func position(of path: FieldPath) -> UInt32? { paths.isEmpty ? nil : positions[path] }

    /// The path at a position; nil if there is none.
    package func path(at position: UInt32) -> FieldPath? {
        position > 0 && position <= paths.count ? paths[Int(position) - 1] : nil
    }
}

extension FieldList: Hashable {
    package static func == (left: FieldList, right: FieldList) -> Bool { left.paths == right.paths }
    package func hash(into hasher: inout Hasher) { hasher.combine(paths) }
}

extension FieldList {
    /// Lists the paths that occur more than once in the operations, in the order of their first occurrence. Listing a
    /// path that occurs once saves nothing.
    ///
    /// - Complexity: Linear in the writes; a repeated list of writes costs one comparison per write.
    init(repeatedIn drafts: [OperationDraft]) {
        self.init()
        var seen: [FieldPath: Bool] = [:]
        var order: [FieldPath] = []
        var previous: [Write] = []
        // True after every path of `previous` is known to occur more than once.
        var isRepeated = false
        for draft in drafts {
            let writes = draft.envelope.writes
            let isSame = writes.elementsEqual(previous) { $0.field == $1.field }
            if isSame, isRepeated { continue }
            for write in writes where write.field != .tombstone {
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
