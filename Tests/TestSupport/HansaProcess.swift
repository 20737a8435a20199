package import Foundation
import Glibc

/// What a command printed, and how it ended.
package struct CommandOutcome: Sendable, CustomStringConvertible {
    /// The exit code; 128 and the signal where one ended it; -1 where it never ended by itself.
    package let code: Int32
    package let output: String
    package let errors: String
    package let seconds: Double

    /// The output as JSON; null where it is none.
    package var json: JSONTree { JSONTree(Data(output.utf8)) }

    package var description: String { "exit \(code) after \(seconds) s\n\(output)\n\(errors)" }
}

/// A command that had to work did not.
package struct CommandFailure: Error, CustomStringConvertible {
    package let words: [String]
    package let outcome: CommandOutcome

    package init(words: [String], outcome: CommandOutcome) {
        self.words = words
        self.outcome = outcome
    }

    package var description: String { "hansa \(words.joined(separator: " ")): \(outcome)" }
}

/// A node as its operator has it: a data folder, and the real program run on it.
package final class HansaProcess {
    /// The program, built beside whatever runs this.
    package static let program: String = {
        let own =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("hansa").path
    }()

    /// No command that tests run may take longer.
    package static let commandSecondsMax = 240.0

    package let folder: String
    package let port: Int
    /// Variables for every command and for the node; an empty text takes one away.
    package var environment: [String: String]
    /// What stands behind `run`.
    package var runArguments: [String] = []
    /// A program and its arguments that the node is run by, as `prlimit` does it; it must become the node's process.
    package var runWrapper: [String] = []
    private var process: ChildProcess?

    /// - Parameters:
    ///   - runtime: The runtime directory of node and commands; nil for the system's.
    ///   - port: Where it will listen on 127.0.0.1.
    package init(folder: String, runtime: String? = nil, port: Int = HansaProcess.freePort()) {
        self.folder = folder
        self.port = port
        environment = ["HANSA_PASSPHRASE": "generated for a test"]
        if let runtime { environment["XDG_RUNTIME_DIR"] = runtime }
    }

    deinit {
        kill()
    }

    /// A port of 127.0.0.1 that nobody uses just now. It lies below those that systems give to outgoing connections and to
    /// whoever asks for any port, so that a node that is stopped finds its port free when it starts again.
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

    /// The environment of commands: the test's own, without what a user may have set for a node of theirs.
    private var variables: [String: String] {
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("HANSA_") }
        for (name, value) in environment { variables[name] = value.isEmpty ? nil : value }
        return variables
    }

    // MARK: - Commands

    /// Runs one command on the folder and waits for its end.
    ///
    /// - Parameters:
    ///   - input: Given on standard input; nil for none.
    ///   - wrapper: A program and its arguments that runs the command, as `prlimit` does.
    @discardableResult
    package func command(
        _ words: [String],
        input: Data? = nil,
        wrapper: [String] = []
    ) throws -> CommandOutcome {
        // Files instead of pipes: however much a command prints, nobody has to read along.
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

    /// Runs a command that must work.
    ///
    /// - Throws: ``CommandFailure`` where its exit code is not 0.
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

    /// Begins a command and does not wait for it.
    ///
    /// - Parameter output: The file that gets what it prints, errors included; nil to let it go.
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

    /// Where the running node writes its log lines.
    package var logFile: String { folder + ".log" }
    /// The log lines written so far.
    package var logLines: [Substring] {
        String(decoding: FileManager.default.contents(atPath: logFile) ?? Data(), as: UTF8.self)
            .split(separator: "\n")
    }

    /// Starts the node and waits until it listens; false if it ends or does not within half a minute.
    @discardableResult
    package func start() throws -> Bool {
        let process = try beginRunning()
        self.process = process
        return try eventually(seconds: 30) {
            if !process.isRunning { return true }
            return try status().running.bool == true
        } && process.isRunning
    }

    /// Starts the node and waits for nothing.
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

    /// The node's process number; nil where it does not run.
    package var processIdentifier: pid_t? { process.flatMap { $0.isRunning ? $0.processIdentifier : nil } }

    /// Asks the node to stop and waits for it; its exit code, nil where it had to be killed after half a minute.
    @discardableResult
    package func stop() -> Int32? {
        process?.send(SIGTERM)
        return awaitEnd()
    }

    /// Waits for the node's end; its exit code.
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

    /// What the running node takes of memory, in bytes; nil where it does not run.
    package var residentBytes: Int? {
        guard let number = processIdentifier,
            let text = try? String(contentsOfFile: "/proc/\(number)/statm", encoding: .utf8)
        else { return nil }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? Int(fields[1]).map { $0 * sysconf(Int32(_SC_PAGESIZE)) } : nil
    }

    /// Descriptors that the running node has open; nil where it does not run.
    package var descriptorCount: Int? {
        processIdentifier.flatMap { try? FileManager.default.contentsOfDirectory(atPath: "/proc/\($0)/fd").count }
    }

    // MARK: - What tests ask again and again

    package func status() throws -> JSONTree { try command("status", "--json").json }
    package func digest() throws -> String { try status().digest.string ?? "" }
    package func records() throws -> Int { try status().records.int ?? -1 }

    /// A record's fields; nil where there is none or it is deleted.
    package func fields(of record: String) throws -> [String: JSONTree]? {
        let outcome = try command("get", record, "--json")
        return outcome.code == 0 && outcome.json.deleted.bool == false ? outcome.json.fields.object : nil
    }

    /// True if the node says that it is in step with all.
    package func isInStep() throws -> Bool { try command("status", "--check").code == 0 }

    /// Founds an alliance here.
    @discardableResult
    package func found(alliance: String = "Test Alliance", organization: String) throws -> CommandOutcome {
        try done("init", "--alliance", alliance, "--org", organization, "--listen", "127.0.0.1:\(port)")
    }

    /// A ticket of this node.
    package func ticket(_ arguments: String...) throws -> String {
        try done(["invite"] + arguments).output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Joins by a ticket; a further node of the inviter's organization where no name is given.
    package func join(_ ticket: String, organization: String?) throws -> CommandOutcome {
        let name = organization.map { ["--org", $0] } ?? []
        return try command(["join", ticket, "--listen", "127.0.0.1:\(port)"] + name)
    }
}

/// Asks again until the answer is true, at most so long; the last answer.
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
