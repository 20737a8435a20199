import ArgumentParser
import Commands

struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one record.",
        discussion: """
            EXAMPLES
              hansa get 3f2a9c0d1e2b
              hansa get "Hunan Aerospace/capability/0001"
            """
    )

    @Argument(help: .record) var id: String
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        shared.show(try await shared.ask(GetCommand(id: id)), RecordText.describe)
    }
}

extension ArgumentHelp {
    /// The help about the names of records.
    static var record: ArgumentHelp {
        ArgumentHelp("The beginning of the record's id, or owner/kind/own id.", valueName: "id")
    }
}
