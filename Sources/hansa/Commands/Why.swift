import ArgumentParser
import Commands

struct Why: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell who wrote what a record shows, when, and what was there before."
    )

    @Argument(help: .record) var id: String
    @Argument(help: ArgumentHelp("Only this field, as in name/zh.", valueName: "field")) var field: String?
    @OptionGroup var shared: SharedOptions

    /// The most fields that are listed, and the most writes of one field.
    private static let fieldsMax = 200
    private static let entriesMax = 50

    func run() async throws {
        shared.show(try await shared.ask(WhyCommand(id: id, field: field)), describe)
    }

    private func describe(_ answer: WhyCommand.Output) -> ShownText {
        var lines: [ShownText] = [
            ("\(answer.name)" as ShownText).styled(.bold),
            "of \(answer.owner), id \(Words.short(answer.id))",
        ]
        if let deletion = answer.deletion { lines.append(("\(deletion)" as ShownText).styled(.warning)) }
        for field in answer.fields.prefix(Self.fieldsMax) {
            lines += ["", "\(field.field)"]
            for entry in field.entries.prefix(Self.entriesMax) {
                let value = entry.value.map(Words.value) ?? (entry.standing == "removal" ? "" : "(not held any more)")
                lines += AuthoredText.lines(
                    "  " + ("\(entry.standing)" as ShownText).padded(to: 12),
                    value,
                    by: entry.author,
                    importId: entry.importId
                )
            }
            let hidden = field.entries.count - Self.entriesMax
            if hidden > 0 { lines.append("  and \(Words.count(hidden, "write")) more; all are in --json") }
        }
        let hidden = answer.fields.count - Self.fieldsMax
        if hidden > 0 { lines += ["", "and \(Words.count(hidden, "field")) more; all are in --json"] }
        if answer.more { lines += ["", "and older operations, which are not shown"] }
        return lines.joined(separator: "\n")
    }
}
