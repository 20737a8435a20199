import ArgumentParser
import Foundation
import LocalAPI
import Node

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
    }

    @Option(help: ArgumentHelp("The records' kind: capability, resource, need, …", valueName: "kind"))
    var kind: String
    @Option(help: ArgumentHelp("csv or jsonl.", valueName: "format"))
    var format: Format
    @Option(help: ArgumentHelp("Only this member's records.", valueName: "name"))
    var owner: String?
    @Flag(help: "Begin CSV with the mark by which Excel knows UTF-8.")
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
        do {
            try await write(to: target)
            try target.finish()
        } catch {
            target.abandon()
            throw error
        }
    }

    private func write(to target: ExportTarget) async throws {
        try await CommandSession.with(shared.folder) { session in
            let columns = try await session.run(ExportColumnsCommand(kind: kind, owner: owner))
            var cursor: String?
            repeat {
                let page = try await session.run(
                    ExportPageCommand(
                        kind: kind,
                        owner: owner,
                        format: format.rawValue,
                        paths: format == .csv ? columns.paths : [],
                        cursor: cursor,
                        writesMark: excel
                    )
                )
                try target.write(page.text)
                cursor = page.cursor
            } while cursor != nil
        }
    }
}

/// Where an export goes: standard output, or a file that appears only once it is whole.
private struct ExportTarget {
    private let file: String?
    private let descriptor: Int32

    init(_ file: String?) throws {
        self.file = file
        guard let file else {
            descriptor = STDOUT_FILENO
            return
        }
        descriptor = open(file + ".part", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            let code: Node.ExitCode = [ENOENT, ENOTDIR, EISDIR].contains(errno) ? .usage : .disk
            throw HansaError(code, "cannot write \(file): \(String(cString: strerror(errno)))")
        }
    }

    func write(_ text: String) throws { try Console.write(Array(text.utf8), to: descriptor) }

    func finish() throws {
        guard let file else { return }
        close(descriptor)
        guard rename(file + ".part", file) == 0 else {
            throw HansaError(.disk, "cannot write \(file): \(String(cString: strerror(errno)))")
        }
    }

    func abandon() {
        if let file { unlink(file + ".part") }
    }
}
