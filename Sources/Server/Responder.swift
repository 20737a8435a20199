import Commands
import Foundation
import Glibc
import Hummingbird
import NIOCore
import PeerService
import Replica
import Transport

/// Finds a request's command, runs it for the user at the other end of the socket, and sends its answer over HTTP.
struct Responder: HTTPResponder {
    let replica: Replica
    let service: NodeService

    func respond(to request: Request, context connection: LocalRequestContext) async throws -> Response {
        do {
            let caller = try await caller(on: connection.channel)
            return try await respond(to: request, from: caller, on: connection.channel)
        } catch {
            let failure = Failure(cause: error)
            return Self.response(failure.reason.status, try CommandTable.encode(failure))
        }
    }

    /// The node's user and root have full access; other users are refused.
    private func caller(on channel: any Channel) async throws -> Caller {
        let user = try await PeerCredentials.user(of: channel)
        guard user == geteuid() || user == 0 else {
            throw Failure(.otherUser, "this node belongs to another user of this machine")
        }
        return Caller(.user(user), access: .machine)
    }

    private func respond(to request: Request, from caller: Caller, on channel: any Channel) async throws -> Response {
        let path = request.uri.path
        guard request.method == .post, path.hasPrefix(LocalProtocol.prefix),
            let entry = CommandTable.entries[String(path.dropFirst(LocalProtocol.prefix.count))]
        else {
            throw Failure(
                .badRequest,
                "the running node (version \(programVersion)) knows no \(request.method) \(path)"
            )
        }
        let body = RequestBytes(request)
        let takesFile = entry.endpoint.shape == .upload
        let json = try await body.command(isLine: takesFile)
        let context = CommandContext(
            replica: replica,
            service: service,
            caller: caller,
            body: takesFile ? UploadedBody(body, in: replica) : nil
        )
        switch try entry.command(json, for: caller) {
        case .answer(let isBrief, let run):
            let signs = SignsOfLife(on: channel)
            defer { signs.end() }
            do {
                if isBrief { return Self.response(200, try await run(context)) }
                return Self.response(
                    200,
                    try await ClientWatch.whileClientWaits(on: channel) { try await run(context) }
                )
            } catch is CancellationError {
                throw LocalProtocol.stopped
            }
        case .stream(let run):
            return Response(
                status: .ok,
                headers: [.contentType: "application/x-ndjson"],
                body: ResponseBody { writer in
                    let lines = LineWriter(writer)
                    try await run(
                        context,
                        { work in try await ClientWatch.whileClientWaits(on: channel, work) },
                        { try await lines.write($0) }
                    )
                    try await writer.finish(nil)
                }
            )
        }
    }

    private static func response(_ status: Int, _ data: Data) -> Response {
        Response(
            status: HTTPResponse.Status(code: status),
            headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: data))
        )
    }
}

/// Writes the lines of a stream.
///
/// `@unchecked Sendable`: one task uses it.
private final class LineWriter: @unchecked Sendable {
    private var writer: any ResponseBodyWriter

    init(_ writer: any ResponseBodyWriter) { self.writer = writer }

    func write(_ line: Data) async throws { try await writer.write(ByteBuffer(bytes: line)) }
}
