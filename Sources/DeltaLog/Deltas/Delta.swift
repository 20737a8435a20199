package import Catalog
import Wire

/// An operation whose bytes were checked against its delta's signature.
package struct VerifiedOperation: Sendable {
    package let envelope: Envelope
    /// The record that the operation writes.
    package let record: RecordID
    package let hash: Hash256
    /// Holds the operation's bytes; all operations of a delta share this array.
    private let bytes: [UInt8]
    private let span: OperationSpan

    init(envelope: Envelope, record: RecordID, hash: Hash256, bytes: [UInt8], span: OperationSpan) {
        self.envelope = envelope
        self.record = record
        self.hash = hash
        self.bytes = bytes
        self.span = span
    }

    /// The exact bytes, as signed.
    package var envelopeBytes: ArraySlice<UInt8> { bytes[span.envelope] }
    /// The exact bytes, as signed.
    package var contentBytes: ArraySlice<UInt8> { bytes[span.content] }
    /// The size of envelope and content together in bytes.
    package var byteCount: Int { span.envelope.count + span.content.count }
    /// The content, decoded on every call.
    package var content: Content {
        // `try!` is safe: the bytes were checked when the operation was verified, or this node encoded them.
        try! Content(decoding: contentBytes)
    }
}

extension VerifiedOperation: Hashable {
    package static func == (left: VerifiedOperation, right: VerifiedOperation) -> Bool {
        left.record == right.record && left.hash == right.hash && left.envelopeBytes == right.envelopeBytes
            && left.contentBytes == right.contentBytes
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}

/// The byte ranges of an operation's parts.
struct OperationSpan {
    let envelope: Range<Int>
    let content: Range<Int>
}

/// An operation's hash: SHA-256 of "hansa/operation\0", SHA-256 of the envelope and SHA-256 of the content.
package func operationHash(envelope: Hash256, content: Hash256, hasher: some CatalogHasher) -> Hash256 {
    withUnsafeTemporaryAllocation(byteCount: operationTag.count + 2 * Hash256.byteCount, alignment: 8) { bytes in
        bytes.copyBytes(from: operationTag)
        envelope.withUnsafeBytes { bytes[operationTag.count...].copyBytes(from: $0) }
        content.withUnsafeBytes { bytes[(operationTag.count + Hash256.byteCount)...].copyBytes(from: $0) }
        return hasher.hash(UnsafeRawBufferPointer(bytes))
    }
}

private let operationTag: [UInt8] = Array("hansa/operation".utf8) + [0]

/// A delta whose encoding, sizes, signature and Merkle root are correct. The engine and the storage accept no other.
///
/// The initializer does not check that the delta continues its log; that needs the log's head.
package struct VerifiedDelta: Sendable {
    package let header: Header
    package let headerBytes: [UInt8]
    package let signature: [UInt8]
    /// The hash of the header with its signature, which the next header names.
    package let hash: Hash256
    package let operations: [VerifiedOperation]
    /// The encoded operation fields of the Delta message, as received or written.
    private let operationBytes: ArraySlice<UInt8>
    /// The size of the encoded Delta message in bytes.
    package let byteCount: Int

    /// The log's head after this delta is applied.
    package var head: Head { Head(sequence: header.sequence, hash: hash) }
    package var log: LogID { header.log }

    /// The dot of the operation at an index.
    package func dot(_ index: Int) -> Dot {
        Dot(log: header.log, sequence: header.sequence, index: UInt32(index))
    }

    /// Encodes a Delta message from the exact bytes received.
    package func encoded() -> [UInt8] {
        var writer = DeltaWriter(capacity: byteCount)
        writer.append(header: headerBytes, signature: signature)
        writer.append(operations: operationBytes)
        return writer.bytes
    }
}

extension VerifiedDelta: Hashable {
    package static func == (left: VerifiedDelta, right: VerifiedDelta) -> Bool {
        left.hash == right.hash && left.headerBytes == right.headerBytes && left.signature == right.signature
            && left.operationBytes == right.operationBytes
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}

/// The parts of a Delta message, undecoded and unchecked.
package struct RawDelta {
    package var header: ArraySlice<UInt8>
    package var signature: ArraySlice<UInt8>
    package var operations: [(envelope: ArraySlice<UInt8>, content: ArraySlice<UInt8>)]

    package init(
        header: ArraySlice<UInt8>,
        signature: ArraySlice<UInt8>,
        operations: [(envelope: ArraySlice<UInt8>, content: ArraySlice<UInt8>)]
    ) {
        self.header = header
        self.signature = signature
        self.operations = operations
    }

    /// Splits a Delta message into its parts. Throws ``DeltaRefusal`` if it is too large or malformed.
    package init(decoding bytes: ArraySlice<UInt8>) throws(DeltaRefusal) {
        let layout = try DeltaLayout(of: bytes)
        self.init(
            header: bytes[layout.header],
            signature: bytes[layout.signature],
            operations: layout.operations.map { (bytes[$0.envelope], bytes[$0.content]) }
        )
    }

    /// Encodes a Delta message.
    package func encoded() -> [UInt8] {
        var size = wireSize(of: header.count) + wireSize(of: signature.count)
        for operation in operations {
            size += wireSize(of: wireSize(of: operation.envelope.count) + wireSize(of: operation.content.count))
        }
        var writer = DeltaWriter(capacity: size)
        writer.append(header: Array(header), signature: Array(signature))
        for operation in operations {
            operation.envelope.withUnsafeBytes { envelope in
                operation.content.withUnsafeBytes { writer.append(envelope: envelope, content: $0) }
            }
        }
        return writer.bytes
    }
}

/// Writes a Delta message: header and signature first, then the operations.
package struct DeltaWriter {
    private var writer: WireWriter

    /// The bytes written so far.
    package var bytes: [UInt8] { writer.bytes }

    /// - Parameter capacity: The number of bytes to reserve.
    package init(capacity: Int) { writer = WireWriter(capacity: capacity) }

    /// Writes the header and signature. Call this once, before any other write.
    package mutating func append(header: [UInt8], signature: [UInt8]) {
        writer.field(1, bytes: header)
        writer.field(2, bytes: signature)
    }

    /// Appends one operation.
    package mutating func append(envelope: UnsafeRawBufferPointer, content: UnsafeRawBufferPointer) {
        writer.key(3, .lengthDelimited)
        writer.varint(UInt64(wireSize(of: envelope.count) + wireSize(of: content.count)))
        writer.field(1, bytes: envelope)
        writer.field(2, bytes: content)
    }

    /// Appends operations that are already encoded.
    mutating func append(operations: ArraySlice<UInt8>) {
        operations.withUnsafeBytes { writer.raw($0) }
    }
}

/// The byte ranges of a Delta message's parts.
struct DeltaLayout {
    private(set) var header = 0..<0
    private(set) var signature = 0..<0
    private(set) var operations: [OperationSpan] = []

