package import Catalog
import Wire

/// The import that a delta belongs to.
package struct ImportMark: Hashable, Sendable {
    /// 16 random bytes.
    package let id: [UInt8]
    /// SHA-256 of the imported file's bytes.
    package let fileHash: Hash256
    /// The delta's number in the import, from 1.
    package let part: UInt32

    package init(id: [UInt8], fileHash: Hash256, part: UInt32) {
        self.id = id
        self.fileHash = fileHash
        self.part = part
    }
}

/// The signed part of a delta.
package struct Header: Hashable, Sendable {
    package let alliance: AllianceID
    package let log: LogID
    /// From 1, without gaps.
    package let sequence: UInt64
    /// The hash of the previous header with its signature; nil for the first.
    package let previous: Hash256?
    /// The root of the Merkle tree over the operations' hashes.
    package let root: Hash256
    package let count: UInt32
    package let stamp: Stamp
    package let format: UInt32
    package let importMark: ImportMark?
    /// The other logs that this delta's citations name. A citation gives the position, which starts at 1.
    package let cited: [LogID]
    /// The author's organization as the author states it.
    ///
    /// A node accepts a delta only if the roster agrees. Afterwards the delta's effect depends on its bytes alone, even
    /// if the roster changes.
    package let organization: OrganizationID
    /// The paths that this delta's writes name by position.
    package let fields: FieldList

    package init(
        alliance: AllianceID,
        log: LogID,
        sequence: UInt64,
        previous: Hash256?,
        root: Hash256,
        count: UInt32,
        stamp: Stamp,
        format: UInt32 = formatVersion,
        importMark: ImportMark? = nil,
        cited: [LogID] = [],
        organization: OrganizationID,
        fields: FieldList = FieldList()
    ) {
        self.alliance = alliance
        self.log = log
        self.sequence = sequence
        self.previous = previous
        self.root = root
        self.count = count
        self.stamp = stamp
        self.format = format
        self.importMark = importMark
        self.cited = cited
        self.organization = organization
        self.fields = fields
    }

    /// The hash of a header with its signature; the next header names it.
    ///
    /// Computed as SHA-256 of "hansa/head\0", header and signature, each with a length prefix.
    package static func hash(
        header: ArraySlice<UInt8>,
        signature: ArraySlice<UInt8>,
        hasher: some CatalogHasher
    ) -> Hash256 {
        var fields = TaggedFields("hansa/head")
        fields.append(header)
        fields.append(signature)
        return hasher.hash(fields.bytes)
    }

    /// The log at a citation's position; 0 is the delta's own log. Nil for a position beyond the list.
    package func log(at position: UInt32) -> LogID? {
        if position == 0 { return log }
        return position <= cited.count ? cited[Int(position) - 1] : nil
    }

    /// The approximate encoded size in bytes.
    package var estimatedSize: Int {
        cited.count * LogID.byteCount + fields.paths.reduce(320) { $0 + $1.text.utf8.count }
    }

    /// The size of the prefix that all headers of a log share: alliance, author and incarnation.
    package var startByteCount: Int { 2 * wireSize(of: Hash256.byteCount) + (log.incarnation == 0 ? 0 : 9) }

    /// The encoded organization field of a Header message. It is the last field unless the header lists field paths.
    package var organizationField: [UInt8] {
        var writer = WireWriter(capacity: 34)
        writer.field(12, bytes: organization.bytes)
        return writer.bytes
    }

    /// Encodes a Header message.
    package func encoded() -> [UInt8] {
        var writer = WireWriter(capacity: 256)
        writer.field(1, bytes: alliance.bytes)
        writer.field(2, bytes: log.author.bytes)
        writer.field(3, fixed64: log.incarnation)
        writer.field(4, varint: sequence)
        if let previous { writer.field(5, bytes: previous.bytes) }
        writer.field(6, bytes: root.bytes)
        writer.field(7, varint: UInt64(count))
        writer.field(8, fixed64: stamp.rawValue)
        writer.field(9, varint: UInt64(format))
        if let importMark {
            var inner = WireWriter(capacity: 64)
            inner.field(1, bytes: importMark.id)
            inner.field(2, bytes: importMark.fileHash.bytes)
            inner.field(3, varint: UInt64(importMark.part))
            writer.field(10, bytes: inner.bytes)
        }
        for log in cited { writer.field(11, bytes: log.bytes) }
        writer.field(12, bytes: organization.bytes)
        for path in fields.paths { writer.field(13, text: path.text) }
        return writer.bytes
    }

    /// Decodes a Header message strictly: it accepts exactly the bytes that ``encoded()`` writes. It checks the format
    /// version first.
    ///
    /// - Throws: ``DeltaRefusal/newerFormat(_:)`` or ``DeltaRefusal/malformed(_:)``.
    package init(decoding bytes: ArraySlice<UInt8>) throws(DeltaRefusal) {
        do {
            try self.init(reading: WireReader(bytes))
        } catch let error as WireError {
            throw .malformed("header: " + error.reason)
        } catch let refusal as DeltaRefusal {
            throw refusal
        } catch {
            throw .malformed("header")
        }
    }

    private init(reading whole: WireReader) throws {
        let format = try Self.format(of: whole)
        guard format == formatVersion else { throw DeltaRefusal.newerFormat(format) }
        var alliance: AllianceID?
        var author: NodeKey?
        var incarnation: UInt64 = 0
        var sequence: UInt64 = 0
        var previous: Hash256?
        var root: Hash256?
        var count: UInt32 = 0
        var clock: UInt64 = 0
        var importMark: ImportMark?
        var cited: [LogID] = []
        var organization: OrganizationID?
        var fields = FieldList()
        var reader = whole
        var last: UInt32 = 0
        while !reader.isAtEnd {
            let field = try reader.field(after: &last, repeated: 11, 13)
            switch field {
            case (1, .lengthDelimited): alliance = AllianceID(bytes: try reader.slice())
            case (2, .lengthDelimited): author = NodeKey(bytes: try reader.slice())
            case (3, .fixed64): incarnation = try WireReader.present(reader.fixed64())
            case (4, .varint): sequence = try reader.varint()
            case (5, .lengthDelimited):
                previous = Hash256(try reader.slice())
                if previous == nil { throw WireError("previous is not 32 bytes") }
            case (6, .lengthDelimited): root = Hash256(try reader.slice())
            case (7, .varint): count = try WireReader.present(reader.varint32())
            case (8, .fixed64): clock = try WireReader.present(reader.fixed64())
            case (9, .varint): _ = try WireReader.present(reader.varint32())
            case (10, .lengthDelimited): importMark = try ImportMark(reading: reader.message())
            case (11, .lengthDelimited):
                guard let log = LogID(bytes: try reader.slice()) else { throw WireError("cited log is not 40 bytes") }
                cited.append(log)
            case (12, .lengthDelimited): organization = OrganizationID(bytes: try reader.slice())
            case (13, .lengthDelimited):
                guard fields.add(FieldPath(unchecked: try reader.string())) else {
                    throw WireError("fields: a path that is empty, listed twice, or too much")
                }
            default: throw WireError("unknown field \(field.number)")
            }
        }
        guard let alliance, let author, let root, let organization else {
            throw WireError("alliance, author, root or organization missing")
        }
        guard (1...Self.sequenceMax).contains(sequence) else { throw WireError("sequence \(sequence)") }
        guard (sequence == 1) == (previous == nil) else { throw WireError("previous does not fit the sequence") }
        let log = LogID(author: author, incarnation: incarnation)
        guard cited.count <= Self.citedMax else { throw WireError("more than \(Self.citedMax) cited logs") }
        guard !cited.contains(log), Set(cited).count == cited.count else { throw WireError("a log cited twice") }
        self.init(
            alliance: alliance,
            log: log,
            sequence: sequence,
            previous: previous,
            root: root,
            count: count,
            stamp: Stamp(rawValue: clock),
            format: format,
            importMark: importMark,
            cited: cited,
            organization: organization,
            fields: fields
        )
    }
}

