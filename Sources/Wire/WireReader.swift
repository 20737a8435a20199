/// The reason why bytes are not a valid protobuf message.
package struct WireError: Error, Equatable, Sendable {
    package let reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// Reads the protobuf wire format strictly. Never reads beyond its range. Only ``string()`` allocates memory.
///
/// Hand-written code uses it for the messages that a node reads by the million: header, envelope, content and delta.
package struct WireReader {
    /// The encoding of a field.
    package enum WireType: UInt8 {
        case varint = 0
        case fixed64 = 1
        case lengthDelimited = 2
    }

    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private let end: Int

    package init(_ bytes: [UInt8]) {
        self.init(bytes[...])
    }

    package init(_ bytes: ArraySlice<UInt8>) {
        self.init(bytes, from: bytes.startIndex, to: bytes.endIndex)
    }

    private init(_ bytes: ArraySlice<UInt8>, from start: Int, to end: Int) {
        self.bytes = bytes
        position = start
        self.end = end
    }

    package var isAtEnd: Bool { position == end }

    /// Reads the next field's number and wire type. Field numbers must not descend, so a message has only one valid
    /// order.
    package mutating func field(after last: inout UInt32) throws(WireError) -> (number: UInt32, type: WireType) {
        let key = try varint()
        guard let type = WireType(rawValue: UInt8(truncatingIfNeeded: key & 7)), key >> 3 >= UInt64(last),
            key >> 3 <= 0x1FFF_FFFF, key >> 3 > 0
        else { throw WireError("unexpected field key \(key)") }
        last = UInt32(key >> 3)
        return (last, type)
    }

    /// Like ``field(after:)``, but a field may repeat only if its number is `repeated` or `also`. A second value
    /// therefore never replaces a first one.
    package mutating func field(
        after last: inout UInt32,
        repeated: UInt32?,
        _ also: UInt32? = nil
    ) throws(WireError) -> (number: UInt32, type: WireType) {
        let before = last
        let next = try field(after: &last)
        if next.number == before, next.number != repeated, next.number != also {
            throw WireError("field \(before) twice")
        }
        return next
    }

    /// Reads a variable-length number. It must have its shortest encoding, so each number has only one.
    package mutating func varint() throws(WireError) -> UInt64 {
        try Self.varint(from: &position, to: end) { bytes[$0] }
    }

    /// Like ``varint()``, for bytes in memory; moves `position` past the number.
    package static func varint(in bytes: UnsafeRawBufferPointer, from position: inout Int) throws(WireError) -> UInt64 {
        try varint(from: &position, to: bytes.count) { bytes[$0] }
    }

    @inline(__always)
    private static func varint(
        from position: inout Int,
        to end: Int,
        _ byte: (Int) -> UInt8
    ) throws(WireError) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let byte = byte(position)
            position += 1
            if shift == 63, byte > 1 { throw WireError("number of more than 64 bits") }
            result |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                if byte == 0, shift > 0 { throw WireError("number in more bytes than it takes") }
                return result
            }
            shift += 7
            if shift > 63 { throw WireError("number of more than 10 bytes") }
        }
        throw WireError("ends within a number")
    }

    /// Reads a variable-length number of at most 32 bits.
    package mutating func varint32() throws(WireError) -> UInt32 {
        guard let number = UInt32(exactly: try varint()) else { throw WireError("number of more than 32 bits") }
        return number
    }

    /// Returns the number if it is not 0. Default values are never written, so each message has only one encoding.
    package static func present<Number: FixedWidthInteger>(_ number: Number) throws(WireError) -> Number {
        guard number != 0 else { throw WireError("a default value that is written out") }
        return number
    }

    /// Reads 8 bytes, little-endian.
    package mutating func fixed64() throws(WireError) -> UInt64 {
        guard end - position >= 8 else { throw WireError("ends within a fixed number") }
        var result: UInt64 = 0
        for offset in 0..<8 { result |= UInt64(bytes[position + offset]) << UInt64(8 * offset) }
        position += 8
        return result
    }

    /// Reads a length-delimited field as a slice of the whole message.
    package mutating func slice() throws(WireError) -> ArraySlice<UInt8> {
        let range = try byteRange()
        return bytes[range]
    }

    /// Reads a length-delimited field that holds a message; returns a reader for it.
    package mutating func message() throws(WireError) -> WireReader {
        let range = try byteRange()
        return WireReader(bytes, from: range.lowerBound, to: range.upperBound)
    }

    /// Reads a length-delimited field that holds UTF-8.
    package mutating func string() throws(WireError) -> String {
        let range = try byteRange()
        guard let text = String(validating: bytes[range], as: UTF8.self) else { throw WireError("text is not UTF-8") }
        return text
    }

    /// Reads a length-delimited field; returns the range of its bytes in the array or slice given to the initializer.
    package mutating func byteRange() throws(WireError) -> Range<Int> {
        let length = try varint()
        guard length <= UInt64(end - position) else { throw WireError("ends within a field") }
        let start = position
        position += Int(length)
        return start..<position
    }
}

extension ArraySlice<UInt8> {
    /// Like `withUnsafeBytes`, with the typed error ``WireError``.
    package func withWireBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(WireError) -> Result
    ) throws(WireError) -> Result {
        try withUnsafeBytes { bytes in
            Swift.Result { () throws(WireError) in try body(bytes) }
        }.get()
    }
}

/// Writes the protobuf wire format. The caller omits fields with default values, as proto3 does.
package struct WireWriter {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int = 0) {
        bytes.reserveCapacity(capacity)
    }

    /// Discards the written bytes and keeps the memory for reuse.
    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    package mutating func varint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    package mutating func key(_ field: UInt32, _ type: WireReader.WireType) {
        varint(UInt64(field) << 3 | UInt64(type.rawValue))
    }

    /// Appends a number, unless it is 0.
    package mutating func field(_ field: UInt32, varint number: UInt64) {
        guard number != 0 else { return }
        key(field, .varint)
        varint(number)
    }

    /// Appends a number of 8 bytes, little-endian, unless it is 0.
    package mutating func field(_ field: UInt32, fixed64 number: UInt64) {
        guard number != 0 else { return }
        key(field, .fixed64)
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(shift))) }
    }

    /// Appends a bytes field, even an empty one.
    package mutating func field(_ field: UInt32, bytes content: [UInt8]) {
        content.withUnsafeBytes { self.field(field, bytes: $0) }
    }

    /// Appends a bytes field, even an empty one.
    package mutating func field(_ field: UInt32, bytes content: ArraySlice<UInt8>) {
        content.withUnsafeBytes { self.field(field, bytes: $0) }
    }

    /// Appends bytes without a key or a length.
    package mutating func raw(_ content: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: content)
    }

    /// Appends a text field in UTF-8, even an empty one.
    package mutating func field(_ field: UInt32, text: String) {
        var text = text
        text.withUTF8 { self.field(field, bytes: UnsafeRawBufferPointer($0)) }
    }

    /// Appends a bytes field, even an empty one.
    // Not generic over collections: a generic function would run unspecialized in other modules, at several times the
    // cost.
    package mutating func field(_ field: UInt32, bytes content: UnsafeRawBufferPointer) {
        key(field, .lengthDelimited)
        varint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }
}

/// The encoded size of a length-delimited field with a content of `count` bytes and a field number below 16.
package func wireSize(of count: Int) -> Int {
    var size = 2
    var rest = count >> 7
    while rest > 0 {
        size += 1
        rest >>= 7
    }
    return size + count
}
