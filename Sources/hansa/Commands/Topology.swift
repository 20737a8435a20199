import ArgumentParser
import Commands
import Foundation

struct Topology: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show this node's neighbours, its edges of the broadcast tree, and what the broadcast costs.",
        discussion: "Counts are since the node started. It needs the node to run."
    )

    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(TopologyCommand()), describe)
    }

    private func describe(_ answer: TopologyCommand.Output) -> ShownText {
        let edges = answer.active.count(where: \.eager)
        var lines: [ShownText] = [
            "\(answer.active.count) of \(Words.count(answer.wanted, "neighbour")) wanted, "
                + "\(Words.count(edges, "tree edge"))\(answer.mesh ? " (full mesh)" : "")"
        ]
        if !answer.active.isEmpty {
            var table = Table(["NEIGHBOUR", "NODE", "EDGE", "ROUND TRIP"], rightAligned: [3], flexible: [0])
            for peer in answer.active {
                let roundTrip = peer.roundTripMilliseconds.map { String(format: "%.1f ms", $0) } ?? "-"
                table.add([peer.organization, Words.short(peer.id), peer.eager ? "tree" : "told only", roundTrip])
            }
            lines += ["", table.text()]
        }
        let counters = answer.counters
        let hops = answer.hopsAverage.map { String(format: "%.1f on average, %d at most", $0, answer.hopsMax) } ?? "-"
        let facts = [
            ("turn to", Words.count(answer.passive.count, "other node") + " when a neighbour is lost"),
            (
                "pushed here",
                Words.count(counters.delivered, "new delta") + ", \(Words.grouped(counters.duplicates)) held already"
                    + String(format: " (redundancy %.2f)", answer.redundancy)
            ),
            ("hops", hops),
            ("fetched", Words.count(counters.fetched, "delta")),
            (
                "sent",
                Words.count(counters.pushesSent, "push", "pushes") + ", "
                    + Words.count(counters.headsAnnounced, "head") + " announced, "
                    + Words.count(counters.grafts, "graft") + ", " + Words.count(counters.prunes, "prune")
                    + ", "
                    + Words.count(counters.comparisons, "comparison") + ", "
                    + Words.count(counters.shuffles, "shuffle")
            ),
        ]
        lines.append("")
        lines += facts.map { ("\($0)" as ShownText).padded(to: 13) + "\($1)" }
        for author in answer.pullOnly {
            lines.append(
                "! \(author.organization) writes more than is pushed on; its deltas are fetched instead"
            )
        }
        return lines.joined(separator: "\n")
    }
}