extension Header {
    /// The highest sequence, 2^63 - 1: every implementation can count and store it.
    package static let sequenceMax = UInt64(Int64.max)
    /// The maximum number of logs that one delta cites. With ``FieldList``'s limits it ensures that two headers always
    /// fit into a fork proof.
    package static let citedMax = 1024

    /// The header's format version, read before any other check. A newer header follows the wire grammar but may
    /// contain unknown fields.
    private static func format(of whole: WireReader) throws -> UInt32 {
        var reader = whole
        var last: UInt32 = 0
        while !reader.isAtEnd {
            switch try reader.field(after: &last) {
            case (9, .varint): return try reader.varint32()
            case (_, .varint): _ = try reader.varint()
            case (_, .fixed64): _ = try reader.fixed64()
            case (_, .lengthDelimited): _ = try reader.slice()
            }
        }
        return 0
    }
}

extension ImportMark {
    fileprivate init(reading whole: WireReader) throws {
        var reader = whole
        var last: UInt32 = 0
        var id: [UInt8] = []
        var fileHash: Hash256?
        var part: UInt32 = 0
        while !reader.isAtEnd {
            switch try reader.field(after: &last, repeated: nil) {
            case (1, .lengthDelimited): id = Array(try reader.slice())
            case (2, .lengthDelimited): fileHash = Hash256(try reader.slice())
            case (3, .varint): part = try reader.varint32()
            case (let number, _): throw WireError("import: unknown field \(number)")
            }
        }
        guard id.count == 16, let fileHash, part > 0 else { throw WireError("import: id, file hash or part") }
        self.init(id: id, fileHash: fileHash, part: part)
    }
}
