import Catalog
import Governance

/// The nodes that are being dialled, the pauses before the next dials, and the record of each node.
///
/// Each failed dial of a node doubles its pause. Nodes that never answered also share a pause by organization, so that
/// one organization's dead addresses cannot use up the dials.
struct Dialling {
    /// The peer records.
    private(set) var records: [NodeKey: PeerRecord] = [:]
    /// Nodes that are being dialled.
    private(set) var current: Set<NodeKey> = []
    /// By organization, after a failed dial of a node that never answered: the pause before the next such dial.
    private var unprovenPauses: [OrganizationID: (pause: Milliseconds, until: Instant)] = [:]
    /// In a full mesh, nodes with lesser keys are not dialled before this moment; nil before the first step.
    private var courtesyUntil: Instant?

    /// The record of a node; created if there is none.
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
    /// - Parameter address: The address that answered, if this node dialled.
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

    /// Sets the time of the next dial of a node.
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

    /// Shortens a node's pause after it has announced a new address, but not as often as it signs a new one.
    ///
    /// - Parameter next: The moment from which it may be dialled.
    /// - Returns: False if its pause was shortened lately.
    mutating func hasten(_ peer: NodeKey, to next: Instant, now: Instant, settings: EngineSettings) -> Bool {
        let record = record(of: peer)
        if let last = record.dial.hastenedAt, now < last + settings.dialPauseMax { return false }
        record.dial.hastenedAt = now
        record.dial.pause = nil
        record.dial.next = next
        return true
    }
}

/// The record of a node that outlives its connections. It never leaves the engine that made it.
final class PeerRecord {
    var state: StateSummary?
    /// The difference when the last session ended.
    var difference: Difference?
    var lastContact: Instant?
    /// The peer's clock less this node's at the last message with a time, in milliseconds.
    var clockAheadMilliseconds: Int64?
    var program: String?
    /// The reason for which the peer ended or refused the last session, in its own words.
    var refusal: SessionRefusal?
    /// True since a dial or a session failed, until something is received again.
    var hasFailed = false
    /// This node has no session with the peer before then, since the peer broke the protocol.
    var bannedUntil: Instant?
    /// The number of deltas that were served to it.
    var served: UInt64 = 0
    var dial = Dial()

    /// The numbers of deltas that a node lacked, and had more.
    struct Difference {
        let behindBy: UInt64
        let aheadBy: UInt64
        /// The fingerprint of this node's frontier at that time.
        let frontier: Hash256
    }

    /// The state of dialling a node.
    struct Dial {
        /// True once a session with it was open, in this run of the node or in an earlier one that the node remembers.
        var isProven = false
        /// The address that answered last.
        var address: String?
        /// When an announcement last shortened a pause.
        var hastenedAt: Instant?
        /// The last failed dial; nil since a connection came up.
        var failure: PeerStatus.DialFailure?
        /// The earliest time of the next dial; nil for any time.
        var next: Instant?
        /// The pause after the last failure.
        var pause: Milliseconds?
    }

    /// True while the peer is banned.
    func isBanned(now: Instant) -> Bool { bannedUntil.map { $0 > now } ?? false }
}

extension Milliseconds {
    /// A random length of time, from half to one and a half times this one.
    func jittered(using random: inout any RandomNumberGenerator & Sendable) -> Milliseconds {
        Milliseconds(count / 2 + UInt64.random(in: 0...max(1, count), using: &random))
    }
}
