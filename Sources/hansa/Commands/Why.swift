import ArgumentParser
import Node

struct Why: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell who wrote what a record shows, when, and what was there before."
    )

    @Argument(help: .record) var id: String
    @Argument(help: ArgumentHelp("Only this field, as in name/zh.", valueName: "field")) var field: String?
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(WhyCommand(id: id, field: field)), describe)
    }

    private func describe(_ answer: WhyCommand.Output) -> String {
        var lines = [
            Console.styled(DisplayText.line(answer.name), .bold),
            DisplayText.line("of \(answer.owner), id \(Words.short(answer.id))\(answer.deleted ? ", deleted" : "")"),
        ]
        for field in answer.fields {
            lines += ["", DisplayText.line(field.field)]
            for entry in field.entries {
                let value = entry.value.map(Words.value) ?? (entry.standing == "removal" ? "" : "(not held any more)")
                lines += AuthoredText.lines(
                    "  " + DisplayText.padded(entry.standing, to: 12),
                    value,
                    by: entry.author,
                    importID: entry.importID
                )
            }
        }
        if answer.more { lines += ["", "and older operations, which are not told"] }
        return lines.joined(separator: "\n")
    }
}
