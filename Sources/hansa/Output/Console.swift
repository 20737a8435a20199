import Foundation
import Glibc
import Node

/// Standard output and standard error. Nothing is buffered.
enum Console {
    /// True if people look at standard output.
    static let isTerminal = isatty(STDOUT_FILENO) == 1
    /// Columns of the terminal; nil where standard output is none, and nothing is cut.
    static let width: Int? = {
        guard isTerminal else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
        return Int(size.ws_col)
    }()
    private static let hasColours =
        isTerminal && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
        && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// How a text stands out on a terminal.
    enum Style: String {
        case bold = "1"
        case good = "1;32"
        case warning = "1;33"
        case faint = "2"
    }

    /// A text that stands out where that is possible.
    static func styled(_ text: String, _ style: Style) -> String {
        hasColours ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Prints a line. Where nobody reads any more, the process ends quietly.
    static func print(_ text: String) {
        do {
            try write(Array((text.hasSuffix("\n") ? text : text + "\n").utf8), to: STDOUT_FILENO)
        } catch {
            exit(ErrorReport(isJSON: false).print(HansaError(cause: error)))
        }
    }

    /// Prints a line on standard error.
    static func printError(_ text: String) {
        // There is nobody left to tell of a failure.
        try? write(Array((text.hasSuffix("\n") ? text : text + "\n").utf8), to: STDERR_FILENO)
    }

    /// Writes bytes as they are.
    ///
    /// - Throws: ``HansaError`` with `disk`. A pipe that nobody reads ends the process quietly.
    static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EPIPE where descriptor == STDOUT_FILENO: exit(0)
                default: throw HansaError(.disk, "cannot write the output: \(String(cString: strerror(errno)))")
                }
            }
            written += count
        }
    }
}
