import ArgumentParser
import Commands
import PeerService

struct Peers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the other nodes and their connections, and why one cannot be reached."
    )

    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(PeersCommand()), describe)
    }

    private func describe(_ answer: PeersCommand.Output) -> ShownText {
        guard !answer.peers.isEmpty else { return "no other node yet; invite a member with 'hansa invite'" }
        var table = Table(
            ["MEMBER", "NODE", "STATE", "LINK", "CONTACT", "ADDRESS"],
            flexible: [5, 0]
        )
        for peer in answer.peers {
            table.add([
                peer.organization, Words.short(peer.id), Words.state(peer.state), peer.direction ?? "-",
                Words.ago(peer.lastContactSeconds), peer.addresses.joined(separator: " "),
            ])
        }
        var lines = answer.peers.flatMap(describe)
        for parked in answer.parked {
            lines.append(
                "delta \(parked.sequence) of \(parked.organization) (node \(Words.short(parked.author))) could not be "
                    + "taken from \(parked.from) \(Words.ago(parked.secondsAgo)): \(parked.reason)"
            )
        }
        if let traffic = answer.traffic {
            let (sent, received) = (traffic.sent, traffic.received)
            let out: ShownText =
                "\(Words.size(Int(clamping: sent.bytes))) sent in \(Words.count(sent.messages, "message"))"
            let back: ShownText =
                "\(Words.size(Int(clamping: received.bytes))) received in \(Words.count(received.messages, "message"))"
            lines.append("since the start \(out), \(back)")
        }
        if !answer.running { lines.append("not running, so nobody is connected; start it with 'hansa run'") }
        return ([table.text()] + (lines.isEmpty ? [] : [""] + lines)).joined(separator: "\n")
    }

    /// The lines about one peer below its row.
    private func describe(_ peer: PeersCommand.Peer) -> [ShownText] {
        let who: ShownText = "\(peer.organization) (node \(Words.short(peer.id)))"
        var lines: [ShownText] = []
        if let failure = peer.lastFailure {
            lines.append("\(who) was not reached \(Words.ago(failure.secondsAgo)): \(failure.reason)")
        }
        if let refusal = peer.refusal { lines.append("\(who) ended the last session: \(refusal)") }
        if let ahead = peer.clockAheadSeconds, abs(ahead) >= 1 {
            lines.append("the clock of \(who) is \(Words.duration(abs(ahead))) \(ahead > 0 ? "ahead" : "behind")")
        }
        return lines
    }
}
