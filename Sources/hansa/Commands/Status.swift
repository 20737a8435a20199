import ArgumentParser
import Node

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell whether all are in step, and if not, who is behind and why.",
        discussion: "It exits 0 whenever it can answer."
    )

    @Flag(help: "Exit 10 unless the node runs and is in step with all members that it is connected with.")
    var check = false
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let answer = try await shared.ask(StatusCommand())
        shared.show(answer) { StatusText($0).text }
        if check, !answer.running || answer.inStepWith.members < answer.inStepWith.of || answer.inStepWith.isCutOff {
            throw Stop(.differs)
        }
    }
}
