/// SHA-256 (FIPS 180-4). The owner of the catalog provides it; a node uses the system's library.
package protocol CatalogHasher: Sendable {
    /// Computes the SHA-256 of the bytes. Must be a pure function and safe to call from any thread.
    func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256
}

extension CatalogHasher {
    package func hash(_ bytes: [UInt8]) -> Hash256 {
        bytes.withUnsafeBytes { hash($0) }
    }

    package func hash(_ bytes: ArraySlice<UInt8>) -> Hash256 {
        bytes.withUnsafeBytes { hash($0) }
    }
}

/// Builds the input of a hash: a tag for its type, then fields with length prefixes.
///
/// The tag is ASCII, ends with a zero byte and is unique, so two types of input never have the same bytes. A field is
/// its length as 4 bytes, big-endian, then its bytes.
package struct TaggedFields {
    package private(set) var bytes: [UInt8]

    /// - Parameter capacity: The number of bytes to reserve.
    package init(_ tag: StaticString, capacity: Int = 160) {
        bytes = []
        bytes.reserveCapacity(capacity)
        tag.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(0)
    }

    /// Appends bytes as a field.
    package mutating func append(_ field: UnsafeRawBufferPointer) {
        append(UInt32(field.count))
        bytes.append(contentsOf: field)
    }

    /// Appends bytes as a field.
    package mutating func append(_ field: ArraySlice<UInt8>) {
        field.withUnsafeBytes { append($0) }
    }

    /// Appends bytes as a field.
    package mutating func append(_ field: [UInt8]) {
        append(field[...])
    }

    /// Appends a text in UTF-8 as a field.
    package mutating func append(_ field: String) {
        var field = field
        field.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    package mutating func append(_ field: Hash256) {
        append(UInt32(Hash256.byteCount))
        field.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// Appends a number as 4 bytes, big-endian, without a length prefix.
    package mutating func append(_ number: UInt32) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends a number as 8 bytes, big-endian, without a length prefix.
    package mutating func append(_ number: UInt64) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends many fields of fixed sizes and checks the array's capacity only once.
    ///
    /// - Parameter byteCountMax: The maximum number of bytes that `body` writes. Writing more traps.
    mutating func append(byteCountMax: Int, _ body: (inout Fixed) -> Void) {
        bytes += Array(unsafeUninitializedCapacity: byteCountMax) { buffer, count in
            var fixed = Fixed(buffer: UnsafeMutableRawBufferPointer(buffer))
            body(&fixed)
            count = fixed.count
        }
    }

    /// A buffer to which `body` appends fields in the same encoding.
    struct Fixed {
        fileprivate let buffer: UnsafeMutableRawBufferPointer
        fileprivate(set) var count = 0

        mutating func append(_ field: Hash256) {
            append(UInt32(Hash256.byteCount))
            field.withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + Hash256.byteCount]).copyMemory(
                    from: bytes
                )
            }
            count += Hash256.byteCount
        }

        mutating func append<Number: FixedWidthInteger>(_ number: Number) {
            precondition(count + MemoryLayout<Number>.size <= buffer.count)
            buffer.storeBytes(of: number.bigEndian, toByteOffset: count, as: Number.self)
            count += MemoryLayout<Number>.size
        }
    }
}
