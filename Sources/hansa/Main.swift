import ArgumentParser
import Foundation
import Replica

/// Runs the command line and turns every outcome into its exit code.
@main
enum Main {
    static func main() async {
        // A closed pipe is handled where the program writes.
        signal(SIGPIPE, SIG_IGN)
        Lifeline.watch()
        exit(await run(Array(CommandLine.arguments.dropFirst())))
    }

    private static func run(_ arguments: [String]) async -> Int32 {
        let options = arguments.prefix { $0 != "--" }
        let report = ErrorReport(isJSON: options.contains("--json"))
        do {
            var command = try Hansa.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch let stop as Stop {
            return stop.code
        } catch let error as Failure {
            return report.print(error)
        } catch  where Hansa.exitCode(for: error) == .success {
            // Help and version.
            Console.print(ShownText(lines: Hansa.fullMessage(for: error)))
            return 0
        } catch  where error is ValidationError || Hansa.exitCode(for: error) == .validationFailure {
            if let failure = unknownCommand(in: arguments) { return report.print(failure) }
            return report.printUsage(Hansa.message(for: error), full: Hansa.fullMessage(for: error))
        } catch {
            return report.print(Failure(cause: error))
        }
    }

    /// The failure of a command line whose first word is no command.
    private static func unknownCommand(in arguments: [String]) -> Failure? {
        let names =
            Hansa.configuration.subcommands.map { $0.configuration.commandName ?? "\($0)".lowercased() }
            + Hansa.configuration.groupedSubcommands.flatMap(\.subcommands).map {
                $0.configuration.commandName ?? "\($0)".lowercased()
            }
        guard let word = arguments.first, !word.hasPrefix("-"), word != "help", !names.contains(word) else {
            return nil
        }
        let nearest = NearestName.of(word, in: names).map { "; did you mean 'hansa \($0)'?" } ?? ""
        return Failure(
            .usage,
            "there is no command '\(word)'\(nearest.isEmpty ? "; 'hansa --help' lists all" : nearest)"
        )
    }
}
