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
                let room = Console.width.map { max(20, $0 - 14) } ?? Int.max
                lines.append(
                    "  \(DisplayText.padded(entry.standing, to: 11)) \(DisplayText.cut(DisplayText.line(value), to: room))"
                )
                lines.append(Console.styled("              \(AuthorText.describe(entry.author, importID: entry.importID))", .faint))
            }
        }
        return lines.joined(separator: "\n")
    }
}

/// Who wrote something, in a line.
enum AuthorText {
    static func describe(_ author: Authorship, importID: String? = nil) -> String {
        let what = importID.map { ", import \(Words.short($0))" } ?? ""
        return DisplayText.line(
            "\(author.organization), \(Words.time(author.time)), node \(Words.short(author.node)) no. \(author.sequence)\(what)"
        )
    }
}
