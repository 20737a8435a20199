import Catalog

/// The encoding of a record's state in its row.
///
/// Live operations, ascending by dot. Each one: row of the operation, number of the log, sequence, index
/// (variable-length numbers), stamp (8 bytes), hash (32 bytes), number of live writes. Each write: its field's number
/// shifted left by two bits. Bit 1 is the mode (set 0, add 1). Bit 0 is set if the write's number does not follow the
/// previous one; then the distance follows. So a write of a common field takes one byte.
enum StateCoding {
    static func encode(_ state: RecordState, log: (LogID) throws -> Int64) rethrows -> [UInt8] {
        let byteCountMax = state.operations.reduce(0) {
            $0 + 5 * ByteWriter.varintBytesMax + 8 + Hash256.byteCount + 2 * ByteWriter.varintBytesMax * $1.writes.count
        }
        return try Array(unsafeUninitializedCapacity: byteCountMax) { buffer, count in
            var writer = ByteWriter(UnsafeMutableRawBufferPointer(buffer))
            defer { count = writer.count }
            try encode(state, log: log, to: &writer)
        }
    }

    private static func encode(
        _ state: RecordState,
        log: (LogID) throws -> Int64,
        to writer: inout ByteWriter
    ) rethrows {
        // Operations of one log are adjacent.
        var last: (id: LogID, number: Int64)?
        for operation in state.operations {
            let id = operation.dot.log
            let number = if let last, last.id == id { last.number } else { try log(id) }
            last = (id, number)
            writer.varint(UInt64(bitPattern: operation.location))
            writer.varint(UInt64(bitPattern: number))
            writer.varint(operation.dot.sequence)
            writer.varint(UInt64(operation.dot.index))
            writer.fixed(operation.stamp.rawValue)
            operation.hash.withUnsafeBytes { writer.fixed($0) }
            writer.varint(UInt64(operation.writes.count))
            var next: UInt32 = 0
            for write in operation.writes {
                let mode: UInt64 = write.mode == .add ? 2 : 0
                let isApart: UInt64 = write.number == next ? 0 : 1
                writer.varint(UInt64(UInt32(bitPattern: write.field.rawValue)) << 2 | mode | isApart)
                if isApart == 1 { writer.varint(UInt64(write.number &- next)) }
                next = write.number &+ 1
            }
        }
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, log: (Int64) throws -> LogID) throws -> RecordState {
        var reader = ByteReader(bytes)
        var operations: [LiveOperation] = []
        operations.reserveCapacity(max(1, bytes.count / 56))
        var last: (number: Int64, id: LogID)?
        while !reader.isAtEnd {
            let location = Int64(bitPattern: try reader.varint())
            let number = Int64(bitPattern: try reader.varint())
            let id = if let last, last.number == number { last.id } else { try log(number) }
            last = (number, id)
            let sequence = try reader.varint()
            guard let index = UInt32(exactly: try reader.varint()) else { throw ByteReader.Damage() }
            let stamp = Stamp(rawValue: try reader.fixed())
            let hash = Hash256(try reader.fixed(), try reader.fixed(), try reader.fixed(), try reader.fixed())
            let count = try reader.varint()
            // A write takes at least a byte.
            guard count > 0, count <= UInt64(bytes.count) else { throw ByteReader.Damage() }
            var next: UInt64 = 0
            let writes: LiveWrites
            if count == 1 {
                writes = LiveWrites(try write(&reader, &next))
            } else {
                var list: [LiveWrite] = []
                list.reserveCapacity(Int(count))
                for _ in 0..<count { list.append(try write(&reader, &next)) }
                writes = LiveWrites(list)
            }
            let dot = Dot(log: id, sequence: sequence, index: index)
            operations.append(LiveOperation(dot: dot, stamp: stamp, hash: hash, location: location, writes: writes))
        }
        return RecordState(operations: operations)
    }

    private static func write(_ reader: inout ByteReader, _ next: inout UInt64) throws(ByteReader.Damage) -> LiveWrite {
        let code = try reader.varint()
        let number = code & 1 == 0 ? next : next &+ (try reader.varint())
        guard let number32 = UInt32(exactly: number), let field = Int32(exactly: code >> 2) else {
            throw ByteReader.Damage()
        }
        next = number + 1
        return LiveWrite(number: number32, field: FieldNumber(rawValue: field), mode: code & 2 == 0 ? .set : .add)
    }
}

/// The positions of the values in a stored operation, found without decoding the operation.
///
/// It reads only rows of verified deltas, so the messages have the form that verification demands.
struct OperationLayout {
    /// The record's key, within the envelope.
    private(set) var key: Range<Int> = 0..<0
    /// For each write in order, the index of its value in the content, or nil if it has none.
    private(set) var valuePositions: [Int?] = []
    /// The values' bytes, within the content.
    private(set) var values: [Range<Int>] = []

    /// - Throws: ``StoreError`` if the bytes are not those of an operation.
    init(_ envelope: ArraySlice<UInt8>, _ content: ArraySlice<UInt8>) throws {
        do {
            self = try envelope.withUnsafeBytes { envelope in
                try content.withUnsafeBytes { try OperationLayout(envelope: envelope, content: $0) }
            }
        } catch is ByteReader.Damage {
            throw StoreError.damaged("table operation")
        }
    }

    private init(envelope: UnsafeRawBufferPointer, content: UnsafeRawBufferPointer) throws(ByteReader.Damage) {
        var reader = ByteReader(envelope)
        var valueCount = 0
        while !reader.isAtEnd {
            let field = try reader.field()
            if field.number == 1 { key = field.range }
            guard field.number == 4 else { continue }
            var write = ByteReader(envelope, field.range)
            var isTombstone = true
            var mode: UInt64 = 0
            while !write.isAtEnd {
                let part = try write.field()
                // The field of an ordinary write is written out or listed in the header; a tombstone has neither.
                if part.number == 1 || part.number == 4 { isTombstone = false }
                if part.number == 2 { mode = part.value }
            }
            let hasValue = mode != UInt64(Write.Mode.remove.rawValue) && !isTombstone
            valuePositions.append(hasValue ? valueCount : nil)
            if hasValue { valueCount += 1 }
        }
        reader = ByteReader(content)
        while !reader.isAtEnd {
            let field = try reader.field()
            if field.number == 2 { values.append(field.range) }
        }
    }

    /// The range of a write's value; nil if it has none.
    func value(of number: UInt32) -> Range<Int>? {
        guard Int(number) < valuePositions.count, let position = valuePositions[Int(number)], position < values.count
        else { return nil }
        return values[position]
    }
}
