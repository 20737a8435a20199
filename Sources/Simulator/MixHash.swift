package import Catalog

/// A 128-bit hash by multiplying and folding (in the manner of Wang Yi's wyhash, 2019), at some nanoseconds per word.
/// It distinguishes runs, deltas and states; it is not secure against deliberate collisions.
package struct MixHash: Hashable, Sendable {
    package private(set) var high: UInt64
    package private(set) var low: UInt64

    /// - Parameter seed: hashes with different seeds are unrelated.
    package init(seed: UInt64 = 0) {
        high = 0x2D35_8DCC_AA6C_78A5 ^ seed
        low = 0x8BB8_4B93_962E_ACC9 &+ seed
    }

    /// The hash of some bytes.
    package init(of bytes: [UInt8]) {
        self.init()
        add(bytes)
    }

    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// Adds a word.
    @inline(__always)
    package mutating func add(_ word: UInt64) {
        let before = high
        high = Self.fold(high ^ word, 0x4B33_A62E_D433_D4A3) &+ low
        low = Self.fold(low ^ word ^ 0x4D5A_2DA5_1DE1_AA47, 0xA076_1D64_78BD_642F) ^ before
    }

    /// Adds a hash.
    package mutating func add(_ hash: Hash256) {
        add(hash.word0)
        add(hash.word1)
        add(hash.word2)
        add(hash.word3)
    }

    /// Adds bytes and their count.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        add(UInt64(bytes.count))
        var offset = 0
        while offset + 8 <= bytes.count {
            add(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        guard offset < bytes.count else { return }
        var last: UInt64 = 0
        while offset < bytes.count {
            last = last << 8 | UInt64(bytes[offset])
            offset += 1
        }
        add(last)
    }

    /// Adds bytes and their count.
    package mutating func add(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { add($0) }
    }

    /// The sum of two hashes, word by word; used to combine the hashes of unordered elements.
    package static func + (left: MixHash, right: MixHash) -> MixHash {
        var sum = left
        sum.high &+= right.high
        sum.low &+= right.low
        return sum
    }

    /// Subtracts a hash that was added by `+`.
    package static func - (left: MixHash, right: MixHash) -> MixHash {
        var difference = left
        difference.high &-= right.high
        difference.low &-= right.low
        return difference
    }

    /// 32 lower-case hexadecimal digits.
    package var hex: String { Hex.string(high) + Hex.string(low) }
}
