import ArgumentParser
import Client
import Commands
import Foundation
import Replica
import Synchronization

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Load a file of your organization's records; loading it again changes only what differs.",
        discussion: """
            The whole file is checked first; if a row is rejected, nothing is written. Columns named like fields are \
            taken as they are, the others are kept under ext/.

            EXAMPLES
              hansa import capabilities.csv --kind capability --key code \\
                  --column name.zh=name_zh --column name.en=name_en
              hansa import capabilities.csv --kind capability --key code --dry-run
              zcat needs.jsonl.gz | hansa import - --kind need --key id --format jsonl
            """
    )

    @Argument(help: ArgumentHelp("CSV, TSV or JSON lines; - for standard input.", valueName: "file"))
    var file: String
    @Option(help: ArgumentHelp("The records' kind: capability, resource, need, …", valueName: "kind"))
    var kind: String
    @Option(help: ArgumentHelp("The column with the records' own ids, unique in the file.", valueName: "column"))
    var key: String
    @Option(help: ArgumentHelp("Read a field from a column; repeatable.", valueName: "field=column"))
    var column: [String] = []
    @Flag(help: "Say what would change and write nothing; exit 10 if anything would.")
    var dryRun = false
    @Option(
        help: ArgumentHelp(
            "csv, tsv or jsonl (default: by name, else by the first character).",
            valueName: "format"
        )
    )
    var format: String?
    @Option(help: ArgumentHelp("utf-8, gb18030, big5, windows-1252 … (default: found out).", valueName: "name"))
    var encoding: String?
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if file == "-", isatty(STDIN_FILENO) == 1 {
            throw ValidationError("standard input is a terminal; name a file, or pipe one in")
        }
    }

    func run() async throws {
        let interruption = Interruption()
        let name = file == "-" ? "standard input" : file
        let command = ImportCommand(
            displayName: name,
            kind: kind,
            key: key,
            columns: column,
            isDryRun: dryRun,
            format: format,
            encoding: encoding
        )
        // Opening a pipe may block until a writer opens it.
        interruption.onFirst { Self.quit(interruption) }
        let input = try ImportInput.open(file, called: name)
        let answer = try await interruption.cancelling { [shared] onSent in
            try await Self.run(command, on: input, shared, onSent: onSent)
        } before: {
            Self.quit(interruption)
        }
        if answer.interrupted {
            guard let code = interruption.exitCode else { throw LocalProtocol.stopped }
            if shared.json { shared.show(answer, text) } else { interrupted(answer).forEach(Console.printError) }
            throw Stop(signal: code)
        }
        shared.show(answer, text)
        if answer.rejected > 0 {
            if !shared.json { tellRejects(answer) }
            throw Stop(.rejected)
        }
        if dryRun, answer.created + answer.updated > 0 { throw Stop(.differs) }
    }

    /// Ends the process before anything is written.
    private static func quit(_ interruption: Interruption) {
        Console.endProgress()
        Console.printError("hansa: interrupted, nothing was written")
        _exit(interruption.exitCode ?? ExitStatus.internal.rawValue)
    }

    private static func run(
        _ command: ImportCommand,
        on input: ReadableFile,
        _ shared: SharedOptions,
        onSent: @escaping @Sendable () -> Void
    ) async throws -> ImportCommand.Output {
        let folder = shared.folder
        let file = Mutex(input)
        return try await CommandSession.with(folder) {
            // If no node takes the stream, it is read twice. So it is copied first, before the folder is locked.
            guard input.byteCount == nil else { return }
            try NodeFolder.requireNode(folder)
            let spool = try SpoolFile(in: folder, name: input.name)
            try spool.copy(input) { false }
            let copy = spool.finish()
            file.withLock { $0 = copy }
        } _: { session in
            try await shared.answer(of: command, with: file.withLock { $0 }, in: session, onSent: onSent)
        }
    }

    /// Lines about the result of an interrupted import.
    private func interrupted(_ answer: ImportCommand.Output) -> [ShownText] {
        guard !answer.dryRun, answer.import != nil else { return ["hansa: interrupted, nothing was written"] }
        return [
            "hansa: interrupted; until then: \(counts(answer))",
            "hansa: what was written is whole; the same command goes on from there",
        ]
    }

    private func counts(_ answer: ImportCommand.Output) -> ShownText {
        let (created, updated) = (Words.grouped(answer.created), Words.grouped(answer.updated))
        return "\(created) created, \(updated) updated, \(Words.grouped(answer.unchanged)) unchanged"
    }

    /// The way in which the file was read, and the parts that were skipped.
    private func reading(_ answer: ImportCommand.Output) -> ShownText {
        let by: ShownText =
            switch answer.encodingBy {
            case "mark": "by its mark"
            case "given": "as given"
            default: "detected"
            }
        let blank: ShownText = answer.blank > 0 ? "; \(Words.count(answer.blank, "blank row")) skipped" : ""
        return "read as \(answer.encoding), \(by)\(blank)"
    }

    private func text(_ answer: ImportCommand.Output) -> ShownText {
        if answer.rejected > 0 {
            return "\(Words.count(answer.rejected, "row")) rejected, nothing was written\n\(reading(answer))"
        }
        let rows = answer.created + answer.updated + answer.unchanged
        let rate = answer.seconds > 0 ? ", \(Words.grouped(Int(Double(rows) / answer.seconds))) rows/s" : ""
        let seconds = String(format: "%.2f s", answer.seconds)
        let head = answer.dryRun ? "dry run, nothing was written; there would be: " : ""
        let tail = answer.import.map { ", import \(Words.short($0))" } ?? ""
        return "\(head)\(counts(answer))\n\(Words.count(rows, "row")) in \(seconds)\(rate)\(tail)\n\(reading(answer))"
    }

    private func tellRejects(_ answer: ImportCommand.Output) {
        for reject in answer.rejects { Console.printError("\(reject)") }
        let hidden = answer.rejected - answer.rejects.count
        if hidden > 0 { Console.printError("and \(Words.count(hidden, "reject")) more, not shown") }
        if answer.rejects.contains(where: { $0.contains(": name-missing: ") }) {
            Console.printError("hansa: --column name=COLUMN tells which column holds the name")
        }
        Console.printError("hansa: correct these rows and import the file again")
    }
}
