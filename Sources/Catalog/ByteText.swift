// Swift compares strings by canonical equivalence; ids, paths and values are compared byte for byte.

extension String {
    /// True if both have the same bytes of UTF-8.
    package func hasSameBytes(as other: String) -> Bool {
        utf8.elementsEqual(other.utf8)
    }
}

extension Hasher {
    /// Feeds the bytes of UTF-8, so that hashing agrees with ``Swift/String/hasSameBytes(as:)``.
    package mutating func combine(bytesOf text: String) {
        var text = text
        text.withUTF8 { combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
