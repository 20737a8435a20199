package import Foundation
package import Replica

/// A command decoded from bytes, for a caller whose access was checked.
package enum ReceivedCommand: Sendable {
    /// Runs a part of a stream's work, and cancels it when the caller wants no more.
    package typealias Guard = @Sendable (@escaping @Sendable () async throws -> Void) async throws -> Void
    /// Writes a line of a stream, with its line break; suspends while the caller does not read.
    package typealias Writer = (Data) async throws -> Void

    /// A command with one answer: whether it is brief, and the function that runs it and encodes its answer.
    case answer(isBrief: Bool, run: @Sendable (CommandContext) async throws -> Data)
    /// A command with a stream of elements, and the function that runs it and writes all lines of the stream.
    case stream(run: @Sendable (CommandContext, @escaping Guard, Writer) async throws -> Void)
}

/// One command of the table.
package struct CommandEntry: Sendable {
    package let endpoint: Endpoint
    fileprivate let decode: @Sendable (Data) throws -> ReceivedCommand

    /// Decodes a command's JSON for a caller.
    ///
    /// - Throws: ``Failure``: ``Reason/accessLacking`` and ``Reason/badRequest``.
    package func command(_ json: Data, for caller: Caller) throws -> ReceivedCommand {
        try CommandTable.check(endpoint, caller)
        do {
            return try decode(json)
        } catch is DecodingError {
            throw Failure(.badRequest, "'\(endpoint.operation)' was asked in words this node does not understand")
        }
    }
}

/// All commands by the operations of their endpoints. Every command runs through this table, which checks access.
package enum CommandTable {
    /// The most elements that a stream holds; and the most bytes.
    private static let streamCountMax = 16
    private static let streamBytesMax = 8 * 1024 * 1024

    /// All commands.
    package static let entries: [String: CommandEntry] = {
        var entries: [String: CommandEntry] = [:]
        func add<C: Command>(_ type: C.Type) {
            entries[C.endpoint.operation] = CommandEntry(endpoint: C.endpoint) { json in
                let command = try JSONDecoder().decode(C.self, from: json)
                return .answer(isBrief: command.isBrief) { context in
                    try await withTaskExecutorPreference(command.isBrief ? nil : globalConcurrentExecutor) {
                        try encode(try await run(command, in: context))
                    }
                }
            }
        }
        func addStream<C: StreamingCommand>(_ type: C.Type) {
            entries[C.endpoint.operation] = CommandEntry(endpoint: C.endpoint) { json in
                let command = try JSONDecoder().decode(C.self, from: json)
                return .stream { context, whileWanted, write in
                    try await writeLines(of: command, in: context, whileWanted, write)
                }
            }
        }
        add(StatusCommand.self)
        add(PeersCommand.self)
        add(MembersCommand.self)
        add(TopologyCommand.self)
        add(InviteCommand.self)
        add(GetCommand.self)
        add(SearchCommand.self)
        add(EditCommand.self)
        add(DeleteCommand.self)
        add(ConflictsCommand.self)
        add(SettleCommand.self)
        add(WhyCommand.self)
        add(LogCommand.self)
        add(DiffCommand.self)
        addStream(ImportCommand.self)
        addStream(ExportCommand.self)
        addStream(VerifyCommand.self)
        return entries
    }()

    /// Refuses a caller without the access that an endpoint needs.
    ///
    /// - Throws: ``Failure`` with ``Reason/accessLacking``.
    package static func check(_ endpoint: Endpoint, _ caller: Caller) throws {
        guard caller.access >= endpoint.access else {
            throw Failure(
                .accessLacking,
                "'\(endpoint.operation)' needs the access '\(endpoint.access)', and the caller has '\(caller.access)'"
            )
        }
    }

    /// Runs a command.
    ///
    /// - Throws: ``Failure``.
    package static func run<C: Command>(_ command: C, in context: CommandContext) async throws -> C.Output {
        try check(C.endpoint, context.caller)
        return try await command.run(in: context)
    }

    /// Runs a command with a stream while `consume` takes its elements.
    ///
    /// - Parameter whileWanted: Runs the command's own work.
    /// - Throws: Errors of `consume`, which gets the command's ``Failure`` from the stream.
    package static func run<C: StreamingCommand, Result>(
        _ command: C,
        in context: CommandContext,
        whileWanted: @escaping ReceivedCommand.Guard = { try await $0() },
        consume: (BoundedStream<C.Element>) async throws -> Result
    ) async throws -> Result {
        try check(C.endpoint, context.caller)
        let stream = BoundedStream<C.Element>(countMax: streamCountMax, bytesMax: streamBytesMax, size: C.size)
        return try await stream.connect(
            from: { stream in
                try await withTaskExecutorPreference(globalConcurrentExecutor) {
                    try await whileWanted { try await command.run(in: context, into: stream) }
                }
            },
            to: consume
        )
    }

    private static func writeLines<C: StreamingCommand>(
        of command: C,
        in context: CommandContext,
        _ whileWanted: @escaping ReceivedCommand.Guard,
        _ write: ReceivedCommand.Writer
    ) async throws {
        func line(_ line: StreamLine<C.Element>) throws -> Data { try encode(line) + Data("\n".utf8) }
        do {
            try await run(command, in: context, whileWanted: whileWanted) { stream in
                async let _: Void = stream.wake(every: LocalProtocol.signOfLifeInterval)
                while let elements = try await stream.take() {
                    // A wake-up without elements: write a sign of life.
                    if elements.isEmpty { try await write(Data("\n".utf8)) }
                    for element in elements { try await write(try line(.element(element))) }
                }
            }
        } catch {
            // If the caller is gone, this line cannot be written either.
            let failure = error is CancellationError ? LocalProtocol.stopped : Failure(cause: error)
            return try await write(try line(.failure(failure)))
        }
        try await write(try line(.end))
    }

    /// JSON with sorted keys, so that equal answers have equal bytes.
    package static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }
}
