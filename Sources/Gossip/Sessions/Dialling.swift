import Catalog
import Governance

/// Which nodes are being dialled, which may be dialled when, and what is remembered of each node.
///
/// Each dial of a node that fails doubles its pause. Nodes that never answered share pauses by organization besides, so that
/// no organization's dead addresses use up the dials.
struct Dialling {
    /// What is remembered of nodes beyond their connections.
    private(set) var records: [NodeKey: PeerRecord] = [:]
    /// Nodes that are being dialled.
    private(set) var current: Set<NodeKey> = []
    /// By organization, after a dial of a node that never answered: how long the next such dial waits.
    private var unprovenPauses: [OrganizationID: (pause: Milliseconds, until: Instant)] = [:]
    /// In a full mesh, nodes with lesser keys are not dialled before; nil before the first step.
    private var courtesyUntil: Instant?

    /// What is remembered of a node, from now on.
    mutating func record(of peer: NodeKey) -> PeerRecord {
        if let known = records[peer] { return known }
        let new = PeerRecord()
        records[peer] = new
        return new
    }

    /// Starts the time in which the node with the greater key leaves dialling to the other.
    mutating func start(now: Instant, settings: EngineSettings) {
        if courtesyUntil == nil { courtesyUntil = now + settings.dialCourtesy }
    }

    /// True if a node may be dialled now.
    ///
    /// - Parameters:
    ///   - organization: The node's.
    ///   - mesh: This node's key in a full mesh, where both sides would dial at once; nil elsewhere.
    func mayDial(_ peer: NodeKey, of organization: OrganizationID, mesh own: NodeKey?, now: Instant) -> Bool {
        if let own, peer < own, courtesyUntil.map({ now < $0 }) ?? true { return false }
        let record = records[peer]
        if own == nil, record?.dial.isProven != true, let pause = unprovenPauses[organization], now < pause.until {
            return false
        }
        guard !current.contains(peer) else { return false }
        guard let record else { return true }
        return !record.isBanned(now: now) && record.dial.next.map { $0 <= now } ?? true
    }

    /// Notes that a node is dialled.
    ///
    /// - Returns: Its addresses in the order in which they are tried, the one that last answered first.
    mutating func begin(_ peer: NodeKey, _ addresses: [String]) -> [String] {
        let record = record(of: peer)
        record.dial.next = nil
        current.insert(peer)
        guard let known = record.dial.address, let position = addresses.firstIndex(of: known) else { return addresses }
        var ordered = addresses
        ordered.remove(at: position)
        ordered.insert(known, at: 0)
        return ordered
    }

    /// Notes that a dial has come to an end.
    mutating func ended(_ peer: NodeKey) { current.remove(peer) }

    /// Notes that a session with a node has begun.
    ///
    /// - Parameter address: The one that answered, where this node dialled.
    mutating func connected(_ peer: NodeKey, of organization: OrganizationID, address: String?) {
        let record = record(of: peer)
        record.dial.isProven = true
        record.dial.next = nil
        record.dial.failure = nil
        if let address { record.dial.address = address }
        unprovenPauses[organization] = nil
    }

    /// Notes that a dial has failed.
    mutating func failed(
        _ peer: NodeKey,
        of organization: OrganizationID?,
        reason: String,
        now: Instant,
        settings: EngineSettings,
        random: inout any RandomNumberGenerator & Sendable
    ) {
        current.remove(peer)
        let record = record(of: peer)
        if !record.dial.isProven, let organization {
            let pause = Self.longer(unprovenPauses[organization]?.pause, settings)
            unprovenPauses[organization] = (pause, now + pause.jittered(using: &random))
        }
        record.dial.failure = PeerStatus.DialFailure(reason: reason, at: now)
        record.hasFailed = true
        schedule(record, now: now, settings: settings, random: &random)
    }

    /// Sets when a node is dialled again.
    func schedule(
        _ record: PeerRecord,
        now: Instant,
        settings: EngineSettings,
        random: inout any RandomNumberGenerator & Sendable
    ) {
        let pause = Self.longer(record.dial.pause, settings)
        record.dial.pause = pause
        record.dial.next = now + pause.jittered(using: &random)
    }

    private static func longer(_ pause: Milliseconds?, _ settings: EngineSettings) -> Milliseconds {
        pause.map { min(Milliseconds($0.count * 2), settings.dialPauseMax) } ?? settings.dialPauseMin
    }

    /// A node has announced a new address: it is worth a try soon, though not as often as somebody signs one.
    ///
    /// - Parameter next: When it may be dialled.
    /// - Returns: False where its pause was cut short lately.
    mutating func hasten(_ peer: NodeKey, to next: Instant, now: Instant, settings: EngineSettings) -> Bool {
        let record = record(of: peer)
        if let last = record.dial.hastenedAt, now < last + settings.dialPauseMax { return false }
        record.dial.hastenedAt = now
        record.dial.pause = nil
        record.dial.next = next
        return true
    }
}

/// What is remembered of a node beyond its connections. Only the engine that made it has it.
final class PeerRecord {
    var state: StateSummary?
    /// What differed when the last session ended.
    var difference: Difference?
    var lastContact: Instant?
    /// The peer's clock less this node's when it was last told, in milliseconds.
    var clockAheadMilliseconds: Int64?
    var program: String?
    /// Why the peer ended or refused the last session, in its own words.
    var refusal: SessionRefusal?
    /// True since a dial or a session failed, until something is heard again.
    var hasFailed = false
    /// No session with it before then, since it broke the protocol.
    var bannedUntil: Instant?
    /// Deltas that were served to it.
    var served: UInt64 = 0
    var dial = Dial()

    /// Deltas that a node lacked, and had more.
    struct Difference {
        let behindBy: UInt64
        let aheadBy: UInt64
        /// The fingerprint of this node's frontier then.
        let frontier: Hash256
    }

    /// What is remembered of dialling a node.
    struct Dial {
        /// True once a session with it was open, in this run of the node or, as far as the node remembers, in one before.
        var isProven = false
        /// The address that answered last.
        var address: String?
        /// When an announcement last cut a pause short.
        var hastenedAt: Instant?
        /// Why the last dial failed; nil since a connection came up.
        var failure: PeerStatus.DialFailure?
        /// When it may be dialled next; nil for any time.
        var next: Instant?
        /// The pause after the last failure.
        var pause: Milliseconds?
    }

    /// True while no session with it is to be.
    func isBanned(now: Instant) -> Bool { bannedUntil.map { $0 > now } ?? false }
}

extension Milliseconds {
    /// Half to one and a half times as long.
    func jittered(using random: inout any RandomNumberGenerator & Sendable) -> Milliseconds {
        Milliseconds(count / 2 + UInt64.random(in: 0...max(1, count), using: &random))
    }
}
