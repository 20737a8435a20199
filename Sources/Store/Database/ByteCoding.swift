/// Writes the numbers that rows hold as varints (seven bits a byte, low bits first). The memory must have room for all.
struct ByteWriter {
    /// Bytes of the longest number.
    static let varintBytesMax = 10

    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

    mutating func varint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            put(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        put(UInt8(rest))
    }

    mutating func fixed(_ number: UInt64) {
        withUnsafeBytes(of: number.bigEndian) { fixed($0) }
    }

    mutating func fixed(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= buffer.count - count)
        UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + bytes.count]).copyMemory(from: bytes)
        count += bytes.count
    }

    private mutating func put(_ byte: UInt8) {
        precondition(count < buffer.count)
        buffer[count] = byte
        count += 1
    }
}

/// Reads the output of ``ByteWriter``, and the framing of protobuf messages. Never reads beyond its range.
struct ByteReader {
    /// The bytes do not have the expected format.
    struct Damage: Error {}

    let bytes: UnsafeRawBufferPointer
    private(set) var position: Int
    let end: Int

    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(bytes, 0..<bytes.count)
    }

    init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    var isAtEnd: Bool { position >= end }

    mutating func varint() throws(Damage) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while position < end, shift < 70 {
            let byte = bytes[position]
            position += 1
            result |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return result }
            shift += 7
        }
        throw Damage()
    }

    mutating func skip(_ count: Int) throws(Damage) -> Range<Int> {
        guard count >= 0, count <= end - position else { throw Damage() }
        position += count
        return position - count..<position
    }

    mutating func fixed() throws(Damage) -> UInt64 {
        let range = try skip(8)
        return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: UInt64.self))
    }

    /// A length and that number of bytes.
    mutating func byteRange() throws(Damage) -> Range<Int> {
        guard let count = Int(exactly: try varint()) else { throw Damage() }
        return try skip(count)
    }

    /// The next field of a protobuf message: its number, with its bytes or its value.
    mutating func field() throws(Damage) -> (number: UInt64, range: Range<Int>, value: UInt64) {
        let key = try varint()
        switch key & 7 {
        case 0: return (key >> 3, position..<position, try varint())
        case 1: return (key >> 3, try skip(8), 0)
        case 2: return (key >> 3, try byteRange(), 0)
        default: throw Damage()
        }
    }
}
