import Catalog
import DeltaLog
import Foundation
import Gossip
import Governance
import PeerService
import Replica
import Simulator
import Store

/// One seed: honest nodes write all the time, and hostile members send them arbitrary messages. After the hostile
/// members stop, the honest nodes must have equal data.
///
/// All randomness comes from the seed, and the draws of a step depend on the seed and the step alone. Omitting a kind
/// of message therefore does not change the others.
final class Run {
    struct Settings {
        let seed: UInt64
        let steps: Int
        let skipped: Set<String>
        let isTracing: Bool
        let plant: Plant?
        let folder: String
    }

    enum Event {
        case timer(node: Int, epoch: UInt64, Instant)
        case arrival(connection: Int, side: Int, frame: [UInt8])
        case up(connection: Int, side: Int)
        case down(connection: Int, side: Int)
        case work(node: Int, epoch: UInt64)
        case read(node: Int, epoch: UInt64, EngineAction)
        case input(node: Int, epoch: UInt64, EngineInput)
    }

    /// A hostile member's node; its acts are drawn, and its knowledge is shared.
    struct HostilePeer {
        let number: Int
        let key: NodeKey
    }

    /// The counters of a run.
    struct Counts {
        var sent = 0
        var taken = 0
        var undecodable = 0
        var sessions = 0
        var violations: [String: Int] = [:]
        var sentByKind = Array(repeating: 0, count: PeerMessage.Kind.count)
    }

    let settings: Settings
    let alliance: VirtualAlliance
    let engineSettings: EngineSettings
    var nodes: [HonestNode] = []
    let peers: [HostilePeer]
    var pool = HostilePool()
    var connections: [Int: Connection] = [:]
    /// Connections between a hostile peer and an honest node that are up on both sides, in the order in which they came
    /// up.
    var openHostile: [Int] = []
    var nextConnection = 0
    var events = EventQueue<Event>()
    /// Nanoseconds since the start.
    var now: UInt64 = 0
    /// The generator of the current step.
    var random: SplitMix64
    /// The generator of the network, the disks and the honest nodes.
    var worldRandom: SplitMix64
    var step = 0
    var counts = Counts()
    /// True after the hostile peers have stopped.
    var isQuiet = false
    /// The first broken promise.
    private(set) var failure: String?
    /// A hash over all inputs and actions of the engines.
    var mix = MixHash()

    /// The numbers of the nodes' keys: four honest nodes of three organizations, two enrolled nodes that never run, and
    /// four hostile nodes of two organizations.
    private static let honestNumbers = [0, 1, 2, 5]
    private static let hostileNumbers = [3, 4, 8, 9]
    private static let organizations = 5
    private static let nodeCount = 10
    /// The organizations of the honest nodes.
    static let honestOrganizations = 0..<3
    /// The maximum size of a frame in bytes, as in the transport.
    static let frameBytesMax = 4 * 1024 * 1024

    init(_ settings: Settings) throws {
        self.settings = settings
        var random = SplitMix64(seed: settings.seed)
        worldRandom = SplitMix64(seed: random.next())
        // Some runs use Ed25519 to cover code that the mixed signatures cannot.
        let kind: SimulatedCryptography.Kind = random.isOne(in: 8) ? .system : .mixed
        alliance = VirtualAlliance(founders: Self.organizations, nodes: Self.nodeCount, cryptography: kind)
        engineSettings = Self.engineSettings(using: &random)
        let alliance = alliance
        peers = Self.hostileNumbers.map { HostilePeer(number: $0, key: alliance.node($0)) }
        self.random = random
        for (nodeIndex, number) in Self.honestNumbers.enumerated() {
            let node = try HonestNode(
                nodeIndex: nodeIndex,
                number: number,
                alliance: alliance,
                settings: engineSettings,
                folder: settings.folder + "/node\(nodeIndex)",
                seed: worldRandom.next()
            )
            nodes.append(node)
            pool.know(node.log)
        }
    }

    /// The maximum duration of a step. With the default budget it is long: hostile peers then need a while to use up
    /// the budget before they are held.
    private var stepNanosecondsMax: UInt64 { engineSettings.budget == BudgetSettings() ? 8_000_000 : 1_500_000 }

