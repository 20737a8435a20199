import Commands
import Foundation
import Replica
import Testing

/// Runs commands on a replica as a server does, without a socket.
struct InProcess {
    private let context: CommandContext

    /// - Parameters:
    ///   - access: The caller's access.
    ///   - file: The file of the commands.
    init(_ replica: Replica, access: Access = .machine, file: (any CommandBody)? = nil) {
        context = CommandContext(
            replica: replica,
            service: nil,
            caller: Caller(.user(1000), access: access),
            body: file
        )
    }

    /// The command as a server receives it: decoded from its JSON by the table.
    func received(_ operation: String, json: Data) throws -> ReceivedCommand {
        try #require(CommandTable.entries[operation]).command(json, for: context.caller)
    }

    /// The answer, decoded from its JSON.
    func answer<C: Command>(_ command: C) async throws -> C.Output {
        let json = try CommandTable.encode(command)
        guard case .answer(_, let run) = try received(C.endpoint.operation, json: json) else {
            throw Failure(.internal, "\(C.self) gives a stream")
        }
        return try JSONDecoder().decode(C.Output.self, from: try await run(context))
    }

    /// All elements of a stream, decoded from its lines.
    ///
    /// - Throws: The ``Failure`` of the stream's last line.
    func elements<C: StreamingCommand>(of command: C) async throws -> [C.Element] {
        let json = try CommandTable.encode(command)
        guard case .stream(let run) = try received(C.endpoint.operation, json: json) else {
            throw Failure(.internal, "\(C.self) gives one answer")
        }
        var lines: [StreamLine<C.Element>] = []
        try await run(context, { try await $0() }) { line in
            #expect(line.last == UInt8(ascii: "\n") && line.dropLast().firstIndex(of: UInt8(ascii: "\n")) == nil)
            if line.count > 1 { lines.append(try JSONDecoder().decode(StreamLine<C.Element>.self, from: line)) }
        }
        let last = try #require(lines.last)
        lines.removeLast()
        switch last {
        case .failure(let failure): throw failure
        case .element: throw Failure(.internal, "the stream has no end")
        case .end: break
        }
        return try lines.map { line in
            guard case .element(let element) = line else { throw Failure(.internal, "an end within a stream") }
            return element
        }
    }
}

/// A file of a test, as the body of a command.
struct FileBody: CommandBody {
    let path: String

    func file(named name: String, _ progress: ProgressReporter) async throws -> ReadableFile {
        try ReadableFile(path: path, name: name)
    }
}
