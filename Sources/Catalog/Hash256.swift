/// 32 bytes, stored as four big-endian words for cheap copies and comparisons.
///
/// Hashes, public keys and ids have this size. Values are ordered by their bytes.
package struct Hash256: Hashable, Comparable, Sendable {
    @usableFromInline package var word0: UInt64
    @usableFromInline package var word1: UInt64
    @usableFromInline package var word2: UInt64
    @usableFromInline package var word3: UInt64

    /// The number of bytes.
    package static let byteCount = 32

    /// All bits zero. Stands for the absence of a hash.
    package static let zero = Hash256(0, 0, 0, 0)

    @inlinable package init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    /// Feeds all 32 bytes in one call. Peers choose identifiers, so hashing must not skip any byte.
    @inlinable package func hash(into hasher: inout Hasher) {
        withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    /// Takes exactly 32 bytes; nil for any other number.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self = .zero
        withUnsafeMutableBytes { target in
            target.copyBytes(from: bytes)
        }
    }

    /// Takes exactly 32 bytes; nil for any other number.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        )
    }

    /// Takes exactly 32 bytes; nil for any other number.
    package init?(_ bytes: ArraySlice<UInt8>) {
        guard let hash = bytes.withUnsafeBytes({ Hash256($0) }) else { return nil }
        self = hash
    }

    /// Parses 64 hexadecimal digits in upper or lower case; nil for anything else.
    package init?(hex: String) {
        guard let bytes = Hex.bytes(hex), let hash = Hash256(bytes) else { return nil }
        self = hash
    }

    /// Calls `body` with the 32 bytes for writing.
    package mutating func withUnsafeMutableBytes<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        var words = (word0.bigEndian, word1.bigEndian, word2.bigEndian, word3.bigEndian)
        let result = try Swift.withUnsafeMutableBytes(of: &words) { try body($0) }
        word0 = UInt64(bigEndian: words.0)
        word1 = UInt64(bigEndian: words.1)
        word2 = UInt64(bigEndian: words.2)
        word3 = UInt64(bigEndian: words.3)
        return result
    }

    /// Calls `body` with the 32 bytes for reading.
    @inlinable package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        let words = (word0.bigEndian, word1.bigEndian, word2.bigEndian, word3.bigEndian)
        return try Swift.withUnsafeBytes(of: words) { try body($0) }
    }

    /// The 32 bytes.
    package var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// 64 lower-case hexadecimal digits.
    package var hex: String { withUnsafeBytes { Hex.string($0) } }

    /// The first 8 bytes as a big-endian number. A citation contains this part of an operation's hash.
    @inlinable package var prefix: UInt64 { word0 }

    @inlinable package static func == (left: Hash256, right: Hash256) -> Bool {
        left.word0 == right.word0 && left.word1 == right.word1
            && left.word2 == right.word2 && left.word3 == right.word3
    }

    @inlinable package static func < (left: Hash256, right: Hash256) -> Bool {
        if left.word0 != right.word0 { return left.word0 < right.word0 }
        if left.word1 != right.word1 { return left.word1 < right.word1 }
        if left.word2 != right.word2 { return left.word2 < right.word2 }
        return left.word3 < right.word3
    }
}

/// Hexadecimal text.
package enum Hex {
    /// Lower-case digits, two per byte.
    package static func string(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: bytes.count * 2) { target in
            var position = 0
            for byte in bytes {
                target[position] = digits[Int(byte >> 4)]
                target[position + 1] = digits[Int(byte & 15)]
                position += 2
            }
            return position
        }
    }

    /// 16 lower-case digits, the text form of random 64-bit numbers.
    package static func string(_ number: UInt64) -> String {
        string(withUnsafeBytes(of: number.bigEndian) { Array($0) })
    }

    /// Parses an even number of digits in upper or lower case; nil for anything else.
    package static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for position in stride(from: 0, to: digits.count, by: 2) {
            guard let high = nibble(digits[position]), let low = nibble(digits[position + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
