package import Catalog

/// A node's view of the membership: the statements that it keeps, the anchor, which is its only memory, and the roster
/// that follows from both.
///
/// A pure value. To learn the effect of a statement before it is sent, merge it into a copy and compare the rosters.
///
/// For the engine: ``merge(_:hasher:)`` takes verified statements. Statements that are held already need no new
/// verification (``MembershipStatement/encoded``). ``MembershipSet/fingerprint(hasher:)`` and
/// ``MembershipSet/sorted`` serve the comparison with peers. The engine offers orphans again with the next merge, a
/// bounded number for each session.
///
/// For the store: it writes added statements and a changed anchor, and deletes dropped statements, in one transaction.
package struct Membership: Hashable, Sendable {
    package let charter: Charter
    package private(set) var set: MembershipSet
    package private(set) var roster: MembershipRoster

    /// The version at which the line begins. It moves to the last final version on the line, or by hand; never back by
    /// itself.
    package var anchor: VersionID { roster.anchor }

    /// The view of a node with these statements: at a start, those on disk and the stored anchor; for a newcomer, those
    /// of the answer and the ticket's version.
    ///
    /// - Throws: The reason why `anchor` is no anchor.
    package init(
        charter: Charter,
        anchor: VersionID = .charter,
        statements: [MembershipStatement] = [],
        hasher: some CatalogHasher
    ) throws(AnchorRefusal) {
        var set = MembershipSet()
        _ = set.merge(statements, charter: charter, anchor: anchor, hasher: hasher)
        roster = try MembershipRoster(
            charter: charter,
            anchor: anchor,
            statements: set.statements.values,
            hasher: hasher
        )
        self.charter = charter
        self.set = set
    }

    /// The result of a merge or of an adoption.
    package struct Change: Hashable, Sendable {
        package fileprivate(set) var statements = MembershipSet.Change()
        /// Versions that were on the line and no longer are, in their order. After a merge none of them was final here.
        package fileprivate(set) var displaced: [VersionID] = []
    }

    /// Adds verified statements as far as they have standing, derives the roster and moves the anchor.
    ///
    /// - Complexity: That of ``MembershipSet/merge(_:charter:anchor:hasher:)`` and of deriving the roster.
    package mutating func merge(_ statements: [MembershipStatement], hasher: some CatalogHasher) -> Change {
        var next = set
        var change = Change()
        change.statements = next.merge(statements, charter: charter, anchor: anchor, hasher: hasher)
        guard !change.statements.isEmpty else { return change }
        // The set keeps the anchor's line, so the anchor stays valid and this never returns.
        guard
            let roster = try? MembershipRoster(
                charter: charter,
                anchor: anchor,
                statements: next.statements.values,
                hasher: hasher
            )
        else { return Change() }
        change.displaced = displaced(by: roster)
        set = next
        self.roster = roster
        return change
    }

    /// Moves the anchor by hand to a version that is held and possible on its base, in force or not.
    ///
    /// Statements that had standing only by the former anchor's line are dropped. Offer orphans again afterwards.
    ///
    /// - Throws: The reason why the version is no anchor; nothing changes then.
    package mutating func adopt(_ version: VersionID, hasher: some CatalogHasher) throws(AnchorRefusal) -> Change {
        var next = set
        var change = Change()
        change.statements = next.prune(charter: charter, anchor: version, hasher: hasher)
        let roster = try MembershipRoster(
            charter: charter,
            anchor: version,
            statements: next.statements.values,
            hasher: hasher
        )
        change.displaced = displaced(by: roster)
        set = next
        self.roster = roster
        return change
    }

    private func displaced(by roster: MembershipRoster) -> [VersionID] {
        let line = Set(roster.line)
        return self.roster.line.filter { !line.contains($0) }
    }
}
