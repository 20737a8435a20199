import Foundation
import Glibc
import Replica
import Synchronization

/// Standard output and standard error, and the only place that writes to them. Nothing is buffered.
package enum Console {
    /// True if people look at standard output.
    static let isTerminal = isatty(STDOUT_FILENO) == 1
    /// Columns of the terminal; nil where standard output is none.
    package static let width: Int? = {
        guard isTerminal else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
        return Int(size.ws_col)
    }()
    private static let hasColours =
        isTerminal && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
        && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// True if people look at standard error.
    private static let showsProgress = isatty(STDERR_FILENO) == 1
    /// True while a line of progress stands there.
    private static let hasProgress = Mutex(false)

    /// Shows how far a command has come, on one line of standard error that is written again and again; nothing where that is
    /// no terminal.
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

    /// Removes the line of progress.
    static func endProgress() {
        hasProgress.withLock { has in
            if has { try? send(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO) }
            has = false
        }
    }

    /// Prints a line. Where nobody reads any more, the process ends quietly.
    static func print(_ text: ShownText) {
        do {
            try send(line(text, colours: hasColours), to: STDOUT_FILENO)
        } catch {
            exit(ErrorReport(isJSON: false).print(Failure(cause: error)))
        }
    }

    /// Prints a line on standard error.
    static func printError(_ text: ShownText) {
        // There is nobody left to tell of a failure.
        try? send(line(text, colours: false), to: STDERR_FILENO)
    }

    /// Prints a question on standard error; the answer is typed behind it.
    static func ask(_ question: ShownText) {
        try? send(Array(question.rendered(colours: false).utf8), to: STDERR_FILENO)
    }

    private static func line(_ text: ShownText, colours: Bool) -> [UInt8] {
        let text = text.rendered(colours: colours)
        return Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
    }

    /// Writes data as it is: an export, to a file or to standard output. On a terminal it is shown like any other text.
    ///
    /// - Throws: ``Failure`` where the system refuses. A pipe that nobody reads ends the process quietly.
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
