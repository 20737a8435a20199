package import Foundation
import Glibc

/// A command's output and exit code.
package struct CommandOutcome: Sendable, CustomStringConvertible {
    /// The exit code; 128 plus the signal if a signal ended the command; -1 if the command exceeded its time limit.
    package let code: Int32
    package let output: String
    package let errors: String
    package let seconds: Double

    /// The output as JSON; null if it is not JSON.
    package var json: JSONTree { JSONTree(Data(output.utf8)) }

    package var description: String { "exit \(code) after \(seconds) s\n\(output)\n\(errors)" }
}

/// The error of a command that had to succeed.
package struct CommandFailure: Error, CustomStringConvertible {
    package let words: [String]
    package let outcome: CommandOutcome

    package init(words: [String], outcome: CommandOutcome) {
        self.words = words
        self.outcome = outcome
    }

    package var description: String { "hansa \(words.joined(separator: " ")): \(outcome)" }
}

/// A node as an operator sees it: a data folder, and the real program.
package final class HansaProcess {
    /// The path of the program, which is built next to the running executable.
    package static let program: String = {
        let own =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("hansa").path
    }()

    /// The maximum duration of a command in tests, in seconds.
    package static let commandSecondsMax = 240.0

    package let folder: String
    package let port: Int
    /// Environment variables for every command and for the node; an empty text removes one.
    package var environment: [String: String]
    /// Further arguments of `run`.
    package var runArguments: [String] = []
    /// A program with arguments that starts the node, such as `prlimit`; its process must become the node's.
    package var runWrapper: [String] = []
    private var process: ChildProcess?

    /// - Parameters:
    ///   - runtime: the runtime directory of the node and the commands; nil for the system's.
    ///   - port: the port on 127.0.0.1 at which the node listens.
    package init(folder: String, runtime: String? = nil, port: Int = HansaProcess.freePort()) {
        self.folder = folder
        self.port = port
        environment = ["HANSA_PASSPHRASE": "generated for a test"]
        if let runtime { environment["XDG_RUNTIME_DIR"] = runtime }
    }

    deinit {
        kill()
    }

    /// A currently free port of 127.0.0.1. It is below the system's ephemeral ports, so a stopped node finds its port
    /// free when it starts again.
    package static func freePort() -> Int {
        while true {
            let port = UInt16.random(in: 15_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            address.sin_port = port.bigEndian
            let length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isFree = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 }
            }
            if isFree { return Int(port) }
        }
    }

    /// The environment of commands: the test's own, without the user's `HANSA_` variables.
    private var variables: [String: String] {
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("HANSA_") }
        for (name, value) in environment { variables[name] = value.isEmpty ? nil : value }
        return variables
    }

    // MARK: - Commands

    /// Runs one command on the folder and waits for its end.
    ///
    /// - Parameters:
    ///   - input: the standard input; nil for none.
    ///   - wrapper: a program with arguments that runs the command, such as `prlimit`.
    @discardableResult
    package func command(
        _ words: [String],
        input: Data? = nil,
        wrapper: [String] = []
    ) throws -> CommandOutcome {
        // Files instead of pipes: a large output cannot block the command.
        let scratch = FileManager.default.temporaryDirectory.path + "/hansa-test-" + UUID().uuidString
        let (given, output, errors) = (scratch + ".in", scratch + ".out", scratch + ".err")
        defer { for file in [given, output, errors] { unlink(file) } }
        if let input { try input.write(to: URL(fileURLWithPath: given)) }
        let begin = ContinuousClock.now
        let all = wrapper + [Self.program] + onFolder(words)
        let process = try ChildProcess(
            all[0],
            Array(all.dropFirst()),
            environment: variables,
            input: input == nil ? nil : given,
            output: output,
            errors: errors
        )
        let code = process.wait(seconds: Self.commandSecondsMax)
        return CommandOutcome(
            code: code ?? -1,
            output: String(decoding: FileManager.default.contents(atPath: output) ?? Data(), as: UTF8.self),
            errors: String(decoding: FileManager.default.contents(atPath: errors) ?? Data(), as: UTF8.self),
            seconds: begin.duration(to: .now) / .seconds(1)
        )
    }

    @discardableResult
    package func command(_ words: String..., input: Data? = nil) throws -> CommandOutcome {
        try command(words, input: input)
    }

    /// Runs a command that must succeed.
    ///
    /// - Throws: ``CommandFailure`` if its exit code is not 0.
    @discardableResult
    package func done(_ words: [String], input: Data? = nil) throws -> CommandOutcome {
        let outcome = try command(words, input: input)
        guard outcome.code == 0 else { throw CommandFailure(words: words, outcome: outcome) }
        return outcome
    }

    @discardableResult
    package func done(_ words: String..., input: Data? = nil) throws -> CommandOutcome {
        try done(words, input: input)
    }

    /// Starts a command without waiting for it.
    ///
    /// - Parameter output: the file for its output, including errors; nil to discard it.
    package func begin(_ words: [String], output: String? = nil) throws -> ChildProcess {
        try ChildProcess(
            Self.program,
            onFolder(words),
            environment: variables,
            output: output,
            errors: output
        )
    }

    private func onFolder(_ words: [String]) -> [String] {
        Array(words.prefix(1)) + ["--data", folder] + words.dropFirst()
    }

    // MARK: - The node

    /// The file of the running node's log.
    package var logFile: String { folder + ".log" }
    /// The log lines written so far.
    package var logLines: [Substring] {
        String(decoding: FileManager.default.contents(atPath: logFile) ?? Data(), as: UTF8.self)
            .split(separator: "\n")
    }

    /// Starts the node and waits until it listens; false if it ends, or if it does not listen within half a minute.
    @discardableResult
    package func start() throws -> Bool {
        let process = try beginRunning()
        self.process = process
        return try eventually(seconds: 30) {
            if !process.isRunning { return true }
            return try status().running.bool == true
        } && process.isRunning
    }

    /// Starts the node without waiting.
    package func beginRunning() throws -> ChildProcess {
        let words = runWrapper + [Self.program, "run", "--data", folder] + runArguments
        return try ChildProcess(
            words[0],
            Array(words.dropFirst()),
            environment: variables,
            output: logFile,
            errors: logFile
        )
    }

    /// The node's process id; nil if it does not run.
    package var processIdentifier: pid_t? { process.flatMap { $0.isRunning ? $0.processIdentifier : nil } }

    /// Asks the node to stop and waits for it. Returns the exit code, or nil if the node had to be killed after half a
    /// minute.
    @discardableResult
    package func stop() -> Int32? {
        process?.send(SIGTERM)
        return awaitEnd()
    }

    /// Waits for the node's end and returns its exit code.
    @discardableResult
    package func awaitEnd(seconds: Double = 30) -> Int32? {
        defer { process = nil }
        return process?.wait(seconds: seconds)
    }

    /// Kills the node at once (signal 9).
    package func kill() {
        process?.end()
        process = nil
    }

    /// The resident memory of the running node in bytes; nil if it does not run.
    package var residentBytes: Int? {
        guard let number = processIdentifier,
            let text = try? String(contentsOfFile: "/proc/\(number)/statm", encoding: .utf8)
        else { return nil }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? Int(fields[1]).map { $0 * sysconf(Int32(_SC_PAGESIZE)) } : nil
    }

    /// The number of open descriptors of the running node; nil if it does not run.
    package var descriptorCount: Int? {
        processIdentifier.flatMap { try? FileManager.default.contentsOfDirectory(atPath: "/proc/\($0)/fd").count }
    }

    // MARK: - Frequent queries

    package func status() throws -> JSONTree { try command("status", "--json").json }
    package func digest() throws -> String { try status().digest.string ?? "" }
    package func records() throws -> Int { try status().records.int ?? -1 }

    /// A record's fields; nil if the record does not exist or is deleted.
    package func fields(of record: String) throws -> [String: JSONTree]? {
        let outcome = try command("get", record, "--json")
        return outcome.code == 0 && outcome.json.deleted.bool == false ? outcome.json.fields.object : nil
    }

    /// True if the node reports that it is in step with all others.
    package func isInStep() throws -> Bool { try command("status", "--check").code == 0 }

    /// Founds an alliance in this folder.
    @discardableResult
    package func found(alliance: String = "Test Alliance", organization: String) throws -> CommandOutcome {
        try done("init", "--alliance", alliance, "--org", organization, "--listen", "127.0.0.1:\(port)")
    }

    /// A new ticket of this node.
    package func ticket(_ arguments: String...) throws -> String {
        try done(["invite"] + arguments).output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Joins with a ticket. Without a name, the node joins the inviter's organization.
    package func join(_ ticket: String, organization: String?) throws -> CommandOutcome {
        let name = organization.map { ["--org", $0] } ?? []
        return try command(["join", ticket, "--listen", "127.0.0.1:\(port)"] + name)
    }
}

/// Evaluates the condition repeatedly until it is true or the time limit passes. Returns the last result.
package func eventually(
    seconds: Double,
    every microseconds: UInt32 = 30_000,
    _ condition: () throws -> Bool
) rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
        if try condition() { return true }
        if ContinuousClock.now > deadline { return false }
        usleep(microseconds)
    }
}
