import ArgumentParser
import Replica

struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Found an alliance with your organization as its first member.",
        discussion: """
            EXAMPLES
              hansa init --alliance "Smart Industry Alliance" --org "Hunan Aerospace"
              hansa init --alliance A --org B --listen 0.0.0.0:4267 --advertise node.b.example:4267
            """
    )

    @Option(help: ArgumentHelp("Name the alliance.", valueName: "name")) var alliance: String
    @Option(help: ArgumentHelp("Name your organization.", valueName: "name")) var org: String
    @OptionGroup var addresses: AddressOptions
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let folder = shared.folder
        try NodeFolder.requireEmpty(folder)
        let settings = try await Settings.load(folder, flags: addresses.flags)
        let made = try await NodeFolder.found(
            alliance: alliance,
            organization: org,
            settings: settings,
            protection: try passphrase.protection(),
            in: folder
        )
        shared.show(MadeReport(made)) { report in
            report.text(
                "Founded \"\(made.allianceName)\" with \(made.organizationName).",
                hint: shared.hint,
                hasPassphrase: !passphrase.noPassphrase
            )
        }
    }
}
