package import Catalog
package import Wire

// This code encodes and decodes envelopes, contents and values by hand. A node handles millions of them, and the
// generated code allocates several times for each. Tests compare this code with the generated code.

extension Value {
    /// Encodes a Value message.
    package func encoded() -> [UInt8] {
        var writer = WireWriter()
        switch self {
        case .text, .decimal, .json: if let (number, text) = numberedText { writer.field(number, text: text) }
        case .integer(let number):
            writer.key(2, .varint)
            writer.varint(UInt64(bitPattern: number << 1 ^ number >> 63))
        case .boolean(let flag):
            writer.key(4, .varint)
            writer.varint(flag ? 1 : 0)
        case .bytes(let bytes): writer.field(6, bytes: bytes)
        case .identity(let identity):
            var inner = WireWriter()
            inner.field(1, text: identity.kind)
            inner.field(2, text: identity.localID)
            writer.field(15, bytes: inner.bytes)
        case .unknown(let bytes): return bytes
        }
        return writer.bytes
    }

    /// Decodes a Value message. Bytes that this version would write differently are kept as ``Value/unknown(_:)``.
    ///
    /// No value is malformed, so a newer type of value never blocks a log.
    package init(decoding bytes: ArraySlice<UInt8>) {
        guard let value = try? Self.known(bytes) else {
            self = .unknown(Array(bytes))
            return
        }
        self = value
    }

    /// The UTF-8 bytes of a Value message that holds a text or JSON, as a slice of `bytes`.
    ///
    /// Nil for every other value, and for a value that ``init(decoding:)`` keeps as unknown.
    package static func textBytes(of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let key = bytes.first, key == 1 << 3 | 2 || key == 5 << 3 | 2 else { return nil }
        var reader = WireReader(bytes.dropFirst())
        guard let length = try? reader.varint(), length < UInt64(bytes.count), wireSize(of: Int(length)) == bytes.count
        else { return nil }
        let text = bytes.suffix(Int(length))
        return isUTF8(text) ? text : nil
    }

    /// The identity in a Value message; nil for every other value.
    package static func identity(encoded bytes: ArraySlice<UInt8>) -> RecordIdentity? {
        guard let (kind, localID) = identityBytes(of: bytes) else { return nil }
        return RecordIdentity(
            kind: String(decoding: kind, as: UTF8.self),
            localID: String(decoding: localID, as: UTF8.self)
        )
    }

    /// The UTF-8 bytes of kind and local id in a Value message that holds an identity, as slices of `bytes`.
    ///
    /// Nil for every other value, and for a value that ``init(decoding:)`` keeps as unknown.
    static func identityBytes(
        of bytes: ArraySlice<UInt8>
    ) -> (kind: ArraySlice<UInt8>, localID: ArraySlice<UInt8>)? {
        guard bytes.first == 15 << 3 | 2 else { return nil }
        do throws(WireError) {
            var outer = WireReader(bytes.dropFirst())
            var reader = WireReader(try outer.slice())
            var last: UInt32 = 0
            guard outer.isAtEnd, try reader.field(after: &last) == (1, .lengthDelimited) else { return nil }
            let kind = try reader.slice()
            guard try reader.field(after: &last) == (2, .lengthDelimited) else { return nil }
            let localID = try reader.slice()
            guard reader.isAtEnd, isUTF8(kind), isUTF8(localID) else { return nil }
            return (kind, localID)
        } catch {
            return nil
        }
    }

    private static func isUTF8(_ bytes: ArraySlice<UInt8>) -> Bool {
        (try? UTF8Span(validating: bytes.span)) != nil
    }

    private static func known(_ bytes: ArraySlice<UInt8>) throws -> Value? {
        var reader = WireReader(bytes)
        var last: UInt32 = 0
        let value: Value
        switch try reader.field(after: &last) {
        case (1, .lengthDelimited): value = .text(try reader.string())
        case (2, .varint):
            let number = try reader.varint()
            value = .integer(Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1))
        case (3, .lengthDelimited): value = .decimal(try reader.string())
        case (4, .varint):
            let number = try reader.varint()
            guard number <= 1 else { return nil }
            value = .boolean(number == 1)
        case (5, .lengthDelimited): value = .json(try reader.string())
        case (6, .lengthDelimited): value = .bytes(Array(try reader.slice()))
        case (15, .lengthDelimited): return identity(encoded: bytes).map { .identity($0) }
        default: return nil
        }
        // Lengths and numbers must have their shortest encoding too; comparing the total size is cheaper than checking
        // each.
        guard value.encodedSize == bytes.count else { return nil }
        return value
    }

    /// Appends the value as a field of a Content message.
    fileprivate func write(to writer: inout WireWriter) {
        guard let (number, text) = numberedText else {
            writer.field(2, bytes: encoded())
            return
        }
        // This avoids an array for each value.
        writer.key(2, .lengthDelimited)
        writer.varint(UInt64(wireSize(of: text.utf8.count)))
        writer.field(number, text: text)
    }

    /// The text and its field number, for values that are a text.
    private var numberedText: (number: UInt32, text: String)? {
        switch self {
        case .text(let text): (1, text)
        case .decimal(let text): (3, text)
        case .json(let text): (5, text)
        case .integer, .boolean, .bytes, .identity, .unknown: nil
        }
    }

    private var encodedSize: Int {
        switch self {
        case .text(let text), .decimal(let text), .json(let text): wireSize(of: text.utf8.count)
        case .bytes(let bytes): wireSize(of: bytes.count)
        case .integer, .boolean, .identity: encoded().count
        case .unknown(let bytes): bytes.count
        }
    }
}

