import Catalog
import DeltaLog
import Interchange
import Store

/// Converts rows to operations: it compares each row with its record, and writes only the differences.
struct RowPlanner: Sendable {
    let replica: Replica

    /// Plans rows about different records.
    func plan(
        _ rows: ArraySlice<SourceRow>,
        over reading: ReadTransaction
    ) throws -> (drafts: [OperationDraft], tally: ImportTally) {
        var tally = ImportTally()
        var drafts: [OperationDraft] = []
        drafts.reserveCapacity(rows.count)
        for row in rows {
            let identity = RecordIdentity(kind: row.kind, localID: row.localID)
            let key = identity.key(replica.cryptography)
            let id = RecordID(
                alliance: replica.alliance,
                owner: replica.organization,
                key: key,
                hasher: replica.cryptography
            )
            func upsert(over view: RecordView?) -> OperationDraft? {
                Planner.upsert(
                    identity,
                    key: key,
                    over: view,
                    changes: row.fields.compactMap { Self.change($0, over: view) },
                    settling: .leavesConflicts
                )?.sharingWrites(of: drafts.last)
            }
            var planned = upsert(over: nil)
            if let creation = planned {
                switch try reading.likeness(of: id, to: creation) {
                case .absent: tally.created += 1
                case .same: planned = nil
                case .other:
                    let view = try reading.wholeView(of: id)
                    planned = upsert(over: view)
                    if planned != nil {
                        if view?.isDeleted == false { tally.updated += 1 } else { tally.created += 1 }
                    }
                }
            }
            if let planned { drafts.append(planned) } else { tally.unchanged += 1 }
        }
        return (drafts, tally)
    }

    /// An empty cell removes a value, and changes nothing if there is none.
    private static func change(_ field: SourceField, over view: RecordView?) -> (FieldPath, FieldChange)? {
        switch field.input {
        case .absent:
            guard let view, !view.isDeleted, view[field.path] != nil else { return nil }
            return (field.path, .clear)
        case .value(let value): return (field.path, .set(value))
        case .elements(let elements): return (field.path, .elements(elements))
        }
    }
}