    /// Splits a Delta message into its parts. Throws ``DeltaRefusal`` if it is too large or malformed.
    init(of bytes: ArraySlice<UInt8>) throws(DeltaRefusal) {
        guard bytes.count <= FormatLimits.deltaBytesMax else { throw .tooLarge }
        do throws(WireError) {
            var reader = WireReader(bytes)
            var last: UInt32 = 0
            (header, signature) = try Self.readHead(&reader, &last)
            while !reader.isAtEnd {
                guard try reader.field(after: &last) == (3, .lengthDelimited) else {
                    throw WireError("unknown field \(last)")
                }
                guard operations.count < FormatLimits.operationsMax else {
                    throw WireError("too many operations")
                }
                var inner = try reader.message()
                var innerLast: UInt32 = 0
                guard try inner.field(after: &innerLast) == (1, .lengthDelimited) else {
                    throw WireError("no envelope")
                }
                let envelope = try inner.byteRange()
                guard try inner.field(after: &innerLast) == (2, .lengthDelimited) else { throw WireError("no content") }
                let content = try inner.byteRange()
                guard inner.isAtEnd else { throw WireError("operation: more than envelope and content") }
                operations.append(OperationSpan(envelope: envelope, content: content))
            }
        } catch {
            throw .malformed("delta: " + error.reason)
        }
    }

    static func readHead(
        _ reader: inout WireReader,
        _ last: inout UInt32
    ) throws(WireError) -> (header: Range<Int>, signature: Range<Int>) {
        guard try reader.field(after: &last) == (1, .lengthDelimited) else { throw WireError("no header") }
        let header = try reader.byteRange()
        guard try reader.field(after: &last) == (2, .lengthDelimited) else { throw WireError("no signature") }
        return (header, try reader.byteRange())
    }
}

extension VerifiedDelta {
    /// Decodes the header of a Delta message and computes the hash by which the next header names it.
    ///
    /// This method does not check sizes, signature or operations.
    package static func head(
        of bytes: [UInt8],
        hasher: some CatalogHasher
    ) throws(DeltaRefusal) -> (header: Header, hash: Hash256) {
        let spans: (header: Range<Int>, signature: Range<Int>)
        do throws(WireError) {
            var reader = WireReader(bytes)
            var last: UInt32 = 0
            spans = try DeltaLayout.readHead(&reader, &last)
        } catch {
            throw .malformed("delta: " + error.reason)
        }
        let hash = Header.hash(header: bytes[spans.header], signature: bytes[spans.signature], hasher: hasher)
        return (try Header(decoding: bytes[spans.header]), hash)
    }