extension Content {
    /// Encodes a Content message.
    package func encoded() -> [UInt8] {
        var writer = WireWriter(capacity: 32 + values.count * 24)
        write(to: &writer)
        return writer.bytes
    }

    /// Appends the bytes of a Content message.
    func write(to writer: inout WireWriter) {
        writer.field(1, bytes: salt)
        for value in values { value.write(to: &writer) }
    }

    /// Decodes a Content message strictly. Throws `WireError` if its structure is malformed.
    package init(decoding bytes: ArraySlice<UInt8>) throws(WireError) {
        let values = try ContentReader.values(of: bytes).map { Value(decoding: $0) }
        self.init(salt: Array(bytes.prefix(ContentReader.saltEnd).suffix(Self.saltByteCount)), values: values)
    }
}

/// Finds the values of a Content message and checks its structure, without decoding the values.
///
/// Most nodes that relay an operation never need its values. Creating a string for each would cost more than all
/// hashing.
package struct ContentReader {
    /// The offset after the salt: its key, its length and its 16 bytes.
    package static let saltEnd = 2 + Content.saltByteCount

    private let bytes: UnsafeRawBufferPointer
    private var position = Self.saltEnd

    /// - Parameter bytes: The whole message. The memory must outlive the reader.
    package init(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count >= Self.saltEnd, bytes[0] == 0x0A, bytes[1] == UInt8(Content.saltByteCount) else {
            throw WireError("content: no salt of 16 bytes")
        }
        self.bytes = bytes
    }

    /// The encoded Value messages of a content.
    package static func values(of content: ArraySlice<UInt8>) throws(WireError) -> [ArraySlice<UInt8>] {
        let ranges = try content.withWireBytes { bytes throws(WireError) in
            var reader = try ContentReader(bytes)
            var ranges: [Range<Int>] = []
            ranges.reserveCapacity(16)
            while let range = try reader.next() { ranges.append(range) }
            return ranges
        }
        let start = content.startIndex
        return ranges.map { content[start + $0.lowerBound..<start + $0.upperBound] }
    }

    /// The byte range of the next Value message; nil after the last.
    package mutating func next() throws(WireError) -> Range<Int>? {
        guard position < bytes.count else { return nil }
        guard bytes[position] == 0x12 else { throw WireError("content: unknown field key \(bytes[position])") }
        position += 1
        let length = try WireReader.varint(in: bytes, from: &position)
        guard length <= UInt64(bytes.count - position) else { throw WireError("ends within a field") }
        let start = position
        position += Int(length)
        return start..<position
    }
}

/// The logs that a delta under construction cites, in the order of their first citation.
package struct CitedLogs {
    package let own: LogID
    package private(set) var others: [LogID] = []
    private var positions: [LogID: UInt32] = [:]

    package init(own: LogID, others: [LogID] = []) {
        self.own = own
        for log in others { _ = position(of: log) }
    }

    /// The position by which citations name the log; 0 is the delta's own log. Adds a log that is not in the list yet.
    package mutating func position(of log: LogID) -> UInt32 {
        if log == own { return 0 }
        if let position = positions[log] { return position }
        others.append(log)
        let position = UInt32(others.count)
        positions[log] = position
        return position
    }
}

