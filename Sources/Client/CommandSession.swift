package import Commands
package import Replica

/// Runs commands on a data folder: in its node where that runs, else in this process.
///
/// Which of the two is decided once. A node that stops in the middle is an error, never a reason to open its folder.
package struct CommandSession: Sendable {
    private let place: Place

    private enum Place: Sendable {
        case node(LocalClient)
        case folder(Replica)
    }

    /// How long a folder is waited for that is held by a node that is just starting, or by another command.
    package static let patience: Duration = .seconds(5)
    private static let pause: Duration = .milliseconds(25)

    /// Opens a session. Close it with ``close()``.
    ///
    /// A folder of an older program may have projections to be rebuilt; that is done first.
    ///
    /// - Throws: ``Failure`` with ``Reason/folderInUse`` or ``Reason/databaseLocked`` where the folder stays held by a process that
    ///   does not listen, and those of opening the folder.
    package init(_ folder: DataFolder) async throws {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            if let client = try await LocalClient(folder: folder) {
                place = .node(client)
                return
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
            place = .folder(replica)
            return
        }
    }

    /// Runs one command.
    ///
    /// - Throws: ``Failure``.
    package func run<C: Command>(_ command: C) async throws -> C.Output {
        switch place {
        case .node(let client): try await client.call(command)
        case .folder(let replica):
            try await command.run(in: CommandContext(replica: replica, service: nil))
        }
    }

    /// Lets go of the folder.
    package func close() {
        if case .folder(let replica) = place { replica.close() }
    }

    /// Runs what needs a session, and closes it.
    package static func with<Result>(
        _ folder: DataFolder,
        _ body: (CommandSession) async throws -> Result
    ) async throws -> Result {
        let session = try await CommandSession(folder)
        defer { session.close() }
        return try await body(session)
    }
}