    /// A node's default settings, or settings with small bounds.
    private static func engineSettings(using random: inout SplitMix64) -> EngineSettings {
        var settings = EngineSettings()
        guard !random.isOne(in: 3) else { return settings }
        // A peer that breaks the protocol may return soon, so that a run has more sessions.
        settings.banTime = 2_000
        // A large budget avoids long holds, so that more messages are handled.
        settings.budget.workPerSecond *= 100
        settings.budget.workBurst *= 100
        if random.isOne(in: 2) {
            settings.overlay.meshNodesMax = 2
            settings.overlay.neighboursWanted = 2
            settings.overlay.neighboursMax = 4
            settings.overlay.passiveMax = 4
            settings.overlay.walksMax = 4
            settings.nonNeighbour = 5_000
            settings.overlay.shuffleInterval = 2_000
        }
        if random.isOne(in: 2) {
            settings.headsMax = 300
            settings.orphansMax = 8
            settings.parkedMax = 4
            settings.wantsPerLinkMax = 4
            settings.inquiriesMax = 2
            settings.creditBytes = 256 * 1024
            settings.messageBytes = 16 * 1024
            settings.pushWindow = 64 * 1024
            settings.headersPerInquiry = 8
            settings.budget.authorBytesBurst = 256 * 1024
        }
        return settings
    }

    func trace(_ what: @autoclosure () -> String) {
        if settings.isTracing { print("step \(step), \(now / 1_000_000) ms: \(what())") }
    }

    /// Records a broken promise.
    func fail(_ what: String) {
        trace("BROKEN: \(what)")
        if failure == nil { failure = "seed \(settings.seed), step \(step): \(what)" }
    }

    // MARK: - The complete run

    /// Runs the seed completely; a broken promise is in ``failure``.
    func run() throws {
        CrashNote.begin(seed: settings.seed)
        for node in nodes { feed(.timer, to: node) }
        advance(milliseconds: 3_000)
        while step < settings.steps, failure == nil {
            step += 1
            CrashNote.at(step: step)
            random = SplitMix64(seed: settings.seed &+ UInt64(step) &* 0x9E37_79B9_7F4A_7C15)
            advance(nanoseconds: UInt64.random(in: 0...stepNanosecondsMax, using: &random))
            try act()
            if step % 1_000 == 0, Memory.resident > Self.residentMax {
                fail("memory has grown to \(Memory.resident / 1_048_576) MiB")
            }
        }
        if failure == nil { try finish() }
        for node in nodes { try node.close() }
    }

    /// The maximum memory of a run in bytes. A guess: several times the usual amount.
    private static let residentMax = 1024 * 1024 * 1024

    /// Stops the hostile peers; then the promises about honest nodes must hold.
    private func finish() throws {
        isQuiet = true
        for number in openHostile { hangUp(number) }
        let deadline = now + Self.convergenceMilliseconds * 1_000_000
        while let difference = difference(), failure == nil {
            guard now < deadline else {
                fail("the honest nodes differ \(Self.convergenceMilliseconds / 60_000) minutes after: \(difference)")
                return
            }
            advance(milliseconds: 1_000)
        }
        guard failure == nil else { return }
        for node in nodes where failure == nil { try examine(node, isDeep: node.nodeIndex == Int(settings.seed % 4)) }
    }

    /// The maximum time until honest nodes agree, in milliseconds: several of an engine's longest pauses.
    private static let convergenceMilliseconds: UInt64 = 20 * 60_000

    // MARK: - Time

    func advance(milliseconds: UInt64) { advance(nanoseconds: milliseconds * 1_000_000) }

    private func advance(nanoseconds: UInt64) {
        let end = now + nanoseconds
        while let time = events.nextTime, time <= end, failure == nil, let (_, event) = events.next() {
            now = max(now, time)
            handle(event)
        }
        now = max(now, end)
    }

    private func handle(_ event: Event) {
        switch event {
        case .timer(let nodeIndex, let epoch, let instant):
            guard nodes[nodeIndex].epoch == epoch, nodes[nodeIndex].timerAt == instant else { return }
            feed(.timer, to: nodes[nodeIndex])
        case .arrival(let number, let side, let frame): arrive(frame, connection: number, side: side)
        case .up(let number, let side): goUp(number, side: side)
        case .down(let number, let side): goDown(number, side: side)
        case .work(let nodeIndex, let epoch):
            let node = nodes[nodeIndex]
            guard node.epoch == epoch else { return }
            CrashNote.at(node: nodeIndex, "a transaction")
            guarding(node) {
                let input = try node.workOff(
                    wallMilliseconds: wallMilliseconds,
                    honest: Set(nodes.map(\.organization)),
                    random: &worldRandom
                )
                if let input { feed(input, to: node) }
            }
        case .read(let nodeIndex, let epoch, let action):
            guard nodes[nodeIndex].epoch == epoch else { return }
            CrashNote.at(node: nodeIndex, "a look into its store")
            guarding(nodes[nodeIndex]) { try look(action, at: nodes[nodeIndex]) }
        case .input(let nodeIndex, let epoch, let input):
            guard nodes[nodeIndex].epoch == epoch else { return }
            feed(input, to: nodes[nodeIndex])
        }
    }

