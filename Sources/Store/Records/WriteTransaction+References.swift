package import Catalog
package import DeltaLog

// Dangling references: citations of operations that have not arrived.

extension WriteTransaction {
    package mutating func addDangling(_ citation: DanglingReference) throws {
        let dot = citation.supersession.citation.dot
        try session(
            """
            INSERT OR IGNORE INTO waiting(log, sequence, position, record, field, prefix, number)
            VALUES(?, ?, ?, ?, ?, ?, ?)
            """
        )
        .bind(1, try cache.logNumber(dot.log, session)).bind(2, Int64(bitPattern: dot.sequence))
        .bind(3, Int64(dot.index)).bind(4, citation.record.hash)
        .bind(5, citation.supersession.field.map { Int64($0.rawValue) } ?? -1)
        .bind(6, Int64(bitPattern: citation.supersession.citation.prefix))
        .bind(7, citation.supersession.citation.number.map { Int64($0) } ?? -1).run()
    }

    package func hasDangling(log: LogID, sequence: UInt64) throws -> Bool {
        guard let number = try cache.log(log, session)?.number else { return false }
        return try session("SELECT 1 FROM waiting WHERE log = ? AND sequence = ? LIMIT 1").bind(1, number)
            .bind(2, Int64(bitPattern: sequence)).first { _ in true } ?? false
    }

    package mutating func takeDangling(
        log: LogID,
        sequence: UInt64,
        where isWanted: (DanglingReference) -> Bool
    ) throws -> [UInt32: [DanglingReference]] {
        guard let number = try cache.log(log, session)?.number else { return [:] }
        var taken: [UInt32: [DanglingReference]] = [:]
        let sql = try session(
            "SELECT position, record, field, prefix, number FROM waiting WHERE log = ? AND sequence = ?"
        )
        sql.bind(1, number).bind(2, Int64(bitPattern: sequence))
        defer { sql.reset() }
        while try sql.step() {
            let citation = try Self.waiting(sql, log: log, sequence: sequence)
            if isWanted(citation) { taken[citation.supersession.citation.dot.index, default: []].append(citation) }
        }
        sql.reset()
        try session("DELETE FROM waiting WHERE log = ? AND sequence = ?").bind(1, number)
            .bind(2, Int64(bitPattern: sequence)).run()
        return taken
    }

    static func waiting(_ sql: SQL, log: LogID, sequence: UInt64) throws -> DanglingReference {
        guard let index = UInt32(exactly: sql.int(0)), let field = Int32(exactly: sql.int(2)),
            let number = Int64(exactly: sql.int(4)), number <= Int64(UInt32.max)
        else { throw StoreError.damaged("table waiting") }
        return DanglingReference(
            record: RecordID(try sql.hash(1)),
            supersession: Supersession(
                citation: Citation(
                    dot: Dot(log: log, sequence: sequence, index: index),
                    prefix: UInt64(bitPattern: sql.int(3)),
                    number: number < 0 ? nil : UInt32(number)
                ),
                field: field < 0 ? nil : FieldNumber(rawValue: field)
            )
        )
    }
}
