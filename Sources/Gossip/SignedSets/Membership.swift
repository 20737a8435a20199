import Catalog
import DeltaLog
import Governance

/// The signed sets that the engine holds, and the facts derived from them.
struct Membership: Sendable {
    let charter: Charter
    var statements: SignedSet<Statement>
    var announcements: SignedSet<Announcement>
    /// The members of the alliance, by the statements held.
    private(set) var roster: Roster
    /// Logs that are proven to be forked, with the lowest sequence proven.
    private(set) var forks: [LogID: UInt64]

    init(
        charter: Charter,
        statements: GovernanceSet,
        announcements: AnnouncementSet,
        hasher: some CatalogHasher
    ) {
        self.charter = charter
        self.statements = SignedSet(statements)
        self.announcements = SignedSet(announcements)
        roster = Roster(charter: charter, statements: statements, hasher: hasher)
        forks = statements.forks
    }

    /// The highest sequence of a log that this node takes and advertises. It is 0 for an author that is not enrolled,
    /// and the last sequence before the fork for a forked log.
    func limit(of log: LogID) -> UInt64 {
        guard roster.organization(of: log.author) != nil else { return 0 }
        return forks[log].map { $0 - min($0, 1) } ?? UInt64.max
    }

    /// The changes by adopted statements.
    struct Adoption {
        /// The adopted statements, with the ids of those that they replaced.
        let taken: [(statement: Statement, replaced: Hash256?)]
        /// Forks that are proven now, or at a lower sequence than before.
        let forks: [LogID: UInt64]
        /// The roster before the change; nil if it has not changed.
        let rosterBefore: Roster?
    }

    /// Takes in statements that have standing.
    ///
    /// - Returns: Nil if nothing changes.
    mutating func adopt(_ others: [Statement], hasher: some CatalogHasher) -> Adoption? {
        let unheld = others.filter { statements.held[$0.id] == nil }
        guard !unheld.isEmpty else { return nil }
        let before = statements.held
        var taken: [(statement: Statement, replaced: Hash256?)] = []
        var changed = roster
        statements.change { [charter] held in
            (taken, changed) = held.merge(unheld, charter: charter, hasher: hasher)
            return taken.map { entry in
                // The replaced statement may have come with the same statements.
                let replaced = entry.replaced.flatMap { id in
                    before[id] ?? taken.first { $0.statement.id == id }?.statement
                }
                return (entry.statement, replaced)
            }
        }
        guard !taken.isEmpty else { return nil }
        let forksBefore = forks
        forks = statements.held.forks
        let rosterBefore = roster
        roster = changed
        return Adoption(
            taken: taken,
            forks: forks.filter { forksBefore[$0.key] != $0.value },
            rosterBefore: changed == rosterBefore ? nil : rosterBefore
        )
    }

    /// Takes in announcements that are newer than those held.
    ///
    /// - Parameter orphansMax: The most announcements kept of nodes that are not enrolled: an announcement may come before
    ///   the statement that enrols its node.
    /// - Returns: The adopted announcements, with those that they replaced.
    mutating func adopt(_ fresh: [Announcement], orphansMax: Int) -> [(added: Announcement, replaced: Announcement?)] {
        var adopted: [(added: Announcement, replaced: Announcement?)] = []
        announcements.change { [roster] held in
            var orphans = fresh.isEmpty ? 0 : held.latest.keys.count { roster.organization(of: $0) == nil }
            for announcement in fresh {
                let before = held[announcement.node]
                let isOrphan = roster.organization(of: announcement.node) == nil
                guard !isOrphan || before != nil || orphans < orphansMax, held.insert(announcement) else { continue }
                if isOrphan, before == nil { orphans += 1 }
                adopted.append((announcement, before))
            }
            return adopted
        }
        return adopted
    }
}
