import ArgumentParser
import Client
import Commands
import Foundation
import Replica
import Synchronization

struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write all records of a kind as CSV or JSON lines.",
        discussion: """
            EXAMPLES
              hansa export --kind capability --format csv > capabilities.csv
              hansa export --kind need --format csv --excel -o needs.csv
              hansa export --kind resource --format jsonl --owner "Hunan Aerospace"
            """
    )

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case csv, jsonl

        /// The format in the request to the node.
        var asked: ExportCommand.Format { self == .csv ? .csv : .jsonl }
    }

    @Option(help: ArgumentHelp("The records' kind: capability, resource, need, …", valueName: "kind"))
    var kind: String
    @Option(help: ArgumentHelp("csv or jsonl.", valueName: "format"))
    var format: Format
    @Option(help: ArgumentHelp("Only this member's records.", valueName: "name"))
    var owner: String?
    @Flag(help: "Write CSV for Excel: with the mark by which it knows UTF-8, and without what it would compute.")
    var excel = false
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Write to this file (default: standard output).", valueName: "file")
    )
    var output: String?
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if excel, format != .csv { throw ValidationError("--excel is for --format csv") }
    }

    func run() async throws {
        let target = try ExportTarget(output)
        let interruption = Interruption()
        interruption.onFirst { [temporary = target.temporaryPath] in
            if let temporary { unlink(temporary) }
            _exit(interruption.exitCode ?? ExitStatus.internal.rawValue)
        }
        do {
            let count = try await write(to: target)
            try target.finish()
            if let output, !shared.json { Console.printError("\(Words.count(count, "record")) exported to \(output)") }
        } catch {
            target.abandon()
            throw error
        }
    }

    /// Writes the export, and returns the number of its records.
    private func write(to target: ExportTarget) async throws -> Int {
        let command = ExportCommand(kind: kind, owner: owner, format: format.asked, isForSpreadsheet: excel)
        // On a terminal the records themselves show the progress.
        let showsProgress = !shared.json && target.isFile
        let count = Mutex<Int?>(nil)
        defer { Console.endProgress() }
        try await CommandSession.with(shared.folder) { session in
            try await session.run(command) { element in
                switch element {
                case .progress(let progress): if showsProgress { Console.show(progress) }
                case .text(let text): try target.write(text)
                case .answer(let answer): count.withLock { $0 = answer.records }
                }
            }
        }
        guard let count = count.withLock({ $0 }) else { throw LocalProtocol.stopped }
        return count
    }
}

/// The target of an export: standard output, a pipe or device, or a file that appears only once it is whole.
///
/// `@unchecked Sendable`: one call at a time writes to the file.
private enum ExportTarget: @unchecked Sendable {
    case stream(Int32)
    case file(NewFile)

    init(_ path: String?) throws {
        guard let path else {
            self = .stream(STDOUT_FILENO)
            return
        }
        let expanded = NSString(string: path).expandingTildeInPath
        var status = stat()
        if stat(expanded, &status) == 0, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) {
            // A new file must not replace a device: it would affect every user of /dev/null.
            let opened = open(expanded, O_WRONLY | O_CLOEXEC | O_NOCTTY)
            guard opened >= 0 else {
                throw Failure(system: "cannot write \(path)")
            }
            self = .stream(opened)
        } else {
            self = .file(try NewFile(expanded))
        }
    }

    /// True for a regular file.
    var isFile: Bool { if case .file = self { true } else { false } }

    /// The temporary file until the export is whole; nil for a stream.
    var temporaryPath: String? { if case .file(let file) = self { file.temporaryPath } else { nil } }

    func write(_ text: String) throws {
        switch self {
        case .stream(let descriptor): try Console.write(Array(text.utf8), to: descriptor)
        case .file(let file): try file.write(Array(text.utf8))
        }
    }

    func finish() throws {
        switch self {
        case .stream(let descriptor): if descriptor != STDOUT_FILENO { close(descriptor) }
        case .file(let file): try file.finish()
        }
    }

    func abandon() {
        if case .file(let file) = self { file.abandon() }
    }
}
