package import Catalog
package import DeltaLog
import Store

extension Replica {
    /// Creates or changes one own record. Returns the deltas; empty if nothing differs.
    package func upsert(
        _ identity: RecordIdentity,
        changes: [(FieldPath, FieldChange)],
        settling: Planner.Settling
    ) async throws -> [VerifiedDelta] {
        let key = identity.key(cryptography)
        let id = recordID(owner: organization, identity)
        return try await ownLog.commit { transaction in
            let draft = Planner.upsert(
                identity,
                key: key,
                over: try transaction.view(of: id),
                changes: changes,
                settling: settling
            )
            return (draft.map { [$0] } ?? [], { _ in })
        }.deltas
    }
}
