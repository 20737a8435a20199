import Catalog
import Governance

/// The token buckets that bound the work which organizations and authors may cause on this node.
struct Accounts {
    /// The work for each organization's nodes, in microseconds.
    private var work: [OrganizationID: TokenBucket] = [:]
    /// The statements and announcements passed on for each organization. The key nil stands for all unknown
    /// organizations together.
    private var relays: [OrganizationID?: TokenBucket] = [:]
    /// The bytes of each author's deltas that may be pushed on.
    private var pushes: [NodeKey: TokenBucket] = [:]
    /// Authors over that budget: until the given moment their deltas are only announced.
    private(set) var pullOnly: [NodeKey: Instant] = [:]

    /// Takes work from an organization's account.
    ///
    /// - Returns: The moment until which the account is overdrawn, at most ``BudgetSettings/holdMax`` from now; nil if
    /// it is not overdrawn.
    mutating func charge(_ count: UInt64, to organization: OrganizationID, now: Instant, settings: BudgetSettings)
        -> Instant?
    {
        let new = TokenBucket(perSecond: settings.workPerSecond, burst: settings.workBurst, now: now)
        let wait = work[organization, default: new].charge(count, now: now)
        return wait > 0 ? now + min(Milliseconds(wait), settings.holdMax) : nil
    }

    /// Closes the accounts of organizations that are no members any more.
    mutating func keep(_ isMember: (OrganizationID) -> Bool) { work = work.filter { isMember($0.key) } }

    /// Takes one statement or announcement that is to be passed on; false if its organization has used up its rate.
    mutating func takeRelay(of organization: OrganizationID?, now: Instant, settings: EngineSettings) -> Bool {
        let new = TokenBucket(perSecond: settings.relaysPerSecond, burst: settings.relaysBurst, now: now)
        return relays[organization, default: new].take(1, now: now)
    }

    /// The decision about a delta that might be pushed on.
    enum PushVerdict {
        case isWithinBudget
        case isOverBudget
        /// As above; the author's budget has just been used up.
        case hasOverdrawn
    }

    /// Takes one delta from its author's budget for pushes.
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

    /// A message about the first bucket that holds more than its capacity; nil if there is none.
    var violation: String? {
        let buckets = [
            ("work", Array(work.values)), ("relays", Array(relays.values)), ("pushes", Array(pushes.values)),
        ]
        return buckets.first { $0.1.contains { !$0.isWithinCapacity } }.map {
            "more \($0.0) saved up than there may be"
        }
    }
}
