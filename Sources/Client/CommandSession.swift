package import Commands
package import Replica

/// Runs commands on a data folder: in its node if that is running, otherwise in this process.
///
/// The choice is made once. A node that stops during a command is an error; the client never opens its folder instead.
package struct CommandSession: Sendable {
    private let target: Target

    private enum Target: Sendable {
        case node(LocalClient)
        case folder(Replica)
    }

    /// How long to wait for a folder that a starting node or another command holds.
    package static let patience: Duration = .seconds(5)
    private static let pause: Duration = .milliseconds(25)

    /// Opens a session. Close it with ``close()``.
    ///
    /// A folder of an older program may have projections to rebuild; that is done first.
    ///
    /// - Parameter prepare: Runs once before the folder is opened, if no node listens: for long work that needs no
    ///   folder.
    /// - Throws: ``Failure`` with ``Reason/folderInUse`` or ``Reason/databaseLocked`` if a process that does not listen
    ///   keeps the folder, and the failures of opening the folder.
    package init(_ folder: DataFolder, prepare: (() async throws -> Void)? = nil) async throws {
        var prepare = prepare
        var deadline = ContinuousClock.now + Self.patience
        while true {
            if let client = try await LocalClient(folder: folder) {
                target = .node(client)
                return
            }
            if let task = prepare.take() {
                try await task()
                // A node may have started meanwhile.
                deadline = ContinuousClock.now + Self.patience
                continue
            }
            let replica: Replica
            do {
                replica = try Replica(opening: folder)
            } catch let error as Failure where error.reason.isHeldByAnother && ContinuousClock.now < deadline {
                try await Task.sleep(for: Self.pause)
                continue
            }
            do {
                try await replica.finishProjections()
            } catch {
                replica.close()
                throw error
            }
            target = .folder(replica)
            return
        }
    }

    /// Runs one command.
    ///
    /// - Throws: ``Failure``.
    package func run<C: Command>(_ command: C) async throws -> C.Output {
        switch target {
        case .node(let client): try await client.call(command)
        case .folder(let replica):
            try await CommandTable.run(command, in: CommandContext(replica: replica, service: nil, caller: .process))
        }
    }

    /// Runs one command with a stream.
    ///
    /// - Parameters:
    ///   - file: The file of the command: it is sent to the node, or read directly.
    ///   - onSent: Called before the last part of the request is sent. Until then the command only receives.
    ///   - each: Takes each element, in order. The command waits until it returns.
    /// - Throws: ``Failure``; the errors of `each`, which end the command.
    package func run<C: StreamingCommand>(
        _ command: C,
        with file: ReadableFile? = nil,
        onSent: @escaping @Sendable () -> Void = {},
        each: @escaping @Sendable (C.Element) async throws -> Void
    ) async throws {
        switch target {
        case .node(let client): try await client.call(command, with: file, onSent: onSent, each: each)
        case .folder(let replica):
            onSent()
            let context = CommandContext(
                replica: replica,
                service: nil,
                caller: .process,
                body: file.map(FileInPlace.init)
            )
            try await CommandTable.run(command, in: context) { stream in
                while let elements = try await stream.take() {
                    for element in elements { try await each(element) }
                }
            }
        }
    }

    /// Closes the folder, if this process has opened it.
    package func close() {
        if case .folder(let replica) = target { replica.close() }
    }

    /// Runs a body with a session, and closes the session.
    package static func with<Result>(
        _ folder: DataFolder,
        prepare: (() async throws -> Void)? = nil,
        _ body: (CommandSession) async throws -> Result
    ) async throws -> Result {
        let session = try await CommandSession(folder, prepare: prepare)
        defer { session.close() }
        return try await body(session)
    }
}

/// A command's file that is read directly.
private struct FileInPlace: CommandBody {
    let file: ReadableFile

    func file(named name: String, _ progress: ProgressReporter) async throws -> ReadableFile { file }
}
