import ArgumentParser
import Commands
import Replica

struct Diff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the whole directory with a member's, record by record.",
        discussion: "Both nodes must run. Exits 10 if they are not identical, 3 if a node cannot be asked."
    )

    @Argument(help: ArgumentHelp("The member's name, or the beginning of a node's id.", valueName: "member"))
    var member: String
    @OptionGroup var shared: SharedOptions

    private static let shownMax = 20

    func run() async throws {
        let answer = try await shared.ask(DiffCommand(member: member))
        shared.show(answer) { answer in
            let unreachable = answer.unreachable.map { ("not compared" as ShownText).styled(.warning) + ": \($0)" }
            return (answer.nodes.map(describe) + unreachable).joined(separator: "\n\n")
        }
        guard answer.nodes.allSatisfy(\.identical) else { throw Stop(.differs) }
        guard answer.unreachable.isEmpty else { throw Stop(.unreachable) }
    }

    private func describe(_ node: DiffCommand.NodeAnswer) -> ShownText {
        let peer: ShownText = "\(node.organization) (node \(Words.short(node.node)))"
        if node.identical {
            return ("identical" as ShownText).styled(.good) + " with \(peer)\ndigest  \(node.digestHere)"
        }
        var lines: [ShownText] = []
        if node.differing == 0 {
            let verdict: ShownText = "the same records"
            lines.append(verdict.styled(.warning) + " as \(peer), but not the same history yet")
        } else {
            let count: ShownText = "\(Words.count(node.differing, "record differs", "records differ"))"
            lines.append(count.styled(.warning) + " from \(peer)")
            var table = Table(["ID", "DIFFERENCE", "NAME"], flexible: [2])
            for record in node.records.prefix(Self.shownMax) {
                table.add([Words.short(record.id), record.difference, record.name ?? "-"])
            }
            lines.append(table.text())
            if node.differing > Self.shownMax {
                lines.append("and \(Words.count(node.differing - Self.shownMax, "record")) more; see --json")
            }
        }
        lines += ["digest here   \(node.digestHere)", "digest there  \(node.digestThere)"]
        return lines.joined(separator: "\n")
    }
}
