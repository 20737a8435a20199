// Swift compares strings by canonical equivalence; ids, paths, kinds, names and values are compared byte for byte.

/// A text as a dictionary key or set element: two are equal only if they have the same bytes of UTF-8.
package struct ByteText: Hashable, Comparable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (left: ByteText, right: ByteText) -> Bool { left.text.hasSameBytes(as: right.text) }
    package static func < (left: ByteText, right: ByteText) -> Bool { left.text.precedesByBytes(right.text) }
    package func hash(into hasher: inout Hasher) { hasher.combine(bytesOf: text) }
}

extension String {
    /// True if both texts have the same bytes of UTF-8.
    package func hasSameBytes(as other: String) -> Bool {
        // Compares the bytes in memory: an import compares field names for every value, and `utf8` views were slow in
        // profiles.
        if hasSameBits(as: other) { return true }
        var (one, two) = (self, other)
        return one.withUTF8 { one in
            two.withUTF8 { UnsafeRawBufferPointer(one).hasSameBytes(as: UnsafeRawBufferPointer($0)) }
        }
    }
}

extension String {
    /// Orders texts by their bytes of UTF-8, which is the order of their code points.
    package func precedesByBytes(_ other: String) -> Bool {
        // Every displayed record sorts its fields with this method.
        var (one, two) = (self, other)
        return one.withUTF8 { one in
            two.withUTF8 { UnsafeRawBufferPointer(one).precedes(UnsafeRawBufferPointer($0)) }
        }
    }

    /// Splits at an ASCII separator into at most `partsMax` parts; the last part holds the rest.
    ///
    /// Works on bytes: Swift would merge a separator and a combining mark after it into one character.
    package func split(atByte separator: UInt8, partsMax: Int) -> [String] {
        utf8.split(separator: separator, maxSplits: partsMax - 1, omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
    }
}

extension String {
    /// True if both texts have the same representation: short texts with equal bytes, or long texts that share storage.
    /// Equal texts may still give false.
    @inline(__always)
    private func hasSameBits(as other: String) -> Bool {
        withUnsafeBytes(of: self) { one in
            withUnsafeBytes(of: other) { two in
                // The result is valid for any memory layout of `String`, because only equality of the bits is used.
                one.hasSameBytes(as: two)
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// True if both hold the same bytes. Compares eight bytes at a time; the standard library compares byte by byte.
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
    /// Orders buffers by their bytes; a prefix comes before a longer buffer.
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
    /// True if both arrays share their storage, so they are equal without a comparison. Equal arrays may still give
    /// false.
    package func isSameStorage(as other: [Element]) -> Bool {
        withUnsafeBufferPointer { one in
            other.withUnsafeBufferPointer { one.baseAddress == $0.baseAddress && one.count == $0.count }
        }
    }
}

extension Hasher {
    /// Feeds the bytes of UTF-8, so hashing is consistent with ``Swift/String/hasSameBytes(as:)``.
    package mutating func combine(bytesOf text: String) {
        var text = text
        text.withUTF8 { combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