extension Envelope {
    /// Encodes an Envelope message for a delta whose header lists `fields`. Adds the logs that it cites to `cited`.
    package func encoded(citing cited: inout CitedLogs, fields: FieldList) -> [UInt8] {
        var writer = WireWriter(capacity: 72 + writes.count * (fields.paths.isEmpty ? 24 : 4))
        writer.field(1, bytes: key.bytes)
        if let owner { writer.field(2, bytes: owner.bytes) }
        switch kind {
        case .ordinary: break
        case .deletion: writer.field(3, varint: 1)
        case .unknown(let number): writer.field(3, varint: number)
        }
        for write in writes {
            let position = fields.position(of: write.field)
            if let position, position < 0x80, write.mode == .set, write.supersedes.isEmpty {
                // Nearly all writes of an import take this branch.
                writer.key(4, .lengthDelimited)
                writer.varint(2)
                writer.field(4, varint: UInt64(position))
                continue
            }
            var inner = WireWriter(capacity: 24)
            if position == nil, write.field != .tombstone { inner.field(1, text: write.field.text) }
            inner.field(2, varint: UInt64(write.mode.rawValue))
            for citation in write.supersedes {
                var citing = WireWriter(capacity: 32)
                citing.field(1, varint: UInt64(cited.position(of: citation.dot.log)))
                citing.field(2, varint: citation.dot.sequence)
                citing.field(3, varint: UInt64(citation.dot.index))
                citing.field(4, fixed64: citation.prefix)
                if let number = citation.number { citing.field(5, varint: UInt64(number) + 1) }
                inner.field(3, bytes: citing.bytes)
            }
            if let position { inner.field(4, varint: UInt64(position)) }
            writer.field(4, bytes: inner.bytes)
        }
        return writer.bytes
    }

    /// Like ``encoded(citing:fields:)``, but copies the bytes of `other` if the two envelopes differ only in their
    /// keys.
    ///
    /// The operations of an import usually do.
    func encoded(
        citing cited: inout CitedLogs,
        fields: FieldList,
        like other: (envelope: Envelope, bytes: [UInt8])?
    ) -> [UInt8] {
        guard let other, kind == other.envelope.kind, owner == other.envelope.owner,
            writes.isSameStorage(as: other.envelope.writes)
        else { return encoded(citing: &cited, fields: fields) }
        var bytes = other.bytes
        key.hash.withUnsafeBytes { Self.setKey($0, of: &bytes) }
        return bytes
    }

    /// Replaces the key in an encoded envelope.
    ///
    /// - Parameters:
    ///   - key: 32 bytes.
    ///   - bytes: At least ``keyEnd`` bytes of an encoded envelope.
    package static func setKey(_ key: UnsafeRawBufferPointer, of bytes: inout [UInt8]) {
        precondition(key.count == Hash256.byteCount && bytes.count >= keyEnd)
        bytes.withUnsafeMutableBytes { $0[keyStart.count...].copyBytes(from: key) }
    }

    /// Decodes an Envelope message strictly: it accepts exactly the bytes that ``encoded(citing:fields:)`` writes.
    ///
    /// - Parameter header: Gives the logs that citations name and the paths that writes name.
    /// - Throws: `WireError` if the message is malformed.
    package init(decoding bytes: ArraySlice<UInt8>, in header: Header) throws(WireError) {
        var reader = WireReader(bytes)
        var last: UInt32 = 0
        var key: RecordKey?
        var owner: OrganizationID?
        var kind = Kind.ordinary
        var writes: [Write] = []
        while !reader.isAtEnd {
            let field = try reader.field(after: &last, repeated: 4)
            switch field {
            case (1, .lengthDelimited): key = RecordKey(bytes: try reader.slice())
            case (2, .lengthDelimited):
                owner = OrganizationID(bytes: try reader.slice())
                if owner == nil { throw WireError("envelope: owner is not 32 bytes") }
            case (3, .varint):
                // Protobuf libraries truncate an enum to 31 bits and would read another number.
                let number = try WireReader.present(reader.varint())
                guard number <= UInt64(Int32.max) else { throw WireError("envelope: type \(number)") }
                kind = number == 1 ? .deletion : .unknown(number)
            case (4, .lengthDelimited): writes.append(try Write(reading: reader.message(), in: header))
            default: throw WireError("envelope: unknown field \(field.number)")
            }
        }
        guard let key else { throw WireError("envelope: key is not 32 bytes") }
        self.init(key: key, owner: owner, kind: kind, writes: writes)
        try checkShape()
    }

    /// The first bytes of every envelope: the key's field, number 1, length-delimited, 32 bytes.
    package static let keyStart: [UInt8] = [0x0A, 0x20]
    /// The offset after the key in an encoded envelope.
    package static let keyEnd = 2 + Hash256.byteCount

    /// Like ``init(decoding:in:)``, but reuses the decoded envelope of `other` if the two differ only in their keys.
    ///
    /// The operations of an import usually do.
    init(
        decoding bytes: ArraySlice<UInt8>,
        in header: Header,
        like other: (bytes: ArraySlice<UInt8>, envelope: Envelope)?
    ) throws(WireError) {
        let keyEnd = Self.keyEnd
        if let other, let key = bytes.key(before: keyEnd, whereOtherwiseLike: other.bytes) {
            let envelope = other.envelope
            self.init(key: key, owner: envelope.owner, kind: envelope.kind, writes: envelope.writes)
        } else {
            try self.init(decoding: bytes, in: header)
        }
    }

