import ArgumentParser
import Foundation

/// Runs the command line and turns every outcome into its exit code: 0 done, 1 a criterion or a seed failed, 2 usage.
@main
enum Main {
    static func main() {
        // If the reader closes the pipe, the write reports it.
        signal(SIGPIPE, SIG_IGN)
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    private static func run(_ arguments: [String]) -> Int32 {
        do {
            var command = try HansaSim.parseAsRoot(arguments)
            try command.run()
            return 0
        } catch is Failed {
            return 1
        } catch  where HansaSim.exitCode(for: error) == .success {
            // Help and version.
            print(HansaSim.fullMessage(for: error))
            return 0
        } catch {
            FileHandle.standardError.write(Data((HansaSim.fullMessage(for: error) + "\n").utf8))
            return 2
        }
    }
}

/// A criterion or a seed failed; the details have been printed.
struct Failed: Error {}

struct HansaSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hansa-sim",
        abstract: "Run the gossip engine in virtual time, on a network and disks that fail.",
        discussion: """
            Everything in a run is drawn from its seed: the same seed, scenario and program give the same run.

            EXIT CODES
              0  every criterion is passed and no promise was broken
              1  a criterion or a seed failed
              2  usage
            """,
        subcommands: [RunCommand.self, SweepCommand.self, ListCommand.self]
    )
}