    /// Verifies a Delta message: first the sizes, then the signature, then the signed data.
    ///
    /// - Parameter bytes: The exact bytes received.
    /// - Throws: ``DeltaRefusal`` for the first rule that the message breaks.
    /// - Complexity: Linear in the bytes: one signature check, and three hashes per operation.
    package init(
        verifying bytes: ArraySlice<UInt8>,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(DeltaRefusal) {
        let layout = try DeltaLayout(of: bytes)
        let headerBytes = bytes[layout.header]
        let header = try Header(decoding: headerBytes)
        guard header.alliance == alliance else { throw .foreignAlliance }
        let signature = Array(bytes[layout.signature])
        guard signature.count == signatureByteCount,
            cryptography.isValid(
                signature,
                of: SignatureTag.header.message(headerBytes),
                by: header.log.author.hash
            )
        else { throw .badSignature }
        guard header.count > 0, Int(header.count) == layout.operations.count else { throw .badCount }

        // `bytes` is usually a slice of a whole array; then this copies nothing.
        let start = bytes.startIndex
        let whole = Array(bytes)
        let spans = layout.operations.map { $0.moved(by: -start) }
        let hashes = spans.map { Self.hash(of: $0, in: whole, cryptography) }
        guard MerkleTree.root(of: hashes, hasher: cryptography) == header.root else { throw .badRoot }

        var operations: [VerifiedOperation] = []
        operations.reserveCapacity(hashes.count)
        var before: (bytes: ArraySlice<UInt8>, envelope: Envelope)?
        var demands = ContentDemands(of: [])
        for (index, span) in spans.enumerated() {
            do throws(WireError) {
                let bytes = whole[span.envelope]
                let envelope = try Envelope(decoding: bytes, in: header, like: before)
                if before.map({ !$0.envelope.writes.isSameStorage(as: envelope.writes) }) ?? true {
                    demands = ContentDemands(of: envelope.writes)
                }
                before = (bytes, envelope)
                try demands.check(whole[span.content], for: envelope, hasher: cryptography)
                operations.append(
                    VerifiedOperation(
                        envelope: envelope,
                        record: envelope.record(by: header.organization, in: alliance, hasher: cryptography),
                        hash: hashes[index],
                        bytes: whole,
                        span: span
                    )
                )
            } catch {
                throw .malformed("operation \(index): " + error.reason)
            }
        }
        self.init(
            header: header,
            headerBytes: Array(headerBytes),
            signature: signature,
            hash: Header.hash(header: headerBytes, signature: signature[...], hasher: cryptography),
            operations: operations,
            operationBytes: whole[(layout.signature.upperBound - start)...],
            byteCount: bytes.count
        )
    }

    static func hash(of span: OperationSpan, in bytes: [UInt8], _ hasher: some CatalogHasher) -> Hash256 {
        bytes.withUnsafeBytes { bytes in
            operationHash(
                envelope: hasher.hash(UnsafeRawBufferPointer(rebasing: bytes[span.envelope])),
                content: hasher.hash(UnsafeRawBufferPointer(rebasing: bytes[span.content])),
                hasher: hasher
            )
        }
    }
}

/// The content that a list of writes requires. Consecutive operations with the same writes share one value.
struct ContentDemands {
    /// The number of writes that carry a value.
    private var valueCount = 0
    /// The positions of the values that must be the record's identity, ascending. `isSet` is true if the write sets it.
    private var identities: [(position: Int, isSet: Bool)] = []

    init(of writes: [Write]) {
        for write in writes where write.hasValue {
            if write.field == .identity { identities.append((valueCount, write.mode == .set)) }
            valueCount += 1
        }
    }

    /// Checks that the bytes are a Content message with one value per write that carries one.
    ///
    /// Each identity value must hash to the envelope's key. Values of an unknown kind of operation are not matched with
    /// the writes.
    func check(_ content: ArraySlice<UInt8>, for envelope: Envelope, hasher: some CatalogHasher)
        throws(WireError)
    {
        var isKnown = true
        if case .unknown = envelope.kind { isKnown = false }
        let start = content.startIndex
        let problem = content.withUnsafeBytes { bytes -> WireError? in
            do throws(WireError) {
                var reader = try ContentReader(bytes)
                var count = 0
                var expected = 0
                while let range = try reader.next() {
                    if isKnown, expected < identities.count, identities[expected].position == count {
                        let value = content[start + range.lowerBound..<start + range.upperBound]
                        guard identities[expected].isSet, Self.key(of: value, hasher) == envelope.key else {
                            throw WireError("an identity that does not give the key")
                        }
                        expected += 1
                    }
                    count += 1
                }
                guard isKnown, count != valueCount else { return nil }
                return WireError(count < valueCount ? "fewer values than writes" : "more values than writes")
            } catch {
                return error
            }
        }
        if let problem { throw problem }
    }

