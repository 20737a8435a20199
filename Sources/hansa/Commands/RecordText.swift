import Foundation
import Node

/// A record for people.
enum RecordText {
    /// A record's name in the reader's language: that of the environment, or of the words that were searched for.
    static func name(of record: RecordAnswer, asked: String = "") -> String {
        let environment = ProcessInfo.processInfo.environment
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        let isChinese = locale.hasPrefix("zh") || asked.unicodeScalars.contains { $0.properties.isIdeographic }
        for field in ["name/zh", "title/zh"] where isChinese {
            if case .string(let name) = record.fields[field] { return name }
        }
        return record.name
    }

    static func describe(_ record: RecordAnswer) -> String {
        var lines = [Console.styled(DisplayText.line(name(of: record)), .bold)]
        var facts = ["\(record.kind ?? "record") of \(record.owner)"]
        if let localId = record.localId { facts.append("own id \(localId)") }
        facts.append("id \(Words.short(record.id))")
        lines.append(DisplayText.line(facts.joined(separator: ", ")))
        if let updated = record.updated { lines.append("changed \(Words.time(updated))") }
        if record.deleted { lines.append(Console.styled("deleted", .warning)) }
        if !record.fields.isEmpty { lines.append("") }
        let column = record.fields.entries.map { DisplayText.width($0.name) }.max() ?? 0
        for entry in record.fields.entries { lines += field(entry.name, Words.value(entry.value), column: column) }
        if record.furtherFields > 0 {
            lines.append(Console.styled("and \(Words.count(record.furtherFields, "further field"))", .faint))
        }
        if !record.conflicts.isEmpty {
            lines += [
                "",
                Console.styled(
                    "different values wait to be settled: \(record.conflicts.joined(separator: ", "))",
                    .warning
                ),
                "  see them with: hansa conflicts \(Words.short(record.id))",
            ]
        }
        return lines.joined(separator: "\n")
    }

    /// A value beside its name, wrapped under itself on a terminal.
    private static func field(_ path: String, _ value: String, column: Int) -> [String] {
        let indent = String(repeating: " ", count: column + 2)
        let width = Console.width.map { max(20, $0 - column - 2) } ?? Int.max
        return DisplayText.wrapped(value, to: width).enumerated().map { position, text in
            position == 0 ? "\(DisplayText.padded(DisplayText.line(path), to: column))  \(text)" : indent + text
        }
    }

    /// What writing gave, in a line.
    static func describe(_ written: WrittenAnswer) -> String {
        "\(written.action): \(DisplayText.line(written.name)) (\(Words.short(written.id)))"
    }
}
