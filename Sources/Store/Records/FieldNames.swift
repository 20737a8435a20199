import Catalog
import Schema

/// The numbers of field paths, and the paths of numbers, by table `field`. Memory holds only recently used ones,
/// because peers choose the number and length of paths.
final class FieldNames {
    /// A path, and whether it is a name for search.
    private struct Known {
        let path: FieldPath
        let isNaming: Bool
    }

    /// Bytes of one generation of each of the two caches: some ten thousand paths.
    static let bytesMax = 1024 * 1024
    /// Approximate bytes of an entry in addition to its path.
    private static let entryBytes = 96

    private var numbers = BoundedCache<FieldPath, FieldNumber>(weightMax: bytesMax)
    private var known = BoundedCache<FieldNumber, Known>(weightMax: bytesMax)

    /// The maximum bytes kept: two caches of two generations each.
    static let keptBytesMax = 4 * bytesMax
    /// Approximate bytes kept; at most ``keptBytesMax``.
    var byteCount: Int { numbers.weight + known.weight }

    private static func weight(_ path: FieldPath) -> Int { entryBytes + path.text.utf8.count }

    /// The path's number; nil if it has none.
    func number(of path: FieldPath, _ session: Session) throws -> FieldNumber? {
        if path == .tombstone { return .tombstone }
        if path == .identity { return .identity }
        if let known = numbers.find(path) { return known }
        let found = try session("SELECT number FROM field WHERE path = ?").bind(1, Array(path.text.utf8))
            .first { try Self.number($0.int(0)) }
        if let found { keep(found, for: path) }
        return found
    }

    /// Caches the number that was just assigned to a path.
    func keep(_ number: FieldNumber, for path: FieldPath) {
        numbers.insert(number, for: path, weight: Self.weight(path))
    }

    /// The path of a number.
    func path(of number: FieldNumber, _ session: Session) throws -> FieldPath { try known(number, session).path }

    /// True if values of the field belong in the index's column of names.
    func isNaming(_ number: FieldNumber, _ session: Session) throws -> Bool { try known(number, session).isNaming }

    private func known(_ number: FieldNumber, _ session: Session) throws -> Known {
        if let known = known.find(number) { return known }
        let path: FieldPath
        switch number {
        case .tombstone: path = .tombstone
        case .identity: path = .identity
        default:
            let found = try session("SELECT path FROM field WHERE number = ?").bind(1, Int64(number.rawValue))
                .first { FieldPath(unchecked: $0.text(0)) }
            guard let found else { throw StoreError.damaged("table field") }
            path = found
        }
        let result = Known(path: path, isNaming: CatalogSchema.isSearchName(path))
        known.insert(result, for: number, weight: Self.weight(path))
        return result
    }

    /// Converts a number of table `field`. Numbers have at most 31 bits, as in the states of records.
    static func number(_ number: Int64) throws -> FieldNumber {
        guard let number = Int32(exactly: number), number > FieldNumber.identity.rawValue else {
            throw StoreError.damaged("table field")
        }
        return FieldNumber(rawValue: number)
    }
}
