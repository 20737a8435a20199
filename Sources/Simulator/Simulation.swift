import Catalog
import DeltaLog
package import Gossip
import Governance

/// Nodes with real engines, virtual disks and virtual time, on a network that delays, blocks and loses messages and
/// breaks connections.
///
/// All randomness comes from one seed: the same seed and the same calls give the same ``trace``. The code that carries
/// out the engines' actions checks their contract, and the ``Checkers`` check the nodes' data. Both report to
/// ``violations``. Confined to one thread.
package final class Simulation {
    /// The settings of a run.
    package struct Settings: Sendable {
        package var engine = EngineSettings()
        package var network = NetworkSettings()
        /// The duration of a transaction in milliseconds.
        package var storingMilliseconds: ClosedRange<UInt64> = 1...20
        /// The number of organizations, to which the nodes are assigned in turn; nil for one each.
        package var organizations: Int?
        package var cryptography = SimulatedCryptography.Kind.mixed
        package var plant: PlantedBug?
        /// One in this many messages is encoded, decoded and compared.
        package var roundTripEvery: UInt64 = 1
        /// The number of last events that are kept as text; 0 for none.
        package var eventsKept = 0
        /// True to stop the run at the first violation.
        package var stopsAtViolation = false
        /// The processor time of work; nil if work takes no time.
        package var costs: HandlingCosts?
        /// The number of further enrolled keys of the last organization, which an adversary uses (``Adversary``).
        package var puppets = 0

        package init() {}
    }

    /// A future event.
    enum Event {
        case input(node: Int, epoch: UInt64, EngineInput)
        case timer(node: Int, epoch: UInt64, Instant)
        case arrival(connection: Int, side: Int, Parcel)
        case transaction(node: Int, epoch: UInt64)
        case dial(from: Int, epoch: UInt64, to: Int, deadline: UInt64)
        case up(connection: Int, side: Int, epochs: [UInt64])
        case down(connection: Int, side: Int)
        case fault(Int)
        case work(Int)
        /// A node's processor has ended a turn.
        case worked(node: Int, epoch: UInt64, Processor.Source, isDone: Bool)
        /// A link may be read again.
        case readOn(connection: Int, side: Int)
        /// The adversary's next move.
        case attack
    }

    package let settings: Settings
    package let alliance: VirtualAlliance
    package let pool: DeltaPool
    let applier: DeltaApplier<SimulatedCryptography>
    /// Nanoseconds since the start.
    package private(set) var now: UInt64 = 0
    private var mix = MixHash()
    var nodes: [VirtualNode]
    var network: Network
    var events = EventQueue<Event>()
    package let checkers = Checkers()
    package var spread = Spread()
    package private(set) var eventLog: EventLog
    /// The number of events handled.
    package private(set) var eventCount: UInt64 = 0
    /// The plan of the run.
    package internal(set) var plan = Plan()
    /// True from ``recover()`` on; remaining faults of the plan are then skipped.
    var areFaultsOver = false
    /// The controller of the puppets; nil before an attack.
    var adversary: Adversary?

    // Each concern has its own random generator, so a run with fewer faults stays similar otherwise.
    var diskRandom: SplitMix64
    var writeRandom: SplitMix64
    var faultRandom: SplitMix64
    var engineRandom: SplitMix64
    var sampleRandom: SplitMix64
    var attackRandom: SplitMix64

    /// Creates a run of founders that know each other's addresses. No node runs before ``start(_:)``.
    package init(nodes count: Int, seed: UInt64, settings: Settings = Settings()) {
        var settings = settings
        settings.plant?.change(&settings)
        let organizations = min(settings.organizations ?? count, count)
        let alliance = VirtualAlliance(
            founders: organizations,
            nodes: count,
            further: settings.puppets,
            cryptography: settings.cryptography
        )
        let pool = DeltaPool(alliance: alliance.id, cryptography: alliance.cryptography)
        self.settings = settings
        self.alliance = alliance
        self.pool = pool
        applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        var random = SplitMix64(seed: seed)
        network = Network(settings: settings.network, seed: random.next())
        diskRandom = SplitMix64(seed: random.next())
        writeRandom = SplitMix64(seed: random.next())
        faultRandom = SplitMix64(seed: random.next())
        engineRandom = SplitMix64(seed: random.next())
        sampleRandom = SplitMix64(seed: random.next())
        attackRandom = SplitMix64(seed: random.next())
        eventLog = EventLog(capacity: settings.eventsKept)
        let governance = alliance.governance(alliance.enrolments)
        var announcements = AnnouncementSet()
        for number in 0..<count + settings.puppets { _ = announcements.insert(alliance.announcement(of: number)) }
        nodes = (0..<count + settings.puppets).map {
            VirtualNode(
                nodeIndex: $0,
                number: $0,
                alliance: alliance,
                pool: pool,
                governance: governance,
                announcements: announcements,
                isPuppet: $0 >= count
            )
        }
        if settings.costs != nil {
            let seen = Set(governance.statements.values.map { MixHash(of: $0.encoded) })
            for node in nodes where !node.isPuppet { node.seenStatements = seen }
        }
        if let plant = settings.plant.flatMap(StoragePlant.init) {
            // Only some nodes have the bug: if all made the same mistake, they would agree.
            for node in nodes where node.nodeIndex % 2 == 0 { node.disk.plant = plant }
        }
    }

    // MARK: - Inspection

    package var count: Int { nodes.count }
    /// The box of a running node's engine; nil if the node does not run.
    package func box(_ nodeIndex: Int) -> EngineBox? { nodes[nodeIndex].box }
    package func storage(_ nodeIndex: Int) -> VirtualDisk { nodes[nodeIndex].disk }
    package func notes(_ nodeIndex: Int) -> Notes { nodes[nodeIndex].notes }
    /// The organization of a node.
    package func organizationNumber(_ nodeIndex: Int) -> Int { nodes[nodeIndex].organization }
    /// The last start of a node, in nanoseconds since the start of the run.
    package func startedAt(_ nodeIndex: Int) -> UInt64 { nodes[nodeIndex].startedAt }
    /// The processor time of a node's work in nanoseconds; 0 if work takes no time.
    package func workedNanoseconds(_ nodeIndex: Int) -> UInt64 { nodes[nodeIndex].processor.worked }
    /// The bytes in flight to a node, including messages that are not handled yet.
    package func unreadBytes(_ nodeIndex: Int) -> Int {
        nodes[nodeIndex].connections.reduce(0) { sum, index in
            let connection = network.connections[index]
            return sum + connection[connection[0].node == nodeIndex ? 0 : 1].outstandingBytes
        }
    }
    /// The fraction of a node's neighbour slots that one organization occupies.
    package func neighbourShare(of organization: Int, at nodeIndex: Int) -> Double {
        guard let topology = nodes[nodeIndex].box?.engine.topology() else { return 0 }
        let keys = Set(nodes.filter { $0.organization == organization }.map(\.key))
        let hostile = topology.active.count { keys.contains($0.node) }
        return Double(hostile) / Double(max(settings.engine.overlay.neighboursMax, topology.active.count))
    }
    package var running: [Int] { nodes.indices.filter { nodes[$0].box != nil } }
    package var violations: [String] { checkers.violations.map(\.what) }
    /// A hash over all events.
    package var trace: MixHash { mix }
    /// True after the run has stopped at a violation.
    package var isStopped: Bool { settings.stopsAtViolation && !checkers.violations.isEmpty }

    /// True if all running nodes have equal data, by frontier and digest, and their engines know it.
    package var isConverged: Bool { areEqual(running) }

    /// True if the same deltas count at these nodes, with the same digest, and their engines know it. Deltas behind the
    /// bound of a forked log may differ.
    package func areEqual(_ nodeIndices: [Int]) -> Bool {
        guard let first = nodeIndices.first.map({ nodes[$0] }) else { return true }
        guard let box = first.box else { return false }
        return nodeIndices.allSatisfy { nodeIndex in
            let node = nodes[nodeIndex]
            return
                node.disk.frontierSum == first.disk.frontierSum && node.disk.digest == first.disk.digest
                && node.box?.engine.fingerprint == box.engine.fingerprint
        } && nodeIndices.allSatisfy { nodes[$0].box?.engine.governance == box.engine.governance }
    }

    /// The heads and peers of each node, for a failing test.
    package var summary: String {
        nodes.map { node in
            let heads = node.disk.frontier.sorted.map {
                "\($0.log.author.short)/\(Hex.string($0.log.incarnation).prefix(4)):\($0.head.sequence)"
            }
            let peers =
                node.box?.engine.peerStatuses(now: Instant(nanoseconds: now)).map(\.standing.rawValue) ?? ["down"]
            return "\(node.nodeIndex): \(heads.joined(separator: " ")) \(peers)"
        }.joined(separator: "\n") + violations.prefix(5).map { "\n" + $0 }.joined()
    }

    // MARK: - Running

    /// Runs for this time.
    package func run(milliseconds: UInt64) {
        let end = now + milliseconds * 1_000_000
        while let time = events.nextTime, time <= end, !isStopped { step() }
        if !isStopped { now = end }
    }

    /// Runs until the condition holds; false if it does not hold within this time.
    package func run(atMost milliseconds: UInt64, until condition: (Simulation) -> Bool) -> Bool {
        let end = now + milliseconds * 1_000_000
        while !condition(self) {
            guard now < end, !isStopped else { return false }
            run(milliseconds: 50)
        }
        return true
    }

    private func step() {
        guard let (time, event) = events.next() else { return }
        now = max(now, time)
        eventCount += 1
        handle(event)
    }

    func handle(_ event: Event) {
        switch event {
        case .input(let nodeIndex, let epoch, _):
            guard isCurrent(nodeIndex, epoch, event) else { return }
            take(event, at: nodeIndex)
        case .timer(let nodeIndex, let epoch, let instant):
            guard isCurrent(nodeIndex, epoch, event), nodes[nodeIndex].timerAt == instant else { return }
            take(event, at: nodeIndex)
        case .arrival(let connection, let side, let parcel): arrive(parcel, connection: connection, side: side)
        case .transaction(let nodeIndex, let epoch):
            guard isCurrent(nodeIndex, epoch, event) else { return }
            commitNext(at: nodeIndex)
        case .dial(let from, let epoch, let to, _):
            guard isCurrent(from, epoch, event) else { return }
            if nodes[to].isRunning { take(event, at: to) } else { execute(event) }
        case .up(let connection, let side, _), .down(let connection, let side):
            take(event, on: connection, side: side)
        case .fault(let index): if !areFaultsOver { perform(plan.faults[index].fault) }
        case .work(let index): perform(plan.work[index])
        case .worked(let nodeIndex, let epoch, let source, let isDone):
            guard isCurrent(nodeIndex, epoch, event) else { return }
            endTurn(source, isDone: isDone, at: nodeIndex)
        case .readOn(let connection, let side): readOn(connection: connection, side: side)
        case .attack: attack()
        }
    }

    /// Executes an event that had to wait for the processor.
    func execute(_ event: Event) {
        switch event {
        case .input(let nodeIndex, let epoch, let input):
            if nodes[nodeIndex].epoch == epoch { feed(input, to: nodeIndex) }
        case .timer(let nodeIndex, let epoch, let instant):
            if nodes[nodeIndex].epoch == epoch, nodes[nodeIndex].timerAt == instant { feed(.timer, to: nodeIndex) }
        case .arrival(let connection, let side, let parcel): hear(parcel, connection: connection, side: side)
        case .dial(let from, let epoch, let to, let deadline):
            if nodes[from].epoch == epoch { answerDial(from: from, to: to, deadline: deadline) }
        case .up(let connection, let side, let epochs): goUp(connection: connection, side: side, epochs: epochs)
        case .down(let connection, let side): goDown(connection: connection, side: side)
        case .transaction, .fault, .work, .worked, .readOn, .attack: break
        }
    }

    /// True if the node has not restarted since it began this; if it is paused, the event waits.
    private func isCurrent(_ nodeIndex: Int, _ epoch: UInt64, _ event: Event) -> Bool {
        let node = nodes[nodeIndex]
        guard node.epoch == epoch else { return false }
        guard !node.isPaused else {
            node.backlog.append(event)
            return false
        }
        return true
    }

    func schedule(after nanoseconds: UInt64, _ event: Event) {
        events.add(event, at: now + nanoseconds)
    }

    /// The number of events of which one has an engine's invariants checked.
    private static let invariantsEvery: UInt64 = 32

    /// Gives an engine an input, and carries out its actions.
    func feed(_ input: EngineInput, to nodeIndex: Int) {
        let node = nodes[nodeIndex]
        guard node.box != nil else { return }
        let actions = node.box!.engine.step(
            input,
            now: Instant(nanoseconds: now),
            wallMilliseconds: node.wallMilliseconds(at: now)
        )
        if eventCount.isMultiple(of: Self.invariantsEvery), let what = node.box!.engine.checkInvariants() {
            violate("an invariant does not hold at node \(nodeIndex): \(what)")
        }
        mix.add(now)
        mix.add(UInt64(nodeIndex) << 32 | UInt64(actions.count))
        var done = 0
        let isCut = node.isDoomed && actions.count > 1
        let end = isCut ? Int.random(in: 0..<actions.count, using: &faultRandom) : actions.count
        while done < end {
            perform(actions[done], at: nodeIndex)
            done += 1
        }
        if isCut { crash(nodeIndex, isClean: Bool.random(using: &faultRandom)) }
    }

    /// Adds a word to the trace.
    func note(_ word: UInt64) { mix.add(word) }

    /// Adds a word to the trace, and a text to the kept events.
    func note(_ word: UInt64, _ what: @autoclosure () -> String) {
        mix.add(word)
        eventLog.add(at: now, what())
    }

    /// Adds a message to the trace; returns the size of its frame in bytes.
    func note(_ message: PeerMessage) -> Int { message.measured(into: &mix) }

    /// Records a broken contract.
    func violate(_ what: @autoclosure () -> String) {
        checkers.note(what(), at: now)
        eventLog.add(at: now, "VIOLATION " + (checkers.violations.last?.what ?? ""))
    }
}

/// The last events of a run as text.
package struct EventLog: Sendable {
    private let capacity: Int
    private var lines: [String] = []
    private var next = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// Stores an event; replaces the oldest one if the log is full.
    mutating func add(at now: UInt64, _ what: @autoclosure () -> String) {
        guard capacity > 0 else { return }
        let milliseconds = now / 1_000
        let digits = String(milliseconds % 1_000)
        let fraction = String(repeating: "0", count: 3 - digits.count) + digits
        let line = "\(milliseconds / 1_000).\(fraction) ms  \(what())"
        if lines.count < capacity { lines.append(line) } else { lines[next] = line }
        next = (next + 1) % capacity
    }

    /// The stored events, the oldest first.
    package var text: [String] { lines.count < capacity ? lines : Array(lines[next...] + lines[..<next]) }
}
