import ArgumentParser
import LocalAPI
import Logging
import Node

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the node in the foreground.",
        discussion: "It logs to standard error, and stops in order at SIGINT (Ctrl-C) or SIGTERM."
    )

    @OptionGroup var addresses: AddressOptions
    @Option(help: ArgumentHelp("Log from this level on.", valueName: "level"))
    private var logLevel = LogLevel.info
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "hansa")
        logger.logLevel = logLevel.level
        try await NodeProcess.run(shared.folder, flags: addresses.flags, logger: logger)
    }
}

/// The levels of the log that an operator may choose.
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
