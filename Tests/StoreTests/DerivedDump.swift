import Foundation
import GRDB
import Store

/// All rows of derived tables in a form that does not depend on the node: ids, texts and dots replace local numbers.
struct DerivedDump: Hashable {
    /// The rows of each table, ascending.
    let tables: [String: [String]]

    /// Reads the file of a closed store.
    init(folder: String) throws {
        let queue = try DatabaseQueue(path: folder + "/" + Store.fileName)
        defer { try? queue.close() }
        tables = try queue.inDatabase { database in
            try database.execute(
                sql: "CREATE VIRTUAL TABLE temp.found USING fts5vocab(main, search, instance)"
            )
            var tables: [String: [String]] = [:]
            for (table, sql) in Self.queries {
                tables[table] = try Row.fetchAll(database, sql: sql).map { row in
                    row.map { _, value in String.fromDatabaseValue(value) ?? "\(value)" }.joined(separator: " ")
                }.sorted()
            }
            let kinds = try Self.names(database, "SELECT number, hex(name) FROM kind")
            let owners = try Self.names(database, "SELECT number, hex(id) FROM organization")
            tables["search"] = tables["search"]?.map { row in
                var parts = row.components(separatedBy: " ")
                let term = parts.removeFirst()
                // The filters are terms with local numbers: U+E000, a letter, the number.
                let name =
                    if term.hasPrefix("\u{E000}k") {
                        "kind " + (kinds[String(term.dropFirst(2))] ?? "unknown")
                    } else if term.hasPrefix("\u{E000}o") {
                        "owner " + (owners[String(term.dropFirst(2))] ?? "unknown")
                    } else {
                        term.utf8.map { String($0, radix: 16) }.joined()
                    }
                return ([name] + parts).joined(separator: " ")
            }.sorted()
            return tables
        }
    }

    private static func names(_ database: Database, _ sql: String) throws -> [String: String] {
        let rows = try Row.fetchAll(database, sql: sql)
        return Dictionary(uniqueKeysWithValues: rows.map { ("\($0[0] as Int64)", $0[1] as String) })
    }

    /// An operation's dot by its location.
    private static func dot(_ location: String) -> String {
        """
        (SELECT hex(log.author) || '.' || log.incarnation || '.' || delta.sequence || '.' || (\(location) - delta.id)
        FROM delta JOIN log ON log.id = delta.log WHERE delta.id <= \(location) ORDER BY delta.id DESC LIMIT 1)
        """
    }

    /// A record's id by its row.
    private static func recordID(_ row: String) -> String {
        "(SELECT printf('%08X', short) || hex(rest) FROM record WHERE id = \(row))"
    }

    private static let queries: [String: String] = [
        "field": "SELECT hex(path) FROM field",
        "organization": "SELECT hex(id) FROM organization",
        "record": """
        SELECT printf('%08X', short) || hex(rest), (SELECT hex(id) FROM organization WHERE number = owner),
            CASE kind WHEN 0 THEN '-' ELSE (SELECT hex(name) FROM kind WHERE number = kind) END, shown, trouble,
            length(state) > 0, hex(key)
        FROM record
        """,
        "touch": "SELECT \(recordID("touch.record")), \(dot("touch.operation")) FROM touch",
        "aside": "SELECT \(dot("aside.operation")), hex(record), why FROM aside",
        "waiting": """
        SELECT hex(log.author), log.incarnation, waiting.sequence, position, hex(record),
            CASE WHEN field < 2 THEN field ELSE (SELECT hex(path) FROM field WHERE number = waiting.field) END,
            prefix, number
        FROM waiting JOIN log ON log.id = waiting.log
        """,
        "total": "SELECT hex(id), hex(digest), shown FROM total JOIN organization ON number = organization",
        "tally": "SELECT hex(name), hex(organization.id), shown FROM tally JOIN kind ON kind.number = kind "
            + "JOIN organization ON organization.number = owner",
        "search": "SELECT term, \(recordID("doc")), col, \"offset\" FROM temp.found",
    ]
}
