import ArgumentParser
import Client
import Commands

struct Invite: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a ticket that admits one new member, or one more node of your own.",
        discussion: """
            Anyone who has the ticket can use it, once: hand it over privately. It is redeemed at this \
            node, which must run then.

            EXAMPLES
              hansa invite --for "Hunan Aerospace" --expires 7d
              hansa invite --own > ticket.txt
            """
    )

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Let it expire after this time: 30m, 24h, 7d.", valueName: "time")
    )
    var expires = TimeSpan(seconds: 86_400)
    @Option(name: .customLong("for"), help: ArgumentHelp("Admit only an organization of this name.", valueName: "name"))
    var expectedName: String?
    @Flag(help: "Invite a further node of your own organization; needs the organization's key.")
    var own = false
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if own, expectedName != nil { throw ValidationError("--own and --for exclude each other; leave one out") }
    }

    func run() async throws {
        let secret = own ? try passphrase.passphrase() : nil
        let answer = try await CommandSession.with(shared.folder) { session in
            guard own else {
                return try await session.run(
                    InviteCommand(expiresSeconds: expires.seconds, expectedName: expectedName)
                )
            }
            let status = try await session.run(StatusCommand())
            return try await session.run(
                try OwnInvitation.command(
                    folder: shared.folder,
                    passphrase: secret,
                    alliance: status.alliance.id,
                    organization: status.node.organizationId,
                    expiresSeconds: expires.seconds
                )
            )
        }
        shared.show(answer) { "\($0.ticket, columns: .max)" }
        if !shared.json, Console.isTerminal {
            Console.printError(
                "valid until \(Words.time(answer.expires)), for one use; the newcomer runs: hansa join TICKET"
            )
        }
    }
}
