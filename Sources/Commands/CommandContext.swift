package import PeerService
package import Replica

/// Who runs a command.
package struct Caller: Hashable, Sendable {
    /// How a caller is known.
    package enum Identity: Hashable, Sendable {
        /// The process that has the folder open is the user's own.
        case process
        /// A user of this machine, by the system's word for the other end of the socket.
        case user(UInt32)
    }

    package let identity: Identity
    package let access: Access

    /// A caller with the access that the door it came through grants.
    package init(_ identity: Identity, access: Access) {
        self.identity = identity
        self.access = access
    }

    /// The process itself, which may do all.
    package static let process = Caller(.process, access: .machine)
}

/// The file that comes with a command.
package protocol CommandBody: Sendable {
    /// The whole file, ready to be read several times.
    ///
    /// - Parameters:
    ///   - name: The file's name in messages.
    ///   - progress: Gets the number of received bytes, if the file must be received first.
    /// - Throws: ``Failure``; `CancellationError` where the caller has given up.
    func file(named name: String, _ progress: ProgressReporter) async throws -> ReadableFile
}

/// What a command works on, and for whom.
package struct CommandContext: Sendable {
    package let replica: Replica
    /// The running node; nil where it is stopped.
    package let service: NodeService?
    package let caller: Caller
    /// The command's file; nil where the caller sent none.
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
    /// - Throws: ``Failure`` with ``Reason/badRequest`` where none was sent.
    package func requiredBody() throws -> any CommandBody {
        guard let body else { throw Failure(.badRequest, "this needs a file as the request's body") }
        return body
    }
}
