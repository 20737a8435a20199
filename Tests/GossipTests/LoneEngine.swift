import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator
import TestSupport
import Testing

/// One engine, node 0 of an alliance, with a simulated peer at the other end of each link.
struct LoneEngine {
    let alliance: VirtualAlliance
    private let box: EngineBox
    var engine: Engine {
        _read { yield box.engine }
    }
    var milliseconds: UInt64 = 0
    var now: Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
    private var links: UInt64 = 0

    init(
        alliance: VirtualAlliance = VirtualAlliance(founders: 3),
        frontier: Frontier = Frontier(),
        settings: EngineSettings = EngineSettings(),
        contacts: [KnownContact] = []
    ) {
        self.alliance = alliance
        let engine = Engine(
            settings: settings,
            charter: alliance.charter,
            node: VirtualAlliance.node(0),
            program: "test",
            governance: alliance.governance(alliance.enrolments),
            announcements: AnnouncementSet(),
            frontier: frontier,
            summary: StoredSummary(digest: CatalogDigest(), records: 0),
            contacts: contacts,
            cryptography: alliance.cryptography,
            random: SplitMix64(seed: 1)
        )
        box = EngineBox(engine)
    }

    @discardableResult
    mutating func step(_ input: EngineInput) -> [EngineAction] {
        let actions = box.engine.step(input, now: now, wallMilliseconds: milliseconds)
        if let what = box.engine.checkInvariants() { Issue.record("after \(input): \(what)") }
        return actions
    }

    /// Lets time pass, and wakes the engine every second as timers would. Meanwhile the peers on `hearing` send
    /// messages.
    mutating func wait(milliseconds time: UInt64, hearing: [LinkID] = []) -> [EngineAction] {
        var actions: [EngineAction] = []
        for _ in 0..<(time / 1000) {
            milliseconds += 1000
            for link in hearing { actions += receive(.have([]), on: link) }
            actions += step(.timer)
        }
        return actions
    }

    func hello(frontier: Hash256? = nil) -> PeerMessage.Hello {
        PeerMessage.Hello(
            alliance: alliance.id,
            program: "peer",
            governance: engine.governance.fingerprint(hasher: alliance.cryptography),
            announcements: engine.announcements.fingerprint(hasher: alliance.cryptography),
            state: StateSummary(
                frontier: frontier ?? engine.fingerprint,
                digest: CatalogDigest(),
                records: 0,
                wallMilliseconds: 0
            )
        )
    }

    /// A new link with a node, before its first message.
    mutating func connect(_ number: Int, dialled: Bool = false) -> (link: LinkID, actions: [EngineAction]) {
        links += 1
        let link = LinkID(links)
        return (link, step(.linkUp(link, node: VirtualAlliance.node(number), dialled: dialled)))
    }

    /// A link on which both sides have sent Hello.
    mutating func open(_ number: Int, dialled: Bool = false) -> LinkID {
        let link = connect(number, dialled: dialled).link
        step(.message(link, .hello(hello())))
        step(.message(link, .neighbour(isUrgent: true)))
        return link
    }

    @discardableResult
    mutating func receive(_ message: PeerMessage, on link: LinkID) -> [EngineAction] {
        step(.message(link, message))
    }

    /// Deltas as bytes, checked on the way in.
    mutating func receive(deltas: [[UInt8]], on link: LinkID) -> [EngineAction] {
        let checked = deltas.map { ReceivedDelta(checking: $0, in: alliance) }
        return step(.deltas(link, checked, .asked(byteCount: PeerMessage.deltas(deltas).encoded().count)))
    }

    /// Deltas that come by a push.
    mutating func receive(pushed deltas: [VerifiedDelta], hops: UInt32 = 1, on link: LinkID) -> [EngineAction] {
        step(.deltas(link, deltas.map(ReceivedDelta.verified), .pushed(hops: hops)))
    }

    /// A log of `count` deltas.
    func log(by number: Int, incarnation: UInt64 = 1, count: Int, tag: String = "x") -> [VerifiedDelta] {
        alliance.log(by: number, incarnation: incarnation, count: count, tag: tag)
    }
}

extension [EngineAction] {
    var disconnects: [SessionRefusal?] {
        compactMap { if case .disconnect(_, let refusal) = $0 { .some(refusal) } else { nil } }
    }
    var violations: [String] { compactMap { if case .noteViolation(_, let what) = $0 { what } else { nil } } }
    var refusals: [DeltaRefusal] {
        compactMap { if case .noteRefusal(_, _, let refusal, _) = $0 { refusal } else { nil } }
    }
    var stores: [(token: UInt64, deltas: [VerifiedDelta])] {
        compactMap { if case .store(let token, let deltas, _) = $0 { (token, deltas) } else { nil } }
    }
    var reads: [LogRange] { compactMap { if case .read(let range, _, _) = $0 { range } else { nil } } }
    var sent: [PeerMessage] { compactMap { if case .send(_, let message) = $0 { message } else { nil } } }
    var wants: [(range: LogRange, credit: UInt64)] {
        sent.compactMap { if case .want(let range, let credit) = $0 { (range, credit) } else { nil } }
    }
    func sent(on link: LinkID) -> [PeerMessage] {
        compactMap { if case .send(link, let message) = $0 { message } else { nil } }
    }
}
