import Commands
import PeerService

/// The status for people: first the verdict, then the members, then the problems.
struct StatusText {
    private let status: StatusCommand.Output

    /// The clock skew in seconds from which a line is shown.
    private static let skewSeconds = 300.0
    /// The most lines shown of one kind.
    private static let linesMax = 10
    /// The most columns to which problems are padded.
    private static let problemWidthMax = 72

    init(_ status: StatusCommand.Output) {
        self.status = status
    }

    var text: ShownText {
        ([verdict, ""] + facts + ["", members] + problems).joined(separator: "\n")
    }

    private var verdict: ShownText {
        let (inStep, all) = (status.inStepWith.members, status.inStepWith.of)
        guard status.running else {
            return ("not running" as ShownText).styled(.warning)
                + ": this is what the folder holds; start it with 'hansa run'"
        }
        let indirect = status.inStepWith.throughOthers
        guard all > 0 || indirect > 0 else {
            return ("alone" as ShownText).styled(.good) + ": no other member yet; invite one with 'hansa invite'"
        }
        let verdict: ShownText = "in step with \(inStep) of \(all) members"
        return verdict.styled(inStep == all ? .good : .warning)
            + (indirect > 0 ? " connected, \(Words.grouped(indirect)) reached through others" : "")
    }

    private var facts: [ShownText] {
        let node = status.node
        let address = node.address.map { " at \($0)" } ?? ""
        let room = status.storage.freeBytes.map { ", \(Words.size($0)) free" } ?? ""
        let facts: [(ShownText, ShownText)] = [
            ("alliance", "\(status.alliance.name)"),
            ("node", "\(Words.short(node.id)) of \(node.organization)\(address)"),
            ("records", "\(Words.grouped(status.records)), \(Words.size(status.databaseBytes)) on disk\(room)"),
            ("digest", "\(status.digest)"),
        ]
        return facts.map { $0.padded(to: 10) + $1 }
    }

    private var members: ShownText {
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
                    isOwn ? "this node" : Words.state(node.state),
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

    /// A problem, and the command that explains it.
    private typealias Problem = (what: ShownText, command: ShownText)

    private var problems: [ShownText] {
        let found = status.alarms.map { Problem("\($0)", "") } + counts + forks + nodes
        guard !found.isEmpty else { return [] }
        let column = min(found.filter { !$0.command.isEmpty }.map(\.what.width).max() ?? 0, Self.problemWidthMax)
        return [""]
            + found.map { what, command in
                let start = ("! " as ShownText).styled(.warning)
                return command.isEmpty ? start + what : start + what.padded(to: column) + "  " + command.styled(.faint)
            }
    }

    private var counts: [Problem] {
        var found: [Problem] = []
        if let conflicts = status.conflicts, conflicts > 0 {
            found.append(("\(Words.count(conflicts, "record")) with values in conflict", "hansa conflicts"))
        }
        if status.refused > 0 { found.append(("\(Words.count(status.refused, "delta")) refused", "hansa log")) }
        if status.excluded > 0 {
            found.append(("\(Words.count(status.excluded, "operation")) that do not count", "hansa log"))
        }
        if status.waiting > 0 {
            found.append(("\(Words.count(status.waiting, "reference")) to what has not come yet", "hansa peers"))
        }
        if !status.parked.isEmpty {
            found.append(("\(Words.count(status.parked.count, "log")) that cannot be taken further", "hansa peers"))
        }
        return found
    }

    private var forks: [Problem] {
        capped(
            status.forks.map { fork in
                (
                    "\(fork.organization) forked its log: node \(Words.short(fork.author)), from \(fork.sequence) on",
                    "hansa log --author \(Words.short(fork.author))"
                )
            },
            hidden: "forked log"
        )
    }

    private var nodes: [Problem] {
        var silent: [Problem] = []
        var differing: [Problem] = []
        var clocks: [Problem] = []
        for member in status.members {
            for node in member.nodes {
                if node.state == "silent" {
                    let time = node.lastContactSeconds.map(Words.duration) ?? "a while"
                    silent.append(("nothing came from \(member.organization) for \(time)", "hansa peers"))
                }
                if node.state == "differs" {
                    differing.append(
                        (
                            "\(member.organization) has the same changes and shows another directory",
                            "hansa diff \(Words.short(node.id))"
                        )
                    )
                }
                // If this node's own clock is wrong, that is said only once.
                guard status.ownClock == nil, let ahead = node.clockAheadSeconds, abs(ahead) > Self.skewSeconds
                else { continue }
                let direction = ahead > 0 ? "ahead" : "behind"
                clocks.append(
                    ("the clock of \(member.organization) is \(Words.duration(abs(ahead))) \(direction)", "hansa peers")
                )
            }
        }
        let own = status.ownClock.map { clock -> [Problem] in
            let direction = clock.aheadSeconds > 0 ? "ahead of" : "behind"
            let time = Words.duration(abs(clock.aheadSeconds))
            return [("this machine's clock is \(time) \(direction) \(clock.reference): set it", "hansa peers")]
        }
        return (own ?? []) + capped(silent, hidden: "silent node") + capped(differing, hidden: "node that differs")
            + capped(clocks, hidden: "wrong clock")
    }

    private func capped(_ problems: [Problem], hidden noun: String) -> [Problem] {
        guard problems.count > Self.linesMax else { return problems }
        let more: Problem = ("\(Words.count(problems.count - Self.linesMax, "more " + noun))", "hansa status --json")
        return problems.prefix(Self.linesMax) + [more]
    }
}
