import Catalog
import DeltaLog
import Gossip
import Logging
import Replica
import Store
import Transport

/// Takes the frames of connections: decodes messages, checks the signatures of deltas, and gives the engine the result.
struct FrameIntake: Sendable {
    let replica: Replica
    let driver: EngineDriver
    let traffic: Traffic
    let logger: Logger
    /// Names a node for people.
    let nodeName: @Sendable (NodeKey) -> String

    /// Bytes of frames that are handled on their connection's event loop without a pause: a few edits, checked within a
    /// millisecond. More would keep the loop's other connections waiting.
    private static let bytesOnLoop = 4 * 1024

    /// Handles a connection's frames until it ends. Called on its event loop; longer work, and all frames behind it, go to a
    /// thread of Swift's pool. While the session is held, no frame is taken: the peer's bytes wait in its buffers.
    func receiveAll(from session: PeerSession, on link: LinkID) async {
        let connection = session.connection
        var frames = connection.inbound.makeAsyncIterator()
        while let frame = await frames.next() {
            await session.waitWhileHeld()
            if frame.count + connection.unreadBytes <= Self.bytesOnLoop {
                if let message = decode(frame, from: session, on: link) {
                    await withTaskExecutorPreference(message.isBrief ? nil : globalConcurrentExecutor) {
                        receive(message, byteCount: frame.count, from: session, on: link)
                    }
                }
            } else {
                await withTaskExecutorPreference(globalConcurrentExecutor) {
                    var next: [UInt8]? = frame
                    while let frame = next {
                        if let message = decode(frame, from: session, on: link) {
                            receive(message, byteCount: frame.count, from: session, on: link)
                        }
                        next = connection.unreadBytes > 0 && !session.isHeld ? await frames.next() : nil
                    }
                }
            }
        }
    }

    /// The message in a frame; nil where there is none, which ends the session.
    private func decode(_ frame: [UInt8], from session: PeerSession, on link: LinkID) -> PeerMessage? {
        session.countReceived(frameBytes: frame.count)
        do throws(MalformedMessage) {
            let message = try PeerMessage(decoding: frame)
            traffic.countReceived(.message(message.kind), frameBytes: frame.count)
            return message
        } catch {
            traffic.countReceived(.unknown, frameBytes: frame.count)
            driver.feed(.malformed(link, error.what))
            return nil
        }
    }

    private func receive(_ message: PeerMessage, byteCount: Int, from session: PeerSession, on link: LinkID) {
        if case .refusal(let refusal) = message { session.refusalWords = refusal.reason }
        switch message {
        case .deltas where !driver.withEngine({ $0.expectsDeltas(on: link) }):
            driver.feed(.unaskedDeltas(link, byteCount: byteCount))
        case .deltas(let deltas):
            driver.feed(.deltas(link, deltas.map(check), .asked(byteCount: byteCount)))
        case .push(let deltas, let hops): driver.feed(.deltas(link, deltas.map(check), .pushed(hops: hops)))
        case .refusal(let refusal) where !refusal.isOrderly:
            logger.warning(
                "refused by a peer",
                metadata: ["peer": "\(nodeName(session.node))", "reason": "\(refusal.reason)"]
            )
            driver.feed(.message(link, message))
        default: driver.feed(.message(link, message))
        }
    }

    /// Checks a delta's bytes. The signature of one that is held already is not checked.
    private func check(_ bytes: [UInt8]) -> ReceivedDelta {
        do throws(DeltaRefusal) {
            // A malformed delta is told by the check below, in its order.
            if let (header, hash) = try? VerifiedDelta.head(of: bytes, hasher: replica.cryptography),
                driver.withEngine({ $0.holds(header.log, Head(sequence: header.sequence, hash: hash)) })
            {
                return .known(log: header.log, sequence: header.sequence)
            }
            let delta = try VerifiedDelta(
                verifying: bytes[...],
                alliance: replica.alliance,
                cryptography: replica.cryptography
            )
            replica.prepare(delta)
            return .verified(delta)
        } catch {
            let header = try? VerifiedDelta.head(of: bytes, hasher: replica.cryptography).header
            return .refused(log: header?.log, sequence: header?.sequence ?? 0, error)
        }
    }
}

extension PeerMessage {
    /// True for a message whose handling takes no longer than its bytes tell. The others concern everybody's membership or
    /// whole frontiers, or have something written to the log for people.
    fileprivate var isBrief: Bool {
        switch self {
        case .hello, .refusal, .governance, .announcements, .ranges, .headersWanted, .headers, .deltaRefused: false
        case .want, .deltas, .ack, .have, .state, .diffQuestion, .diffAnswer, .neighbour, .neighbourAnswer, .leave,
            .shuffle, .shuffleReply, .push, .iHave, .graft, .prune:
            true
        }
    }
}
