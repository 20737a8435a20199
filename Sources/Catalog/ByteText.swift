import Glibc

// Swift compares strings by canonical equivalence; ids, paths and values are compared byte for byte.

extension String {
    /// True if both have the same bytes of UTF-8.
    package func hasSameBytes(as other: String) -> Bool {
        // Names of fields are compared for every value of an import; comparing byte by byte showed in profiles.
        guard utf8.count == other.utf8.count else { return false }
        guard !utf8.isEmpty else { return true }
        let isSame = utf8.withContiguousStorageIfAvailable { bytes in
            other.utf8.withContiguousStorageIfAvailable { others in
                bytes.baseAddress.flatMap { one in others.baseAddress.map { memcmp(one, $0, bytes.count) == 0 } }
            }
        }
        return isSame.flatMap { $0 }.flatMap { $0 } ?? utf8.elementsEqual(other.utf8)
    }
}

extension Hasher {
    /// Feeds the bytes of UTF-8, so that hashing agrees with ``Swift/String/hasSameBytes(as:)``.
    package mutating func combine(bytesOf text: String) {
        var text = text
        text.withUTF8 { combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
