import ArgumentParser
import Foundation
import Replica

/// Runs the command line and turns every outcome into its exit code: 0 done, 1 a seed failed, 2 usage.
@main
enum Main {
    static func main() {
        // If the reader closes the pipe, the write reports it.
        signal(SIGPIPE, SIG_IGN)
        Lifeline.watch()
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    private static func run(_ arguments: [String]) -> Int32 {
        do {
            let options = try Options.parse(arguments)
            return try options.isShortening ? Shortening(options).run() : Campaign(options).run()
        } catch  where Options.exitCode(for: error) == .success {
            print(Options.fullMessage(for: error))
            return 0
        } catch {
            FileHandle.standardError.write(Data((Options.fullMessage(for: error) + "\n").utf8))
            return 2
        }
    }
}

/// The options of a campaign.
struct Options: ParsableArguments {
    static let configuration = CommandConfiguration(
        commandName: "hansa-fuzz",
        abstract: "Send honest engines and stores what hostile members might, in virtual time.",
        discussion: """
            Everything in a run is drawn from its seed: the same seed, steps and program give the same run. A run that \
            traps prints its seed and step before the process ends; a run that breaks a promise prints both, and what it \
            broke.

            EXIT CODES
              0  no promise was broken
              1  a seed failed
              2  usage
            """
    )

    @Option(help: ArgumentHelp("Begin no further seed after so many seconds.", valueName: "number"))
    var seconds: Double = 60
    @Option(help: ArgumentHelp("Run so many seeds, however long they take.", valueName: "number"))
    var seeds: Int?
    @Option(help: ArgumentHelp("Run this seed alone.", valueName: "number"))
    var seed: UInt64?
    @Option(help: ArgumentHelp("Let hostile peers act so often in each seed.", valueName: "number"))
    var steps = 20_000
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Leave these out: kinds of messages, and acts (\(Act.names)).", valueName: "names")
    )
    var skip: [String] = []
    @Flag(name: .customLong("shorten"), help: "Run the failing seed again and again, with fewer steps and kinds.")
    var isShortening = false
    @Flag(name: .customLong("keep-going"), help: "Go on with the next seed when one has failed.")
    var isKeptGoing = false
    @Flag(name: .customLong("trace"), help: "Print each step.")
    var isTracing = false
    @Flag(name: .customLong("counts"), help: "Print what was sent, and why sessions ended.")
    var isCounting = false
    @Option(help: ArgumentHelp("Let the nodes make this mistake (\(Plant.names)).", valueName: "name"))
    var plant: Plant?
    @Option(help: ArgumentHelp("Keep the nodes' folders in this one.", valueName: "path"))
    var folder: String?

    func validate() throws {
        guard steps > 0, seconds >= 0, seeds ?? 1 > 0 else {
            throw ValidationError("--steps and --seeds count from 1, --seconds from 0")
        }
        if let unknown = skip.first(where: { !Act.isName($0) }) {
            throw ValidationError("'\(unknown)' is no kind of message and no act (\(Act.names))")
        }
        guard !isShortening || seed != nil else { throw ValidationError("--shorten needs the --seed that failed") }
    }
}
