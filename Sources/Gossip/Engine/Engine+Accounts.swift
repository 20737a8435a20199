import Catalog
import Governance

// Charges for peers' messages. No other code charges an organization.

extension Engine {
    /// Charges work for a peer to the account of its organization. If the account is overdrawn, this node reads nothing
    /// more from the organization's nodes for a while. This slows them down; it is no violation.
    ///
    /// - Parameter work: The work done or to be done, in microseconds by ``Price``.
    mutating func charge(_ work: UInt64, to id: LinkID, now: Instant) {
        guard work > 0, let link = links[id], let organization = membership.roster.organization(of: link.node) else {
            return
        }
        link.account.charged &+= work
        guard let until = accounts.charge(work, to: organization, now: now, settings: settings.budget) else { return }
        for link in links.values where membership.roster.organization(of: link.node) == organization {
            guard until > link.liveness.heldUntil ?? now else { continue }
            if link.liveness.heldUntil.map({ $0 <= now }) ?? true { counters.holds += 1 }
            link.liveness.heldUntil = until
            actions.append(.hold(link.id, until: until))
        }
    }

    /// Charges the excess work of storing an organization's deltas to its account. If the account is overdrawn, this
    /// node takes no more of them for a while and asks for them afterwards.
    mutating func chargeStoring(_ work: UInt64, of organization: OrganizationID, now: Instant) {
        guard work > 0,
            let until = accounts.charge(work, to: organization, now: now, settings: settings.budget)
        else { return }
        if transfer.rest(organization, until: until) { counters.rests += 1 }
    }

    /// True while this node takes nothing more of an author, since storing its deltas costs too much. Its log is
    /// planned again afterwards.
    mutating func isResting(_ log: LogID, now: Instant) -> Bool {
        guard !transfer.isNobodyResting, let organization = membership.roster.organization(of: log.author) else {
            return false
        }
        return transfer.isResting(log, of: organization, now: now, settings: settings)
    }

    /// The work charged for a link's messages so far, in microseconds; nil if there is no such link.
    package func charged(on id: LinkID) -> UInt64? { links[id]?.account.charged }

    // MARK: - Lookups

    /// Queues a lookup for a peer. Too many at once are a violation.
    mutating func lookUp(_ action: EngineAction, for id: LinkID, now: Instant) {
        guard let link = links[id], link.account.lookups < settings.lookupsMax else {
            violate(id, "too many questions at once", now: now)
            return
        }
        link.account.lookups += 1
        transfer.lookups.add(action, for: id)
        startLookups()
    }

    /// A lookup for a peer is done.
    mutating func lookedUp(for id: LinkID) {
        transfer.lookups.done(id)
        if let link = links[id], link.account.lookups > 0 { link.account.lookups -= 1 }
        startLookups()
    }

    private mutating func startLookups() {
        actions += transfer.lookups.start(settings, links: links, roster: membership.roster)
    }
}
