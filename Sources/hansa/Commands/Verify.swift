import ArgumentParser
import Foundation
import Node

struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the data folder. Exits 7 if something is damaged."
    )

    @Flag(help: "Recompute every record and the digest from the log.") var deep = false
    @Flag(help: "Make everything anew that is derived from the log, then check.") var rebuild = false
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let answer = try await shared.ask(VerifyCommand(isDeep: deep, rebuilds: rebuild))
        shared.show(answer, describe)
        if !answer.sound { throw Stop(.corrupt) }
    }

    private func describe(_ answer: VerifyCommand.Output) -> String {
        let checked =
            "\(Words.count(answer.deltas, "delta")), \(Words.count(answer.operations, "operation")) and "
            + "\(Words.count(answer.derivedRows, "derived row")) checked in \(String(format: "%.2f", answer.seconds)) s"
        let digest = "digest \(answer.digest)"
        guard !answer.sound else {
            let what = answer.rebuilt ? "rebuilt and sound" : "sound"
            return [Console.styled(what, .good) + ": " + checked, digest].joined(separator: "\n")
        }
        var lines = [Console.styled(Words.count(answer.findingCount, "finding"), .warning) + ": " + checked]
        lines += answer.findings.map { "  \(DisplayText.line($0.place)): \(DisplayText.line($0.what))" }
        if answer.findingCount > answer.findings.count {
            lines.append("  and \(answer.findingCount - answer.findings.count) more")
        }
        lines.append("if only derived rows are named, 'hansa verify --rebuild' mends them")
        return (lines + [digest]).joined(separator: "\n")
    }
}
