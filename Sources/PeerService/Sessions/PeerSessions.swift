import Catalog
import DeltaLog
import Gossip
import Governance
import Logging
import OpenSSLKit
import Replica
import Synchronization
import Transport

/// Owns the connections with other nodes: listens, dials, runs a session on each connection, and sends the engine's
/// messages.
///
/// Isolation: any task may call anything. All connections are served within ``run(_:)``.
final class PeerSessions: Sendable {
    let transport: PeerTransport
    let traffic = Traffic()
    let handshakes: HandshakeLog
    let clocks = PeerClocks()
    let dialling: Dialling

    private let replica: Replica
    private let driver: EngineDriver
    private let logger: Logger
    private let authorizer: Authorizer
    private let newcomers: NewcomerSessions
    private let intake: FrameIntake
    private let questions: PeerQuestions
    private let nodeName: @Sendable (NodeKey) -> String
    private let table = Mutex(Table())

    private struct Table {
        var nextLink: UInt64 = 1
        var sessions: [LinkID: PeerSession] = [:]
        /// Bytes of frames that passed in sessions that have ended, by enrolled node.
        var past: [NodeKey: PeerTraffic] = [:]
    }

    /// - Parameter nodeName: Names a node for people.
    /// - Throws: Errors of reading the invitations and of making a certificate.
    init(
        replica: Replica,
        driver: EngineDriver,
        questions: PeerQuestions,
        logger: Logger,
        nodeName: @escaping @Sendable (NodeKey) -> String
    ) throws {
        self.replica = replica
        self.driver = driver
        self.questions = questions
        self.logger = logger
        self.nodeName = nodeName
        var configuration = TransportConfiguration()
        // Deltas promised to a peer by credit, a whole frontier, and the pushes meanwhile.
        configuration.outboundBytesMax = 32 * 1024 * 1024
        configuration.idleTimeout = .seconds(60)
        // Bytes that a held session keeps in memory, in addition to one frame.
        configuration.inboundBytesMax = 1024 * 1024
        configuration.wallSeconds = { Int64(WallClock.milliseconds / 1000) }
        let limits = ConnectionLimits()
        configuration.connectionsMax = limits.total
        configuration.unauthenticatedMax = limits.unauthenticated
        let authorizer = try Authorizer(
            replica: replica,
            membersMax: limits.members,
            outboundBytesMax: configuration.outboundBytesMax
        )
        self.authorizer = authorizer
        let handshakes = HandshakeLog(logger: logger)
        self.handshakes = handshakes
        newcomers = NewcomerSessions(
            replica: replica,
            authorizer: authorizer,
            traffic: traffic,
            logger: logger,
            feed: { driver.feed($0) }
        )
        intake = FrameIntake(replica: replica, driver: driver, traffic: traffic, logger: logger, nodeName: nodeName)
        transport = PeerTransport(
            configuration: configuration,
            identity: { authorizer.identity },
            admit: { authorizer.terms(of: $0.rawBytes) },
            refused: { [clocks] address, reason in
                clocks.note(reason)
                handshakes.refused(address, reason)
            },
            farewell: { authorizer.farewell(to: $0, $1) }
        )
        dialling = Dialling(driver: driver, transport: transport, clocks: clocks, logger: logger, nodeName: nodeName)
    }

    // MARK: - Running

    /// Serves accepted connections until the listener closes, and dials until the dialling ends. Returns after the last
    /// session.
    func run(_ listener: PeerListener) async {
        await withDiscardingTaskGroup { sessions in
            sessions.addTask {
                await self.dialling.run { connection, address in await self.run(connection, address: address) }
            }
            for await connection in listener.connections {
                sessions.addTask { await self.serve(connection) }
            }
        }
    }

    /// Closes all connections.
    func closeAll() {
        for connection in transport.connections { connection.close() }
    }

    private func serve(_ connection: PeerConnection) async {
        let key = connection.peerKey.rawBytes
        if authorizer.isInvitation(key) {
            await newcomers.serve(connection)
        } else {
            await run(connection)
        }
    }