    /// The record key that an identity value hashes to; nil for every other value.
    private static func key(of value: ArraySlice<UInt8>, _ hasher: some CatalogHasher) -> RecordKey? {
        guard let (kind, localID) = Value.identityBytes(of: value) else { return nil }
        return kind.withUnsafeBytes { kind in
            localID.withUnsafeBytes { RecordKey(ofKind: kind, localID: $0, hasher: hasher) }
        }
    }
}

extension OperationSpan {
    func moved(by distance: Int) -> OperationSpan {
        OperationSpan(
            envelope: envelope.lowerBound + distance..<envelope.upperBound + distance,
            content: content.lowerBound + distance..<content.upperBound + distance
        )
    }
}

extension VerifiedDelta {
    /// The log, clock and import data that an author needs to sign its log's next delta.
    package struct Authorship: Sendable {
        package let alliance: AllianceID
        package let organization: OrganizationID
        package let log: LogID
        /// The log's head; nil for an empty log.
        package let head: Head?
        package let stamp: Stamp
        package let importMark: ImportMark?

        package init(
            alliance: AllianceID,
            organization: OrganizationID,
            log: LogID,
            head: Head?,
            stamp: Stamp,
            importMark: ImportMark?
        ) {
            self.alliance = alliance
            self.organization = organization
            self.log = log
            self.head = head
            self.stamp = stamp
            self.importMark = importMark
        }
    }

    /// Signs drafts as the next delta of the node's own log.
    ///
    /// - Parameters:
    ///   - drafts: 1 to 4,096, at most 1 MiB together when encoded. The caller splits larger sets with ``DeltaPacker``.
    ///   - salts: 16 random bytes for each draft.
    /// - Throws: ``DeltaRefusal`` if a draft is too large, cites too many logs or is malformed. Peers would refuse such
    ///   a delta, and signing it would end the log. Also rethrows the signer's errors.
    package init(
        signing drafts: [OperationDraft],
        salts: [[UInt8]],
        as authorship: Authorship,
        signer: some Signer,
        hasher: some CatalogHasher
    ) throws {
        let encoded = try EncodedOperations(
            drafts,
            salts: salts,
            alliance: authorship.alliance,
            organization: authorship.organization,
            log: authorship.log,
            hasher: hasher
        )
        try self.init(signing: encoded, as: authorship, signer: signer, hasher: hasher)
    }

    /// Signs encoded operations as the next delta of the author's log. The cost does not depend on the number of
    /// operations.
    ///
    /// - Throws: ``DeltaRefusal/tooLarge``, and the signer's errors.
    package init(
        signing encoded: EncodedOperations,
        as authorship: Authorship,
        signer: some Signer,
        hasher: some CatalogHasher
    ) throws {
        // The encoding depends on the log. Record ids also depend on the organization, which never changes for a node.
        precondition(encoded.log == authorship.log)
        let header = Header(
            alliance: authorship.alliance,
            log: authorship.log,
            sequence: (authorship.head?.sequence ?? 0) + 1,
            previous: authorship.head?.hash,
            root: encoded.root,
            count: UInt32(encoded.operations.count),
            stamp: authorship.stamp,
            importMark: authorship.importMark,
            cited: encoded.cited,
            organization: authorship.organization,
            fields: encoded.fields
        )
        let headerBytes = header.encoded()
        let signature = try signer.sign(SignatureTag.header.message(headerBytes))
        let byteCount = wireSize(of: headerBytes.count) + wireSize(of: signature.count) + encoded.bytes.count
        guard byteCount <= FormatLimits.deltaBytesMax else { throw DeltaRefusal.tooLarge }
        self.init(
            header: header,
            headerBytes: headerBytes,
            signature: signature,
            hash: Header.hash(header: headerBytes[...], signature: signature[...], hasher: hasher),
            operations: encoded.operations,
            operationBytes: encoded.bytes[...],
            byteCount: byteCount
        )
    }
}

extension Envelope {
    /// The id of the record that this operation writes if its author belongs to `organization`.
    func record(
        by organization: OrganizationID,
        in alliance: AllianceID,
        hasher: some CatalogHasher
    ) -> RecordID {
        RecordID(alliance: alliance, owner: owner ?? organization, key: key, hasher: hasher)
    }
}
