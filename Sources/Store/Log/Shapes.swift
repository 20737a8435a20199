import Catalog
import DeltaLog

/// Envelopes without their keys: the part that all records of an import share.
///
/// A row of `operation` with shape 0 holds the envelope's exact bytes. A row with another shape holds only the record's
/// key. Its envelope consists of the field header of the key, the key, and the shape's bytes. At 13 fields this saved
/// 133 bytes per record.
enum Shapes {
    /// The longest shape, in bytes.
    static let bytesMax = 4096
    /// Bytes of shapes in one generation of the writer's cache. A forgotten shape gets a second number when it is used
    /// again. So one author's unusual envelopes cannot stop the sharing of others.
    static let cacheBytesMax = 1024 * 1024
    /// The number of latest shapes that a writer loads when it begins.
    static let loadedMax = 1024
    /// Approximate bytes of a cache entry in addition to the shape.
    static let entryBytes = 64

    /// The shared part of an operation's envelope; nil if the envelope must be stored whole.
    static func shape(of operation: VerifiedOperation) -> ArraySlice<UInt8>? {
        let bytes = operation.envelopeBytes
        guard operation.envelope.kind == .ordinary, bytes.count > Envelope.keyEnd,
            bytes.count <= Envelope.keyEnd + bytesMax,
            bytes.starts(with: Envelope.keyStart),
            operation.envelope.writes.allSatisfy({ $0.supersedes.isEmpty })
        else { return nil }
        return bytes.dropFirst(Envelope.keyEnd)
    }

    /// The envelope's exact bytes.
    static func envelope(key: UnsafeRawBufferPointer, shape: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Envelope.keyEnd + shape.count)
        bytes.append(contentsOf: Envelope.keyStart)
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: shape)
        return bytes
    }

    /// Replaces the key in an envelope that has a shape.
    static func setKey(_ key: UnsafeRawBufferPointer, of envelope: inout [UInt8]) throws {
        guard key.count == Hash256.byteCount, envelope.count >= Envelope.keyEnd else {
            throw StoreError.damaged("table operation")
        }
        Envelope.setKey(key, of: &envelope)
    }

    static func key(of envelope: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        envelope.prefix(Envelope.keyEnd).dropFirst(Envelope.keyStart.count)
    }

    /// Reads a shape's bytes.
    static func bytes(_ number: Int64, _ session: Session) throws -> [UInt8] {
        guard let bytes = try session("SELECT bytes FROM shape WHERE number = ?").bind(1, number).first({ $0.bytes(0) })
        else { throw StoreError.damaged("table shape") }
        return bytes
    }
}

/// The numbers of the shapes that the writer keeps.
struct ShapeNumbers {
    private var numbers = BoundedCache<ArraySlice<UInt8>, Int64>(weightMax: Shapes.cacheBytesMax)
    private var last: (bytes: [UInt8], number: Int64)?

    /// Loads the latest shapes.
    mutating func load(_ session: Session) throws {
        let newest = try session("SELECT number, bytes FROM shape ORDER BY number DESC LIMIT ?")
            .bind(1, Int64(Shapes.loadedMax)).all { ($0.int(0), $0.bytes(1)) }
        for (number, bytes) in newest.reversed() { keep(number, for: bytes) }
    }

    /// The number of an envelope's shape, assigned now if it had none; 0 if the envelope must be stored whole.
    mutating func number(of operation: VerifiedOperation, _ session: Session) throws -> Int64 {
        guard let shape = Shapes.shape(of: operation) else { return 0 }
        // Most operations have the shape of the previous one.
        if let last, last.bytes[...] == shape { return last.number }
        let bytes = Array(shape)
        let number: Int64
        if let known = numbers.find(shape) {
            number = known
        } else {
            try session("INSERT INTO shape(bytes) VALUES(?)").bind(1, bytes).run()
            number = session.lastInsertedRow
            keep(number, for: bytes)
        }
        last = (bytes, number)
        return number
    }

    private mutating func keep(_ number: Int64, for bytes: [UInt8]) {
        numbers.insert(number, for: bytes[...], weight: bytes.count + Shapes.entryBytes)
    }
}
