import ArgumentParser
import Dispatch
import Logging

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the node in the foreground.",
        discussion: "It logs to standard error, and stops in order at SIGINT (Ctrl-C) or SIGTERM."
    )

    @OptionGroup var addresses: AddressOptions
    @Option(help: ArgumentHelp("Log from this level on.", valueName: "level"))
    private var logLevel = LogLevel.info
    @OptionGroup var shared: SharedOptions

    /// Seconds between two checks for suppressed log lines whose count is due.
    private static let countingSeconds = 5.0

    func run() async throws {
        let log = NodeLog(write: Console.printError)
        LoggingSystem.bootstrap { LogLines(label: $0, log: log) }
        let counting = DispatchSource.makeTimerSource(queue: .global())
        counting.schedule(deadline: .now() + Self.countingSeconds, repeating: Self.countingSeconds)
        counting.setEventHandler { log.count() }
        counting.resume()
        defer {
            counting.cancel()
            log.countAll()
        }
        var logger = Logger(label: "hansa")
        logger.logLevel = logLevel.level
        try await NodeProcess.run(shared.folder, flags: addresses.flags, logger: logger)
    }
}

/// The log levels that an operator may choose.
private enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case trace, debug, info, warning, error

    var level: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}
