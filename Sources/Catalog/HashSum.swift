/// A sum of hashes modulo 2^256. Equal sets have equal sums, and adding or removing a member takes constant time.
///
/// It detects faults and is no security boundary. An attacker who chooses the members can, with effort, find another
/// set with the same sum (Wagner 2002, "A Generalized Birthday Problem"). Signatures provide the security.
package struct HashSum: Hashable, Sendable {
    /// The sum, as a big-endian number.
    package private(set) var sum: Hash256

    /// The sum of the empty set.
    package init() {
        sum = .zero
    }

    package init(sum: Hash256) {
        self.sum = sum
    }

    /// 64 lower-case hexadecimal digits.
    package var hex: String { sum.hex }

    /// Adds a hash; nil adds nothing. Constant time.
    package mutating func add(_ hash: Hash256?) {
        guard let hash else { return }
        var carry = false
        sum.word3 = Self.add(sum.word3, hash.word3, &carry)
        sum.word2 = Self.add(sum.word2, hash.word2, &carry)
        sum.word1 = Self.add(sum.word1, hash.word1, &carry)
        sum.word0 = Self.add(sum.word0, hash.word0, &carry)
    }

    /// Reverses ``add(_:)`` for a hash; nil subtracts nothing. Constant time.
    package mutating func subtract(_ hash: Hash256?) {
        guard let hash else { return }
        var borrow = false
        sum.word3 = Self.subtract(sum.word3, hash.word3, &borrow)
        sum.word2 = Self.subtract(sum.word2, hash.word2, &borrow)
        sum.word1 = Self.subtract(sum.word1, hash.word1, &borrow)
        sum.word0 = Self.subtract(sum.word0, hash.word0, &borrow)
    }

    /// Adds another sum. Constant time.
    package mutating func add(_ other: HashSum) { add(other.sum) }

    private static func add(_ left: UInt64, _ right: UInt64, _ carry: inout Bool) -> UInt64 {
        let (partial, overflow) = left.addingReportingOverflow(right)
        let (total, carried) = partial.addingReportingOverflow(carry ? 1 : 0)
        carry = overflow || carried
        return total
    }

    private static func subtract(_ left: UInt64, _ right: UInt64, _ borrow: inout Bool) -> UInt64 {
        let (partial, underflow) = left.subtractingReportingOverflow(right)
        let (total, borrowed) = partial.subtractingReportingOverflow(borrow ? 1 : 0)
        borrow = underflow || borrowed
        return total
    }
}

/// The catalog's digest: the sum of the canonical hashes of all records (see
/// ``RecordState/canonicalHash(of:hasher:)``).
package typealias CatalogDigest = HashSum
