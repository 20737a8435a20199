package import Foundation
import Glibc

/// What a command printed, and how it ended.
package struct CommandOutcome: Sendable {
    package let code: Int32
    package let output: String
    package let errors: String

    /// The output as JSON; an empty object where it is none.
    package var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
    }
}

/// A node as its operator has it: a data folder, and the real program run on it.
package final class HansaProcess {
    /// The program, built beside whatever runs this.
    package static let program: String = {
        let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        return beside.appendingPathComponent("hansa").path
    }()

    package let folder: String
    package let port: Int
    /// Variables for every command and for the node.
    package var environment: [String: String] = [:]
    private var process: Process?

    /// - Parameter port: Where it will listen on 127.0.0.1.
    package init(folder: String, port: Int = HansaProcess.freePort()) {
        self.folder = folder
        self.port = port
    }

    deinit {
        kill()
    }

    /// A port of 127.0.0.1 that nobody listens at just now.
    package static func freePort() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard bind(descriptor, generic, length) == 0, getsockname(descriptor, generic, &length) == 0 else {
                    fatalError("no free port")
                }
            }
            return Int(UInt16(bigEndian: pointer.pointee.sin_port))
        }
    }

    private func prepared(_ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = arguments
        var variables = ProcessInfo.processInfo.environment
        variables["HANSA_PASSPHRASE"] = "generated for a test"
        for (name, value) in environment { variables[name] = value }
        process.environment = variables
        return process
    }

    /// Runs one command on the folder and waits for its end.
    ///
    /// - Parameter input: Given on standard input; nil for none.
    @discardableResult
    package func command(_ verb: String, _ arguments: String..., input: Data? = nil) throws -> CommandOutcome {
        try command(verb, arguments, input: input)
    }

    @discardableResult
    package func command(_ verb: String, _ arguments: [String], input: Data? = nil) throws -> CommandOutcome {
        let process = prepared([verb, "--data", folder] + arguments)
        // Files instead of pipes: however much a command prints, nobody has to read along.
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        let (output, errors) = (scratch.appendingPathComponent("out"), scratch.appendingPathComponent("err"))
        for file in [output, errors] { FileManager.default.createFile(atPath: file.path, contents: nil) }
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        if let input {
            let file = scratch.appendingPathComponent("in")
            try input.write(to: file)
            process.standardInput = try FileHandle(forReadingFrom: file)
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        try process.run()
        process.waitUntilExit()
        let code = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
        return CommandOutcome(
            code: code,
            output: String(decoding: (try? Data(contentsOf: output)) ?? Data(), as: UTF8.self),
            errors: String(decoding: (try? Data(contentsOf: errors)) ?? Data(), as: UTF8.self)
        )
    }

    /// Begins a command and does not wait for it.
    package func begin(_ verb: String, _ arguments: String...) throws -> Process {
        let process = prepared([verb, "--data", folder] + arguments)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Where the running node writes its log lines.
    package var logFile: String { folder + ".log" }

    /// Starts the node and waits until it listens; false if it does not within half a minute.
    @discardableResult
    package func start() throws -> Bool {
        let process = prepared(["run", "--data", folder])
        if !FileManager.default.fileExists(atPath: logFile) {
            FileManager.default.createFile(atPath: logFile, contents: nil)
        }
        let log = try FileHandle(forWritingTo: URL(fileURLWithPath: logFile))
        log.seekToEndOfFile()
        process.standardOutput = log
        process.standardError = log
        process.standardInput = FileHandle.nullDevice
        try process.run()
        self.process = process
        return eventually(seconds: 30) {
            (try? self.command("status", "--json").json["running"] as? Bool) ?? false
        }
    }

    /// The node's process number; nil where it does not run.
    package var processIdentifier: Int32? { process.flatMap { $0.isRunning ? $0.processIdentifier : nil } }

    /// Asks the node to stop and waits for it; its exit code.
    @discardableResult
    package func stop() -> Int32 {
        guard let process else { return 0 }
        process.terminate()
        process.waitUntilExit()
        self.process = nil
        return process.terminationStatus
    }

    /// Kills the node at once (signal 9).
    package func kill() {
        guard let process, process.isRunning else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    // MARK: - What tests ask again and again

    package func status() throws -> [String: Any] { try command("status", "--json").json }
    package func digest() throws -> String { try status()["digest"] as? String ?? "" }
    package func records() throws -> Int { try status()["records"] as? Int ?? -1 }

    /// True if the node says that it is in step with all.
    package func isInStep() throws -> Bool { try command("status", "--check").code == 0 }

    /// Founds an alliance here.
    package func found(alliance: String = "Test Alliance", organization: String) throws -> CommandOutcome {
        try command(
            "init", "--alliance", alliance, "--org", organization, "--listen", "127.0.0.1:\(port)"
        )
    }

    /// Joins by an invitation of a running node; a further node of its organization where no name is given.
    package func join(_ inviter: HansaProcess, organization: String?) throws -> CommandOutcome {
        let ticket = try inviter.command("invite", organization == nil ? ["--own"] : []).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let name = organization.map { ["--org", $0] } ?? []
        return try command("join", [ticket, "--listen", "127.0.0.1:\(port)"] + name)
    }
}

/// Asks again until the answer is true, at most so long; the last answer.
package func eventually(seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while true {
        if try condition() { return true }
        if Date() > deadline { return false }
        usleep(30_000)
    }
}

/// A folder for one test, removed with it.
package final class TemporaryFolder {
    package let path: String

    package init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("hansa-test-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    package func callAsFunction(_ name: String) -> String { path + "/" + name }
}
