import ArgumentParser
import Node

struct Conflicts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List values that were written at the same time and wait to be settled."
    )

    @Argument(help: .record) var id: String?
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(ConflictsCommand(id: id)), describe)
    }

    private func describe(_ answer: ConflictsCommand.Output) -> String {
        guard !answer.conflicts.isEmpty else { return "no conflicts" }
        var lines: [String] = []
        for conflict in answer.conflicts {
            if !lines.isEmpty { lines.append("") }
            let isDeletion = conflict.field == "deleted"
            lines.append(
                Console.styled(DisplayText.line(conflict.name), .bold)
                    + DisplayText.line(" of \(conflict.owner), \(Words.short(conflict.id))")
            )
            lines.append(isDeletion ? "  edited while deleted" : "  " + DisplayText.line(conflict.field))
            lines += value("shown", conflict.winner)
            for other in conflict.others { lines += value("also", other) }
            let words = isDeletion ? "yes|no" : "VALUE"
            lines.append(
                "    settle: hansa settle \(Words.short(conflict.id)) \(Words.quoted(conflict.field)) \(words)"
            )
        }
        if answer.more { lines += ["", "there are more; settle these first"] }
        return lines.joined(separator: "\n")
    }

    private func value(_ standing: String, _ value: AuthoredValue) -> [String] {
        AuthoredText.lines(
            "    " + DisplayText.padded(standing, to: 7),
            Words.value(value.value),
            by: value.author
        )
    }
}
