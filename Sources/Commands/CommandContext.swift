package import PeerService
package import Replica

/// The user or process that runs a command.
package struct Caller: Hashable, Sendable {
    /// The way by which a caller is identified.
    package enum Identity: Hashable, Sendable {
        /// The process that has the folder open; it belongs to the user.
        case process
        /// A user of this machine, as the system reports the other end of the socket.
        case user(UInt32)
    }

    package let identity: Identity
    package let access: Access

    /// A caller with the access that its entry point grants.
    package init(_ identity: Identity, access: Access) {
        self.identity = identity
        self.access = access
    }

    /// The process itself, which has full access.
    package static let process = Caller(.process, access: .machine)
}

/// The file that comes with a command.
package protocol CommandBody: Sendable {
    /// The whole file, ready to be read several times.
    ///
    /// - Parameters:
    ///   - name: The file's name in messages.
    ///   - progress: Gets the number of received bytes, if the file must be received first.
    /// - Throws: ``Failure``; `CancellationError` if the caller has given up.
    func file(named name: String, _ progress: ProgressReporter) async throws -> ReadableFile
}

/// The data on which a command works, and its caller.
package struct CommandContext: Sendable {
    package let replica: Replica
    /// The running node; nil if it is stopped.
    package let service: NodeService?
    package let caller: Caller
    /// The command's file; nil if the caller sent none.
    package let body: (any CommandBody)?

    /// A context for one command.
    package init(replica: Replica, service: NodeService?, caller: Caller, body: (any CommandBody)? = nil) {
        self.replica = replica
        self.service = service
        self.caller = caller
        self.body = body
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

    /// The command's file.
    ///
    /// - Throws: ``Failure`` with ``Reason/badRequest`` if none was sent.
    package func requiredBody() throws -> any CommandBody {
        guard let body else { throw Failure(.badRequest, "this needs a file as the request's body") }
        return body
    }
}
