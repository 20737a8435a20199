import ArgumentParser
import Commands
import Replica

struct Edit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Change fields of one of your organization's records.",
        discussion: """
            field=value sets, field= takes a value away, tag+=x adds to a set, tag-=x takes out of it.

            EXAMPLES
              hansa edit 3f2a9c0d1e2b status=suspended "terms=on request"
              hansa edit "Hunan Aerospace/capability/0001" tag+=shaker tag-=old
              hansa edit "Hunan Aerospace/contact/desk" mailbox=desk@hnaero.example --create
            """
    )

    @Argument(help: .record) var id: String
    @Argument(help: ArgumentHelp("field=value, field+=element or field-=element.", valueName: "change"))
    var changes: [String]
    @Flag(help: "Make the record if it is not there; name it by owner/kind/own id.")
    var create = false
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let words = try changes.map { text -> EditWord in
            guard let word = EditWord(text) else {
                throw Failure(
                    .usage,
                    "'\(text)' is no change; write field=value, field+=element or field-=element"
                )
            }
            return word
        }
        shared.show(try await shared.ask(EditCommand(id: id, words: words, create: create)), RecordText.describe)
    }
}
