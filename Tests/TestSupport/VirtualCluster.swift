package import Catalog
package import DeltaLog
package import Gossip

/// Nodes that run real engines over storage in memory, in virtual time, on a network that delays, holds back and breaks.
///
/// Everything is drawn from one seed: the same seed and the same calls give the same ``trace``. Links are like TCP:
/// what is sent arrives in order or not at all. The executor of actions checks what the engine's contract promises and
/// notes what it finds in ``violations``.
package struct VirtualCluster: Sendable {
    /// How the cluster behaves.
    package struct Settings: Sendable {
        package var engine = EngineSettings()
        /// Milliseconds that a message is under way.
        package var delay: ClosedRange<UInt64> = 1...40
        /// Milliseconds that storing a batch takes.
        package var storing: ClosedRange<UInt64> = 1...20
        /// Milliseconds after which a dial that nobody answers has failed.
        package var dialTimeout: UInt64 = 3_000

        package init() {}
    }

    package typealias VirtualEngine = Engine<KeyedHashCryptography>

    /// One node: what is on its disk survives a crash, all else does not.
    struct Node: Sendable {
        let number: Int
        // On disk.
        var storage = MemoryStorage()
        var governance: GovernanceSet
        var announcements = AnnouncementSet()
        var incarnation: UInt64 = 1
        // In memory.
        var engine: VirtualEngine?
        /// Counts starts: what was begun before a crash comes to nothing.
        var epoch: UInt64 = 0
        var timerAt: Instant?
        /// When the disk has done all that it was given.
        var diskFreeAt: UInt64 = 0
        var ends: [LinkID: End] = [:]
        // How it behaves.
        var storing: ClosedRange<UInt64>?
        /// Takes wants and never sends deltas.
        var isStalling = false
        var stalledReads: [Event] = []
        var clockAhead: UInt64 = 0
        /// What the engine asked to note.
        var notes = Notes()
    }

    /// What engines reported.
    package struct Notes: Sendable, Equatable {
        package var refusals: [DeltaRefusal] = []
        package var refused: [String] = []
        package var violations: [String] = []
        package var sessions = 0
        package var rosters = 0
        package var messagesSent = 0
        package var bytesSent = 0
        /// Bytes of frames that hold deltas.
        package var deltaBytesSent = 0
    }

    /// One side of a connection.
    struct End: Sendable {
        let connection: Int
        let side: Int
    }

    struct Connection: Sendable {
        let nodes: [Int]
        let links: [LinkID]
        /// When the last message to each side arrives, so that none overtakes another.
        var arrivals: [UInt64] = [0, 0]
        /// Messages that a partition holds back, by the side that they go to.
        var held: [[[UInt8]]] = [[], []]
        /// Nothing more passes.
        var isBroken = false
    }

    enum Event: Sendable {
        case input(node: Int, epoch: UInt64, EngineInput)
        case timer(node: Int, epoch: UInt64, Instant)
        case arrival(connection: Int, side: Int, frame: [UInt8])
        case store(node: Int, epoch: UInt64, token: UInt64, [VerifiedDelta])
        case keep(node: Int, epoch: UInt64, Statement, replaced: Hash256?)
        case announce(node: Int, epoch: UInt64, Announcement)
        case dial(from: Int, epoch: UInt64, to: Int, deadline: UInt64)
        case down(connection: Int, side: Int)
    }

    package let alliance: VirtualAlliance
    package var settings: Settings
    /// Nanoseconds since the start.
    package internal(set) var now: UInt64 = 0
    /// A hash over everything that happened.
    package internal(set) var trace = Hash256.zero
    /// Contracts that an engine broke; each a bug.
    package internal(set) var violations: [String] = []
    var nodes: [Node]
    var connections: [Connection] = []
    var events = EventQueue<Event>()
    var random: SplitMix64
    var nextLink: UInt64 = 1
    /// Directions in which nothing passes.
    var blocked: Set<[Int]> = []

    /// A cluster of founders that know each other's addresses. None runs before ``start(_:)``.
    package init(nodes count: Int, seed: UInt64, settings: Settings = Settings()) {
        alliance = VirtualAlliance(founders: count)
        self.settings = settings
        random = SplitMix64(seed: seed)
        let governance = alliance.governance(alliance.enrolments)
        var announcements = AnnouncementSet()
        for number in 0..<count { _ = announcements.insert(alliance.announcement(of: number)) }
        nodes = (0..<count).map { Node(number: $0, governance: governance, announcements: announcements) }
    }

    // MARK: - Looking

    package var count: Int { nodes.count }
    package func engine(_ number: Int) -> VirtualEngine? { nodes[number].engine }
    package func storage(_ number: Int) -> MemoryStorage { nodes[number].storage }
    package func notes(_ number: Int) -> Notes { nodes[number].notes }
    package var running: [Int] { nodes.indices.filter { nodes[$0].engine != nil } }

    /// True if all running nodes hold the same, by frontier and by digest, and their engines know it.
    package var isConverged: Bool {
        let running = running
        guard let first = running.first else { return true }
        return running.allSatisfy {
            nodes[$0].storage.frontier == nodes[first].storage.frontier
                && nodes[$0].storage.digest == nodes[first].storage.digest
                && nodes[$0].engine?.fingerprint == nodes[first].engine?.fingerprint
                && nodes[$0].engine?.governance == nodes[first].engine?.governance
        }
    }

    /// Who holds what, for a failing test.
    package var summary: String {
        nodes.map { node in
            let heads = node.storage.frontier.sorted.map {
                "\($0.log.author.short)/\($0.log.incarnation):\($0.head.sequence)"
            }
            let peers = node.engine?.peerStatuses().map(\.standing.rawValue) ?? ["down"]
            return "\(node.number): \(heads.joined(separator: " ")) \(peers)"
        }.joined(separator: "\n") + violations.prefix(5).map { "\n" + $0 }.joined()
    }

    // MARK: - Running

    /// Lets so much time pass.
    package mutating func run(milliseconds: UInt64) {
        let end = now + milliseconds * 1_000_000
        while let time = events.nextTime, time <= end { step() }
        now = end
    }

    /// Runs until the condition holds; false where it does not within that time.
    package mutating func run(
        atMost milliseconds: UInt64,
        until condition: (borrowing VirtualCluster) -> Bool
    ) -> Bool {
        let end = now + milliseconds * 1_000_000
        while !condition(self) {
            guard now < end else { return false }
            run(milliseconds: 50)
        }
        return true
    }

    private mutating func step() {
        guard let (time, event) = events.next() else { return }
        now = max(now, time)
        switch event {
        case .input(let node, let epoch, let input): if nodes[node].epoch == epoch { feed(input, to: node) }
        case .timer(let node, let epoch, let instant):
            if nodes[node].epoch == epoch, nodes[node].timerAt == instant { feed(.timer, to: node) }
        case .arrival(let connection, let side, let frame): arrive(frame, connection: connection, side: side)
        case .store(let node, let epoch, let token, let deltas):
            if nodes[node].epoch == epoch { store(deltas, token: token, at: node) }
        case .keep(let node, let epoch, let statement, let replaced):
            if nodes[node].epoch == epoch { keep(statement, replaced: replaced, at: node) }
        case .announce(let node, let epoch, let announcement):
            if nodes[node].epoch == epoch { _ = nodes[node].announcements.insert(announcement) }
        case .dial(let from, let epoch, let to, let deadline):
            if nodes[from].epoch == epoch { answerDial(from: from, to: to, deadline: deadline) }
        case .down(let connection, let side): goDown(connection: connection, side: side)
        }
    }

    mutating func schedule(afterMilliseconds delay: UInt64, _ event: Event) {
        events.add(event, at: now + delay * 1_000_000)
    }

    /// Gives an engine an input, and carries out what it asks for.
    mutating func feed(_ input: EngineInput, to number: Int) {
        guard nodes[number].engine != nil else { return }
        let wall = 1_700_000_000_000 + now / 1_000_000 + nodes[number].clockAhead
        let actions = nodes[number].engine!.step(input, now: Instant(nanoseconds: now), wallMilliseconds: wall)
        note("step \(number)", bytes: [])
        for action in actions { perform(action, at: number) }
    }

    /// Adds to the trace.
    mutating func note(_ what: String, bytes: [UInt8]) {
        var fields = TaggedFields("trace")
        fields.append(trace)
        fields.append(now)
        fields.append(what)
        fields.append(bytes)
        trace = alliance.cryptography.hash(fields.bytes)
    }
}

/// What is to happen, in order of time and, at one time, in the order in which it was added: a binary heap.
struct EventQueue<Event: Sendable>: Sendable {
    private var heap: [(time: UInt64, number: UInt64, event: Event)] = []
    private var nextNumber: UInt64 = 0

    var nextTime: UInt64? { heap.first?.time }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        (heap[left].time, heap[left].number) < (heap[right].time, heap[right].number)
    }

    mutating func add(_ event: Event, at time: UInt64) {
        heap.append((time, nextNumber, event))
        nextNumber += 1
        var position = heap.count - 1
        while position > 0, precedes(position, (position - 1) / 2) {
            heap.swapAt(position, (position - 1) / 2)
            position = (position - 1) / 2
        }
    }

    mutating func next() -> (time: UInt64, event: Event)? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var position = 0
        while true {
            var least = position
            for child in [2 * position + 1, 2 * position + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            guard least != position else { break }
            heap.swapAt(position, least)
            position = least
        }
        return (first.time, first.event)
    }
}
