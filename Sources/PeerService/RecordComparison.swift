package import Catalog
import DeltaLog
package import Gossip
package import Store

/// The answering side of `diff`: what this node holds, in sums or record by record.
package enum RecordComparison {
    /// Records in one answer at most: some 640 KB.
    static let recordsPerAnswer = 10_000

    /// What a peer is answered.
    ///
    /// - Throws: ``StoreError``.
    /// - Complexity: Linear in the records held for sums, in those of the answer for records.
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
