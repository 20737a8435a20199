import Catalog
import Schema

/// The numbers of field paths, and the paths of numbers, as table `field` has them. What was asked for lately is kept in
/// memory: peers choose how many paths there are, and how long they are.
final class FieldNames {
    /// A path with what follows from it.
    private struct Known {
        let path: FieldPath
        let isNaming: Bool
    }

    /// Bytes of one generation of each of the two caches: some ten thousand paths.
    static let bytesMax = 1024 * 1024
    /// The bytes that an entry takes beside its path, about.
    private static let entryBytes = 96

    private var numbers = BoundedCache<FieldPath, FieldNumber>(weightMax: bytesMax)
    private var known = BoundedCache<FieldNumber, Known>(weightMax: bytesMax)

    /// The most bytes kept: two caches of two generations each.
    static let keptBytesMax = 4 * bytesMax
    /// Bytes kept, about; at most ``keptBytesMax``.
    var byteCount: Int { numbers.weight + known.weight }

    private static func weight(_ path: FieldPath) -> Int { entryBytes + path.text.utf8.count }

    /// The path's number; nil where it has none.
    func number(of path: FieldPath, _ session: Session) throws -> FieldNumber? {
        if path == .tombstone { return .tombstone }
        if path == .identity { return .identity }
        if let known = numbers.find(path) { return known }
        let found = try session("SELECT number FROM field WHERE path = ?").bind(1, Array(path.text.utf8))
            .first { try Self.number($0.int(0)) }
        if let found { keep(found, for: path) }
        return found
    }

    /// Keeps the number that a path was just given.
    func keep(_ number: FieldNumber, for path: FieldPath) {
        numbers.insert(number, for: path, weight: Self.weight(path))
    }

    /// The path of a number.
    func path(of number: FieldNumber, _ session: Session) throws -> FieldPath { try known(number, session).path }

    /// True where values of the field belong in the index's column of names.
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

    /// A number as table `field` holds it. Numbers end with 31 bits, as do those in records' states.
    static func number(_ number: Int64) throws -> FieldNumber {
        guard let number = Int32(exactly: number), number > FieldNumber.identity.rawValue else {
            throw StoreError.damaged("table field")
        }
        return FieldNumber(rawValue: number)
    }
}
