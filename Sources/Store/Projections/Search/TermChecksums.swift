import Catalog

/// Checksums over the entries of the search index (term, record's row, column, position). They compare two indexes
/// without building one of them. A checksum does not depend on the order of its entries, and entries can be subtracted
/// again.
///
/// Each range of rows has two checksums of 64 bits. They detect faults, not forgery: an attacker who can write to the
/// file needs no collision.
struct TermChecksums {
    /// The number of ranges of rows; ranges locate a difference.
    static let rangeCount = 1024

    private struct Sum: Equatable {
        var one: UInt64 = 0
        var two: UInt64 = 0
    }

    private var sums = [Sum](repeating: Sum(), count: rangeCount)
    private let rowsPerRange: Int64
    private(set) var entryCount = 0

    /// - Parameter rowMax: The highest row.
    init(rowMax: Int64) {
        rowsPerRange = max(0, rowMax) / Int64(Self.rangeCount) + 1
    }

    mutating func removeAll() {
        sums = [Sum](repeating: Sum(), count: Self.rangeCount)
        entryCount = 0
    }

    /// Adds one entry as the index reports it.
    ///
    /// - Parameters:
    ///   - column: 1 for names, 0 for all other texts.
    ///   - position: The term's number in the column, from 0.
    mutating func add(_ term: UnsafeRawBufferPointer, row: Int64, column: Int64, position: Int64) {
        change(Self.hash(term), row: row, column: column, position: position, isAdded: true)
    }

    /// Adds all entries of a record.
    mutating func add(_ terms: SearchTerms, row: Int64) { change(terms, row: row, isAdded: true) }

    /// Subtracts all entries of a record.
    mutating func subtract(_ terms: SearchTerms, row: Int64) { change(terms, row: row, isAdded: false) }

    /// FTS5 truncates terms to this number of bytes (`FTS5_MAX_TOKEN_SIZE`).
    private static let termBytesMax = 32_768

    private mutating func change(_ terms: SearchTerms, row: Int64, isAdded: Bool) {
        for (column, text) in [(0, terms.rest), (1, terms.name)] as [(Int64, [UInt8])] {
            text.withUnsafeBytes { bytes in
                var position: Int64 = 0
                var start = 0
                for end in 0...bytes.count where end == bytes.count || bytes[end] == UInt8(ascii: " ") {
                    if end > start {
                        let cut = min(end, start + Self.termBytesMax)
                        let term = Self.hash(UnsafeRawBufferPointer(rebasing: bytes[start..<cut]))
                        change(term, row: row, column: column, position: position, isAdded: isAdded)
                        position += 1
                    }
                    start = end + 1
                }
            }
        }
    }

    private mutating func change(_ term: UInt64, row: Int64, column: Int64, position: Int64, isAdded: Bool) {
        let place = UInt64(bitPattern: position << 1 | column)
        let one = Self.mix(term ^ Self.mix(UInt64(bitPattern: row) ^ Self.mix(place)))
        let two = Self.mix(one ^ 0x9E37_79B9_7F4A_7C15)
        let range = Int(min(max(0, row / rowsPerRange), Int64(Self.rangeCount - 1)))
        if isAdded {
            sums[range].one &+= one
            sums[range].two &+= two
            entryCount += 1
        } else {
            sums[range].one &-= one
            sums[range].two &-= two
            entryCount -= 1
        }
    }

    /// The ranges of rows that differ.
    func differences(from other: TermChecksums) -> [ClosedRange<Int64>] {
        sums.indices.filter { sums[$0] != other.sums[$0] }.map { range in
            let first = Int64(range) * rowsPerRange
            return first...first + (rowsPerRange - 1)
        }
    }

    /// A permutation that scatters all bits: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
    @inline(__always)
    private static func mix(_ number: UInt64) -> UInt64 {
        var z = number
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(bytes.count)
        var offset = 0
        while offset + 8 <= bytes.count {
            hash = mix(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < bytes.count {
            rest = rest << 8 | UInt64(bytes[offset])
            offset += 1
        }
        return mix(hash ^ rest)
    }
}
