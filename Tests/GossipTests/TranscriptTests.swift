import Catalog
import DeltaLog
import Foundation
import Gossip
import Governance
import Simulator
import Testing

/// Whole conversations of nodes, byte for byte, for authors of other implementations: Tests/Vectors/transcripts.txt.
///
/// Keys, salts, clocks and all random values are fixed. After a change of the protocol, HANSA_WRITE_VECTORS=1 writes
/// the file again; read the difference before a commit.
struct TranscriptTests {
    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Vectors/transcripts.txt")

    @Test
    func `conversations are byte for byte those of the vector file`() throws {
        let text = (Self.catchUp() + [""] + Self.broadcast()).joined(separator: "\n") + "\n"
        if ProcessInfo.processInfo.environment["HANSA_WRITE_VECTORS"] != nil {
            try text.write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: Self.file, encoding: .utf8)
        let lines = (text.split(separator: "\n"), written.split(separator: "\n"))
        for (own, theirs) in zip(lines.0, lines.1) { try #require(own == theirs) }
        #expect(lines.0.count == lines.1.count)
    }

    /// Two nodes meet; one holds three deltas more. Then nothing happens for a while.
    private static func catchUp() -> [String] {
        var talk = Conversation(nodes: 2)
        talk.say("# node 1 holds three deltas of its own, node 0 nothing; node 0 dials node 1")
        for number in 0..<3 { talk.put("record \(number)", by: 1) }
        talk.start()
        talk.connect(0, 1)
        talk.pass(milliseconds: 2_000)
        talk.say("# both hold the same; some heartbeats and a question later")
        talk.pass(milliseconds: 12_000)
        return talk.lines
    }

    /// Three neighbours: a delta that comes twice, one that is announced, and one that is lost on its way and grafted.
    private static func broadcast() -> [String] {
        var talk = Conversation(nodes: 3)
        talk.say("# three nodes, each connected with both others, meet")
        talk.start()
        talk.connect(0, 1)
        talk.connect(0, 2)
        talk.connect(1, 2)
        talk.pass(milliseconds: 2_000)
        talk.say("# node 0 writes: nodes 1 and 2 push it to each other, and prune their link")
        talk.write("first", by: 0)
        talk.pass(milliseconds: 400)
        talk.say("# node 0 writes again, and what it pushes to node 2 is lost: node 2 grafts")
        talk.lost = (0, 2)
        talk.write("second", by: 0)
        talk.pass(milliseconds: 1_200)
        return talk.lines
    }
}

/// Engines that talk to each other without delay, over storage in memory.
private struct Conversation {
    private let alliance: VirtualAlliance
    private let count: Int
    private var engines: [EngineBox] = []
    private var storages: [MemoryStorage]
    private var queue: [(from: Int, to: Int, frame: [UInt8])] = []
    private var milliseconds: UInt64 = 1_000
    private(set) var lines: [String] = []
    /// The next push from one node to another one is lost.
    var lost: (from: Int, to: Int)?

    init(nodes count: Int) {
        alliance = VirtualAlliance(founders: count, cryptography: .system)
        self.count = count
        storages = Array(repeating: MemoryStorage(), count: count)
    }

    mutating func say(_ line: String) { lines.append(line) }

    mutating func start() {
        for number in 0..<count {
            let engine = Engine(
                charter: alliance.charter,
                node: alliance.node(number),
                program: "example \(number)",
                governance: alliance.governance(alliance.enrolments),
                announcements: AnnouncementSet(),
                frontier: storages[number].frontier,
                summary: summary(number),
                cryptography: alliance.cryptography,
                random: SplitMix64(seed: UInt64(number) + 1)
            )
            engines.append(EngineBox(engine))
        }
    }

    private func summary(_ number: Int) -> StoredSummary {
        StoredSummary(digest: storages[number].digest, records: UInt64(storages[number].visibleCount))
    }

    private func link(_ from: Int, _ to: Int) -> LinkID { LinkID(UInt64(from * 10 + to)) }

