import Catalog
import Governance

/// What organizations and authors may have this node do: their token buckets.
struct Accounts {
    /// Work for each organization's nodes, in microseconds.
    private var work: [OrganizationID: TokenBucket] = [:]
    /// What may be passed on for each organization; for those that nobody has enrolled yet, together.
    private var relays: [OrganizationID?: TokenBucket] = [:]
    /// How much of each author's deltas may be pushed on, in bytes.
    private var pushes: [NodeKey: TokenBucket] = [:]
    /// Authors over that budget: their deltas are only announced until then.
    private(set) var pullOnly: [NodeKey: Instant] = [:]

    /// Takes work from an organization's account.
    ///
    /// - Returns: Until when the account is overdrawn, at most ``BudgetSettings/holdMax`` from now; nil where it is not.
    mutating func charge(_ count: UInt64, to organization: OrganizationID, now: Instant, settings: BudgetSettings)
        -> Instant?
    {
        let new = TokenBucket(perSecond: settings.workPerSecond, burst: settings.workBurst, now: now)
        let wait = work[organization, default: new].charge(count, now: now)
        return wait > 0 ? now + min(Milliseconds(wait), settings.holdMax) : nil
    }

    /// Closes the accounts of organizations that are no members any more.
    mutating func keep(_ isMember: (OrganizationID) -> Bool) { work = work.filter { isMember($0.key) } }

    /// Takes the passing on of one statement or announcement; false where an organization has used up its pace.
    mutating func takeRelay(of organization: OrganizationID?, now: Instant, settings: EngineSettings) -> Bool {
        let new = TokenBucket(perSecond: settings.relaysPerSecond, burst: settings.relaysBurst, now: now)
        return relays[organization, default: new].take(1, now: now)
    }

    /// What becomes of a delta that might be pushed on.
    enum PushVerdict {
        case isWithinBudget
        case isOverBudget
        /// Likewise; the author's budget has just been used up.
        case hasOverdrawn
    }

    /// Takes the pushing of one delta from its author's budget.
    mutating func takePush(of author: NodeKey, byteCount: Int, now: Instant, settings: BudgetSettings) -> PushVerdict {
        if let until = pullOnly[author] {
            guard until <= now else { return .isOverBudget }
            pullOnly[author] = nil
        }
        let new = TokenBucket(perSecond: settings.authorBytesPerSecond, burst: settings.authorBytesBurst, now: now)
        if pushes[author, default: new].take(UInt64(byteCount), now: now) { return .isWithinBudget }
        pullOnly[author] = now + settings.authorPause
        return .hasOverdrawn
    }

    /// The first bucket that holds more than it may, in words; nil where none does.
    var violation: String? {
        let buckets = [
            ("work", Array(work.values)), ("relays", Array(relays.values)), ("pushes", Array(pushes.values)),
        ]
        return buckets.first { $0.1.contains { !$0.isWithinCapacity } }.map {
            "more \($0.0) saved up than there may be"
        }
    }
}
