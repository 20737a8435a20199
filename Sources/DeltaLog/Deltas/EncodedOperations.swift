package import Catalog
import Wire

/// Drafts encoded and hashed for one log: the parts of a delta that do not depend on its sequence in the log.
package struct EncodedOperations: Sendable {
    /// The log for which the operations were encoded: citations of this log name it by position 0.
    package let log: LogID
    package let operations: [VerifiedOperation]
    package let root: Hash256
    /// The other logs that the operations cite.
    let cited: [LogID]
    /// The field paths that the operations name by number.
    let fields: FieldList
    /// The encoded operation fields of a Delta message.
    let bytes: [UInt8]

    /// Encodes and hashes drafts. Parameters and errors are those of
    /// ``VerifiedDelta/init(signing:salts:as:signer:hasher:)``.
    package init(
        _ drafts: [OperationDraft],
        salts: [[UInt8]],
        alliance: AllianceID,
        organization: OrganizationID,
        log: LogID,
        hasher: some CatalogHasher
    ) throws(DeltaRefusal) {
        precondition(
            !drafts.isEmpty && drafts.count <= FormatLimits.operationsMax && drafts.count == salts.count
        )
        var cited = CitedLogs(own: log)
        let fields = drafts.count > 1 ? FieldList(repeatedIn: drafts) : FieldList()
        var spans: [OperationSpan] = []
        spans.reserveCapacity(drafts.count)
        var writer = DeltaWriter(capacity: drafts.count * 512)
        var content = WireWriter()
        var before: (envelope: Envelope, bytes: [UInt8])?
        var demands = ContentDemands(of: [])
        for (index, (draft, salt)) in zip(drafts, salts).enumerated() {
            content.removeAll()
            Content(salt: salt, values: draft.values).write(to: &content)
            let envelope = draft.envelope.encoded(citing: &cited, fields: fields, like: before)
            do throws(WireError) {
                let isLike = before.map {
                    $0.envelope.kind == draft.envelope.kind
                        && $0.envelope.writes.isSameStorage(as: draft.envelope.writes)
                }
                if isLike != true {
                    demands = ContentDemands(of: draft.envelope.writes)
                    try draft.envelope.checkShape()
                }
                guard salt.count == Content.saltByteCount else { throw WireError("content: salt is not 16 bytes") }
                try demands.check(content.bytes[...], for: draft.envelope, hasher: hasher)
            } catch {
                throw DeltaRefusal.malformed("operation \(index): " + error.reason)
            }
            before = (draft.envelope, envelope)
            envelope.withUnsafeBytes { envelope in
                content.bytes.withUnsafeBytes { writer.append(envelope: envelope, content: $0) }
            }
            let end = writer.bytes.count
            let contentStart = end - content.bytes.count
            let envelopeEnd = end - wireSize(of: content.bytes.count)
            spans.append(
                OperationSpan(envelope: envelopeEnd - envelope.count..<envelopeEnd, content: contentStart..<end)
            )
        }
        guard cited.others.count <= Header.citedMax else {
            throw DeltaRefusal.malformed("header: more than \(Header.citedMax) cited logs")
        }
        let bytes = writer.bytes
        self.log = log
        operations = zip(drafts, spans).map { draft, span in
            VerifiedOperation(
                envelope: draft.envelope,
                record: draft.envelope.record(by: organization, in: alliance, hasher: hasher),
                hash: VerifiedDelta.hash(of: span, in: bytes, hasher),
                bytes: bytes,
                span: span
            )
        }
        self.cited = cited.others
        self.fields = fields
        self.bytes = bytes
        root = MerkleTree.root(of: operations.map(\.hash), hasher: hasher)
    }
}
