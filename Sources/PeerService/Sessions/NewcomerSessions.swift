import Catalog
import Gossip
import Logging
import OpenSSLKit
import Replica
import SwiftProtobuf
import Transport
import Wire

/// Serves newcomers: connections under the one-time key of a ticket. Each asks once and is answered once; how many there
/// are, how long they stay and how much they may say is bounded by the terms of ``Gate``.
struct NewcomerSessions: Sendable {
    let replica: Replica
    let gate: Gate
    let traffic: Traffic
    let logger: Logger
    /// Gives the engine what an admission brought.
    let feed: @Sendable (EngineInput) -> Void

    /// How long the request may be waited for.
    private static let patience = Duration.seconds(10)

    /// One connection from beginning to end.
    func serve(_ connection: PeerConnection) async {
        // The transport gives out keys of 32 bytes only.
        guard let key = Hash256(connection.peerKey.rawBytes) else { return }
        // Where it has ended meanwhile nobody is there to be told.
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
        // The ticket is a used one from now on. Should it not be read, it only counts for an unused one until it is.
        try? gate.reload()
        logger.info("admitted", metadata: ["organization": "\(admitted.name)", "node": "\(admitted.node.hex)"])
        for part in admitted.answer { try await send(part, on: connection) }
    }

    private func send(_ frame: [UInt8], on connection: PeerConnection) async throws(CloseReason) {
        try await connection.send(frame)
        traffic.countSent(.join, frameBytes: frame.count)
    }

    /// The request's frame; nil where none comes in time.
    private func request(on connection: PeerConnection) async -> [UInt8]? {
        // Owned by this call: it is cancelled when the request is here.
        let deadline = Task {
            try await Task.sleep(for: Self.patience)
            connection.abort(.local("a newcomer did not say what it wants"))
        }
        defer { deadline.cancel() }
        var frames = connection.inbound.makeAsyncIterator()
        return await frames.next()
    }
}
