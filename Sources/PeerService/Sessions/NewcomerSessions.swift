import Catalog
import Gossip
import Logging
import OpenSSLKit
import Replica
import SwiftProtobuf
import Transport
import Wire

/// Serves newcomers: connections under the one-time key of a ticket. Each sends one request and gets one answer. The terms
/// of ``Authorizer`` bound their number, their time and their bytes.
struct NewcomerSessions: Sendable {
    let replica: Replica
    let authorizer: Authorizer
    let traffic: Traffic
    let logger: Logger
    /// Gives the engine the statements and the announcement of an admission.
    let feed: @Sendable (EngineInput) -> Void

    /// The longest wait for the request.
    private static let patience = Duration.seconds(10)

    /// One connection from beginning to end.
    func serve(_ connection: PeerConnection) async {
        // The transport gives out keys of 32 bytes only.
        guard let key = Hash256(connection.peerKey.rawBytes) else { return }
        // If the connection has ended, nobody can receive the answer.
        try? await answer(connection, key)
        connection.close()
        _ = await connection.closed()
    }

    private func answer(_ connection: PeerConnection, _ key: Hash256) async throws(CloseReason) {
        guard let frame = await request(on: connection) else { return }
        traffic.countReceived(.join, frameBytes: frame.count)
        let admitted: Admission.Admitted
        do {
            guard let decoded = try? Hansa_V0_Frame(serializedBytes: frame),
                case .joinRequest(let request) = decoded.message
            else { throw Failure(.badJoinRequest, "a newcomer may only ask to join") }
            admitted = try await Admission(replica: replica).admit(request, invitation: key)
        } catch {
            let error = Failure(cause: error)
            logger.warning("newcomer refused", metadata: ["reason": "\(error.message)"])
            try await send(JoinAnswerParts.refusal(error), on: connection)
            return
        }
        feed(.stated(admitted.statements))
        if let announcement = admitted.announcement { feed(.announced(announcement)) }
        // The ticket counts as redeemed from now on. If the read fails, it counts as unredeemed until the next read.
        try? authorizer.reload()
        logger.info("admitted", metadata: ["organization": "\(admitted.name)", "node": "\(admitted.node.hex)"])
        for part in admitted.answer { try await send(part, on: connection) }
    }

    private func send(_ frame: [UInt8], on connection: PeerConnection) async throws(CloseReason) {
        try await connection.send(frame)
        traffic.countSent(.join, frameBytes: frame.count)
    }

    /// The request's frame; nil if none comes in time.
    private func request(on connection: PeerConnection) async -> [UInt8]? {
        // Owned by this call, which cancels it when the request is here.
        let deadline = Task {
            try await Task.sleep(for: Self.patience)
            connection.abort(.local("a newcomer did not say what it wants"))
        }
        defer { deadline.cancel() }
        var frames = connection.inbound.makeAsyncIterator()
        return await frames.next()
    }
}
