import Node

/// The status for people: the verdict first, then who, then what needs attention.
struct StatusText {
    private let status: StatusCommand.Output

    /// Seconds from which on a clock's skew is worth a line.
    private static let skewSeconds = 300.0

    init(_ status: StatusCommand.Output) {
        self.status = status
    }

    var text: String {
        ([verdict, ""] + facts + ["", members] + problems).joined(separator: "\n")
    }

    private var verdict: String {
        let (inStep, all) = (status.inStepWith.members, status.inStepWith.of)
        guard status.running else {
            return Console.styled("not running", .warning)
                + ": this is what the folder holds; start it with 'hansa run'"
        }
        let indirect = status.inStepWith.throughOthers
        guard all > 0 || indirect > 0 else {
            return Console.styled("alone", .good) + ": no other member yet; invite one with 'hansa invite'"
        }
        let verdict = Console.styled("in step with \(inStep) of \(all) members", inStep == all ? .good : .warning)
        return verdict + (indirect > 0 ? " connected, \(Words.grouped(indirect)) reached through others" : "")
    }

    private var facts: [String] {
        let node = status.node
        let address = node.address.map { " at \($0)" } ?? ""
        return [
            ("alliance", status.alliance.name),
            ("node", "\(Words.short(node.id)) of \(node.organization)\(address)"),
            ("records", "\(Words.grouped(status.records)), \(Words.size(status.databaseBytes)) on disk"),
            ("digest", status.digest),
        ].map { "\(DisplayText.padded($0, to: 10))\(DisplayText.line($1))" }
    }

    private var members: String {
        var table = Table(
            ["MEMBER", "NODE", "STATE", "BEHIND", "AHEAD", "CONTACT", "RECORDS"],
            rightAligned: [3, 4, 6],
            flexible: [0]
        )
        for member in status.members {
            if member.nodes.isEmpty {
                table.add([member.organization, "-", "no node", "-", "-", "never", Words.grouped(member.records)])
            }
            for (position, node) in member.nodes.enumerated() {
                let isOwn = node.state == "self"
                table.add([
                    position == 0 ? member.organization : "",
                    Words.short(node.id),
                    isOwn ? "this node" : node.state,
                    isOwn ? "-" : amount(node.behindBy),
                    isOwn ? "-" : amount(node.aheadBy),
                    isOwn ? "-" : Words.ago(node.lastContactSeconds),
                    position == 0 ? Words.grouped(member.records) : "",
                ])
            }
        }
        return table.text()
    }

    private func amount(_ deltas: UInt64?) -> String { deltas.map { Words.grouped($0) } ?? "?" }

    private var problems: [String] {
        var found: [(what: String, where: String)] = []
        if status.conflicts > 0 {
            found.append(("\(Words.count(status.conflicts, "record")) with values in conflict", "hansa conflicts"))
        }
        if status.refused > 0 { found.append(("\(Words.count(status.refused, "delta")) refused", "hansa log")) }
        if status.setAside > 0 {
            found.append(("\(Words.count(status.setAside, "operation")) that do not count", "hansa log"))
        }
        if status.waiting > 0 {
            found.append(("\(Words.count(status.waiting, "reference")) to what has not come yet", "hansa peers"))
        }
        if !status.parked.isEmpty {
            found.append(("\(Words.count(status.parked.count, "log")) that cannot be taken further", "hansa peers"))
        }
        for fork in status.forks {
            found.append(
                (
                    "\(fork.organization) forked its log: node \(Words.short(fork.author)), from \(fork.sequence) on",
                    "hansa log --author \(Words.short(fork.author))"
                )
            )
        }
        for member in status.members {
            for node in member.nodes {
                guard let ahead = node.clockAheadSeconds, abs(ahead) > Self.skewSeconds else { continue }
                let direction = ahead > 0 ? "ahead" : "behind"
                found.append(
                    ("the clock of \(member.organization) is \(Words.duration(abs(ahead))) \(direction)", "hansa peers")
                )
            }
        }
        guard !found.isEmpty else { return [] }
        let column = found.map { DisplayText.width($0.what) }.max() ?? 0
        return [""]
            + found.map { what, command in
                Console.styled("! ", .warning)
                    + DisplayText.padded(DisplayText.line(what), to: column) + "  \(Console.styled(command, .faint))"
            }
    }
}
