import Catalog
import Simulator
import TestSupport
import Testing

struct PlannerTests {
    private let identity = RecordIdentity(kind: "need", localID: "1")
    private let name = FieldPath(unchecked: "name/und")
    private let tags = FieldPath(unchecked: "tags")

    private var key: RecordKey { identity.key(RealCryptography()) }

    private func plan(_ view: RecordView?, _ changes: [(FieldPath, FieldChange)]) -> OperationDraft? {
        Planner.upsert(identity, key: key, over: view, changes: changes, settling: .settles)
    }

    /// A view in which each of these writes is live, each from its own operation.
    private func view(_ writes: [(FieldPath, Value?, Write.Mode)]) -> RecordView {
        var table = FieldTable()
        let operations = writes.enumerated().map { number, write in
            LiveOperation(
                dot: Dot(
                    log: LogID(author: NodeKey(Hash256(1, 1, 1, 1)), incarnation: 1),
                    sequence: UInt64(number) + 1,
                    index: 0
                ),
                stamp: Stamp(rawValue: UInt64(number)),
                hash: Hash256(UInt64(number), 2, 3, 4),
                location: Int64(number),
                writes: [LiveWrite(number: 0, field: table.number(of: write.0), mode: write.2)]
            )
        }
        return RecordView(
            id: RecordID(.zero),
            owner: OrganizationID(.zero),
            key: key,
            state: RecordState(operations: operations),
            path: { table.path(of: $0) ?? .tombstone },
            values: { operation in writes[Int(operation.location)].1.map { [0: $0] } ?? [:] }
        )
    }

    @Test func aNewRecordWritesItsIdentity() throws {
        let draft = try #require(plan(nil, [(name, .set(.text("a")))]))
        #expect(draft.envelope.writes.map(\.field) == [.identity, name])
        #expect(draft.values == [.identity(identity), .text("a")])
    }

    @Test func existingValuesAreNotWrittenAgain() {
        let view = view([(.identity, .identity(identity), .set), (name, .text("a"), .set), (tags, .text("x"), .add)])
        #expect(plan(view, [(name, .set(.text("a"))), (tags, .elements([.text("x")]))]) == nil)
        #expect(plan(view, [(tags, .add([.text("x"), .text("x")])), (tags, .remove([.text("y")]))]) == nil)
    }

    @Test func aWriteCitesEveryLiveWriteOfItsField() throws {
        let view = view([
            (.identity, .identity(identity), .set), (name, .text("a"), .set), (name, .text("b"), .set),
        ])
        let draft = try #require(plan(view, [(name, .set(.text("a")))]))
        #expect(draft.envelope.writes.count == 1)
        #expect(draft.envelope.writes[0].supersedes.map(\.dot.sequence) == [2, 3])
        let quiet = Planner.upsert(
            identity,
            key: key,
            over: view,
            changes: [(name, .set(.text("b")))],
            settling: .leavesConflicts
        )
        #expect(quiet == nil)
    }

    @Test func aMissingElementIsRemovedByCitingIt() throws {
        let view = view([(.identity, .identity(identity), .set), (tags, .text("x"), .add), (tags, .text("y"), .add)])
        let draft = try #require(plan(view, [(tags, .elements([.text("y"), .text("z"), .text("z")]))]))
        #expect(draft.envelope.writes.map(\.mode) == [.remove, .add])
        #expect(draft.envelope.writes[0].supersedes.map(\.dot.sequence) == [2])
        #expect(draft.values == [.text("z")])
    }

    @Test func moreThan1024CitationsAreSplit() throws {
        let many = (0..<2500).map { (name, Value.text("\($0)") as Value?, Write.Mode.set) }
        let view = view([(.identity, .identity(identity), .set)] + many)
        let draft = try #require(plan(view, [(name, .set(.text("new")))]))
        #expect(draft.envelope.writes.map(\.supersedes.count) == [1024, 1024, 452])
        #expect(draft.envelope.writes.map(\.mode) == [.set, .remove, .remove])
        #expect(draft.values.count == 1)
        let deletion = Planner.deletion(of: view)
        #expect(deletion.envelope.writes.map(\.supersedes.count) == [1024, 1024, 453])
        #expect(deletion.envelope.writes.map(\.mode) == [.set, .remove, .remove])
        #expect(deletion.envelope.writes.allSatisfy { $0.field == .tombstone })
    }

    @Test func aWriteToADeletedRecordRevivesIt() throws {
        let view = view([(.tombstone, nil, .set), (.tombstone, nil, .set), (name, .text("a"), .set)])
        #expect(view.isDeleted)
        #expect(view.isEditedWhileDeleted)
        let draft = try #require(plan(view, [(name, .set(.text("a")))]))
        #expect(draft.envelope.writes.map(\.field) == [.tombstone, .identity])
        #expect(draft.envelope.writes[0].mode == .remove)
        #expect(draft.envelope.writes[0].supersedes.count == 2)
    }
}
