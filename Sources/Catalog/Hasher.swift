/// SHA-256 (FIPS 180-4), given by whoever runs the catalog: the system's library in a node.
package protocol CatalogHasher: Sendable {
    /// The SHA-256 of the bytes. Must be a pure function and safe to call from any thread.
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

/// Builds what is hashed: a tag that says what it is, then fields, each behind its length.
///
/// The tag is ASCII, ends with a zero byte and occurs nowhere else, so that no bytes can pass for another structure.
/// A field is its length as 4 bytes, big-endian, and its bytes.
package struct TaggedFields {
    package private(set) var bytes: [UInt8]

    /// - Parameter capacity: Bytes that room is made for at first.
    package init(_ tag: StaticString, capacity: Int = 160) {
        bytes = []
        bytes.reserveCapacity(capacity)
        tag.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(0)
    }

    /// A field of bytes that lie elsewhere.
    package mutating func append(_ field: UnsafeRawBufferPointer) {
        append(UInt32(field.count))
        bytes.append(contentsOf: field)
    }

    /// A field of bytes.
    package mutating func append(_ field: ArraySlice<UInt8>) {
        field.withUnsafeBytes { append($0) }
    }

    /// A field of bytes.
    package mutating func append(_ field: [UInt8]) {
        append(field[...])
    }

    /// A field of a text, as UTF-8.
    package mutating func append(_ field: String) {
        var field = field
        field.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    package mutating func append(_ field: Hash256) {
        append(UInt32(Hash256.byteCount))
        field.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// A number as 4 bytes, big-endian, without a length before it.
    package mutating func append(_ number: UInt32) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// A number as 8 bytes, big-endian, without a length before it.
    package mutating func append(_ number: UInt64) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Fields of fixed sizes, many at once, written without a check of the array's room for each.
    ///
    /// - Parameter byteCountMax: More bytes than `body` writes, or as many; a further one is a trap.
    mutating func append(byteCountMax: Int, _ body: (inout Fixed) -> Void) {
        bytes += Array(unsafeUninitializedCapacity: byteCountMax) { buffer, count in
            var fixed = Fixed(buffer: UnsafeMutableRawBufferPointer(buffer))
            body(&fixed)
            count = fixed.count
        }
    }

    /// Memory to which fields are written one after the other, in the same form.
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
