/// The rates of work that the nodes of one organization, or one author, may cause on this node, with room for bursts.
///
/// Work is counted in microseconds of one processor, by the prices in ``Price``.
package struct BudgetSettings: Hashable, Sendable {
    /// The work for one organization's messages, in microseconds a second: a quarter of a processor. The prices are
    /// higher than the measured costs, so the true share is about a tenth.
    package var workPerSecond: UInt64 = 250_000
    /// The work that an organization may save up, in microseconds. Two seconds: a newcomer's first exchange of a large
    /// alliance's statements costs less.
    package var workBurst: UInt64 = 2_000_000
    /// The longest pause in reading from a link whose organization has overdrawn its account. A guess: it is shorter
    /// than ``EngineSettings/suspectAfter``, so a peer that only asks too much stays in contact.
    package var holdMax: Milliseconds = 10_000
    /// The bytes of one author's deltas that this node pushes on, a second. Beyond it deltas are only announced, and a
    /// peer that has room fetches them (pull only).
    package var authorBytesPerSecond: UInt64 = 256 * 1024
    package var authorBytesBurst: UInt64 = 8 * 1024 * 1024
    /// How long an author stays pull-only once over its budget.
    package var authorPause: Milliseconds = 30_000

    package init() {}
}

/// A token bucket: it saves unused tokens up to a bound.
struct TokenBucket: Sendable {
    private let perSecond: UInt64
    private let burst: UInt64
    /// The balance in millionths of a token, so that short intervals between steps lose nothing. Negative: overdrawn.
    private var tokens: Int64
    private var filledAt: Instant

    /// - Parameters:
    ///   - perSecond: The tokens gained in a second, at least 1.
    ///   - burst: The most tokens saved, up to 10^12.
    init(perSecond: UInt64, burst: UInt64, now: Instant) {
        self.perSecond = max(1, perSecond)
        self.burst = min(burst, 1_000_000_000_000)
        tokens = Int64(self.burst) * 1_000_000
        filledAt = now
    }

    private mutating func fill(now: Instant) {
        let microseconds = now > filledAt ? (now.nanoseconds - filledAt.nanoseconds) / 1000 : 0
        guard microseconds > 0 else { return }
        filledAt = now
        let full = Int64(burst) * 1_000_000
        let (gained, isOverflow) = microseconds.multipliedReportingOverflow(by: perSecond)
        // The tokens never exceed `full`, so the difference is not negative.
        let missing = UInt64(full - tokens)
        tokens = isOverflow || gained >= missing ? full : tokens + Int64(gained)
    }

    /// True if the balance is within the capacity.
    var isWithinCapacity: Bool { tokens <= Int64(burst) * 1_000_000 }

    /// Takes tokens; takes nothing and returns false if there are fewer.
    mutating func take(_ count: UInt64, now: Instant) -> Bool {
        fill(now: now)
        let (cost, isOverflow) = count.multipliedReportingOverflow(by: 1_000_000)
        guard !isOverflow, cost <= UInt64(Int64.max), tokens >= Int64(cost) else { return false }
        tokens -= Int64(cost)
        return true
    }

    /// Takes tokens even if there are fewer. The bucket is then overdrawn, by an hour's gain at most.
    ///
    /// - Returns: The milliseconds until it is no longer overdrawn; 0 if it is not.
    mutating func charge(_ count: UInt64, now: Instant) -> UInt64 {
        fill(now: now)
        let floor = -Int64(clamping: perSecond.multipliedReportingOverflow(by: 3_600_000_000).partialValue)
        let (cost, isOverflow) = count.multipliedReportingOverflow(by: 1_000_000)
        let (rest, isUnderflow) = tokens.subtractingReportingOverflow(isOverflow ? Int64.max : Int64(clamping: cost))
        tokens = isUnderflow ? floor : max(rest, floor)
        guard tokens < 0 else { return 0 }
        let perMillisecond = perSecond.multipliedReportingOverflow(by: 1000).partialValue
        return tokens.magnitude / max(1, perMillisecond) + 1
    }
}