    mutating func connect(_ one: Int, _ other: Int) {
        feed(.linkUp(link(one, other), node: alliance.node(other), dialled: true), to: one)
        feed(.linkUp(link(other, one), node: alliance.node(one), dialled: false), to: other)
        drain()
    }

    /// Puts a delta on a node's disk, and returns it.
    @discardableResult
    mutating func put(_ name: String, by number: Int) -> VerifiedDelta {
        let storage = storages[number]
        let log = LogID(author: alliance.node(number), incarnation: 1)
        let delta = alliance.delta(
            by: number,
            after: storage.head(of: log),
            milliseconds: 1_700_000_000_000,
            names: [(localID: name, name: name)],
            view: { storage.view(of: $0) }
        )
        apply(delta, at: number)
        return delta
    }

    mutating func write(_ name: String, by number: Int) {
        let delta = put(name, by: number)
        feed(.committed([delta], summary: summary(number)), to: number)
        drain()
    }

    private mutating func apply(_ delta: VerifiedDelta, at number: Int) {
        let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        guard case .applied? = try? applier.apply(delta, to: &storages[number]) else {
            Issue.record("a delta that does not apply")
            return
        }
    }

    mutating func pass(milliseconds time: UInt64) {
        let end = milliseconds + time
        while milliseconds < end {
            milliseconds += 50
            for number in 0..<count { feed(.timer, to: number) }
            drain()
        }
    }

    private mutating func drain() {
        while !queue.isEmpty {
            let (from, to, frame) = queue.removeFirst()
            guard let message = try? PeerMessage(decoding: frame) else {
                Issue.record("a frame that cannot be read")
                continue
            }
            let link = link(to, from)
            switch message {
            case .deltas(let deltas): feed(.deltas(link, check(deltas), .asked(byteCount: frame.count)), to: to)
            case .push(let deltas, let hops): feed(.deltas(link, check(deltas), .pushed(hops: hops)), to: to)
            default: feed(.message(link, message), to: to)
            }
        }
    }

    private func check(_ deltas: [[UInt8]]) -> [ReceivedDelta] {
        deltas.compactMap { bytes in
            (try? VerifiedDelta(verifying: bytes[...], alliance: alliance.id, cryptography: alliance.cryptography))
                .map(ReceivedDelta.verified)
        }
    }

    private mutating func feed(_ input: EngineInput, to number: Int) {
        let now = Instant(nanoseconds: milliseconds * 1_000_000)
        for action in engines[number].engine.step(input, now: now, wallMilliseconds: 1_700_000_000_000 + milliseconds) {
            perform(action, at: number)
        }
    }

    private mutating func perform(_ action: EngineAction, at number: Int) {
        switch action {
        case .send(let link, let message):
            let to = Int(link.number % 10)
            let frame = message.encoded()
            let kind = Mirror(reflecting: message).children.first?.label ?? "\(message)"
            var isLost = false
            if case .push = message, let lost, lost == (number, to) {
                isLost = true
                self.lost = nil
            }
            lines.append("\(number) to \(to)\(isLost ? ", lost" : ""): \(kind) \(Hex.string(frame))")
            if !isLost { queue.append((number, to, frame)) }
        case .store(let token, let deltas, _):
            for delta in deltas { apply(delta, at: number) }
            feed(
                .stored(token: token, deltas.map { _ in .applied }, summary: summary(number)),
                to: number
            )
        case .read(let range, let link, let bytesMax):
            var size: UInt64 = 0
            var found: [StoredDelta] = []
            for delta in (storages[number].deltas[range.log] ?? []).dropFirst(Int(range.from) - 1) {
                guard found.isEmpty || size + UInt64(delta.byteCount) <= bytesMax else { break }
                size += UInt64(delta.byteCount)
                found.append(StoredDelta(sequence: delta.header.sequence, bytes: delta.encoded()))
            }
            feed(.deltasRead(link, range, found), to: number)
        default: break
        }
    }
}
