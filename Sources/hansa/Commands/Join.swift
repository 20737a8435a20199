import ArgumentParser
import Foundation
import PeerService
import Replica

struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Join an alliance with a ticket from one of its members.",
        discussion: """
            The inviting node must run. An attempt that was cut off can be made again with the same ticket.

            EXAMPLES
              hansa join hansa1… --org "Hunan Aerospace"
              hansa join ticket.txt --org "Hunan Aerospace" --listen 0.0.0.0:4267
              hansa join -                 a ticket of 'hansa invite --own', on standard input
            """
    )

    @Argument(help: ArgumentHelp("The ticket, a file with it, or - for standard input.", valueName: "ticket"))
    var ticket: String
    @Option(
        help: ArgumentHelp("Name your organization (not with a ticket for a further node of it).", valueName: "name")
    )
    var org: String?
    @OptionGroup var addresses: AddressOptions
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let folder = shared.folder
        let reading = try TicketReading(try text())
        try TicketReading.check(reading.ticket, namesOrganization: org != nil)
        try NodeFolder.requireEmpty(folder)
        let settings = try await Settings.load(folder, flags: addresses.flags)
        let made = try await NodeFolder.join(
            ticket: reading.ticket,
            organization: org,
            settings: settings,
            protection: org == nil ? .none : try passphrase.protection(),
            in: folder
        )
        shared.show(MadeReport(made)) { report in
            report.text(
                "Joined \"\(made.allianceName)\" as \(made.organizationName).",
                hint: shared.hint,
                hasPassphrase: !passphrase.noPassphrase
            )
        }
    }

    private func text() throws -> String {
        if ticket.hasPrefix("hansa1") { return ticket }
        if ticket == "-", isatty(STDIN_FILENO) == 1 {
            throw Failure(.usage, "no ticket on standard input; give it as an argument or in a file")
        }
        if ticket != "-", !FileManager.default.fileExists(atPath: NSString(string: ticket).expandingTildeInPath) {
            throw Failure(
                .notATicket,
                "'\(ticket.prefix(40))' is neither a ticket (it would begin with hansa1) nor a file"
            )
        }
        return String(decoding: try SmallFile.read(ticket, what: "the ticket"), as: UTF8.self)
    }
}