    /// Checks the rules on writes: an operation has at least one write, and only deletions write tombstones.
    ///
    /// Each write has at most ``FormatLimits/citationsMax`` citations. Unknown kinds of operation may write anything.
    func checkShape() throws(WireError) {
        guard !writes.isEmpty else { throw WireError("envelope: no writes") }
        for write in writes where write.supersedes.count > FormatLimits.citationsMax {
            throw WireError("write: more than \(FormatLimits.citationsMax) citations")
        }
        switch kind {
        case .unknown: break
        case .ordinary:
            for write in writes where write.field == .tombstone && write.mode != .remove {
                throw WireError("envelope: a mark in an ordinary operation")
            }
        case .deletion:
            for (number, write) in writes.enumerated() {
                guard write.field == .tombstone, write.mode == (number == 0 ? .set : .remove) else {
                    throw WireError("envelope: a deletion that writes more than its mark")
                }
            }
        }
    }
}

extension Write {
    fileprivate init(reading whole: WireReader, in header: Header) throws(WireError) {
        var reader = whole
        var last: UInt32 = 0
        var field = FieldPath.tombstone
        var mode = Mode.set
        var supersedes: [Citation] = []
        while !reader.isAtEnd {
            let next = try reader.field(after: &last, repeated: 3)
            switch next {
            case (1, .lengthDelimited):
                field = FieldPath(unchecked: try reader.string())
                if field == .tombstone { throw WireError("write: an empty field that is written out") }
                if header.fields.position(of: field) != nil {
                    throw WireError("write: a field that the header lists is written out")
                }
            case (2, .varint):
                guard let known = Mode(rawValue: UInt8(clamping: try WireReader.present(reader.varint()))) else {
                    throw WireError("write: unknown mode")
                }
                mode = known
            case (3, .lengthDelimited):
                guard supersedes.count < FormatLimits.citationsMax else {
                    throw WireError("write: more than \(FormatLimits.citationsMax) citations")
                }
                supersedes.append(try Citation(reading: reader.message(), in: header))
            case (4, .varint):
                let position = try WireReader.present(reader.varint32())
                guard field == .tombstone else { throw WireError("write: a field both listed and written out") }
                guard let listed = header.fields.path(at: position) else {
                    throw WireError("write: field \(position) is not in the header")
                }
                field = listed
            default: throw WireError("write: unknown field \(next.number)")
            }
        }
        self.init(field: field, mode: mode, supersedes: supersedes)
    }
}

extension Citation {
    fileprivate init(reading whole: WireReader, in header: Header) throws(WireError) {
        var reader = whole
        var last: UInt32 = 0
        var log: UInt32 = 0
        var sequence: UInt64 = 0
        var index: UInt32 = 0
        var prefix: UInt64 = 0
        var number: UInt32 = 0
        while !reader.isAtEnd {
            let field = try reader.field(after: &last, repeated: nil)
            switch field {
            case (1, .varint): log = try WireReader.present(reader.varint32())
            case (2, .varint): sequence = try reader.varint()
            case (3, .varint): index = try WireReader.present(reader.varint32())
            case (4, .fixed64): prefix = try WireReader.present(reader.fixed64())
            case (5, .varint): number = try WireReader.present(reader.varint32())
            default: throw WireError("citation: unknown field \(field.number)")
            }
        }
        guard let cited = header.log(at: log) else { throw WireError("citation: log \(log) is not in the header") }
        guard (1...Header.sequenceMax).contains(sequence) else { throw WireError("citation: sequence \(sequence)") }
        self.init(
            dot: Dot(log: cited, sequence: sequence, index: index),
            prefix: prefix,
            number: number == 0 ? nil : number - 1
        )
    }
}

extension ArraySlice<UInt8> {
    /// The key in these envelope bytes if they equal `other` in everything but the key; nil otherwise.
    fileprivate func key(before end: Int, whereOtherwiseLike other: ArraySlice<UInt8>) -> RecordKey? {
        guard count == other.count, count > end else { return nil }
        return withUnsafeBytes { bytes in
            other.withUnsafeBytes { other in
                let start = Envelope.keyStart.count
                guard bytes[0] == Envelope.keyStart[0], bytes[1] == Envelope.keyStart[1],
                    UnsafeRawBufferPointer(rebasing: bytes[end...])
                        .hasSameBytes(as: UnsafeRawBufferPointer(rebasing: other[end...]))
                else { return nil }
                return Hash256(UnsafeRawBufferPointer(rebasing: bytes[start..<end])).map { RecordKey($0) }
            }
        }
    }
}
