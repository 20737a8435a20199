import ArgumentParser
import Replica

/// The program.
struct Hansa: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hansa",
        abstract: "Share a directory with the members of your alliance, without a server.",
        discussion: """
            Each organization runs its own node; the nodes bring each other in step. While a node runs, commands ask \
            it; else they work on its folder.

            EXIT CODES
              0 done   1 rejected   2 usage   3 unreachable   4 refused   5 internal
              6 disk   7 corrupt    8 in use  9 passphrase    10 differs or pending
            """,
        version: programVersionText,
        groupedSubcommands: [
            CommandGroup(name: "NODE", subcommands: [Init.self, Join.self, Invite.self, Run.self]),
            CommandGroup(
                name: "STATE",
                subcommands: [
                    Status.self, Peers.self, Topology.self, Members.self, Diff.self, Verify.self,
                ]
            ),
            CommandGroup(
                name: "RECORDS",
                subcommands: [Import.self, Export.self, Search.self, Get.self, Edit.self, Delete.self]
            ),
            CommandGroup(name: "HISTORY", subcommands: [Log.self, Why.self, Conflicts.self, Settle.self]),
        ]
    )
}
