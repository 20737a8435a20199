import Catalog
import Schema
import Testing

struct DisplayNameTests {
    /// A view in which each of these fields has one value.
    private func view(_ fields: [(path: String, value: String)], localID: String? = nil) -> RecordView {
        var writes: [(path: FieldPath, value: Value)] = fields.map { (FieldPath(unchecked: $0.path), .text($0.value)) }
        if let localID { writes.append((.identity, .identity(RecordIdentity(kind: "need", localID: localID)))) }
        var table = FieldTable()
        let operation = LiveOperation(
            dot: Dot(log: LogID(author: NodeKey(Hash256(1, 1, 1, 1)), incarnation: 1), sequence: 1, index: 0),
            stamp: Stamp(rawValue: 1),
            hash: Hash256(1, 2, 3, 4),
            location: 0,
            writes: writes.enumerated().map {
                LiveWrite(number: UInt32($0), field: table.number(of: $1.path), mode: .set)
            }
        )
        return RecordView(
            id: RecordID(.zero),
            owner: OrganizationID(.zero),
            key: RecordKey(.zero),
            state: RecordState(operations: [operation]),
            path: { table.path(of: $0) ?? .tombstone },
            values: { _ in
                Dictionary(uniqueKeysWithValues: writes.enumerated().map { (UInt32($0), $1.value) })
            }
        )
    }

    @Test func aNameGoesBeforeATitleAndATitleBeforeLabels() {
        let all = [("labels/und", "l"), ("title/und", "t"), ("name/fr", "n")]
        #expect(view(all).displayName() == "n")
        #expect(view(Array(all.prefix(2))).displayName() == "t")
        #expect(view(Array(all.prefix(1))).displayName() == "l")
    }

    @Test func thePreferredLanguageIsShownElseAnyOther() {
        let record = view([("name/de", "d"), ("name/en", "e"), ("name/zh", "z")])
        #expect(record.displayName() == "e")
        #expect(record.displayName(languages: ["zh", "en"]) == "z")
        #expect(record.displayName(languages: ["fr"]) == "d")
    }

    @Test func aRecordWithoutTitleIsCalledByItsIds() {
        let others = [("description/und", "d"), ("altNames", "a"), ("ext/name", "x")]
        #expect(view(others, localID: "N-1").displayName() == "N-1")
        #expect(view(others).displayName() == RecordID(.zero).short)
    }
}
