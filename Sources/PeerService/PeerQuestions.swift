import Catalog
import Gossip
import Replica
import Synchronization

/// Asks connected nodes about their records, and returns the answers to the callers.
///
/// Isolation: any task may call anything.
final class PeerQuestions: Sendable {
    /// A question that waits for its answer.
    private struct Question {
        let node: NodeKey
        let continuation: CheckedContinuation<PeerMessage.DiffAnswer, any Error>
    }

    private let driver: EngineDriver
    private let nodeName: @Sendable (NodeKey) -> String
    private let questions = Mutex<[UInt64: Question]>([:])

    /// The longest wait for an answer. The look-up takes time linear in the records, on a node that has other work
    /// meanwhile.
    private static let patience = Duration.seconds(120)
    /// The longest wait for a session with a non-neighbour.
    private static let contactDeadline = Duration.seconds(10)

    /// - Parameter nodeName: Names a node for people.
    init(driver: EngineDriver, nodeName: @escaping @Sendable (NodeKey) -> String) {
        self.driver = driver
        self.nodeName = nodeName
    }

    /// Asks a node a question. Dials the node if there is no session with it.
    ///
    /// - Parameter question: Makes the question from its token.
    /// - Throws: ``Failure`` if the node cannot be reached, its connection ends, or no answer comes in time.
    func ask(
        _ node: NodeKey,
        _ question: @Sendable (UInt64) -> PeerMessage.DiffQuestion
    ) async throws -> PeerMessage.DiffAnswer {
        let link = try await link(to: node)
        let token = UInt64.random(in: 1...UInt64.max)
        let question = question(token)
        let giveUp = { @Sendable [self] in
            questions.withLock { $0.removeValue(forKey: token) }?.continuation
                .resume(throwing: Failure(.peerSilent, "\(nodeName(node)) does not answer"))
        }
        // Owned by this call, which cancels it when the answer is here.
        let deadline = Task { [driver] in
            let end = ContinuousClock.now + Self.patience
            while ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(250))
                if driver.withEngine({ $0.isSilent(link, now: EngineDriver.now) }) { break }
            }
            giveUp()
        }
        defer { deadline.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                questions.withLock { $0[token] = Question(node: node, continuation: continuation) }
                if Task.isCancelled { giveUp() } else { driver.feed(.askDiff(link, question)) }
            }
        } onCancel: {
            giveUp()
        }
    }

    /// Delivers an answer to the waiting caller. Drops an answer that nobody waits for.
    func deliver(_ answer: PeerMessage.DiffAnswer) {
        questions.withLock { $0.removeValue(forKey: answer.token) }?.continuation.resume(returning: answer)
    }

    /// Fails the open questions to a node whose connection has ended.
    func connectionEnded(with node: NodeKey) {
        let hopeless = questions.withLock { questions in
            let found = questions.filter { $0.value.node == node }
            for token in found.keys { questions[token] = nil }
            return found.values.map(\.continuation)
        }
        guard !hopeless.isEmpty else { return }
        let error = Failure(.peerUnreachable, "the connection with \(nodeName(node)) has ended")
        for continuation in hopeless { continuation.resume(throwing: error) }
    }

    /// An open link with a node. Dials the node if there is none.
    private func link(to node: NodeKey) async throws -> LinkID {
        let unreachable = Failure(.peerUnreachable, "\(nodeName(node)) is not connected")
        driver.feed(.contact(node))
        let deadline = ContinuousClock.now + Self.contactDeadline
        while true {
            let (link, isHopeful) = driver.withEngine { ($0.openLink(to: node), $0.isContacting(node)) }
            if let link { return link }
            // The engine needs a moment to begin to dial.
            let isEarly = ContinuousClock.now < deadline - Self.contactDeadline + .seconds(1)
            guard isHopeful || isEarly, ContinuousClock.now < deadline else { throw unreachable }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
