package import Commands
import Foundation

/// The text of a record for people.
package enum RecordText {
    /// The most columns of a field's name with its value beside it; the value of a longer name is on the next line.
    private static let nameWidthMax = 32
    /// The most fields that are shown.
    private static let fieldsMax = 200
    /// The most columns and lines that are shown of one value.
    private static let valueColumnsMax = 2_000
    private static let valueLinesMax = 40
    /// The most names of fields with conflicts that are listed.
    private static let conflictsMax = 20

    /// A record's name in the reader's language: that of the environment, or of the search words.
    static func name(of record: RecordAnswer, asked: String = "") -> String {
        let environment = ProcessInfo.processInfo.environment
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        let isChinese = locale.hasPrefix("zh") || asked.unicodeScalars.contains { $0.properties.isIdeographic }
        for field in ["name/zh", "title/zh"] where isChinese {
            if case .string(let name) = record.fields[field] { return name }
        }
        return record.name
    }

    /// The record's name, its metadata and its fields. Authors' texts do not decide the length of a line, and omissions
    /// are mentioned.
    package static func describe(_ record: RecordAnswer) -> ShownText {
        var lines = [("\(name(of: record))" as ShownText).styled(.bold)]
        var facts: [ShownText] = ["\(record.kind ?? "record") of \(record.owner)"]
        if let localId = record.localId { facts.append("own id \(localId)") }
        facts.append("id \(Words.short(record.id))")
        lines.append(facts.joined(separator: ", "))
        if let updated = record.updated { lines.append("changed \(Words.time(updated))") }
        let fields = record.fields.entries.prefix(fieldsMax)
        if !fields.isEmpty { lines.append("") }
        let names = fields.map { "\($0.name)" as ShownText }
        let column = names.map(\.width).filter { $0 <= nameWidthMax }.max() ?? nameWidthMax
        let hidden = record.fields.entries.count - fields.count + record.furtherFields
        var isWhole = hidden == 0
        for (name, field) in zip(names, fields) {
            let (shown, isWholeField) = self.field(name, Words.value(field.value), column: column)
            lines += shown
            isWhole = isWhole && isWholeField
        }
        if !isWhole {
            let what: ShownText =
                hidden > 0 ? "and \(Words.count(hidden, "field")) more; " : "what ends in … is longer; "
            let further = record.furtherFields
            let all: ShownText = further > 0 ? "all but \(Words.count(further, "field")) is in" : "all of it is in"
            lines += ["", (what + all + ": hansa get \(Words.short(record.id)) --json").styled(.faint)]
        }
        if !record.conflicts.isEmpty {
            let shown = record.conflicts.prefix(conflictsMax).map { "\($0)" as ShownText }
            let hidden = record.conflicts.count - shown.count
            let rest: ShownText = hidden > 0 ? " and \(hidden) more" : ""
            lines += [
                "",
                ("different values wait to be settled: " + shown.joined(separator: ", ") + rest).styled(.warning),
                "  see them with: hansa conflicts \(Words.short(record.id))",
            ]
        }
        return lines.joined(separator: "\n")
    }

    /// A value beside its name, with wrapped lines below it on a terminal; and whether it is the whole value.
    private static func field(_ name: ShownText, _ value: String, column: Int) -> ([ShownText], isWhole: Bool) {
        let width = Console.width.map { max(20, $0 - column - 2) } ?? Int.max
        let (lines, isWhole) = DisplayText.wrapped(value, to: width, columns: valueColumnsMax, lines: valueLinesMax)
        let isBeside = name.width <= column
        var shown: [ShownText] = isBeside ? [] : [name]
        for (position, line) in lines.enumerated() {
            let start = position == 0 && isBeside ? name.padded(to: column + 2) : .blanks(column + 2)
            shown.append(start + "\(line, columns: .max)")
        }
        if !isWhole { shown.append(.blanks(column + 2) + "…") }
        return (shown, isWhole)
    }

    /// The result of a write, in one line.
    static func describe(_ written: WrittenAnswer) -> ShownText {
        "\(written.action): \(written.name) (\(Words.short(written.id)))"
    }
}
