// Swift compares strings by canonical equivalence; ids, paths, kinds, names and values are compared byte for byte.

/// A text as a dictionary's key, or in a set: equal to another one only if both have the same bytes of UTF-8.
package struct ByteText: Hashable, Comparable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (left: ByteText, right: ByteText) -> Bool { left.text.hasSameBytes(as: right.text) }
    package static func < (left: ByteText, right: ByteText) -> Bool { left.text.precedesByBytes(right.text) }
    package func hash(into hasher: inout Hasher) { hasher.combine(bytesOf: text) }
}

extension String {
    /// True if both have the same bytes of UTF-8.
    package func hasSameBytes(as other: String) -> Bool {
        // Over the bytes where they lie: names of fields are compared for every value of an import, and going through the
        // view of UTF-8 showed in profiles.
        if hasSameBits(as: other) { return true }
        var (one, two) = (self, other)
        return one.withUTF8 { one in
            two.withUTF8 { UnsafeRawBufferPointer(one).hasSameBytes(as: UnsafeRawBufferPointer($0)) }
        }
    }
}

extension String {
    /// The order of the bytes of UTF-8, which is that of the code points.
    package func precedesByBytes(_ other: String) -> Bool {
        // Fields of every record shown are sorted by it.
        var (one, two) = (self, other)
        return one.withUTF8 { one in
            two.withUTF8 { UnsafeRawBufferPointer(one).precedes(UnsafeRawBufferPointer($0)) }
        }
    }

    /// The parts between a separator of ASCII, at most so many: the last one holds the rest. A separator counts whatever
    /// follows it, also a combining mark, which Swift would take for a part of the same character.
    package func split(atByte separator: UInt8, partsMax: Int) -> [String] {
        utf8.split(separator: separator, maxSplits: partsMax - 1, omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
    }
}

extension String {
    /// True if both are one in memory: short ones with the same bytes, or longer ones that share them. Strings that are not
    /// may be equal too.
    @inline(__always)
    private func hasSameBits(as other: String) -> Bool {
        withUnsafeBytes(of: self) { one in
            withUnsafeBytes(of: other) { two in
                // Nothing is made of the bits but this answer, so it holds whatever the layout is.
                one.hasSameBytes(as: two)
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// True if both hold the same bytes. Eight at a time: the standard library compares buffers byte by byte.
    package func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        var offset = 0
        while offset + 8 <= count {
            guard
                loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    == other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            else { return false }
            offset += 8
        }
        while offset < count {
            guard self[offset] == other[offset] else { return false }
            offset += 1
        }
        return true
    }
}

extension UnsafeRawBufferPointer {
    /// The order of the bytes, of which the shorter ones come first where they are the beginning of the others.
    fileprivate func precedes(_ other: UnsafeRawBufferPointer) -> Bool {
        let shared = Swift.min(count, other.count)
        var offset = 0
        while offset + 8 <= shared {
            let one = UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            let two = UInt64(bigEndian: other.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            if one != two { return one < two }
            offset += 8
        }
        while offset < shared {
            if self[offset] != other[offset] { return self[offset] < other[offset] }
            offset += 1
        }
        return count < other.count
    }
}

extension Array {
    /// True if both are one in memory, so that they are equal without being compared. Arrays that are not may be equal too.
    package func isSameStorage(as other: [Element]) -> Bool {
        withUnsafeBufferPointer { one in
            other.withUnsafeBufferPointer { one.baseAddress == $0.baseAddress && one.count == $0.count }
        }
    }
}

extension Hasher {
    /// Feeds the bytes of UTF-8, so that hashing agrees with ``Swift/String/hasSameBytes(as:)``.
    package mutating func combine(bytesOf text: String) {
        var text = text
        text.withUTF8 { combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