/// The cost of handling a peer's message, in microseconds of one processor. These prices are charged to the
/// organization's account. They are higher than the measured costs (Docs/Decisions.md has the table, and a test runs
/// it).
///
/// Costs that depend on the message alone are charged before the message is handled; all other costs are charged
/// afterwards.
enum Price {
    /// Any message: its frame, its decryption, a step of the engine.
    static let message: UInt64 = 20
    /// A new session: the TLS handshake, and the first messages.
    static let session: UInt64 = 12_000
    /// A head in Have or IHave: lookup, storage and planning.
    static let head: UInt64 = 6
    /// A comparison of a range's fingerprint.
    static let fingerprint: UInt64 = 60
    /// An entry of a range, or an id or key in any list.
    static let entry: UInt64 = 8
    /// A comparison that needs an answer.
    static let comparison: UInt64 = 500
    /// A received statement or announcement: the lookup whether it is held.
    static let arrival: UInt64 = 4
    /// A verified signature, with the hashes that it needs.
    static let signature: UInt64 = 250
    /// A verified statement: up to three signatures.
    static let statement: UInt64 = 700
    /// For each statement held: deriving the roster, or finding the statements that a peer lacks.
    static let statementHeld: UInt64 = 6
    /// For each announcement held: its part of the fingerprint.
    static let announcementHeld: UInt64 = 1
    /// 1,024 bytes that are read from the disk, sent in an answer, or hashed.
    static let kibibyte: UInt64 = 12
    /// A delta that is held already, found by its header's hash.
    static let knownDelta: UInt64 = 40
    /// A lookup on the disk for a peer.
    static let lookup: UInt64 = 500
    /// A header that is read, sent or compared.
    static let header: UInt64 = 15
    /// A thousand records whose hashes are added for a comparison of records.
    static let thousandRecords: UInt64 = 2_500
    /// A change of the set of neighbours.
    static let neighbour: UInt64 = 100
    /// A graft without an answer: the wait, and a second question.
    static let unansweredGraft: UInt64 = 2_000

    /// 1,024 bytes of an answer to a question. Beside the processor, an answer takes a share of this node's line, which
    /// others need too. So one organization can have 2 MB of answers a second.
    static let sentKibibyte: UInt64 = 120

    /// The cost of an answer of `count` bytes; a part of a KiB counts as a whole one.
    static func sent(_ count: Int) -> UInt64 { (UInt64(max(0, count)) + 1023) / 1024 * sentKibibyte }

    /// The cost of `count` bytes; a part of a KiB counts as a whole one.
    static func bytes(_ count: Int) -> UInt64 { (UInt64(max(0, count)) + 1023) / 1024 * kibibyte }

    /// The cost of a message by its size and kind.
    ///
    /// - Parameter records: The number of records held, all of which a comparison of records reads.
    static func price(of message: PeerMessage, records: UInt64) -> UInt64 {
        Self.message + content(of: message, records: records)
    }

    private static func content(of message: PeerMessage, records: UInt64) -> UInt64 {
        switch message {
        case .hello, .refusal, .want, .ack, .graft, .prune, .deltas, .push: 0
        case .governance(let known, let statements, _):
            UInt64(known.count) * entry + UInt64(statements.count) * arrival
        case .announcements(let encoded): UInt64(encoded.count) * arrival
        case .ranges(let ranges): price(of: ranges)
        case .have(let heads): UInt64(heads.count) * head
        case .iHave(let heads): UInt64(heads.count) * head
        case .state(_, let question, _): question == 0 ? 0 : Price.message
        case .deltaRefused: signature
        case .headersWanted: lookup
        case .headers(_, _, let headers): lookup + UInt64(headers.count) * header
        case .diffQuestion(.sums): lookup + (records / 1000 + 1) * thousandRecords
        case .diffQuestion(.records): lookup + (min(records / 256, 10_000) / 1000 + 1) * thousandRecords
        case .diffAnswer(let answer): UInt64(answer.sums.count + answer.records.count) * entry
        case .neighbour, .neighbourAnswer, .leave: neighbour
        case .shuffle(_, _, let nodes), .shuffleReply(_, let nodes): neighbour + UInt64(nodes.count) * entry
        }
    }

    static func price(of ranges: [FrontierRange]) -> UInt64 {
        var price: UInt64 = 0
        var asks = false
        for range in ranges {
            switch range.content {
            case .skip: price += entry
            case .fingerprint:
                price += fingerprint
                asks = true
            case .entries(let entries, let answer):
                price += entry * UInt64(entries.count + 1)
                asks = asks || answer
            }
        }
        return price + (asks ? comparison : 0)
    }
}
