import ArgumentParser
import Client
import Commands
import Foundation
import Replica

struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the data folder. Exits 7 if something is damaged."
    )

    @Flag(help: "Recompute every record and the digest from the log.") var deep = false
    @Flag(help: "Rebuild everything that is derived from the logs, then check.") var rebuild = false
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let command = VerifyCommand(isDeep: deep, rebuilds: rebuild)
        let answer = try await CommandSession.with(shared.folder) { try await shared.answer(of: command, in: $0) }
        shared.show(answer, describe)
        if !answer.sound { throw Stop(.corrupt) }
    }

    private func describe(_ answer: VerifyCommand.Output) -> ShownText {
        let (deltas, operations) = (Words.count(answer.deltas, "delta"), Words.count(answer.operations, "operation"))
        // Without --deep, derived rows are not checked.
        let rows: ShownText =
            answer.deep
            ? "\(deltas), \(operations) and \(Words.count(answer.derivedRows, "derived row"))"
            : "\(deltas) and \(operations)"
        let checked: ShownText = rows + " checked in \(String(format: "%.2f", answer.seconds)) s"
        let digest: ShownText = "digest \(answer.digest)"
        let rebuilding: [ShownText] = answer.rebuilding.map {
            "projection \($0) is being rebuilt, and was not compared"
        }
        guard !answer.sound else {
            let what: ShownText = answer.rebuilt ? "rebuilt and sound" : "sound"
            return ([what.styled(.good) + ": " + checked] + rebuilding + [digest]).joined(separator: "\n")
        }
        let count: ShownText = "\(Words.count(answer.findingCount, "finding"))"
        var lines = [count.styled(.warning) + ": " + checked]
        lines += answer.findings.map { "  \($0.location): \($0.what)" }
        if answer.findingCount > answer.findings.count {
            lines.append("  and \(answer.findingCount - answer.findings.count) more")
        }
        lines.append("if only derived rows or an unfinished rebuild are named, 'hansa verify --rebuild' repairs them")
        return (lines + rebuilding + [digest]).joined(separator: "\n")
    }
}
