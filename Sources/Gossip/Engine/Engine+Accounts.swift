import Catalog
import Governance

// What peers' messages cost, charged to their organizations in one place.

extension Engine {
    /// Charges work that was or will be done for a peer to the account of its organization. Where that is overdrawn, nothing
    /// more is read from the organization's nodes for a while: they are slowed down, and nobody is blamed.
    ///
    /// - Parameter work: Microseconds, by ``Price``.
    mutating func charge(_ work: UInt64, to id: LinkID, now: Instant) {
        guard work > 0, let link = links[id], let organization = roster.organization(of: link.node) else { return }
        link.charged &+= work
        guard let until = overdraft(work, of: organization, now: now) else { return }
        for link in links.values where roster.organization(of: link.node) == organization {
            guard until > link.heldUntil ?? now else { continue }
            if link.heldUntil.map({ $0 <= now }) ?? true { counters.holds += 1 }
            link.heldUntil = until
            actions.append(.hold(link.id, until: until))
        }
    }

    /// Takes work from an organization's account.
    ///
    /// - Returns: Until when the account is overdrawn, at most ``BudgetSettings/holdMax`` from now; nil where it is not.
    private mutating func overdraft(_ work: UInt64, of organization: OrganizationID, now: Instant) -> Instant? {
        let budget = settings.budget
        var account =
            accounts[organization]
            ?? TokenBucket(perSecond: budget.workPerSecond, burst: budget.workBurst, now: now)
        let wait = account.charge(work, now: now)
        accounts[organization] = account
        return wait > 0 ? now + min(Milliseconds(wait), budget.holdMax) : nil
    }

    /// Charges the excess work of storing an organization's deltas to its account. Where that is overdrawn no more of them are
    /// taken for a while: this node asks for them afterwards.
    mutating func chargeStoring(_ work: UInt64, of organization: OrganizationID, now: Instant) {
        guard work > 0, let until = overdraft(work, of: organization, now: now) else { return }
        if resting[organization] == nil { counters.rests += 1 }
        resting[organization] = (until, resting[organization]?.logs ?? [])
        restingUntil = min(restingUntil ?? until, until)
    }

    /// True while nothing more is taken of an author, since storing its deltas costs too much. Its log is planned again
    /// afterwards.
    mutating func isResting(_ log: LogID, now: Instant) -> Bool {
        guard !resting.isEmpty, let organization = roster.organization(of: log.author),
            let rest = resting[organization], now < rest.until
        else { return false }
        if rest.logs.count < settings.headsMax { resting[organization]?.logs.insert(log) }
        return true
    }

    /// Plans the logs of organizations whose rest is over.
    mutating func endRests(now: Instant) {
        guard let due = restingUntil, due <= now else { return }
        for (organization, rest) in resting where rest.until <= now {
            unplanned.formUnion(rest.logs)
            resting[organization] = nil
        }
        restingUntil = resting.values.map(\.until).min()
    }

    /// What was charged for a link's messages so far, in microseconds of work; nil where there is no such link.
    package func charged(on id: LinkID) -> UInt64? { links[id]?.charged }

    // MARK: - Lookups

    /// Looks up something for a peer, which may ask only so much at once. One question of an organization at a time is
    /// looked up, and few in all, so that readers of this node's own are never short of the disk.
    mutating func lookUp(_ action: EngineAction, for id: LinkID, now: Instant) {
        guard let link = links[id], link.lookups < settings.lookupsMax else {
            violate(id, "too many questions at once", now: now)
            return
        }
        link.lookups += 1
        waitingLookups.append((id, action))
        startLookups()
    }

    /// A lookup for a peer is done.
    mutating func lookedUp(for id: LinkID) {
        runningLookups[id] = nil
        if let link = links[id], link.lookups > 0 { link.lookups -= 1 }
        startLookups()
    }

    /// Drops what an ended session waited for.
    mutating func forgetLookups(of id: LinkID) {
        waitingLookups.removeAll { $0.link == id }
        waitingReads.removeAll { $0 == id }
    }

    private mutating func startLookups() {
        var index = 0
        while runningLookups.count < settings.lookupsAtOnceMax, index < waitingLookups.count {
            let (id, action) = waitingLookups[index]
            guard let link = links[id], let organization = roster.organization(of: link.node) else {
                waitingLookups.remove(at: index)
                continue
            }
            guard !runningLookups.values.contains(organization) else {
                index += 1
                continue
            }
            waitingLookups.remove(at: index)
            runningLookups[id] = organization
            actions.append(action)
        }
    }
}
