import Foundation
import Replica

/// Ends a command whose answer was printed with a code that is no error.
struct Stop: Error {
    let code: Int32

    init(_ code: ErrorCode) {
        self.code = code.rawValue
    }

    /// - Parameter signal: The exit code of a process that a signal has ended.
    init(signal code: Int32) {
        self.code = code
    }
}

/// How errors are told: on standard error, as a sentence or as JSON.
struct ErrorReport {
    let isJSON: Bool

    /// Columns of an error's sentence that are shown at most. It may name an address, a path and several members.
    private static let columnsMax = 2_000

    private struct Document: Encodable {
        let error: HansaError
    }

    /// Prints an error and returns its exit code.
    func print(_ error: HansaError) -> Int32 {
        if isJSON {
            Console.printError(ShownText(json: Document(error: error)))
        } else {
            let sentence: ShownText = "hansa: \(error.message, columns: Self.columnsMax)"
            Console.printError(([sentence] + error.details.map { "  \($0)" }).joined(separator: "\n"))
        }
        return error.code.rawValue
    }

    /// Prints what is wrong with the command line, and how it is used.
    func printUsage(_ message: String, full: String) -> Int32 {
        if isJSON { return print(HansaError(.usage, message)) }
        // The message may repeat a user's words; only the usage behind it has lines of its own.
        let beginning = "Error: \(message)"
        let usage = full.hasPrefix(beginning) ? String(full.dropFirst(beginning.count)) : ""
        Console.printError("hansa: \(message, columns: Self.columnsMax)" + ShownText(lines: usage))
        return ErrorCode.usage.rawValue
    }
}
