/// What the nodes of one organization, or one author, may make this node do: rates with room for bursts.
///
/// Work is counted in microseconds of one processor, by the prices in ``Price``.
package struct BudgetSettings: Hashable, Sendable {
    /// Work for one organization's messages, in microseconds a second. A quarter of a processor by prices that lie above
    /// what was measured: some tenth of one in truth.
    package var workPerSecond: UInt64 = 250_000
    /// Work that an organization may save up, in microseconds. Two seconds: a newcomer's first exchange of a large
    /// alliance's statements costs less.
    package var workBurst: UInt64 = 2_000_000
    /// The longest pause in reading from a link whose organization has overdrawn its account. A guess: shorter than
    /// ``EngineSettings/suspectAfter``, so that a peer which only asks too much stays in contact.
    package var holdMax: Milliseconds = 10_000
    /// Bytes of one author's deltas that this node pushes on, a second; beyond it they are only announced, so that a peer that
    /// has room fetches them (pull only).
    package var authorBytesPerSecond: UInt64 = 256 * 1024
    package var authorBytesBurst: UInt64 = 8 * 1024 * 1024
    /// How long an author stays pull-only once over its budget.
    package var authorPause: Milliseconds = 30_000

    package init() {}
}

/// A token bucket: tokens that are not used are saved up to a bound.
struct TokenBucket: Sendable {
    private let perSecond: UInt64
    private let burst: UInt64
    /// In millionths of a token, so that nothing is lost between steps that are close together. Negative: overdrawn.
    private var tokens: Int64
    private var filledAt: Instant

    /// - Parameters:
    ///   - perSecond: Tokens gained in a second, at least 1.
    ///   - burst: Tokens saved at most, up to 10^12.
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

    /// True if no more is saved up than may be.
    var isWithinCapacity: Bool { tokens <= Int64(burst) * 1_000_000 }

    /// Takes so many tokens; false, and nothing taken, where there are fewer.
    mutating func take(_ count: UInt64, now: Instant) -> Bool {
        fill(now: now)
        let (cost, isOverflow) = count.multipliedReportingOverflow(by: 1_000_000)
        guard !isOverflow, cost <= UInt64(Int64.max), tokens >= Int64(cost) else { return false }
        tokens -= Int64(cost)
        return true
    }

    /// Takes so many tokens, also where there are fewer: the bucket is then overdrawn, by an hour's gain at most.
    ///
    /// - Returns: Milliseconds until it is no longer overdrawn; 0 where it is not.
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

/// What handling a peer's message costs this node, in microseconds of one processor: the prices that an organization's
/// account is charged. They lie above what was measured (Docs/Decisions.md has the table, and a test runs it).
///
/// What depends on the message alone is charged before it is handled; what its handling turns out to need, after it.
enum Price {
    /// Any message: its frame, its decryption, a step of the engine.
    static let message: UInt64 = 20
    /// A new session: the TLS handshake, and the first messages.
    static let session: UInt64 = 12_000
    /// A head told by Have or IHave: looked up, kept, and planned.
    static let head: UInt64 = 6
    /// A range's fingerprint that is compared.
    static let fingerprint: UInt64 = 60
    /// An entry of a range, or an id or key in any list.
    static let entry: UInt64 = 8
    /// A comparison that is to be answered.
    static let comparison: UInt64 = 500
    /// A statement or announcement that came, before it is known whether it is held.
    static let arrival: UInt64 = 4
    /// A signature that was checked, with the hashes that it needs.
    static let signature: UInt64 = 250
    /// A statement that was checked: up to three signatures.
    static let statement: UInt64 = 700
    /// For each statement held: deriving the roster, or finding which statements a peer lacks.
    static let statementHeld: UInt64 = 6
    /// For each announcement held: the fingerprint.
    static let announcementHeld: UInt64 = 1
    /// 1,024 bytes that are read from the disk or sent in an answer, or hashed.
    static let kibibyte: UInt64 = 12
    /// A delta that was held already, found by its header's hash.
    static let knownDelta: UInt64 = 40
    /// A lookup on the disk for a peer.
    static let lookup: UInt64 = 500
    /// A header that is read, sent or compared.
    static let header: UInt64 = 15
    /// A thousand records whose hashes are summed up for a comparison of records.
    static let thousandRecords: UInt64 = 2_500
    /// A change of who is a neighbour.
    static let neighbour: UInt64 = 100
    /// A graft that was not answered: the wait, and a second question.
    static let unansweredGraft: UInt64 = 2_000

    /// 1,024 bytes of an answer to a question: beside the processor it takes a share of this node's line, which others
    /// need too. So one organization can have 2 MB a second of answers.
    static let sentKibibyte: UInt64 = 120

    /// The cost of so many bytes of an answer, a begun KiB counting whole.
    static func sent(_ count: Int) -> UInt64 { (UInt64(max(0, count)) + 1023) / 1024 * sentKibibyte }

    /// The cost of so many bytes, a begun KiB counting whole.
    static func bytes(_ count: Int) -> UInt64 { (UInt64(max(0, count)) + 1023) / 1024 * kibibyte }

    /// What a message costs by its own size and kind.
    ///
    /// - Parameter records: Records held, which a comparison of records looks at.
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
