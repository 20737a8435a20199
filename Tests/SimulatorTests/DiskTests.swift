import Catalog
import DeltaLog
import Foundation
import Simulator
import TestSupport
import Testing

/// The virtual disk fulfils the contract of every storage.
struct DiskTests {
    /// The summary without empty totals: the organizations that a storage has met may differ.
    private static func summary(_ summary: StorageSummary) -> StorageSummary {
        var summary = summary
        summary.digests = summary.digests.filter { $0.value != CatalogDigest() }
        summary.shown = summary.shown.filter { $0.value != 0 }
        return summary
    }

    private static func summary(_ disk: VirtualDisk) -> StorageSummary {
        let path = { (number: FieldNumber) in disk.pool.fields.path(of: number) ?? .tombstone }
        var summary = StorageSummary()
        for record in disk.records { summary.add(record.id, record.state, path: path) }
        summary.heads = disk.frontier.heads
        for waiting in disk.waiting { summary.add(waiting, path: path) }
        summary.excluded = disk.excluded
        for total in disk.totalsByOrganization {
            summary.digests[total.organization] = total.digest
            summary.shown[total.organization] = total.shown
        }
        return self.summary(summary)
    }

    @Test(arguments: UInt64(1)...20)
    func `it agrees with memory in every order, and two disks of one pool agree`(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 120)
        let expected = Self.summary(try StorageConformance.expectedSummary(history))
        let pool = DeltaPool(alliance: history.applier.alliance, cryptography: SimulatedCryptography())
        var sums: Set<MixHash> = []
        for order in 0..<2 as Range<UInt64> {
            var disk = VirtualDisk(pool: pool)
            _ = try StorageConformance.applyAll(history.shuffled(seed: seed + order)) { delta in
                try history.applier.apply(delta, to: &disk)
            }
            #expect(Self.summary(disk) == expected, "seed \(seed)")
            sums.insert(disk.frontierSum)
            let (digest, shown) = StorageSummary.recomputed(disk.records, hasher: history.applier.hasher)
            #expect(disk.digest == digest)
            #expect(disk.visibleCount == shown)
        }
        #expect(sums.count == 1)
    }

    @Test(arguments: UInt64(1)...12)
    func `bounds that fall and rise leave no trace of deltas beyond them`(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 90)
        let pool = DeltaPool(alliance: history.applier.alliance, cryptography: SimulatedCryptography())
        var disk = VirtualDisk(pool: pool)
        var expected = BoundExpectation(history)
        for step in StorageConformance.boundSteps(history, seed: seed) {
            expected.take(step)
            switch step {
            case .delta(let delta): _ = try history.applier.apply(delta, to: &disk)
            case .bound(let log, let bound):
                while try !history.applier.relimit(
                    log,
                    to: bound,
                    operationsMax: StorageConformance.relimitOperations,
                    in: &disk
                ) {}
                #expect(Self.summary(disk) == Self.summary(try expected.summary()), "seed \(seed)")
            }
        }
        // The sum covers the deltas that count.
        var fresh = VirtualDisk(pool: pool)
        for (log, bound) in expected.bounds { fresh.setBound(bound, of: log) }
        for delta in history.deltas { _ = try history.applier.apply(delta, to: &fresh) }
        #expect(disk.frontierSum == fresh.frontierSum && disk.digest == fresh.digest, "seed \(seed)")
    }

    @Test
    func `a copy is a snapshot, and the branches of a fork are distinguished`() throws {
        let alliance = VirtualAlliance(founders: 1)
        let pool = DeltaPool(alliance: alliance.id, cryptography: alliance.cryptography)
        let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        let first = alliance.delta(by: 0, after: nil, names: [("a", "1")])
        let left = alliance.delta(by: 0, after: first.head, names: [("a", "left")])
        let right = alliance.delta(by: 0, after: first.head, names: [("a", "right")])
        var disk = VirtualDisk(pool: pool)
        _ = try applier.apply(first, to: &disk)
        var other = disk
        _ = try applier.apply(left, to: &disk)
        _ = try applier.apply(right, to: &other)
        #expect(disk.holds(left.head, of: left.log) && !disk.holds(right.head, of: left.log))
        #expect(other.holds(right.head, of: left.log) && !other.holds(left.head, of: left.log))
        #expect(disk.holds(first.head, of: left.log) && other.holds(first.head, of: left.log))
        #expect(try applier.apply(right, to: &disk) == .refused(.fork))
    }

    /// The resident memory of this process in bytes.
    private static func residentBytes() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return try #require(Int(fields[1])) * 4096
    }

    @Test
    func `two hundred disks with a thousand records each fit into a hundred megabytes`() throws {
        let alliance = VirtualAlliance(founders: 1_000)
        let pool = DeltaPool(alliance: alliance.id, cryptography: alliance.cryptography)
        let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        let deltas = (0..<1_000).map { alliance.delta(by: $0, after: nil, names: [("one", "record")]) }
        let before = try Self.residentBytes()
        var disks = Array(repeating: VirtualDisk(pool: pool), count: 200)
        for index in disks.indices {
            for delta in deltas { _ = try applier.apply(delta, to: &disks[index]) }
        }
        #expect(try Self.residentBytes() - before < 100 * 1024 * 1024)
        #expect(Set(disks.map(\.frontierSum)).count == 1 && Set(disks.map(\.digest)).count == 1)
        #expect(disks[199].records.count == 1_000)
    }
}
