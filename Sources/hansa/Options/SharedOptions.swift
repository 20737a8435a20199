import ArgumentParser
import Client
import Commands
import Foundation
import Replica
import Synchronization

/// The options of every command.
struct SharedOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Use the node in this folder (default: HANSA_DATA of the environment, else ~/.hansa).",
            valueName: "dir"
        )
    )
    var data: String?

    @Flag(help: "Print JSON instead of text for people.")
    var json = false

    /// The data folder.
    var folder: DataFolder {
        DataFolder(data ?? environment("HANSA_DATA") ?? "~/.hansa")
    }

    private func environment(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The options that follow `hansa` in another command for the same folder.
    var hint: String { data.map { " --data \(Words.quoted($0))" } ?? "" }

    /// Runs one command in the folder's node, or directly on the folder.
    func ask<C: Command>(_ command: C) async throws -> C.Output {
        try await CommandSession.with(folder) { try await $0.run(command) }
    }

    /// Runs one command that reports its progress, and shows the progress on a terminal.
    ///
    /// - Parameters:
    ///   - file: The command's file.
    ///   - onSent: Called before the last part of the request is sent.
    func answer<C: StreamingCommand, Answer>(
        of command: C,
        with file: ReadableFile? = nil,
        in session: CommandSession,
        onSent: @escaping @Sendable () -> Void = {}
    ) async throws -> Answer where C.Element == Report<Answer> {
        let found = Mutex<Answer?>(nil)
        defer { Console.endProgress() }
        try await session.run(command, with: file, onSent: onSent) { [json] report in
            switch report {
            case .progress(let progress): if !json { Console.show(progress) }
            case .answer(let answer): found.withLock { $0 = answer }
            }
        }
        guard let answer = found.withLock({ $0 }) else { throw LocalProtocol.stopped }
        return answer
    }

    /// Prints an answer as JSON if the user asked for it, otherwise as `text` formats it.
    func show<Answer: Encodable>(_ answer: Answer, _ text: (Answer) -> ShownText) {
        Console.print(json ? ShownText(json: answer) : text(answer))
    }
}
