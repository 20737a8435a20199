import ArgumentParser
import Node

struct Peers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the other nodes and their connections.")

    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(PeersCommand()), describe)
    }

    private func describe(_ answer: PeersCommand.Output) -> String {
        guard !answer.peers.isEmpty else { return "no other node yet; invite a member with 'hansa invite'" }
        var table = Table(
            ["MEMBER", "NODE", "STATE", "LINK", "CONTACT", "ADDRESS"],
            flexible: [5, 0]
        )
        for peer in answer.peers {
            table.add([
                peer.organization, Words.short(peer.id), peer.state, peer.direction ?? "-",
                Words.ago(peer.lastContactSeconds), peer.addresses.joined(separator: " "),
            ])
        }
        var lines = [table.text()]
        for peer in answer.peers {
            guard let ahead = peer.clockAheadSeconds, abs(ahead) >= 1 else { continue }
            lines.append(
                "the clock of \(DisplayText.line(peer.organization)) is \(Words.duration(abs(ahead))) "
                    + (ahead > 0 ? "ahead" : "behind")
            )
        }
        for parked in answer.parked {
            lines.append(
                "delta \(parked.sequence) of \(DisplayText.line(parked.organization)) (node \(Words.short(parked.author))) "
                    + "could not be taken from \(DisplayText.line(parked.from)) \(Words.ago(parked.secondsAgo)): "
                    + DisplayText.line(parked.reason)
            )
        }
        if let traffic = answer.traffic {
            lines.append(
                "since the start \(Words.size(Int(clamping: traffic.sent.bytes))) sent in "
                    + Words.count(traffic.sent.messages, "message")
                    + ", \(Words.size(Int(clamping: traffic.received.bytes))) received in "
                    + Words.count(traffic.received.messages, "message")
            )
        }
        if !answer.running { lines.append("not running, so nobody is connected; start it with 'hansa run'") }
        return lines.joined(separator: "\n")
    }
}
