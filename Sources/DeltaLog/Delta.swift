package import Catalog
import Wire

/// An operation whose bytes were checked against its delta's signature.
package struct VerifiedOperation: Hashable, Sendable {
    package let envelope: Envelope
    package let content: Content
    /// The exact bytes, as signed.
    package let envelopeBytes: [UInt8]
    package let contentBytes: [UInt8]
    /// The record that it is about.
    package let record: RecordID
    package let hash: Hash256
}

/// An operation's hash: SHA-256 of "hansa/operation\0", SHA-256 of the envelope and SHA-256 of the content.
package func operationHash(envelope: Hash256, content: Hash256, hasher: some CatalogHasher) -> Hash256 {
    var bytes: [UInt8] = Array("hansa/operation".utf8) + [0]
    bytes.reserveCapacity(80)
    envelope.withUnsafeBytes { bytes.append(contentsOf: $0) }
    content.withUnsafeBytes { bytes.append(contentsOf: $0) }
    return hasher.hash(bytes)
}

/// A delta whose encoding, sizes, signature and Merkle root are right. Whether it continues its log is for whoever
/// knows the log's head; only these are given to the engine and the storage.
package struct VerifiedDelta: Hashable, Sendable {
    package let header: Header
    package let headerBytes: [UInt8]
    package let signature: [UInt8]
    /// The hash of the header with its signature, which the next header names.
    package let hash: Hash256
    package let operations: [VerifiedOperation]
    /// The bytes of a Delta message.
    package let byteCount: Int

    /// The log's head once this delta is applied.
    package var head: Head { Head(sequence: header.sequence, hash: hash) }
    package var log: LogID { header.log }

    /// The dot of the operation at an index.
    package func dot(_ index: Int) -> Dot {
        Dot(log: header.log, sequence: header.sequence, index: UInt32(index))
    }

    /// The bytes of a Delta message, made of the exact bytes received.
    package func encoded() -> [UInt8] {
        RawDelta(
            header: headerBytes[...],
            signature: signature[...],
            operations: operations.map { ($0.envelopeBytes[...], $0.contentBytes[...]) }
        ).encoded()
    }
}

/// The parts of a Delta message, none of them looked into.
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

    /// Takes a Delta message apart.
    package init(decoding bytes: ArraySlice<UInt8>) throws(DeltaRefusal) {
        guard bytes.count <= CatalogRules.Limits.deltaBytesMax else { throw .tooLarge }
        header = []
        signature = []
        operations = []
        do throws(WireError) {
            var reader = WireReader(bytes)
            var last: UInt32 = 0
            guard try reader.field(after: &last) == (1, .lengthDelimited) else { throw WireError("no header") }
            header = try reader.slice()
            guard try reader.field(after: &last) == (2, .lengthDelimited) else { throw WireError("no signature") }
            signature = try reader.slice()
            while !reader.isAtEnd {
                guard try reader.field(after: &last) == (3, .lengthDelimited) else {
                    throw WireError("unknown field \(last)")
                }
                guard operations.count < CatalogRules.Limits.operationsMax else {
                    throw WireError("too many operations")
                }
                var inner = try reader.message()
                var innerLast: UInt32 = 0
                guard try inner.field(after: &innerLast) == (1, .lengthDelimited) else {
                    throw WireError("no envelope")
                }
                let envelope = try inner.slice()
                guard try inner.field(after: &innerLast) == (2, .lengthDelimited) else { throw WireError("no content") }
                let content = try inner.slice()
                guard inner.isAtEnd else { throw WireError("operation: more than envelope and content") }
                operations.append((envelope, content))
            }
        } catch {
            throw .malformed("delta: " + error.reason)
        }
    }

    /// The bytes of a Delta message.
    package func encoded() -> [UInt8] {
        var size = wireSize(of: header.count) + wireSize(of: signature.count)
        for operation in operations {
            size += wireSize(of: wireSize(of: operation.envelope.count) + wireSize(of: operation.content.count))
        }
        var writer = WireWriter(capacity: size)
        writer.field(1, bytes: header)
        writer.field(2, bytes: signature)
        for operation in operations {
            writer.key(3, .lengthDelimited)
            writer.varint(UInt64(wireSize(of: operation.envelope.count) + wireSize(of: operation.content.count)))
            writer.field(1, bytes: operation.envelope)
            writer.field(2, bytes: operation.content)
        }
        return writer.bytes
    }
}

