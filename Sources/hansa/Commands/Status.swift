import ArgumentParser
import Commands
import Replica

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell whether all are in step, and if not, who is behind and why.",
        discussion: """
            It exits 0 whenever it can answer, and 3 where the node does not.

            With --check it exits 10 unless the node runs, is in step with all members that it is connected with by \
            news of the last 15 seconds, and can write.
            """
    )

    @Flag(help: "Exit 10 unless all is well.")
    var check = false
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let answer = try await shared.ask(StatusCommand())
        shared.show(answer) { StatusText($0).text }
        if check, !answer.isWell { throw Stop(.differs) }
    }
}