    /// Runs one connection from beginning to end.
    ///
    /// - Parameter address: The address that was dialled; nil for an accepted connection.
    private func run(_ connection: PeerConnection, address: HostPort? = nil) async {
        // The transport gives out keys of 32 bytes only.
        guard let node = NodeKey(bytes: connection.peerKey.rawBytes) else { return }
        let session = PeerSession(connection: connection, node: node)
        let link = table.withLock { table in
            let link = LinkID(table.nextLink)
            table.nextLink += 1
            table.sessions[link] = session
            return link
        }
        clocks.forget(node)
        driver.feed(
            .linkUp(link, node: node, dialled: connection.direction == .outbound, address: address?.description)
        )
        await withTaskExecutorPreference(connection.executor) { await intake.receiveAll(from: session, on: link) }
        table.withLock { table in
            table.sessions[link] = nil
            if replica.roster.organization(of: node) != nil {
                table.past[node, default: PeerTraffic()] += session.traffic
            }
        }
        connection.close()
        let reason = await connection.closed()
        driver.feed(.linkDown(link))
        if case .refusedByPeer = reason, let address {
            // A TLS 1.3 dialler learns only after its handshake that the other side refuses its key or certificate.
            driver.feed(.dialFailed(node, reason: "\(address): \(reason.words)"))
        }
        if case .unsendableFrame = reason {
            logger.error(
                "a message was too long to be sent",
                metadata: ["peer": "\(nodeName(node))", "reason": "\(reason.words)"]
            )
        }
        questions.connectionEnded(with: node)
        logger.info("session closed", metadata: ["peer": "\(nodeName(node))", "reason": "\(reason.words)"])
    }

    // MARK: - The engine's actions

    /// Sends a message on a link; a peer that does not read is disconnected.
    func send(_ message: PeerMessage, on link: LinkID) {
        guard let session = table.withLock({ $0.sessions[link] }) else { return }
        if !enqueue(message, on: session) { session.connection.close(.slowReader) }
    }

    /// Ends a session; sends the refusal if there is one. A call without one means that the peer has ended it.
    func disconnect(_ link: LinkID, _ refusal: SessionRefusal?) {
        guard let session = table.withLock({ $0.sessions[link] }) else { return }
        if let refusal {
            _ = enqueue(.refusal(refusal), on: session)
            session.connection.close(.local(refusal.reason))
        } else {
            session.connection.close(session.refusalWords.map { .local("ended by the peer: \($0)") } ?? .closedByPeer)
        }
    }

    /// Pauses reading from a link until an instant.
    func hold(_ link: LinkID, until instant: Gossip.Instant) {
        table.withLock { $0.sessions[link] }?.hold(until: instant)
    }

    /// Admits the roster's nodes from now on, and ends the sessions of others.
    func adopt(_ roster: Roster) {
        authorizer.adopt(roster)
        table.withLock { table in
            table.past = table.past.filter { roster.organization(of: $0.key) != nil }
        }
        transport.closeSessions { [authorizer] in authorizer.terms(of: $0.rawBytes) == nil }
    }

    /// Reads the invitations again.
    func reloadInvitations() throws { try authorizer.reload() }

    /// Passes a message to its connection and counts it. Returns false if the connection has no room for it.
    private func enqueue(_ message: PeerMessage, on session: PeerSession) -> Bool {
        let frame = message.encoded()
        guard session.connection.enqueue(frame) else { return false }
        session.countSent(frameBytes: frame.count)
        traffic.countSent(.message(message.kind), frameBytes: frame.count)
        return true
    }

    // MARK: - Counts

    /// Bytes of frames exchanged with each enrolled node since the node started.
    var trafficByPeer: [NodeKey: PeerTraffic] {
        table.withLock { table in
            table.sessions.values.reduce(into: table.past) { $0[$1.node, default: PeerTraffic()] += $1.traffic }
        }
    }
}
