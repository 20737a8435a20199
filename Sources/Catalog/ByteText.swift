// Swift compares strings by canonical equivalence; ids, paths and values are compared byte for byte.

extension String {
    /// True if both have the same bytes of UTF-8.
    package func hasSameBytes(as other: String) -> Bool {
        // Over the bytes where they lie: names of fields are compared for every value of an import, and going through the
        // view of UTF-8 showed in profiles.
        var (one, two) = (self, other)
        return one.withUTF8 { one in two.withUTF8 { one.elementsEqual($0) } }
    }
}

extension Hasher {
    /// Feeds the bytes of UTF-8, so that hashing agrees with ``Swift/String/hasSameBytes(as:)``.
    package mutating func combine(bytesOf text: String) {
        var text = text
        text.withUTF8 { combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