    func schedule(after nanoseconds: UInt64, _ event: Event) { events.add(event, at: now + nanoseconds) }

    /// Treats an error of a store as a failure, because it would stop a running node.
    func guarding(_ node: HonestNode, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            fail("node \(node.nodeIndex) would stop: \(error)")
        }
    }

    /// The time in Unix milliseconds.
    var wallMilliseconds: UInt64 { 1_700_000_000_000 + now / 1_000_000 }

    // MARK: - Engines

    func feed(_ input: EngineInput, to node: HonestNode) {
        CrashNote.at(node: node.nodeIndex, input)
        if settings.plant == .trap, step >= settings.steps / 2 { preconditionFailure("a planted mistake") }
        let actions = node.box.engine.step(
            input,
            now: Instant(nanoseconds: now),
            wallMilliseconds: wallMilliseconds
        )
        CrashNote.atItself()
        if step.isMultiple(of: 16), let what = node.box.engine.checkInvariants() {
            fail("an invariant does not hold at node \(node.nodeIndex): \(what)")
        }
        mix.add(now)
        mix.add(UInt64(node.nodeIndex) << 32 | UInt64(actions.count))
        for action in actions { perform(action, at: node) }
    }

    private func perform(_ action: EngineAction, at node: HonestNode) {
        switch action {
        case .send(let link, let message): send(message, on: link, from: node)
        case .disconnect(let link, let refusal): disconnect(link, refusal, at: node)
        case .dial(let key, let addresses): dial(key, address: addresses.first, from: node)
        case .hold(let link, let until):
            let (number, side) = Connection.nodeIndex(of: link)
            connections[number]?.heldUntil[side] = until.nanoseconds
        case .store(let token, let deltas, _): work(.store(token: token, deltas), at: node)
        case .storeStatement(let statement, let replaced): work(.statement(statement, replaced: replaced), at: node)
        case .storeAnnouncement(let announcement): work(.announcement(announcement), at: node)
        case .read, .readHeaders, .answerDiff:
            let delay = UInt64.random(in: 0...3_000_000, using: &worldRandom)
            schedule(after: delay, .read(node: node.nodeIndex, epoch: node.epoch, action))
        case .deliverDiff, .noteOverBudget, .noteSession, .noteRefused: break
        case .rosterChanged(let roster): adopt(roster, at: node)
        case .noteRefusal(let log, let sequence, let refusal, let peer):
            node.deltasRefused += 1
            if isHonest(peer), refusal.isForgery {
                fail("node \(node.nodeIndex) got a forged delta from an honest node: \(refusal.reason)")
            }
            guard let log else { break }
            let note = Refusal(
                log: log,
                sequence: sequence,
                code: refusal.code,
                reason: refusal.reason,
                peer: peer,
                time: wallMilliseconds
            )
            work(.refusal(note), at: node)
        case .noteViolation(let peer, let what):
            node.violations += 1
            counts.violations[what, default: 0] += 1
            trace("node \(node.nodeIndex) ends a session: \(what)")
            if isHonest(peer) { fail("node \(node.nodeIndex) says that an honest node breaks the protocol: \(what)") }
        case .setTimer(let instant):
            node.timerAt = instant
            events.add(.timer(node: node.nodeIndex, epoch: node.epoch, instant), at: max(now, instant.nanoseconds))
        }
    }

    private func isHonest(_ key: NodeKey) -> Bool { nodes.contains { $0.key == key } }

    private func work(_ work: HonestNode.Work, at node: HonestNode) {
        node.work.append(work)
        node.freeAt = max(node.freeAt, now) + UInt64.random(in: 200_000...6_000_000, using: &worldRandom)
        events.add(.work(node: node.nodeIndex, epoch: node.epoch), at: node.freeAt)
    }

    /// Looks up data that an engine requests, as a running node does.
    private func look(_ action: EngineAction, at node: HonestNode) throws {
        switch action {
        case .read(let range, let link, let bytesMax):
            let deltas = try node.store.read {
                try $0.deltas(of: range.log, from: range.from, bytesMax: Int(clamping: bytesMax))
            }
            let found = deltas.map { Gossip.StoredDelta(sequence: $0.sequence, bytes: $0.bytes) }
            feed(.deltasRead(link, range, found), to: node)
        case .readHeaders(let range, let purpose):
            let headers = try node.store.read { try $0.headers(of: range.log, range.from...range.to) }
            let found = headers.map { SignedHeader(header: $0.header, signature: $0.signature) }
            feed(.headersRead(range, purpose: purpose, found), to: node)
        case .answerDiff(let question, let link):
            let answer = try node.store.read {
                try RecordComparison.answer(question, reading: $0, hasher: alliance.cryptography)
            }
            feed(.diffAnswered(link, answer), to: node)
        default: break
        }
    }

    /// Disconnects nodes that are no longer members.
    private func adopt(_ roster: Roster, at node: HonestNode) {
        node.roster = roster
        for number in connections.keys.sorted() {
            guard let connection = connections[number],
                let side = connection.ends.firstIndex(of: .honest(node.nodeIndex)),
                roster.organization(of: key(of: connection.ends[1 - side])) == nil
            else { continue }
            hangUp(number)
        }
    }

    func key(of end: End) -> NodeKey {
        switch end {
        case .honest(let nodeIndex): nodes[nodeIndex].key
        case .hostile(let nodeIndex): peers[nodeIndex].key
        }
    }

    // MARK: - Acts of honest nodes

    private static let localIDs = ["a", "b", "c", "d", "e", "f", "g", "h"]
    private static let values = ["x", "y", "é", "测试"]

    /// Makes an honest node write.
    func edit() {
        guard let node = worldRandom.pick(nodes) else { return }
        let changes = Set((0...worldRandom.small(below: 5)).compactMap { _ in worldRandom.pick(Self.localIDs) })
            .sorted()
            .map { localID -> (localID: String, fields: [(FieldPath, FieldChange)]?) in
                guard !worldRandom.isOne(in: 8) else { return (localID, nil) }
                let value = Value.text(worldRandom.pick(Self.values) ?? "")
                return (
                    localID,
                    [
                        (FieldPath(unchecked: "name/und"), .set(value)),
                        (
                            FieldPath(unchecked: "tags"),
                            Bool.random(using: &worldRandom) ? .add([value]) : .remove([value])
                        ),
                    ]
                )
            }
        guarding(node) {
            let written = try node.write(changes, wallMilliseconds: wallMilliseconds, random: &worldRandom)
            guard let written else { return }
            let delta = written.delta
            let pooled = PooledDelta(
                log: delta.log,
                head: delta.head,
                bytes: delta.encoded(),
                header: SignedHeader(header: delta.headerBytes, signature: delta.signature)
            )
            pool.add(pooled, delta.citable)
            feed(written.input, to: node)
        }
    }

    /// Restarts an honest node.
    func restart() {
        guard let node = worldRandom.pick(nodes) else { return }
        trace("node \(node.nodeIndex) restarts")
        for number in connections.keys.sorted() {
            if connections[number]?.ends.contains(.honest(node.nodeIndex)) == true { hangUp(number) }
        }
        guarding(node) { try node.restart(seed: worldRandom.next(), now: Instant(nanoseconds: now)) }
        feed(.timer, to: node)
    }
}

extension DeltaRefusal {
    /// True if the delta's bytes alone show the fault, so that no honest node can have it to forward.
    fileprivate var isForgery: Bool {
        switch self {
        case .malformed, .tooLarge, .foreignAlliance, .badSignature, .badRoot, .badCount: true
        case .unknownAuthor, .wrongChain, .fork, .newerFormat: false
        }
    }
}

extension CrashNote {
    /// Records the engine's next input; inputs from a frame were recorded with the frame.
    static func at(node: Int, _ input: EngineInput) {
        switch input {
        case .linkUp: at(node: node, "a link that is up")
        case .linkDown: at(node: node, "a link that is down")
        case .dialFailed: at(node: node, "a dial that failed")
        case .committed: at(node: node, "an own delta")
        case .stored: at(node: node, "deltas stored")
        case .deltasRead: at(node: node, "deltas read")
        case .headersRead: at(node: node, "headers read")
        case .diffAnswered: at(node: node, "a comparison answered")
        case .timer: at(node: node, "its timer")
        case .message, .deltas, .unaskedDeltas, .malformed: break
        case .contact, .askDiff, .stated, .announced: at(node: node, "an input of its own")
        }
    }
}
