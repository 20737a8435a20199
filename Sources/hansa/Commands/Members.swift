import ArgumentParser
import Commands

struct Members: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the alliance's members.")

    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(MembersCommand()), describe)
    }

    private func describe(_ answer: MembersCommand.Output) -> ShownText {
        var table = Table(["MEMBER", "ID", "SINCE", "NODES", "RECORDS"], rightAligned: [3, 4], flexible: [0, 2])
        for member in answer.members {
            table.add([
                member.organization, Words.short(member.id),
                member.founder ? "founder" : "by " + member.sponsors.joined(separator: ", "),
                Words.grouped(member.nodes.count), Words.grouped(Int(member.recordCount)),
            ])
        }
        return ("\(answer.alliance)" as ShownText).styled(.bold) + "\n\n" + table.text()
    }
}
