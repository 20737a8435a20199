import Catalog
import Governance

// Statements and announcements passed on to peers, at a pace for each organization that made them: whoever signs new ones
// without end does not have the others send them to each other without end.

/// What waits to be passed on.
struct Relays {
    /// What may be passed on for each organization; for those that nobody has enrolled yet, together.
    fileprivate var accounts: [OrganizationID?: TokenBucket] = [:]
    /// Ids of statements, in the order in which they came.
    fileprivate var statements: [Hash256] = []
    /// Nodes whose latest announcement waits.
    fileprivate var announcements: Set<NodeKey> = []
    /// When what waits is looked at again; nil while nothing waits.
    fileprivate(set) var deadline: Instant?

    /// How many wait.
    var count: Int { statements.count + announcements.count }
}

extension Engine {
    /// Passes statements that were taken in on to the peers, but for the one that brought them. What is beyond its
    /// organization's pace waits; so of several that replace each other only the last one is passed on.
    mutating func relay(_ statements: [Statement], except source: LinkID?, now: Instant) {
        var prompt: [Statement] = []
        for statement in statements {
            if takeRelay(of: maker(of: statement), now: now) {
                prompt.append(statement)
            } else {
                relays.statements.append(statement.id)
                putOff(now: now)
            }
        }
        for link in openLinks where link.id != source { sendStatements(prompt, known: [], to: link.id) }
    }

    /// Passes announcements on likewise.
    mutating func relay(_ announcements: [Announcement], except source: LinkID?, now: Instant) {
        var prompt: [[UInt8]] = []
        for announcement in announcements {
            if takeRelay(of: roster.organization(of: announcement.node), now: now) {
                prompt.append(announcement.encoded)
            } else {
                relays.announcements.insert(announcement.node)
                putOff(now: now)
            }
        }
        for link in openLinks where link.id != source { sendAnnouncements(prompt, to: link.id) }
    }

    /// Passes on what has waited for long enough and is still held.
    mutating func relayWaiting(now: Instant) {
        guard let due = relays.deadline, due <= now else { return }
        relays.deadline = nil
        let statements = relays.statements.compactMap { governance.statements[$0] }
        let announcements = relays.announcements.sorted().compactMap { self.announcements.latest[$0] }
        relays.statements = []
        relays.announcements = []
        relay(statements, except: nil, now: now)
        relay(announcements, except: nil, now: now)
    }

    private mutating func putOff(now: Instant) {
        if relays.deadline == nil { relays.deadline = now + settings.relayPause }
    }

    private mutating func takeRelay(of organization: OrganizationID?, now: Instant) -> Bool {
        var account =
            relays.accounts[organization]
            ?? TokenBucket(perSecond: settings.relaysPerSecond, burst: settings.relaysBurst, now: now)
        let isTaken = account.take(1, now: now)
        relays.accounts[organization] = account
        return isTaken
    }

    /// The organization whose doing a statement is; nil for one that is not known.
    private func maker(of statement: Statement) -> OrganizationID? {
        switch statement.body {
        case .admission: roster.organization(of: NodeKey(statement.signer))
        case .enrolment(let organization, _, _, _): roster.members[organization]?.id
        case .fork(let log, _): roster.organization(of: log.author)
        }
    }
}
