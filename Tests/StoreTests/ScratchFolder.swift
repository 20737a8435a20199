import Catalog
import DeltaLog
import Foundation
import Store
import TestSupport

/// A temporary folder, removed with the last reference to this object.
final class ScratchFolder: Sendable {
    let path: String

    init() {
        // In memory if the system supports it, because these tests check logic, not disks.
        let root = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = root + "/hansa-store-tests-" + UUID().uuidString
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension Store {
    /// A summary of the store, for comparison with the storage in memory.
    func summary() throws -> StorageSummary {
        try read { try $0.summary() }
    }

    /// Applies the deltas in the given order, several in each transaction.
    func apply(_ deltas: [VerifiedDelta], of history: RandomHistory, perTransaction: Int = 3) throws {
        try apply(
            deltas,
            organizations: history.organizations,
            applier: history.applier,
            perTransaction: perTransaction
        )
    }

    func apply(
        _ deltas: [VerifiedDelta],
        organizations: [NodeKey: OrganizationID],
        applier: DeltaApplier<some CatalogHasher>,
        perTransaction: Int
    ) throws {
        var early = deltas
        while true {
            var left: [VerifiedDelta] = []
            for start in stride(from: 0, to: early.count, by: perTransaction) {
                let batch = Array(early[start..<min(early.count, start + perTransaction)])
                let outcomes = try applyBatch(
                    batch,
                    organization: { organizations[$0] },
                    applier: applier
                ).outcomes
                for (delta, outcome) in zip(batch, outcomes) where outcome == .gap { left.append(delta) }
            }
            if left.isEmpty || left.count == early.count { return }
            early = left
        }
    }
}

extension ReadTransaction {
    func allRecords() throws -> [StoredRecord] {
        try (records(withPrefix: "0", limit: .max) ?? []).map { try storedRecord($0)! }
            + "123456789abcdef".flatMap { digit in
                try (records(withPrefix: String(digit), limit: .max) ?? []).map { try storedRecord($0)! }
            }
    }

    func summary() throws -> StorageSummary {
        var summary = StorageSummary()
        for record in try allRecords() { try summary.add(record.id, record.state) { try fieldPath($0) } }
        summary.heads = try frontier().heads
        for waiting in try waiting(limit: .max) { try summary.add(waiting) { try fieldPath($0) } }
        for entry in try excluded(limit: .max) { summary.excluded[entry.dot] = entry.standing }
        for (organization, total) in try totals().organizations {
            summary.digests[organization] = total.digest
            summary.shown[organization] = total.shown
        }
        return summary
    }
}
