package import Catalog
import DeltaLog
import Foundation
package import Gossip
import Governance
package import Logging
import OpenSSLKit
package import Replica
import ServiceLifecycle
import Store
import SwiftProtobuf
import Synchronization
import Transport
import Wire

/// A running node: the owner of the engine and of the connections. It feeds inputs in order and carries out actions
/// after each step.
///
/// ``EngineDriver`` has the engine stepped. Peers' frames are decoded and deltas checked by the task of their connection;
/// storing happens on the directory's writer queue, reading on its readers. What they find comes back as inputs.
package final class NodeService: Service {
    package let replica: Replica
    package let settings: Settings
    let logger: Logger
    private let driver: EngineDriver
    private let links = Mutex<LinkTable>(LinkTable())
    private let gate: Gate
    private let transport: PeerTransport
    private let address = Mutex<HostPort?>(nil)
    private let diffs = Mutex<[UInt64: Question]>([:])
    private let dials: AsyncStream<Dial>
    private let dial: AsyncStream<Dial>.Continuation
    private let counters = Mutex(Counters())
    private let traffic = Traffic()
    private let handshakes: HandshakeLog
    private let clocks = PeerClocks()
    private let newcomers: NewcomerSessions
    private let failure = Mutex<HansaError?>(nil)
    /// Peers' deltas that wait to be stored.
    private let unstored = Mutex(StoringLanes())
    /// Small writes that wait: what comes meanwhile goes into the same transaction, which costs more than what is in it.
    private let unwritten = Mutex<[Unwritten]>([])
    /// True while steps of tidying are queued, so that there is one at a time.
    private let isTidying = Mutex(false)
    /// True while the log has told of another program's lock and not yet of its end.
    private let isLockNoted = Mutex(false)
    private let stopped: AsyncStream<Void>
    private let stop: AsyncStream<Void>.Continuation

    private struct Dial: Sendable {
        let node: NodeKey
        let addresses: [String]
    }

    /// A question to a peer that waits for its answer.
    private struct Question {
        let node: NodeKey
        let continuation: CheckedContinuation<PeerMessage.DiffAnswer, any Error>
    }

    /// A write of the node's own that waits for its transaction.
    private struct Unwritten: Sendable {
        let body: @Sendable (inout WriteTransaction) throws -> Void
        let then: @Sendable () -> Void
    }

    private struct LinkTable {
        var next: UInt64 = 1
        var sessions: [LinkID: PeerSession] = [:]
        /// Bytes of frames that passed in sessions that have ended, by enrolled node.
        var past: [NodeKey: PeerTraffic] = [:]
    }

    /// What the node counts since it started.
    package struct Counters: Hashable, Codable, Sendable {
        package var deltasApplied = 0
        package var deltasRefused = 0
        package var sessionsRefused = 0
        package var handshakesFailed = 0
    }

    /// Prepares a node; nothing listens yet.
    package init(replica: Replica, settings: Settings, logger: Logger) throws {
        self.replica = replica
        self.settings = settings
        self.logger = logger
        let loaded = try Replica.translating {
            try replica.store.read { reading in
                (
                    statements: try reading.statements(), announcements: try reading.announcements(),
                    frontier: try reading.frontier(), totals: try reading.totals(),
                    contacts: try reading.peerContacts()
                )
            }
        }
        var governance = GovernanceSet()
        for bytes in loaded.statements {
            var replaced: Hash256?
            _ = governance.insert(
                try Statement(
                    verifying: bytes,
                    alliance: replica.alliance,
                    cryptography: replica.cryptography
                ),
                replaced: &replaced
            )
        }
        var announcements = AnnouncementSet()
        for bytes in loaded.announcements {
            let announcement = try Announcement(
                verifying: bytes,
                alliance: replica.alliance,
                cryptography: replica.cryptography
            )
            _ = announcements.insert(announcement)
        }
        let engine = Engine(
            charter: replica.charter,
            node: replica.node,
            program: "hansa \(programVersion)",
            governance: governance,
            announcements: announcements,
            frontier: loaded.frontier,
            summary: StoredSummary(digest: loaded.totals.digest, records: UInt64(loaded.totals.shown)),
            contacts: loaded.contacts.map {
                KnownContact(node: $0.node, time: $0.time, address: $0.note.isEmpty ? nil : $0.note)
            },
            cryptography: replica.cryptography,
            random: SystemRandomNumberGenerator()
        )
        driver = EngineDriver(engine)
        (dials, dial) = AsyncStream.makeStream()
        (stopped, stop) = AsyncStream.makeStream()
        var configuration = TransportConfiguration()
        // What a peer was promised by credit, a whole frontier and what is pushed meanwhile.
        configuration.outboundBytesMax = 32 * 1024 * 1024
        configuration.idleTimeout = .seconds(60)
        // What a held session keeps in memory, beside one frame.
        configuration.inboundBytesMax = 1024 * 1024
        configuration.wallSeconds = { Int64(WallClock.milliseconds / 1000) }
        let limits = ConnectionLimits()
        configuration.connectionsMax = limits.total
        configuration.unauthenticatedMax = limits.strangers
        let gate = try Gate(
            replica: replica,
            membersMax: limits.members,
            outboundBytesMax: configuration.outboundBytesMax
        )
        self.gate = gate
        let handshakes = HandshakeLog(logger: logger)
        self.handshakes = handshakes
        let driver = driver
        newcomers = NewcomerSessions(
            replica: replica,
            gate: gate,
            traffic: traffic,
            logger: logger,
            feed: { driver.feed($0) }
        )
        transport = PeerTransport(
            configuration: configuration,
            identity: { gate.identity },
            admit: { gate.terms(of: $0.rawBytes) },
            refused: { [clocks] address, reason in
                clocks.note(reason)
                handshakes.refused(address, reason)
            },
            farewell: { gate.farewell(to: $0, $1) }
        )
    }

    // MARK: - Running

    /// Listens, and runs until cancelled or shut down gracefully.
    ///
    /// - Throws: ``HansaError`` with ``ErrorCode/inUse`` where the port is taken, and what the disk refuses.
    package func run() async throws {
        let place = try HostPort(listening: settings.listen)
        let listener: PeerListener
        do {
            listener = try await transport.listen(host: place.host, port: place.port)
        } catch {
            throw error.error(at: place)
        }
        let bound = HostPort(host: place.host, port: listener.localAddress.port)
        address.withLock { $0 = bound }
        // A local edit that meets a failing disk ends the node as a peer's delta does.
        replica.onFailure { [weak self] in self?.fail($0) }
        replica.onCommit { [driver] deltas, totals in
            driver.feed(
                .committed(deltas, summary: StoredSummary(digest: totals.digest, records: totals.records))
            )
        }
        try announce(bound)
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
                stop.finish()
            }
        } onGracefulShutdown: {
            self.stop.finish()
        }
        await listener.close()
        await transport.shutdown()
        saveContacts()
        handshakes.tellRest()
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private func runTasks(_ listener: PeerListener) async {
        driver.begin { [self] in perform($0) }
        await withDiscardingTaskGroup { group in
            group.addTask {
                while (try? await Task.sleep(for: Self.contactsInterval)) != nil {
                    self.saveContacts()
                    self.handshakes.tellRest()
                }
            }
            group.addTask {
                while (try? await Task.sleep(for: Self.idlePause)) != nil {
                    self.watchStore()
                    self.beginTidying()
                }
            }
            group.addTask {
                await withDiscardingTaskGroup { sessions in
                    for await connection in listener.connections {
                        sessions.addTask { await self.serve(connection) }
                    }
                }
            }
            group.addTask {
                await withDiscardingTaskGroup { sessions in
                    for await dial in self.dials {
                        sessions.addTask { await self.dial(dial) }
                    }
                }
            }
            for await _ in stopped {}
            replica.stopWaiting()
            // Whatever waits for a frame or a dial is cancelled with the group.
            for connection in transport.connections { connection.close() }
            await driver.end()
            dial.finish()
            group.cancelAll()
        }
    }

    /// Where the node listens; nil until it does.
    package var listening: HostPort? { address.withLock { $0 } }

    /// Stops the node because it cannot go on.
    private func fail(_ error: HansaError) {
        failure.withLock { if $0 == nil { $0 = error } }
        logger.critical("stopping", metadata: ["reason": "\(error.message)"])
        stop.finish()
    }

    /// As ``fail(_:)``, but for a lock that was still in the way when the node was asked to stop: what waited for it was
    /// promised to nobody, and comes again.
    private func failUnlessStopping(_ error: any Error) {
        let isPassing = (error as? StoreError)?.isPassing == true
        if !(isPassing && replica.isStopping) { fail(HansaError(cause: error)) }
    }

    /// Signs a new announcement where the addresses have changed.
    private func announce(_ bound: HostPort) throws {
        let wanted: [String]
        if !settings.advertise.isEmpty {
            wanted = settings.advertise
        } else if bound.undialableReason != nil {
            wanted = []
            logger.warning(
                "nobody is told where to dial this node; name an address with --advertise",
                metadata: ["listen": "\(bound)"]
            )
        } else {
            wanted = [bound.description]
        }
        let held = driver.withEngine { $0.announcements.latest[replica.node] }
        guard held?.addresses ?? [] != wanted else { return }
        let version = (held?.version ?? 0) + 1
        guard version <= Announcement.versionMax else {
            // Only somebody else who has this node's key can have signed that.
            logger.error(
                "an announcement of this node's key has the highest version; its addresses cannot be told any more"
            )
            return
        }
        let bytes = try Announcement.sign(
            addresses: wanted,
            version: max(WallClock.milliseconds, version),
            alliance: replica.alliance,
            node: replica.signer
        )
        let announcement = try Announcement(
            verifying: bytes,
            alliance: replica.alliance,
            cryptography: replica.cryptography
        )
        write({ try $0.set(announcement) }, then: { [driver] in driver.feed(.announced(announcement)) })
    }

    // MARK: - The engine

    /// What the engine tells of the nodes, and of itself.
    package func engineStatus() -> (peers: [PeerStatus], now: Gossip.Instant, parked: [LogID: ParkedDelta]) {
        let now = EngineDriver.now
        return driver.withEngine { ($0.peerStatuses(now: now), now, $0.parked) }
    }

    /// The node's place in the overlay, what the broadcast has cost so far, and the authors that are pull-only.
    package func topology() -> (topology: Topology, counters: GossipCounters, pullOnly: [NodeKey]) {
        let now = EngineDriver.now
        return driver.withEngine { engine in
            (engine.topology(), engine.counters, engine.pullOnly.filter { $0.value > now }.keys.sorted())
        }
    }

    /// What was sent to peers and received from them since the node started.
    package var trafficCounts: TrafficCounts { traffic.counts(transport.socketBytes) }

    /// The same for each enrolled node that there was a session with, by the bytes of frames.
    package var trafficByPeer: [NodeKey: PeerTraffic] {
        links.withLock { table in
            table.sessions.values.reduce(into: table.past) { $0[$1.node, default: PeerTraffic()] += $1.traffic }
        }
    }

    package var counts: Counters {
        var counts = counters.withLock { $0 }
        counts.handshakesFailed = handshakes.count
        return counts
    }

    /// Seconds by which a node's clock is ahead, as a certificate of it has told that was refused for its dates; nil where
    /// none was, or one was taken since.
    package func refusedClock(of node: NodeKey) -> Int64? { clocks[node] }

    private func perform(_ action: EngineAction) {
        switch action {
        case .send(let link, let message): send(link, message)
        case .disconnect(let link, let refusal): disconnect(link, refusal)
        case .dial(let node, let addresses): dial.yield(Dial(node: node, addresses: addresses))
        case .hold(let link, let until): links.withLock { $0.sessions[link] }?.hold(until: until)
        case .store(let token, let deltas, _): store(token, deltas)
        case .storeStatement(let statement, let replaced):
            write { try $0.add([statement], replacing: replaced.map { [$0] } ?? []) }
            if case .fork(let log, let sequence) = statement.body { forked(log, sequence) }
        case .storeAnnouncement(let announcement): write { try $0.set(announcement) }
        case .read(let range, let link, let bytesMax): read(range, for: link, bytesMax: bytesMax)
        case .readHeaders(let range, let purpose): readHeaders(range, purpose)
        case .answerDiff(let question, let link): answer(question, link)
        case .deliverDiff(_, let answer):
            diffs.withLock { $0.removeValue(forKey: answer.token) }?.continuation.resume(returning: answer)
        case .rosterChanged(let roster):
            replica.adopt(roster)
            gate.adopt(roster)
            links.withLock { table in
                table.past = table.past.filter { roster.organization(of: $0.key) != nil }
            }
            transport.closeSessions { [gate] in gate.terms(of: $0.rawBytes) == nil }
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
            counters.withLock { $0.sessionsRefused += 1 }
            logger.warning("peer breaks the protocol", metadata: ["peer": "\(who(node))", "what": "\(what)"])
        case .setTimer: break
        }
    }

    private func who(_ node: NodeKey) -> String {
        guard let organization = replica.roster.organization(of: node) else { return node.short }
        return "\(replica.name(of: organization)) \(node.short)"
    }

    // MARK: - Storing and reading

    /// How long a transaction of peers' deltas may go on. A local edit waits no longer for them; a catch-up's transactions
    /// end sooner by themselves.
    private static let storingPatience = Duration.milliseconds(250)

    private func store(_ token: UInt64, _ deltas: [VerifiedDelta]) {
        if unstored.withLock({ $0.add(token, deltas) }) { storeNext() }
    }

    /// Stores one transaction of what waits, and queues itself again where more does: whatever else was to be written comes
    /// in between.
    private func storeNext() {
        replica.enqueueOnWriter { [self] in
            let batches = unstored.withLock { $0.next() }
            do {
                let applied = try replica.awaitingLock {
                    try replica.applyNow(batches.flatMap(\.rest), patience: Self.storingPatience)
                }
                counters.withLock { counters in
                    for case .applied in applied.outcomes { counters.deltasApplied += 1 }
                }
                let (done, hasMore) = unstored.withLock {
                    $0.stored(batches, applied.outcomes.map(StoreOutcome.init), microseconds: applied.microseconds)
                }
                let summary = StoredSummary(digest: applied.totals.digest, records: applied.totals.records)
                for batch in done {
                    driver.feed(
                        .stored(token: batch.token, batch.outcomes, summary: summary, excess: batch.excess)
                    )
                }
                if hasMore { storeNext() }
            } catch {
                failUnlessStopping(error)
            }
        }
    }

    /// How long nothing is written before the store is tidied. A second, a guess.
    private static let idlePause = Duration.seconds(1)

    /// How long a lock of another program is in the way before the log tells of it.
    private static let lockNoted = Duration.seconds(5)

    /// Tells in the log when another program's lock keeps the node from writing, and when it is gone.
    private func watchStore() {
        let lock = replica.store.health.lock
        isLockNoted.withLock { isNoted in
            if let lock, !isNoted, lock.age >= Self.lockNoted {
                isNoted = true
                logger.warning(
                    "another program holds a lock on the database; nothing can be written until it is gone",
                    metadata: ["holder": "\(lock.holder ?? "unknown")"]
                )
            } else if lock == nil, isNoted {
                isNoted = false
                logger.info("the lock on the database is gone")
            }
        }
    }

    private func beginTidying() {
        let isBegun = isTidying.withLock { isTidying in
            defer { isTidying = true }
            return isTidying
        }
        if !isBegun { tidy() }
    }

    /// Step by step: whoever wants to write comes in between.
    private func tidy() {
        replica.enqueueOnWriter { [self] in
            do {
                try replica.store.probe(ifIdleFor: Self.idlePause)
                if try replica.store.tidy(ifIdleFor: Self.idlePause) { return tidy() }
                if try replica.store.checkpoint(ifIdleFor: Self.idlePause) { FreedMemory.giveBack() }
            } catch let error as StoreError where !error.isFatal {
                // Nobody has asked for it, so a full disk is no reason to stop; it is tried again.
                logger.debug("not tidied", metadata: ["reason": "\(error.message)"])
            } catch {
                fail(HansaError(cause: error))
            }
            isTidying.withLock { $0 = false }
        }
    }

    /// Queues a write of the node's own.
    ///
    /// - Parameter then: Called once it is on disk.
    private func write(
        _ body: @escaping @Sendable (inout WriteTransaction) throws -> Void,
        then: @escaping @Sendable () -> Void = {}
    ) {
        let isFirst = unwritten.withLock { writes in
            writes.append(Unwritten(body: body, then: then))
            return writes.count == 1
        }
        guard isFirst else { return }
        replica.enqueueOnWriter { [self] in
            let writes = unwritten.withLock { writes in
                defer { writes = [] }
                return writes
            }
            do {
                try replica.awaitingLock {
                    try replica.store.write { transaction in
                        for write in writes { try write.body(&transaction) }
                    }
                }
                for write in writes { write.then() }
            } catch {
                failUnlessStopping(error)
            }
        }
    }

    /// Runs a reading body and feeds what it gives back; one that fails ends the node, since its disk is not to be
    /// trusted. Another program's lock is waited for.
    private func readThen(_ body: @escaping @Sendable (ReadTransaction) throws -> EngineInput) {
        Task {
            while true {
                do {
                    return driver.feed(try await replica.read(body))
                } catch let error as HansaError where error.code == .inUse {
                    if replica.isStopping { return }
                } catch {
                    return fail(HansaError(cause: error))
                }
            }
        }
    }

    private func read(_ range: LogRange, for link: LinkID, bytesMax: UInt64) {
        readThen { reading in
            let deltas = try reading.deltas(of: range.log, from: range.from, bytesMax: Int(clamping: bytesMax))
            return .deltasRead(
                link,
                range,
                deltas.map { Gossip.StoredDelta(sequence: $0.sequence, bytes: $0.bytes) }
            )
        }
    }

    private func readHeaders(_ range: LogRange, _ purpose: HeaderPurpose) {
        readThen { reading in
            let headers = try reading.headers(of: range.log, range.from...range.to)
            return .headersRead(
                range,
                purpose: purpose,
                headers.map { SignedHeader(header: $0.header, signature: $0.signature) }
            )
        }
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
        if log.author == replica.node { replica.abandon(log) }
    }

    private func noteRefusal(_ log: LogID?, _ sequence: UInt64, _ refusal: DeltaRefusal, _ node: NodeKey) {
        counters.withLock { $0.deltasRefused += 1 }
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
        write { try $0.note(entry) }
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

    /// How often it is noted when each peer was last heard of, for a `status` after a kill. A guess: a minute tells
    /// enough, and costs one small write.
    private static let contactsInterval = Duration.seconds(60)

    private func saveContacts() {
        let status = engineStatus()
        let wall = WallClock.milliseconds
        replica.enqueueOnWriter { [replica] in
            // A contact that is not noted costs a line of `status`, nothing else.
            try? replica.store.write { transaction in
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

    // MARK: - Connections

    private func serve(_ connection: PeerConnection) async {
        let key = connection.peerKey.rawBytes
        if gate.isInvitation(key) {
            await newcomers.serve(connection)
        } else {
            await run(connection)
        }
    }

    /// How long an address has before the next one is tried beside it, as in RFC 8305.
    private static let addressPause = Duration.seconds(1)

    /// Dials a node's addresses, one after the other and each beside those that have not answered yet; the first that
    /// answers is kept. All together have ``EngineSettings/dialDeadline``.
    private func dial(_ dial: Dial) async {
        let deadline =
            ContinuousClock.now + Duration.milliseconds(Int64(driver.withEngine { $0.settings.dialDeadline.count }))
        let places = dial.addresses.compactMap { try? HostPort(dialable: $0) }
        var words = places.isEmpty ? "no address" : ""
        var found: (connection: PeerConnection, place: HostPort)?
        await withTaskGroup(of: (HostPort, Result<PeerConnection, CloseReason>)?.self) { group in
            var rest = places[...]
            func next() {
                guard let place = rest.popFirst() else { return }
                group.addTask { await (place, self.reach(dial.node, at: place, until: deadline)) }
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
                case (let place, .success(let connection))?:
                    if found == nil {
                        found = (connection, place)
                        group.cancelAll()
                    } else {
                        connection.abort(.cancelled)
                    }
                case (let place, .failure(let reason))?:
                    clocks.note(reason)
                    if reason != .cancelled { words = "\(place): \(reason.words)" }
                    if found == nil { next() }
                case nil: if found == nil { next() }
                }
            }
        }
        guard let found else {
            logger.debug("cannot reach", metadata: ["peer": "\(who(dial.node))", "reason": "\(words)"])
            driver.feed(.dialFailed(dial.node, reason: words))
            return
        }
        await run(found.connection, address: found.place)
    }

    private func reach(
        _ node: NodeKey,
        at place: HostPort,
        until deadline: ContinuousClock.Instant
    ) async -> Result<PeerConnection, CloseReason> {
        let rest = ContinuousClock.now.duration(to: deadline)
        guard rest > .zero else { return .failure(.dialTimedOut) }
        do {
            return .success(
                try await transport.dial(
                    host: place.host,
                    port: place.port,
                    deadline: rest,
                    authorize: { $0.rawBytes == node.bytes }
                )
            )
        } catch {
            return .failure(error)
        }
    }

    /// One connection from beginning to end.
    ///
    /// - Parameter address: The address that was dialled.
    private func run(_ connection: PeerConnection, address: HostPort? = nil) async {
        // The transport gives out keys of 32 bytes only.
        guard let node = NodeKey(bytes: connection.peerKey.rawBytes) else { return }
        let session = PeerSession(connection: connection, node: node)
        let link = links.withLock { table in
            let link = LinkID(table.next)
            table.next += 1
            table.sessions[link] = session
            return link
        }
        clocks.forget(node)
        driver.feed(
            .linkUp(link, node: node, dialled: connection.direction == .outbound, address: address?.description)
        )
        await withTaskExecutorPreference(connection.executor) { await receiveAll(from: session, on: link) }
        links.withLock { table in
            table.sessions[link] = nil
            if replica.roster.organization(of: node) != nil {
                table.past[node, default: PeerTraffic()] += session.traffic
            }
        }
        connection.close()
        let reason = await connection.closed()
        driver.feed(.linkDown(link))
        if case .refusedByPeer = reason, let address {
            // TLS 1.3 tells a dialler only after its handshake that its key or its certificate is not taken.
            driver.feed(.dialFailed(node, reason: "\(address): \(reason.words)"))
        }
        if case .unsendableFrame = reason {
            logger.error(
                "a message was too long to be sent",
                metadata: ["peer": "\(who(node))", "reason": "\(reason.words)"]
            )
        }
        giveUpQuestions(HansaError(.unreachable, "the connection with \(who(node)) has ended")) { $0.node == node }
        logger.info("session closed", metadata: ["peer": "\(who(node))", "reason": "\(reason.words)"])
    }

    /// Bytes of frames that are handled on their connection's event loop without a pause: a few edits, checked within a
    /// millisecond. More would keep the loop's other connections waiting.
    private static let bytesOnLoop = 4 * 1024

    /// Handles a connection's frames until it ends. Called on its event loop, and left for a thread of Swift's pool by
    /// whatever takes longer, with all that waits behind it. While the session is held, nothing is taken: the peer's bytes
    /// wait where they are.
    private func receiveAll(from session: PeerSession, on link: LinkID) async {
        let connection = session.connection
        var frames = connection.inbound.makeAsyncIterator()
        while let frame = await frames.next() {
            await session.waitWhileHeld()
            if frame.count + connection.unreadBytes <= Self.bytesOnLoop {
                if let message = decode(frame, from: session, on: link) {
                    await withTaskExecutorPreference(message.isBrief ? nil : globalConcurrentExecutor) {
                        receive(message, byteCount: frame.count, on: link)
                    }
                }
            } else {
                await withTaskExecutorPreference(globalConcurrentExecutor) {
                    var next: [UInt8]? = frame
                    while let frame = next {
                        if let message = decode(frame, from: session, on: link) {
                            receive(message, byteCount: frame.count, on: link)
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

    private func receive(_ message: PeerMessage, byteCount: Int, on link: LinkID) {
        switch message {
        case .deltas where !driver.withEngine({ $0.expectsDeltas(on: link) }):
            driver.feed(.unaskedDeltas(link, byteCount: byteCount))
        case .deltas(let deltas):
            driver.feed(.deltas(link, deltas.map(check), .asked(byteCount: byteCount)))
        case .push(let deltas, let hops): driver.feed(.deltas(link, deltas.map(check), .pushed(hops: hops)))
        case .refusal(let refusal) where !refusal.isOrderly:
            let node = links.withLock { $0.sessions[link]?.node }
            logger.warning(
                "refused by a peer",
                metadata: ["peer": "\(node.map(who) ?? "unknown")", "reason": "\(refusal.reason)"]
            )
            driver.feed(.message(link, message))
        default: driver.feed(.message(link, message))
        }
    }

    /// Checks a delta's bytes. One that is held already is not worth checking its signature.
    private func check(_ bytes: [UInt8]) -> ReceivedDelta {
        do throws(DeltaRefusal) {
            // What is wrong with the whole is for the check below to say, in its order.
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
            replica.store.prepare(delta.operations, root: delta.header.root)
            return .verified(delta)
        } catch {
            let header = try? VerifiedDelta.head(of: bytes, hasher: replica.cryptography).header
            return .refused(log: header?.log, sequence: header?.sequence ?? 0, error)
        }
    }

    private func send(_ link: LinkID, _ message: PeerMessage) {
        guard let session = links.withLock({ $0.sessions[link] }) else { return }
        if !enqueue(message, on: session) { session.connection.close(.slowReader) }
    }

    /// Hands a message to its connection, and counts it; false where there is no room for it.
    private func enqueue(_ message: PeerMessage, on session: PeerSession) -> Bool {
        let frame = message.encoded()
        guard session.connection.enqueue(frame) else { return false }
        session.countSent(frameBytes: frame.count)
        traffic.countSent(.message(message.kind), frameBytes: frame.count)
        return true
    }

    private func disconnect(_ link: LinkID, _ refusal: SessionRefusal?) {
        guard let session = links.withLock({ $0.sessions[link] }) else { return }
        if let refusal {
            _ = enqueue(.refusal(refusal), on: session)
            session.connection.close(.local(refusal.reason))
        } else {
            session.connection.close()
        }
    }

    /// Invitations as they are in the store now; called when one was made.
    package func reloadInvitations() throws { try gate.reload() }

    // MARK: - Comparing records

    /// Asks a connected node something about its records.
    package func ask(
        _ node: NodeKey,
        _ question: @Sendable (UInt64) -> PeerMessage.DiffQuestion
    ) async throws -> PeerMessage.DiffAnswer {
        let link = try await self.link(to: node)
        let token = UInt64.random(in: 1...UInt64.max)
        let question = question(token)
        let giveUp = { @Sendable [self] in
            diffs.withLock { $0.removeValue(forKey: token) }?.continuation
                .resume(throwing: HansaError(.unreachable, "\(who(node)) does not answer"))
        }
        // Owned by this call: it is cancelled when the answer is here.
        let deadline = Task {
            try await Task.sleep(for: .seconds(20))
            giveUp()
        }
        defer { deadline.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                diffs.withLock { $0[token] = Question(node: node, continuation: continuation) }
                if Task.isCancelled { giveUp() } else { driver.feed(.askDiff(link, question)) }
            }
        } onCancel: {
            giveUp()
        }
    }

    /// How long to wait for a session with a node that is no neighbour.
    private static let contactDeadline = Duration.seconds(10)

    /// An open link with a node, which is dialled where there is none.
    private func link(to node: NodeKey) async throws -> LinkID {
        let unreachable = HansaError(.unreachable, "\(who(node)) is not connected")
        driver.feed(.contact(node))
        let deadline = ContinuousClock.now + Self.contactDeadline
        while true {
            let (link, isHopeful) = driver.withEngine { ($0.openLink(to: node), $0.isContacting(node)) }
            if let link { return link }
            // The engine has its time to begin to dial.
            let isEarly = ContinuousClock.now < deadline - Self.contactDeadline + .seconds(1)
            guard isHopeful || isEarly, ContinuousClock.now < deadline else { throw unreachable }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Ends the waiting for answers that will not come.
    private func giveUpQuestions(_ error: HansaError, where isHopeless: (Question) -> Bool) {
        let hopeless = diffs.withLock { diffs in
            let found = diffs.filter { isHopeless($0.value) }
            for token in found.keys { diffs[token] = nil }
            return found.values.map(\.continuation)
        }
        for continuation in hopeless { continuation.resume(throwing: error) }
    }

    private func answer(_ question: PeerMessage.DiffQuestion, _ link: LinkID) {
        readThen { [cryptography = replica.cryptography] reading in
            .diffAnswered(link, try RecordComparison.answer(question, reading: reading, hasher: cryptography))
        }
    }
}

extension StoreOutcome {
    fileprivate init(_ outcome: DeltaApplier<SystemCryptography>.Outcome) {
        switch outcome {
        case .applied: self = .applied
        case .duplicate, .gap: self = .skipped
        case .refused(let refusal): self = .refused(refusal)
        }
    }
}

extension PeerMessage {
    /// True for what takes no longer than its bytes tell. The others concern everybody's membership or whole frontiers, or
    /// have something written to the log for people.
    fileprivate var isBrief: Bool {
        switch self {
        case .hello, .refusal, .governance, .announcements, .ranges, .headersWanted, .headers, .deltaRefused: false
        case .want, .deltas, .ack, .have, .state, .diffQuestion, .diffAnswer, .neighbour, .neighbourAnswer, .leave,
            .shuffle, .shuffleReply, .push, .iHave, .graft, .prune:
            true
        }
    }
}
