import Catalog
import Gossip
import Logging
import OpenSSLKit
import Replica
import Transport

/// Dials nodes for the engine.
///
/// Isolation: any task may call ``dial(_:at:)``. All dials run within ``run(_:)``, which ends after the last one.
final class Dialling: Sendable {
    private struct Dial: Sendable {
        let node: NodeKey
        let addresses: [String]
    }

    private let driver: EngineDriver
    private let transport: PeerTransport
    private let clocks: PeerClocks
    private let logger: Logger
    private let nodeName: @Sendable (NodeKey) -> String
    private let dials: AsyncStream<Dial>
    private let continuation: AsyncStream<Dial>.Continuation

    /// The time after which the next address is tried in parallel, as in RFC 8305.
    private static let addressPause = Duration.seconds(1)
    /// Dials that may wait. The engine has at most ``EngineSettings/dialsMax`` in progress, so none is lost.
    private static let waitingMax = 1024

    /// - Parameter nodeName: Names a node for people.
    init(
        driver: EngineDriver,
        transport: PeerTransport,
        clocks: PeerClocks,
        logger: Logger,
        nodeName: @escaping @Sendable (NodeKey) -> String
    ) {
        self.driver = driver
        self.transport = transport
        self.clocks = clocks
        self.logger = logger
        self.nodeName = nodeName
        (dials, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.waitingMax))
    }

    /// Queues a dial. A failed dial returns to the engine as an input.
    func dial(_ node: NodeKey, at addresses: [String]) {
        if case .dropped = continuation.yield(Dial(node: node, addresses: addresses)) {
            driver.feed(.dialFailed(node, reason: "too many dials wait"))
        }
    }

    /// Carries out dials in order, until ``end()``.
    ///
    /// - Parameter serve: Runs the session of a new connection, with the address that answered.
    func run(_ serve: @escaping @Sendable (PeerConnection, HostPort) async -> Void) async {
        await withDiscardingTaskGroup { group in
            for await dial in dials {
                group.addTask {
                    if let (connection, address) = await self.reach(dial) { await serve(connection, address) }
                }
            }
        }
    }

    /// Takes no further dials.
    func end() { continuation.finish() }

    /// Tries a node's addresses. Each next one starts while earlier ones have not answered yet; the first answer wins. All
    /// together have ``EngineSettings/dialDeadline``.
    private func reach(_ dial: Dial) async -> (connection: PeerConnection, address: HostPort)? {
        let deadline =
            ContinuousClock.now + Duration.milliseconds(Int64(driver.withEngine { $0.settings.dialDeadline.count }))
        let addresses = dial.addresses.compactMap { try? HostPort(dialable: $0) }
        var words = addresses.isEmpty ? "no address" : ""
        var found: (connection: PeerConnection, address: HostPort)?
        await withTaskGroup(of: (HostPort, Result<PeerConnection, CloseReason>)?.self) { group in
            var rest = addresses[...]
            func next() {
                guard let address = rest.popFirst() else { return }
                group.addTask { await (address, self.reach(dial.node, at: address, until: deadline)) }
                if !rest.isEmpty {
                    group.addTask {
                        try? await Task.sleep(for: Self.addressPause)
                        return nil
                    }
                }
            }
            next()
            for await outcome in group {
                switch outcome {
                case (let address, .success(let connection))?:
                    if found == nil {
                        found = (connection, address)
                        group.cancelAll()
                    } else {
                        connection.abort(.cancelled)
                    }
                case (let address, .failure(let reason))?:
                    clocks.note(reason)
                    if reason != .cancelled { words = "\(address): \(reason.words)" }
                    if found == nil { next() }
                case nil: if found == nil { next() }
                }
            }
        }
        if found == nil {
            logger.debug("cannot reach", metadata: ["peer": "\(nodeName(dial.node))", "reason": "\(words)"])
            driver.feed(.dialFailed(dial.node, reason: words))
        }
        return found
    }

    private func reach(
        _ node: NodeKey,
        at address: HostPort,
        until deadline: ContinuousClock.Instant
    ) async -> Result<PeerConnection, CloseReason> {
        let rest = ContinuousClock.now.duration(to: deadline)
        guard rest > .zero else { return .failure(.dialTimedOut) }
        do {
            return .success(
                try await transport.dial(
                    host: address.host,
                    port: address.port,
                    deadline: rest,
                    authorize: { $0.rawBytes == node.bytes }
                )
            )
        } catch {
            return .failure(error)
        }
    }
}
