import ArgumentParser
import Commands

struct Conflicts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List values that were written at the same time and wait to be settled."
    )

    @Argument(help: .record) var id: String?
    @OptionGroup var shared: SharedOptions

    /// The most values that are listed of one field.
    private static let valuesMax = 20
    /// The most fields with conflicts that are listed, over all records.
    private static let fieldsMax = 1_000

    func run() async throws {
        shared.show(try await shared.ask(ConflictsCommand(id: id)), describe)
    }

    private func describe(_ answer: ConflictsCommand.Output) -> ShownText {
        guard !answer.conflicts.isEmpty else { return "no conflicts" }
        var lines: [ShownText] = []
        for conflict in answer.conflicts.prefix(Self.fieldsMax) {
            if !lines.isEmpty { lines.append("") }
            let isDeletion = conflict.field == "deleted"
            lines.append(
                ("\(conflict.name)" as ShownText).styled(.bold)
                    + " of \(conflict.owner), \(Words.short(conflict.id))"
            )
            lines.append(isDeletion ? "  edited while deleted" : "  \(conflict.field)")
            lines += value("shown", conflict.winner)
            for other in conflict.others.prefix(Self.valuesMax) { lines += value("also", other) }
            let hidden = conflict.others.count - Self.valuesMax
            if hidden > 0 { lines.append("    and \(Words.count(hidden, "value")) more; all are in --json") }
            let words = isDeletion ? "yes|no" : "VALUE"
            lines.append(
                "    settle: hansa settle \(Words.short(conflict.id)) \(Words.quoted(conflict.field)) \(words)"
            )
        }
        let hidden = answer.conflicts.count - Self.fieldsMax
        if hidden > 0 { lines += ["", "and \(Words.count(hidden, "conflict")) more; all are in --json"] }
        if answer.more { lines += ["", "there are more; settle these first"] }
        return lines.joined(separator: "\n")
    }

    private func value(_ standing: ShownText, _ value: AuthoredValue) -> [ShownText] {
        AuthoredText.lines("    " + standing.padded(to: 7), Words.value(value.value), by: value.author)
    }
}
