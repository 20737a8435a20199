package import Catalog
import DeltaLog
package import Gossip
package import Store

/// The answering side of `diff`: the records that this node holds, as fingerprints or one by one.
package enum RecordComparison {
    /// The most records in one answer: some 640 KB.
    static let recordsPerAnswer = 10_000

    /// The answer to a peer's question.
    ///
    /// - Throws: ``StoreError``.
    /// - Complexity: Linear in the records held for fingerprints, in the records of the answer for records.
    package static func answer(
        _ question: PeerMessage.DiffQuestion,
        reading: ReadTransaction,
        hasher: some CatalogHasher
    ) throws -> PeerMessage.DiffAnswer {
        let frontier = try reading.frontier().fingerprint(hasher: hasher)
        let digest = try reading.totals().digest
        switch question {
        case .sums(let token):
            return PeerMessage.DiffAnswer(
                token: token,
                sums: try reading.bucketSums(hasher: hasher).map(\.sum),
                frontier: frontier,
                digest: digest
            )
        case .records(let token, let bucket, let after):
            let page = try reading.bucket(bucket, after: after, limit: recordsPerAnswer, hasher: hasher)
            return PeerMessage.DiffAnswer(
                token: token,
                records: page.records.map { PeerMessage.RecordHash(record: $0.id, hash: $0.hash) },
                more: page.next != nil,
                frontier: frontier,
                digest: digest
            )
        }
    }
}
