import ArgumentParser
import Commands

struct Settle: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Choose the value of a field in conflict, of one of your organization's records.",
        discussion: """
            'hansa conflicts' lists the values; any other may be given too. For a record that was edited while it was \
            deleted: settle ID deleted yes (delete it again) or no (bring it back).

            EXAMPLES
              hansa settle 3f2a9c0d1e2b terms "on request"
            """
    )

    @Argument(help: .record) var id: String
    @Argument(help: ArgumentHelp("The field, as in name/zh, or the word deleted.", valueName: "field"))
    var field: String
    @Argument(parsing: .allUnrecognized, help: ArgumentHelp("The value.", valueName: "value"))
    var value: [String]
    @OptionGroup var shared: SharedOptions

    /// The arguments of the value, without the `--` that may come first.
    private var values: ArraySlice<String> { value.first == "--" ? value.dropFirst() : value[...] }

    func validate() throws {
        guard values.count == 1 else { throw ValidationError("give one value; put it in quotes if it holds blanks") }
    }

    func run() async throws {
        shared.show(
            try await shared.ask(SettleCommand(id: id, field: field, value: values[values.startIndex])),
            RecordText.describe
        )
    }
}
