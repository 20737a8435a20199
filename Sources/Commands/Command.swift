package import Foundation
package import PeerService
package import Replica

/// Something a user asks of a node. The same code runs it whether the node is running (asked over its socket) or
/// stopped (the folder is opened by the asking process).
package protocol Command: Codable, Sendable {
    associatedtype Output: Codable & Sendable
    /// How it is named on the socket; unique.
    static var name: String { get }
    /// True if all that it does beside the directory's queues, its answer's encoding included, takes some hundred
    /// microseconds at most: then it runs where requests are read. What takes longer would hold up others' requests there.
    var isBrief: Bool { get }
    /// Runs it.
    ///
    /// - Throws: ``Failure``.
    func run(in context: CommandContext) async throws -> Output
}

extension Command {
    package var isBrief: Bool { false }
}

/// What a command works on.
package struct CommandContext: Sendable {
    package let replica: Replica
    /// The running node; nil where it is stopped.
    package let service: NodeService?

    package init(replica: Replica, service: NodeService?) {
        self.replica = replica
        self.service = service
    }

    /// The running node.
    ///
    /// - Throws: ``Failure`` with ``Reason/nodeNotRunning``.
    package func runningNode() throws -> NodeService {
        guard let service else {
            throw Failure(.nodeNotRunning, "this needs the node to run", fix: .startNode)
        }
        return service
    }
}

/// A command that came as bytes.
package struct DecodedCommand: Sendable {
    /// As ``Command/isBrief``.
    package let isBrief: Bool
    /// Runs it, and encodes what it gives.
    package let run: @Sendable (CommandContext) async throws -> Data

    fileprivate init(_ command: some Command) {
        isBrief = command.isBrief
        run = { context in
            try await withTaskExecutorPreference(command.isBrief ? nil : globalConcurrentExecutor) {
                try CommandTable.encode(try await command.run(in: context))
            }
        }
    }
}

/// Every command by its name, for whoever takes them as bytes.
package enum CommandTable {
    /// Decodes a command's JSON.
    package typealias Handler = @Sendable (Data) throws -> DecodedCommand

    /// All commands.
    package static let handlers: [String: Handler] = {
        var handlers: [String: Handler] = [:]
        func add<C: Command>(_ type: C.Type) {
            handlers[C.name] = { data in
                do {
                    return DecodedCommand(try JSONDecoder().decode(C.self, from: data))
                } catch {
                    throw Failure(.badRequest, "'\(C.name)' was asked in words this node does not understand")
                }
            }
        }
        add(StatusCommand.self)
        add(PeersCommand.self)
        add(MembersCommand.self)
        add(TopologyCommand.self)
        add(InviteCommand.self)
        add(ImportCommand.self)
        add(ExportColumnsCommand.self)
        add(ExportPageCommand.self)
        add(GetCommand.self)
        add(SearchCommand.self)
        add(EditCommand.self)
        add(DeleteCommand.self)
        add(ConflictsCommand.self)
        add(SettleCommand.self)
        add(WhyCommand.self)
        add(LogCommand.self)
        add(DiffCommand.self)
        add(VerifyCommand.self)
        return handlers
    }()

    /// JSON with sorted keys, so that equal answers have equal bytes.
    package static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }
}
