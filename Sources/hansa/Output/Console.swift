import Foundation
import Glibc
import Replica
import Synchronization

/// Standard output and standard error. No other code writes to them, and nothing is buffered.
package enum Console {
    /// True if standard output is a terminal.
    static let isTerminal = isatty(STDOUT_FILENO) == 1
    /// Columns of the terminal; nil if standard output is no terminal.
    package static let width: Int? = {
        guard isTerminal else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
        return Int(size.ws_col)
    }()
    private static let hasColours =
        isTerminal && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
        && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// True if standard error is a terminal.
    private static let showsProgress = isatty(STDERR_FILENO) == 1
    /// True while the terminal shows a progress line.
    private static let hasProgress = Mutex(false)

    /// Shows the progress of a command on one line of standard error, which each call overwrites. Does nothing if standard
    /// error is no terminal.
    static func show(_ progress: WorkProgress) {
        guard showsProgress else { return }
        hasProgress.withLock { has in
            has = true
            try? send(
                Array("\r\(ProgressText.line(progress).rendered(colours: false))\u{1B}[K".utf8),
                to: STDERR_FILENO
            )
        }
    }

    /// Removes the progress line.
    static func endProgress() {
        hasProgress.withLock { has in
            if has { try? send(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO) }
            has = false
        }
    }

    /// Prints a line. Ends the process quietly if the reader has closed the pipe.
    static func print(_ text: ShownText) {
        do {
            try send(line(text, colours: hasColours), to: STDOUT_FILENO)
        } catch {
            exit(ErrorReport(isJSON: false).print(Failure(cause: error)))
        }
    }

    /// Prints a line on standard error.
    static func printError(_ text: ShownText) {
        // A failure of standard error cannot be reported anywhere.
        try? send(line(text, colours: false), to: STDERR_FILENO)
    }

    /// Prints a question on standard error; the user types the answer behind it.
    static func ask(_ question: ShownText) {
        try? send(Array(question.rendered(colours: false).utf8), to: STDERR_FILENO)
    }

    private static func line(_ text: ShownText, colours: Bool) -> [UInt8] {
        let text = text.rendered(colours: colours)
        return Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
    }

    /// Writes data unchanged: an export, to a file or to standard output. A terminal gets it escaped like all other text.
    ///
    /// - Throws: ``Failure`` if the system refuses. Ends the process quietly if the reader has closed the pipe.
    static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
        guard descriptor == STDOUT_FILENO, isTerminal else { return try send(bytes, to: descriptor) }
        let text = ShownText(lines: String(decoding: bytes, as: UTF8.self), columns: .max)
        try send(Array(text.rendered(colours: false).utf8), to: descriptor)
    }

    private static func send(_ bytes: [UInt8], to descriptor: Int32) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EPIPE where descriptor == STDOUT_FILENO: exit(0)
                default: throw Failure(system: "cannot write the output")
                }
            }
            written += count
        }
    }
}
