import Foundation
package import Replica

/// Ends a command after its answer was printed, with an exit code that is no error.
struct Stop: Error {
    let code: Int32

    init(_ status: ExitStatus) {
        code = status.rawValue
    }

    /// - Parameter code: The exit code of a process that a signal has ended.
    init(signal code: Int32) {
        self.code = code
    }
}

/// Prints errors on standard error, as a sentence or as JSON.
package struct ErrorReport {
    private let isJSON: Bool

    /// The most columns of an error's sentence. It may name an address, a path and several members.
    private static let columnsMax = 2_000

    /// The digits shown of a candidate's id: enough to name it.
    private static let idDigitsShown = 16

    /// A failure as JSON: its own keys, the exit code, and the hint for people.
    private struct Document: Encodable {
        let error: Failure

        private enum CodingKeys: String, CodingKey {
            case error
        }

        private enum ErrorKeys: String, CodingKey {
            case code, hint
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            let inner = container.superEncoder(forKey: .error)
            try error.encode(to: inner)
            var more = inner.container(keyedBy: ErrorKeys.self)
            try more.encode(error.reason.exitStatus.rawValue, forKey: .code)
            try more.encode(error.fix?.hint, forKey: .hint)
        }
    }

    /// A report of failures.
    ///
    /// - Parameter isJSON: True for JSON, false for a sentence.
    package init(isJSON: Bool) { self.isJSON = isJSON }

    /// Prints a failure and returns its exit code.
    func print(_ failure: Failure) -> Int32 {
        Console.printError(text(failure))
        return failure.reason.exitStatus.rawValue
    }

    /// The printed form of a failure: one sentence with the fix, then the candidates and the details; or JSON.
    package func text(_ failure: Failure) -> ShownText {
        if isJSON { return ShownText(json: Document(error: failure)) }
        var sentence: ShownText = "hansa: \(failure.message, columns: Self.columnsMax)"
        if let fix = failure.fix { sentence += "; \(fix.hint, columns: Self.columnsMax)" }
        let candidates = failure.candidates.map { candidate -> ShownText in
            let id: ShownText = "  \(candidate.id.prefix(Self.idDigitsShown))"
            let name = candidate.deleted ? "(deleted)" : candidate.name
            return name.map { id + "  \($0)" } ?? id
        }
        return ([sentence] + candidates + failure.details.map { "  \($0)" }).joined(separator: "\n")
    }

    /// Prints what is wrong with the command line, and the usage.
    func printUsage(_ message: String, full: String) -> Int32 {
        if isJSON { return print(Failure(.usage, message)) }
        // The message may repeat a user's words; only the usage behind it has lines of its own.
        let beginning = "Error: \(message)"
        let usage = full.hasPrefix(beginning) ? String(full.dropFirst(beginning.count)) : ""
        Console.printError("hansa: \(message, columns: Self.columnsMax)" + ShownText(lines: usage))
        return ExitStatus.usage.rawValue
    }
}
