import ArgumentParser
import Commands

struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Delete one of your organization's records.",
        discussion: "It stays deleted everywhere; importing it again brings it back."
    )

    @Argument(help: .record) var id: String
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(DeleteCommand(id: id)), RecordText.describe)
    }
}
