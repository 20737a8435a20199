import ArgumentParser
import Foundation
import Glibc
import Replica

/// The source of the passphrase of the organization's key. It is never the command line, which others can see.
struct PassphraseOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Read the passphrase of the organization's key from this file (default: HANSA_PASSPHRASE, else ask).",
            valueName: "file"
        )
    )
    var passphraseFile: String?

    @Flag(help: "Keep the organization's key without a passphrase.")
    var noPassphrase = false

    func validate() throws {
        if passphraseFile != nil, noPassphrase {
            throw ValidationError("--passphrase-file and --no-passphrase exclude each other; leave one out")
        }
    }

    /// The protection of a new key; asks twice on a terminal.
    ///
    /// - Throws: ``Failure`` with ``Reason/noPassphrase`` at once if there is no source for it.
    func protection() throws -> KeyProtection {
        guard let passphrase = try given() else {
            if noPassphrase {
                Console.printError(
                    "note: without a passphrase, anyone who can read the organization's key file can act as your organization"
                )
                return .none
            }
            try requireTerminal()
            let first = try ask("New passphrase for the organization's key: ")
            guard try ask("The same again: ") == first else {
                throw Failure(.passphrasesDiffer, "the two passphrases differ; try again")
            }
            return .passphrase(first)
        }
        return .passphrase(passphrase)
    }

    /// The passphrase of an existing key; nil for none.
    ///
    /// - Throws: Like ``protection()``.
    func passphrase() throws -> [UInt8]? {
        if let passphrase = try given() { return passphrase }
        if noPassphrase { return nil }
        try requireTerminal()
        return try ask("Passphrase of the organization's key: ")
    }

    private func given() throws -> [UInt8]? {
        if noPassphrase { return nil }
        if let file = passphraseFile {
            return try checked(SmallFile.read(file, what: "the passphrase file"), from: "the file \(file)")
        }
        guard let text = ProcessInfo.processInfo.environment["HANSA_PASSPHRASE"] else { return nil }
        return try checked(Array(text.utf8), from: "HANSA_PASSPHRASE")
    }

    private func checked(_ bytes: [UInt8], from source: String) throws -> [UInt8] {
        var bytes = bytes[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty else {
            throw Failure(
                .noPassphrase,
                "the passphrase in \(source) is empty; choose one, or say --no-passphrase if you want none"
            )
        }
        return Array(bytes)
    }

    private func requireTerminal() throws {
        guard isatty(STDIN_FILENO) == 1 else {
            throw Failure(
                .noPassphrase,
                "the organization's key needs a passphrase, and there is no terminal to ask for it; "
                    + "use --passphrase-file FILE, HANSA_PASSPHRASE or --no-passphrase"
            )
        }
    }

    /// Asks on the terminal, without an echo of the typed text.
    private func ask(_ question: ShownText) throws -> [UInt8] {
        Console.ask(question)
        let answer = try withoutEcho { readLine(strippingNewline: true) }
        Console.printError("")
        guard let answer else { throw Failure(.noPassphrase, "no passphrase was given") }
        return try checked(Array(answer.utf8), from: "your answer")
    }

    /// Runs a body while the terminal does not echo typed text; Ctrl-C restores the terminal.
    private func withoutEcho<Result>(_ body: () throws -> Result) throws -> Result {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return try body() }
        let kept = before
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        signal(SIGINT, SIG_IGN)
        let interrupt = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        interrupt.setEventHandler {
            var kept = kept
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &kept)
            Console.printError("")
            Glibc.exit(128 + SIGINT)
        }
        interrupt.resume()
        defer {
            interrupt.cancel()
            signal(SIGINT, SIG_DFL)
        }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer { tcsetattr(STDIN_FILENO, TCSAFLUSH, &before) }
        return try body()
    }
}
