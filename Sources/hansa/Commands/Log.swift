import ArgumentParser
import Commands

struct Log: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List signed changes, the newest first, and what was refused or does not count."
    )

    @Option(help: ArgumentHelp("Only this member's or node's.", valueName: "name"))
    var author: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Show at most this many.", valueName: "number"))
    var limit = 20
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit is at least 1 and at most 10000") }
    }

    func run() async throws {
        shared.show(try await shared.ask(LogCommand(author: author, limit: limit)), describe)
    }

    private func describe(_ answer: LogCommand.Output) -> ShownText {
        var parts: [ShownText] = [answer.deltas.isEmpty ? "no changes yet" : deltas(answer.deltas)]
        if !answer.refused.isEmpty { parts.append(refused(answer.refused)) }
        if !answer.excluded.isEmpty { parts.append(excluded(answer.excluded)) }
        return parts.joined(separator: "\n\n")
    }

    private func deltas(_ entries: [LogCommand.Entry]) -> ShownText {
        var table = Table(
            ["TIME", "AUTHOR", "NODE", "SEQ", "CHANGES", "IMPORT"],
            rightAligned: [3, 4],
            flexible: [1]
        )
        for entry in entries {
            let part = entry.importPart.map { "/\($0)" } ?? ""
            table.add([
                Words.time(entry.time), entry.organization, Words.short(entry.node), "\(entry.sequence)",
                Words.grouped(entry.operations), entry.importId.map { $0.prefix(8) + part } ?? "",
            ])
        }
        return table.text()
    }

    private func refused(_ entries: [LogCommand.RefusedEntry]) -> ShownText {
        var table = Table(["TIME", "AUTHOR", "SEQ", "FROM", "WHY"], rightAligned: [2], flexible: [4, 1, 3])
        for entry in entries {
            table.add([
                Words.time(entry.time), "\(entry.organization) \(Words.short(entry.node))", "\(entry.sequence)",
                entry.from, entry.reason + (entry.count > 1 ? " (\(entry.count) times)" : ""),
            ])
        }
        return ("refused" as ShownText).styled(.warning) + "\n" + table.text()
    }

    private func excluded(_ entries: [LogCommand.ExcludedEntry]) -> ShownText {
        var table = Table(["AUTHOR", "SEQ", "RECORD", "WHY"], rightAligned: [1], flexible: [3, 0])
        for entry in entries {
            table.add([entry.organization, "\(entry.sequence)", Words.short(entry.record), entry.reason])
        }
        return ("kept, but not counted" as ShownText).styled(.warning) + "\n" + table.text()
    }
}
