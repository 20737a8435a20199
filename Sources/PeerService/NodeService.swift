package import Catalog
import DeltaLog
package import Gossip
import Governance
package import Logging
package import Replica
import ServiceLifecycle
import Store
import Synchronization
import Transport

/// A running node: connects the parts, and carries out the engine's actions.
///
/// ``EngineDriver`` steps the engine. ``PeerSessions`` owns the connections. ``DeltaStoring``, ``StateWriting`` and
/// ``EngineReading`` work on the replica's queues. ``PeerQuestions`` handles the questions of `diff`. Their results return
/// to the engine as inputs.
package final class NodeService: Service {
    package let replica: Replica
    package let settings: Settings
    private let logger: Logger
    private let driver: EngineDriver
    private let sessions: PeerSessions
    private let questions: PeerQuestions
    private let storing: DeltaStoring
    private let writing: StateWriting
    private let reading: EngineReading
    private let maintenance: Maintenance
    private let deriving: Deriving
    private let counters = NodeCounters()
    private let stop: NodeStop
    private let address = Mutex<HostPort?>(nil)

    /// Counts of the node since it started.
    package struct Counters: Hashable, Codable, Sendable {
        package var deltasApplied = 0
        package var deltasRefused = 0
        package var sessionsRefused = 0
        package var handshakesFailed = 0
    }

    /// Prepares a node without listening.
    ///
    /// - Throws: ``Failure`` if the store cannot be read.
    package init(replica: Replica, settings: Settings, logger: Logger) throws {
        self.replica = replica
        self.settings = settings
        self.logger = logger
        driver = EngineDriver(try Engine(of: replica))
        stop = NodeStop(replica: replica, logger: logger)
        let nodeName: @Sendable (NodeKey) -> String = { [replica] in Self.name(of: $0, in: replica) }
        questions = PeerQuestions(driver: driver, nodeName: nodeName)
        sessions = try PeerSessions(
            replica: replica,
            driver: driver,
            questions: questions,
            logger: logger,
            nodeName: nodeName
        )
        storing = DeltaStoring(replica: replica, driver: driver, counters: counters, stop: stop)
        writing = StateWriting(replica: replica, stop: stop)
        reading = EngineReading(replica: replica, driver: driver, stop: stop)
        maintenance = Maintenance(replica: replica, stop: stop, logger: logger)
        deriving = Deriving(replica: replica, driver: driver, stop: stop, logger: logger)
    }

    // MARK: - Running

    /// Listens, and runs until it is cancelled or shut down gracefully.
    ///
    /// - Throws: ``Failure``: ``Reason/portInUse`` and the other reasons why the node cannot listen at the address, and the
    ///   disk's errors.
    package func run() async throws {
        let wanted = try HostPort(listening: settings.listen)
        let listener: PeerListener
        do {
            listener = try await sessions.transport.listen(host: wanted.host, port: wanted.port)
        } catch {
            throw error.failure(at: wanted)
        }
        let bound = HostPort(host: wanted.host, port: listener.localAddress.port)
        address.withLock { $0 = bound }
        // A local edit that meets a failing disk ends the node, like a peer's delta.
        replica.onFailure { [stop] in stop.fail($0) }
        replica.ownLog.onCommit { [driver] deltas, totals in
            driver.feed(
                .committed(deltas, summary: StoredSummary(digest: totals.digest, records: totals.records))
            )
        }
        try OwnAddresses(replica: replica, settings: settings, driver: driver, writing: writing, logger: logger)
            .announce(bound)
        driver.feed(.timer)
        logger.info(
            "ready",
            metadata: [
                "address": "\(bound)", "node": "\(replica.node.hex)", "alliance": "\(replica.charter.name)",
                "organization": "\(replica.name(of: replica.organization))",
            ]
        )
        await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await runTasks(listener)
            } onCancel: {
                stop.request()
            }
        } onGracefulShutdown: {
            self.stop.request()
        }
        await listener.close()
        await sessions.transport.shutdown()
        saveContacts()
        sessions.handshakes.tellRest()
        if let failure = stop.failure { throw failure }
    }

    private func runTasks(_ listener: PeerListener) async {
        driver.begin { [self] in perform($0) }
        await withDiscardingTaskGroup { group in
            group.addTask {
                var pause = Self.firstContactsPause
                while (try? await Task.sleep(for: pause)) != nil {
                    self.saveContacts()
                    self.sessions.handshakes.tellRest()
                    pause = Self.contactsInterval
                }
            }
            group.addTask { await self.maintenance.run() }
            group.addTask { await self.deriving.run() }
            group.addTask { await self.reading.run() }
            group.addTask { await self.sessions.run(listener) }
            for await _ in stop.requests {}
            replica.stopWaiting()
            // The end of the group cancels tasks that wait for a frame or a dial.
            sessions.closeAll()
            await driver.end()
            sessions.dialling.end()
            reading.end()
            deriving.end()
            group.cancelAll()
        }
    }

    /// The address at which the node listens; nil until it does.
    package var listening: HostPort? { address.withLock { $0 } }

    // MARK: - The engine

    /// The engine's status of its peers, its present time, and its parked deltas.
    package func engineStatus() -> (peers: [PeerStatus], now: Gossip.Instant, parked: [LogID: ParkedDelta]) {
        let now = EngineDriver.now
        return driver.withEngine { ($0.peerStatuses(now: now), now, $0.parked) }
    }

    /// The node's position in the overlay, the cost of the broadcast so far, and the authors that are pull-only.
    package func topology() -> (topology: Topology, counters: GossipCounters, pullOnly: [NodeKey]) {
        let now = EngineDriver.now
        return driver.withEngine { engine in
            (engine.topology(), engine.counters, engine.pullOnly.filter { $0.value > now }.keys.sorted())
        }
    }

    /// The messages sent to peers and received from them since the node started.
    package var trafficCounts: TrafficCounts { sessions.traffic.counts(sessions.transport.socketBytes) }

    /// Bytes of frames exchanged with each enrolled node since the node started.
    package var trafficByPeer: [NodeKey: PeerTraffic] { sessions.trafficByPeer }

    /// Counts of the node since it started.
    package var counts: Counters {
        var counts = counters.current
        counts.handshakesFailed = sessions.handshakes.count
        return counts
    }

    /// Seconds by which a node's clock is ahead, read from a certificate that was refused for its dates. Nil if none was
    /// refused, or one was accepted since.
    package func refusedClock(of node: NodeKey) -> Int64? { sessions.clocks[node] }

    /// Reads the invitations again; called after one was created.
    package func reloadInvitations() throws { try sessions.reloadInvitations() }

    /// Asks a node a question about its records. Dials the node if there is no session with it.
    ///
    /// - Parameter question: Makes the question from its token.
    /// - Throws: ``Failure`` if the node cannot be reached or does not answer.
    package func ask(
        _ node: NodeKey,
        _ question: @Sendable (UInt64) -> PeerMessage.DiffQuestion
    ) async throws -> PeerMessage.DiffAnswer {
        try await questions.ask(node, question)
    }

    private func perform(_ action: EngineAction) {
        switch action {
        case .send(let link, let message): sessions.send(message, on: link)
        case .disconnect(let link, let refusal): sessions.disconnect(link, refusal)
        case .dial(let node, let addresses): sessions.dialling.dial(node, at: addresses)
        case .hold(let link, let until): sessions.hold(link, until: until)
        case .store(let token, let deltas, _): storing.store(token, deltas)
        case .storeStatement(let statement, let replaced):
            writing.write { try $0.add([statement], replacing: replaced.map { [$0] } ?? []) }
            if case .fork(let log, let sequence) = statement.body { forked(log, sequence) }
        case .storeAnnouncement(let announcement): writing.write { try $0.set(announcement) }
        case .read(let range, let link, let bytesMax): reading.readDeltas(range, for: link, bytesMax: bytesMax)
        case .readHeaders(let range, let purpose): reading.readHeaders(range, purpose)
        case .answerDiff(let question, let link): reading.answer(question, on: link)
        case .deliverDiff(_, let answer): questions.deliver(answer)
        case .rosterChanged(let roster):
            replica.adopt(roster)
            sessions.adopt(roster)
        case .noteRefusal(let log, let sequence, let refusal, let node): noteRefusal(log, sequence, refusal, node)
        case .noteRefused(let log, let sequence, let code, let reason, let node):
            noteRefused(log, sequence, code, reason, node)
        case .noteSession(let node, let program):
            logger.info("session open", metadata: ["peer": "\(who(node))", "program": "\(program)"])
        case .noteOverBudget(let node):
            guard node != replica.node else { break }
            logger.warning(
                "an author writes more than is pushed on for it; its deltas are fetched instead for a while",
                metadata: ["author": "\(who(node))"]
            )
        case .noteViolation(let node, let what):
            counters.count { $0.sessionsRefused += 1 }
            logger.warning("peer breaks the protocol", metadata: ["peer": "\(who(node))", "what": "\(what)"])
        case .setTimer: break
        }
    }

    private func who(_ node: NodeKey) -> String { Self.name(of: node, in: replica) }

    /// A node's name for people: its organization's name, and the first digits of its key.
    private static func name(of node: NodeKey, in replica: Replica) -> String {
        replica.organizationName(of: node).map { "\($0) \(node.short)" } ?? node.short
    }

    private func forked(_ log: LogID, _ sequence: UInt64) {
        replica.note(forkOf: log, at: sequence)
        logger.error(
            "a log is forked: two signed deltas have one sequence number",
            metadata: [
                "author": "\(who(log.author))", "incarnation": "\(Hex.string(log.incarnation))",
                "sequence": "\(sequence)",
            ]
        )
        if log.author == replica.node { replica.ownLog.abandon(log) }
        deriving.demand()
    }

    private func noteRefusal(_ log: LogID?, _ sequence: UInt64, _ refusal: DeltaRefusal, _ node: NodeKey) {
        counters.count { $0.deltasRefused += 1 }
        logger.warning(
            "delta refused",
            metadata: [
                "from": "\(who(node))", "author": "\(log.map { who($0.author) } ?? "unknown")",
                "sequence": "\(sequence)", "reason": "\(refusal.reason)",
            ]
        )
        guard let log else { return }
        let entry = Refusal(
            log: log,
            sequence: sequence,
            code: refusal.code,
            reason: refusal.reason,
            peer: node,
            time: WallClock.milliseconds
        )
        writing.write { try $0.note(entry) }
    }

    private func noteRefused(_ log: LogID, _ sequence: UInt64, _ code: UInt32, _ reason: String, _ node: NodeKey) {
        logger.warning(
            "a peer refused a delta",
            metadata: [
                "peer": "\(who(node))", "author": "\(who(log.author))", "sequence": "\(sequence)",
                "reason": "\(reason)",
            ]
        )
    }

    /// The interval at which the last contact with each peer is saved, for a `status` after a kill. A guess: a minute is
    /// precise enough and costs one small write.
    private static let contactsInterval = Duration.seconds(60)
    /// The delay of the first save after the start, so that a `status` after an early kill knows some contacts. A guess.
    private static let firstContactsPause = Duration.seconds(5)

    private func saveContacts() {
        let status = engineStatus()
        let wall = WallClock.milliseconds
        replica.enqueueOnWriter { [replica] in
            // A contact that is not saved costs a line of `status`, nothing else.
            try? replica.writeNow { transaction in
                for peer in status.peers {
                    guard let contact = peer.lastContact else { continue }
                    let ago = status.now.milliseconds(since: contact)
                    try transaction.note(
                        PeerContact(node: peer.node, time: wall - min(wall, ago), note: peer.answeredAddress ?? "")
                    )
                }
            }
        }
    }
}
