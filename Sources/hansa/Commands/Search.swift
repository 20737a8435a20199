import ArgumentParser
import Commands

struct Search: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Search the whole alliance's directory.",
        discussion: """
            Finds any two or more Chinese characters in a row and any beginning of a word; several words must all occur.

            EXAMPLES
              hansa search 振动
              hansa search "vibration test" --kind capability --limit 50
            """
    )

    @Argument(help: ArgumentHelp("What to look for.", valueName: "text")) var text: String
    @Option(help: ArgumentHelp("Only records of this kind.", valueName: "kind")) var kind: String?
    @Option(help: ArgumentHelp("Only this member's records.", valueName: "name")) var owner: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Show at most this many records.", valueName: "number"))
    var limit = 20
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit is at least 1 and at most 1000") }
    }

    func run() async throws {
        shared.show(
            try await shared.ask(SearchCommand(text: text, kind: kind, owner: owner, limit: limit)),
            describe
        )
    }

    private func describe(_ answer: SearchCommand.Output) -> ShownText {
        guard !answer.hits.isEmpty else {
            return "nothing found for \"\(text)\"; try fewer or shorter words, or another language"
        }
        var table = Table(["NAME", "KIND", "OWNER", "ID"], flexible: [0, 2])
        for hit in answer.hits {
            table.add([RecordText.name(of: hit, asked: text), hit.kind ?? "", hit.owner, Words.short(hit.id)])
        }
        let total = "\(answer.exact ? "" : "more than ")\(Words.count(answer.total, "record"))"
        let shown = answer.hits.count < answer.total ? "\(answer.hits.count) of \(total)" : total
        let facts: ShownText = "\(shown), \("\(answer.milliseconds)") ms"
        return table.text() + "\n" + facts.styled(.faint)
    }
}
