import Catalog
import Simulator
import TestSupport
import Testing

/// Compares a record's state with its definition: the writes that no valid citation names.
///
/// These tests use no deltas; DeltaLogTests runs the same checks on signed logs.
struct RecordStateTests {
    private struct Step {
        let operation: LiveOperation
        let supersedes: [Supersession]
    }

    private static let name = FieldNumber(rawValue: 2)
    private static let tags = FieldNumber(rawValue: 3)

    private static func log(_ number: UInt64) -> LogID {
        LogID(author: NodeKey(Hash256(number, 0, 0, 0)), incarnation: number)
    }

    /// Operations with random citations of other operations, valid and invalid.
    private static func steps(_ count: Int, random: inout SplitMix64) -> [Step] {
        let fields: [FieldNumber] = [.tombstone, .identity, name, tags]
        var operations: [LiveOperation] = []
        for number in 0..<UInt64(count) {
            let writes = (0..<UInt32.random(in: 0...3, using: &random)).map { position in
                LiveWrite(number: position, field: fields.randomElement(using: &random) ?? name, mode: .set)
            }
            operations.append(
                LiveOperation(
                    dot: Dot(log: log(number % 3), sequence: number / 3 + 1, index: 0),
                    stamp: Stamp(rawValue: number),
                    hash: Hash256(number * 11 + 5, 1, 1, number),
                    location: Int64(number),
                    writes: writes
                )
            )
        }
        return operations.map { operation in
            let citations = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                let cited = operations.randomElement(using: &random) ?? operation
                let isWrong = Int.random(in: 0..<4, using: &random) == 0
                return Supersession(
                    citation: Citation(
                        dot: cited.dot,
                        prefix: isWrong ? 99 : cited.hash.prefix,
                        number: Bool.random(using: &random) ? nil : UInt32.random(in: 0...3, using: &random)
                    ),
                    field: Bool.random(using: &random) ? nil : fields.randomElement(using: &random)
                )
            }
            return Step(operation: operation, supersedes: citations.filter { $0.citation.dot != operation.dot })
        }
    }

    private static func merged(_ steps: [Step]) -> RecordState {
        var state = RecordState()
        var seen: Set<Dot> = []
        var waiting: [Dot: [Supersession]] = [:]
        for step in steps {
            state.supersede(step.supersedes.filter { seen.contains($0.citation.dot) })
            for citation in step.supersedes where !seen.contains(citation.citation.dot) {
                waiting[citation.citation.dot, default: []].append(citation)
            }
            state.insert(step.operation)
            state.supersede(waiting.removeValue(forKey: step.operation.dot) ?? [])
            seen.insert(step.operation.dot)
        }
        return state
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func everyOrderGivesTheDefinedState(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let steps = Self.steps(5, random: &random)
        let citations = steps.flatMap(\.supersedes)
        let expected = steps.map(\.operation).compactMap { operation -> LiveOperation? in
            var operation = operation
            operation.writes.removeAll { write in
                citations.contains { $0.citation.dot == operation.dot && $0.hits(write, of: operation.hash) }
            }
            return operation.writes.isEmpty ? nil : operation
        }.sorted { $0.dot < $1.dot }
        for order in permutations(of: steps.count) {
            #expect(Self.merged(order.map { steps[$0] }).operations == expected, "seed \(seed), order \(order)")
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func aBatchOfOperationsGivesTheStateOfSingleOnes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let operations = Self.steps(12, random: &random).map(\.operation).sorted { $0.dot < $1.dot }
        let held = operations.filter { _ in Bool.random(using: &random) }
        let arrived = operations.filter { operation in !held.contains { $0.dot == operation.dot } }
        var (one, together) = (RecordState(), RecordState())
        for operation in held + arrived { one.insert(operation) }
        together.insert(held)
        together.insert(arrived)
        #expect(one == together, "seed \(seed)")
        var missing: [Dot] = []
        RecordState(operations: operations.filter { !$0.writes.isEmpty })
            .forEachOperation(missingIn: RecordState(operations: held.filter { !$0.writes.isEmpty })) {
                missing.append($0.dot)
            }
        #expect(missing == arrived.filter { !$0.writes.isEmpty }.map(\.dot), "seed \(seed)")
    }

    /// Compares with the definition: several live sets and no live add.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func contestedFieldsAreRegistersThatSeveralWritesSet(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var writes: [LiveWrite] = []
        for number in 0..<UInt32.random(in: 0...7, using: &random) {
            let field = FieldNumber(rawValue: Int32.random(in: 0...4, using: &random))
            let isAdd = field > .identity && Int.random(in: 0..<4, using: &random) == 0
            writes.append(LiveWrite(number: number, field: field, mode: isAdd ? .add : .set))
        }
        var state = RecordState()
        for (sequence, write) in writes.enumerated() {
            let dot = Dot(log: Self.log(1), sequence: UInt64(sequence) + 1, index: 0)
            state.insert(
                LiveOperation(
                    dot: dot,
                    stamp: Stamp(rawValue: 0),
                    hash: .zero,
                    location: Int64(sequence),
                    writes: [write]
                )
            )
        }
        let expected = Set(writes.map(\.field)).filter { field in
            let own = writes.filter { $0.field == field }
            return field > .identity && own.filter { $0.mode == .set }.count > 1 && own.allSatisfy { $0.mode == .set }
        }
        #expect(state.contestedFields == expected, "seed \(seed)")
    }

    @Test func theListHoldsTheLiveWrites() {
        let writes = (0..<3).map { LiveWrite(number: $0, field: Self.tags, mode: .add) }
        for count in 0...3 {
            let list = Array(writes.prefix(count))
            var live = LiveWrites(list)
            #expect(Array(live) == list && live.count == count && live.isEmpty == list.isEmpty)
            #expect(live == LiveWrites(list))
            live.removeAll { $0.number == 0 }
            #expect(live == LiveWrites(Array(list.dropFirst())))
        }
        #expect(LiveWrites(writes[0]) == LiveWrites([writes[0]]))
    }

    @Test func theCanonicalStateExcludesClocksAndLocations() {
        let dot = Dot(log: Self.log(1), sequence: 1, index: 0)
        let writes = [LiveWrite(number: 0, field: .identity, mode: .set)]
        let one = LiveOperation(dot: dot, stamp: Stamp(rawValue: 1), hash: .zero, location: 1, writes: writes)
        let other = LiveOperation(dot: dot, stamp: Stamp(rawValue: 9), hash: .zero, location: 9, writes: writes)
        let id = RecordID(Hash256(1, 2, 3, 4))
        let hashes = [one, other].map {
            RecordState(operations: [$0]).canonicalHash(of: id, hasher: RealCryptography())
        }
        #expect(hashes[0] != nil)
        #expect(hashes[0] == hashes[1])
        #expect(RecordState().canonicalHash(of: id, hasher: RealCryptography()) == nil)
    }

    /// A peer chooses both numbers; handling each pair separately would take minutes.
    @Test func manyCitationsOfManyWritesAreCheap() {
        let hash = Hash256(7, 7, 7, 7)
        let dot = Dot(log: Self.log(1), sequence: 1, index: 0)
        let count: UInt32 = 50_000
        let operation = LiveOperation(
            dot: dot,
            stamp: Stamp(rawValue: 0),
            hash: hash,
            location: 0,
            writes: (0..<count).map { LiveWrite(number: $0, field: Self.tags, mode: .add) }
        )
        let citations = (0..<count).map { number in
            Supersession(citation: Citation(dot: dot, prefix: 7, number: number | 1), field: Self.tags)
        }
        var state = RecordState()
        state.insert(operation)
        let elapsed = ContinuousClock().measure { state.supersede(citations) }
        #expect(state.operations.first?.writes.count == Int(count) / 2)
        #expect(elapsed < .seconds(20))
    }
}
