import Catalog
import DeltaLog
import Simulator
import TestSupport
import Testing

/// Deriving a record from all its operations gives the same state as merging them one by one.
struct RederivingTests {
    @Test(arguments: UInt64(1)...40)
    func `a record derived in any order is the one that was merged`(seed: UInt64) throws {
        let history = RandomHistory(seed: seed, steps: 150)
        var storage = try StorageConformance.memory(history.shuffled(seed: seed), history.applier)
        var random = SplitMix64(seed: seed)
        var operations: [RecordID: [StoredOperation]] = [:]
        for delta in history.deltas {
            let range = delta.header.sequence...delta.header.sequence
            for operation in storage.operations(of: delta.log, range, hasher: history.applier.hasher) {
                operations[operation.record, default: []].append(operation)
            }
        }
        var waiting: Set<DanglingReference> = []
        for (record, operations) in operations.sorted(by: { $0.key < $1.key }) {
            let (state, dangling) = rederive(
                record,
                from: operations.shuffled(using: &random),
                under: history.applier.authority,
                number: { storage.number(of: $0) }
            )
            #expect(state == storage.records[record]?.state ?? RecordState(), "seed \(seed)")
            for citation in dangling {
                let cited = citation.citation.supersession.citation.dot
                let isHeld = storage.head(of: cited.log).map { cited.sequence <= $0.sequence } ?? false
                if !isHeld || cited == citation.by { waiting.insert(citation.citation) }
            }
        }
        #expect(waiting == Set(storage.waiting.values.joined()), "seed \(seed)")
        #expect(!storage.excluded.isEmpty, "seed \(seed) shows too little")
    }

    @Test
    func `a standing is kept by its number`() {
        for standing in [.pending(.newerProgram), .void(.notOwner)] as [Standing] {
            #expect(standing.number.flatMap { Standing(number: $0) } == standing)
        }
        #expect(Standing.void(.notOwner).number == 1 && Standing.pending(.newerProgram).number == 2)
        #expect(Standing(number: 0) == nil && Standing(number: 3) == nil)
        #expect(Standing.counts.number == nil)
    }
}
