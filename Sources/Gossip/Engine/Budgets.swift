/// What one peer, or one author, may make this node do: rates with room for bursts.
package struct BudgetSettings: Hashable, Sendable {
    /// Units of work for a peer's messages, a second: one for each message, one for each 16 heads or keys in it, one for
    /// each fingerprint of a range, and 20 for a comparison that is to be answered. A guess: a hundred times what a busy
    /// honest neighbour asks for.
    package var workPerSecond: UInt64 = 2_000
    package var workBurst: UInt64 = 100_000
    /// Signatures checked in vain for a peer, a second: of deltas, statements and announcements that were held already or
    /// count for nothing. An honest peer causes some, since pushes cross.
    package var wastePerSecond: UInt64 = 100
    package var wasteBurst: UInt64 = 20_000
    /// Bytes of one author's deltas that this node pushes on, a second; beyond it they are only told of, so that who
    /// has room fetches them (pull only).
    package var authorBytesPerSecond: UInt64 = 256 * 1024
    package var authorBytesBurst: UInt64 = 8 * 1024 * 1024
    /// How long an author stays pull-only once over its budget.
    package var authorPause: Milliseconds = 30_000

    package init() {}
}

/// A token bucket: what is not used is saved up to a bound.
struct TokenBucket: Sendable {
    private let perSecond: UInt64
    private let burst: UInt64
    /// In millionths of a unit, so that nothing is lost between steps that are close together.
    private var tokens: UInt64
    private var filledAt: Instant

    init(perSecond: UInt64, burst: UInt64, now: Instant) {
        self.perSecond = perSecond
        self.burst = burst
        tokens = burst * 1_000_000
        filledAt = now
    }

    /// Takes so many units; false where there are not enough.
    mutating func take(_ units: UInt64, now: Instant) -> Bool {
        let microseconds = now > filledAt ? (now.nanoseconds - filledAt.nanoseconds) / 1000 : 0
        if microseconds > 0 {
            filledAt = now
            let gained = microseconds.multipliedReportingOverflow(by: perSecond)
            let full = burst * 1_000_000
            tokens = gained.overflow || gained.partialValue > full - tokens ? full : tokens + gained.partialValue
        }
        let (cost, isOverflow) = units.multipliedReportingOverflow(by: 1_000_000)
        guard !isOverflow, tokens >= cost else { return false }
        tokens -= cost
        return true
    }
}

/// What one peer may make this node do.
struct LinkBudget: Sendable {
    private var work: TokenBucket
    private var waste: TokenBucket

    init(settings: BudgetSettings, now: Instant) {
        work = TokenBucket(perSecond: settings.workPerSecond, burst: settings.workBurst, now: now)
        waste = TokenBucket(perSecond: settings.wastePerSecond, burst: settings.wasteBurst, now: now)
    }

    /// Charges a message; false where the peer has used up its share.
    mutating func charge(_ message: PeerMessage, now: Instant) -> Bool {
        let elements =
            switch message {
            case .governance(let known, let statements, _): known.count + statements.count
            case .announcements(let encoded): encoded.count
            case .ranges(let ranges): Self.elements(of: ranges)
            case .have(let heads): heads.count
            case .iHave(let heads): heads.count
            case .headers(_, _, let headers): headers.count
            case .shuffle(_, _, let nodes), .shuffleReply(_, let nodes): nodes.count
            default: 0
            }
        return work.take(1 + UInt64(elements / 16), now: now)
    }

    /// What asks makes this node sum up, and answer with far more than it was sent.
    private static func elements(of ranges: [FrontierRange]) -> Int {
        var elements = 0
        var asks = false
        for range in ranges {
            switch range.content {
            case .skip: break
            case .fingerprint:
                elements += 16
                asks = true
            case .entries(let entries, let answer):
                elements += entries.count
                asks = asks || answer
            }
        }
        return elements + (asks ? 320 : 0)
    }

    /// Charges signatures that were checked in vain.
    mutating func chargeWaste(_ count: Int, now: Instant) -> Bool {
        count == 0 || waste.take(UInt64(count), now: now)
    }
}