extension VerifiedDelta {
    /// Checks a Delta message: sizes, then the signature, and only then what it signs.
    ///
    /// - Parameter bytes: The exact bytes received.
    /// - Throws: The first rule it breaks.
    /// - Complexity: Linear in the bytes; one signature check and three hashes an operation.
    package init(
        verifying bytes: ArraySlice<UInt8>,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(DeltaRefusal) {
        let raw = try RawDelta(decoding: bytes)
        let header = try Header(decoding: raw.header)
        guard header.alliance == alliance else { throw .foreignAlliance }
        let signature = Array(raw.signature)
        guard signature.count == signatureByteCount,
            cryptography.isValid(
                signature,
                of: SignatureTag.header.message(raw.header),
                by: header.log.author.hash
            )
        else { throw .badSignature }
        guard header.count > 0, Int(header.count) == raw.operations.count else { throw .badCount }

        let hashes = raw.operations.map { operation in
            operationHash(
                envelope: cryptography.hash(operation.envelope),
                content: cryptography.hash(operation.content),
                hasher: cryptography
            )
        }
        guard MerkleTree.root(of: hashes, hasher: cryptography) == header.root else { throw .badRoot }

        var operations: [VerifiedOperation] = []
        operations.reserveCapacity(hashes.count)
        var before: (bytes: ArraySlice<UInt8>, envelope: Envelope)?
        for (index, operation) in raw.operations.enumerated() {
            do throws(WireError) {
                let envelope = try Envelope(decoding: operation.envelope, in: header, like: before)
                before = (operation.envelope, envelope)
                let content = try Content(decoding: operation.content)
                try Self.check(content, fits: envelope, hasher: cryptography)
                operations.append(
                    VerifiedOperation(
                        envelope: envelope,
                        content: content,
                        envelopeBytes: Array(operation.envelope),
                        contentBytes: Array(operation.content),
                        record: envelope.record(by: header.organization, in: alliance, hasher: cryptography),
                        hash: hashes[index]
                    )
                )
            } catch {
                throw .malformed("operation \(index): " + error.reason)
            }
        }
        self.init(
            header: header,
            headerBytes: Array(raw.header),
            signature: signature,
            hash: Header.hash(header: raw.header, signature: raw.signature, hasher: cryptography),
            operations: operations,
            byteCount: bytes.count
        )
    }

    /// There is a value for every write that has one, and an identity gives the key that the operation names.
    static func check(
        _ content: Content,
        fits envelope: Envelope,
        hasher: some CatalogHasher
    ) throws(WireError) {
        if case .unknown = envelope.kind { return }
        var values = content.values.makeIterator()
        for write in envelope.writes where write.hasValue {
            guard let value = values.next() else { throw WireError("fewer values than writes") }
            guard write.field == .identity else { continue }
            guard case .identity(let identity) = value, identity.key(hasher) == envelope.key,
                write.mode == .set
            else { throw WireError("an identity that does not give the key") }
        }
        if values.next() != nil { throw WireError("more values than writes") }
    }
}

extension VerifiedDelta {
    /// What an author needs to know to sign the next delta of its log.
    package struct Authorship: Sendable {
        package let alliance: AllianceID
        package let organization: OrganizationID
        package let log: LogID
        /// The log's head; nil where it has none yet.
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

    /// Signs drafts as the next delta of an own log.
    ///
    /// - Parameters:
    ///   - drafts: 1 to 4,096, together at most 1 MiB when encoded; the caller sees to that by ``DeltaPacker``.
    ///   - salts: 16 random bytes for each draft.
    /// - Throws: ``DeltaRefusal`` where everybody would refuse the delta, since signing it would end the log: a draft
    ///   that is too large, that cites too many logs, or that is malformed; and what the signer throws.
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

    /// Signs operations that were encoded for the author's log, as its next delta. The cost does not depend on how many
    /// there are.
    ///
    /// - Throws: As above.
    package init(
        signing encoded: EncodedOperations,
        as authorship: Authorship,
        signer: some Signer,
        hasher: some CatalogHasher
    ) throws {
        // Records' names depend on the organization, which is one for a node's life.
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
        let byteCount = wireSize(of: headerBytes.count) + wireSize(of: signature.count) + encoded.byteCount
        guard byteCount <= CatalogRules.Limits.deltaBytesMax else { throw DeltaRefusal.tooLarge }
        self.init(
            header: header,
            headerBytes: headerBytes,
            signature: signature,
            hash: Header.hash(header: headerBytes, signature: signature, hasher: hasher),
            operations: encoded.operations,
            byteCount: byteCount
        )
    }
}

extension Envelope {
    /// The record that an operation of an author of that organization is about.
    fileprivate func record(
        by organization: OrganizationID,
        in alliance: AllianceID,
        hasher: some CatalogHasher
    ) -> RecordID {
        RecordID(alliance: alliance, owner: owner ?? organization, key: key, hasher: hasher)
    }
}

/// Drafts encoded and hashed for one log: all of a delta that can be made before it is known which place it takes there.
package struct EncodedOperations: Sendable {
    /// The log that citations of its own operations take for granted.
    package let log: LogID
    package let operations: [VerifiedOperation]
    package let root: Hash256
    /// Other logs that are cited.
    let cited: [LogID]
    /// The paths that the operations name by number.
    let fields: FieldList
    /// Bytes of the operations in an encoded delta.
    let byteCount: Int

    /// Encodes and hashes. Parameters and errors are those of ``VerifiedDelta/init(signing:salts:as:signer:hasher:)``.
    package init(
        _ drafts: [OperationDraft],
        salts: [[UInt8]],
        alliance: AllianceID,
        organization: OrganizationID,
        log: LogID,
        hasher: some CatalogHasher
    ) throws(DeltaRefusal) {
        precondition(
            !drafts.isEmpty && drafts.count <= CatalogRules.Limits.operationsMax && drafts.count == salts.count
        )
        var cited = CitedLogs(own: log)
        let fields = drafts.count > 1 ? FieldList(repeatedIn: drafts) : FieldList()
        var operations: [VerifiedOperation] = []
        operations.reserveCapacity(drafts.count)
        var byteCount = 0
        for (draft, salt) in zip(drafts, salts) {
            let content = Content(salt: salt, values: draft.values)
            let index = operations.count
            do throws(WireError) {
                try draft.envelope.checkShape()
                guard salt.count == Content.saltByteCount else { throw WireError("content: salt is not 16 bytes") }
                try VerifiedDelta.check(content, fits: draft.envelope, hasher: hasher)
            } catch {
                throw DeltaRefusal.malformed("operation \(index): " + error.reason)
            }
            let envelopeBytes = draft.envelope.encoded(citing: &cited, fields: fields)
            let contentBytes = content.encoded()
            byteCount += wireSize(of: wireSize(of: envelopeBytes.count) + wireSize(of: contentBytes.count))
            operations.append(
                VerifiedOperation(
                    envelope: draft.envelope,
                    content: content,
                    envelopeBytes: envelopeBytes,
                    contentBytes: contentBytes,
                    record: draft.envelope.record(by: organization, in: alliance, hasher: hasher),
                    hash: operationHash(
                        envelope: hasher.hash(envelopeBytes),
                        content: hasher.hash(contentBytes),
                        hasher: hasher
                    )
                )
            )
        }
        guard cited.others.count <= Header.citedMax else {
            throw DeltaRefusal.malformed("header: more than \(Header.citedMax) cited logs")
        }
        self.log = log
        self.operations = operations
        self.cited = cited.others
        self.fields = fields
        self.byteCount = byteCount
        root = MerkleTree.root(of: operations.map(\.hash), hasher: hasher)
    }
}
