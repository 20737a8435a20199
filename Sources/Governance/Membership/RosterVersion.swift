package import Catalog

/// A version of the roster: what the members have voted. The charter is version 0; each proposal makes a version from
/// its base.
///
/// A version is a pure function of the charter and the chain of proposals that leads to it.
package struct RosterVersion: Hashable, Sendable {
    /// An organization that the version lists.
    package struct Organization: Hashable, Sendable {
        package let id: OrganizationID
        package fileprivate(set) var key: Hash256
        package fileprivate(set) var name: String
        package fileprivate(set) var hasVote: Bool
        /// The version that last seated or rekeyed the organization.
        package fileprivate(set) var since: VersionID
    }

    /// The nodes and logs of an organization that remain from before its last rekey.
    package struct Remainder: Hashable, Sendable {
        /// Nodes in force without an enrolment by the new key.
        package let keeps: Set<NodeKey>
        /// The last sequence that counts, by log of nodes that are not in force.
        package let cuts: [LogID: UInt64]
        /// The version of the rekey.
        package let version: VersionID
    }

    /// An organization that was removed.
    package struct Removed: Hashable, Sendable {
        /// The last sequence that counts, by log. Other logs end at 0.
        package let cuts: [LogID: UInt64]
        /// The name that the earlier version listed; nil for an organization that no version listed.
        package let name: String?
        /// The version of the removal.
        package let version: VersionID
    }

    package let id: VersionID
    /// The listed organizations in the order of their seats.
    package private(set) var organizations: [Organization]
    package private(set) var removed: [OrganizationID: Removed] = [:]
    /// What remains from before the last rekey, by organization; absent without a rekey.
    package private(set) var remainders: [OrganizationID: Remainder] = [:]
    /// Every key that the chain of versions has listed.
    package private(set) var usedKeys: Set<Hash256>
    package private(set) var policy: Policy
    /// The organizations with a vote, in the order of their seats. At least one.
    package private(set) var voters: [Organization]

    /// Version 0.
    package init(charter: Charter, hasher: some CatalogHasher) {
        id = .charter
        organizations = charter.founders.map { founder in
            Organization(
                id: OrganizationID(firstKey: founder.key, hasher: hasher),
                key: founder.key,
                name: founder.name,
                hasVote: true,
                since: .charter
            )
        }
        usedKeys = Set(charter.founders.map(\.key))
        policy = Policy(sponsors: charter.sponsors, percent: charter.removalPercent)
        voters = organizations
    }

    /// The version that a proposal on this version makes; nil if the proposal is impossible here.
    ///
    /// Impossible are: a seat of a removed organization, with another key than the listed one, or of a new organization
    /// whose id is not that of the key; a rekey of an organization that is neither listed nor removed, or to a key that
    /// this chain has used; a removal of a removed organization; a policy out of range; a version without a voter.
    ///
    /// - Complexity: Linear in the organizations listed, the removed ones and the proposal's entries.
    package func applying(_ proposal: Proposal, id: VersionID, hasher: some CatalogHasher) -> RosterVersion? {
        var next = Draft(self, id: id)
        for seat in proposal.seats where !next.seat(seat, hasher: hasher) { return nil }
        for rekey in proposal.rekeys where !next.rekey(rekey) { return nil }
        guard next.remove(proposal.removals) else { return nil }
        if let policy = proposal.policy {
            guard policy.isInRange else { return nil }
            next.version.policy = policy
        }
        next.version.voters = next.version.organizations.filter(\.hasVote)
        return next.version.voters.isEmpty ? nil : next.version
    }

    /// The organizations with a vote whose key is among the keys, in the order of their seats.
    ///
    /// - Complexity: Linear in the voters.
    package func voters(among keys: Set<Hash256>) -> [Organization] {
        keys.isEmpty ? [] : voters.filter { keys.contains($0.key) }
    }

    /// True if these voters can decide: more than the policy's percentage, or at 50 percent exactly half with the first
    /// voter among them. Two such sets always have a voter in common.
    package func isEnough(_ deciding: [Organization]) -> Bool {
        let (count, all) = (deciding.count, voters.count)
        if 100 * count > Int(policy.percent) * all { return true }
        return policy.percent == 50 && 2 * count == all && deciding.contains { $0.id == voters[0].id }
    }

    private init(_ version: RosterVersion, id: VersionID) {
        self.id = id
        organizations = version.organizations
        removed = version.removed
        remainders = version.remainders
        usedKeys = version.usedKeys
        policy = version.policy
        voters = version.voters
    }

    /// A version under construction.
    private struct Draft {
        var version: RosterVersion
        private var positions: [OrganizationID: Int]

        init(_ base: RosterVersion, id: VersionID) {
            version = RosterVersion(base, id: id)
            positions = Dictionary(minimumCapacity: base.organizations.count)
            for (position, organization) in base.organizations.enumerated() { positions[organization.id] = position }
        }

        /// False if the seat is impossible.
        mutating func seat(_ seat: Proposal.Seat, hasher: some CatalogHasher) -> Bool {
            guard version.removed[seat.organization] == nil else { return false }
            let organization = Organization(
                id: seat.organization,
                key: seat.key,
                name: seat.name,
                hasVote: seat.hasVote,
                since: version.id
            )
            if let position = positions[seat.organization] {
                guard version.organizations[position].key == seat.key else { return false }
                version.organizations[position] = organization
            } else {
                guard seat.organization == OrganizationID(firstKey: seat.key, hasher: hasher) else { return false }
                append(organization)
            }
            version.usedKeys.insert(seat.key)
            return true
        }

        /// False if the rekey is impossible.
        mutating func rekey(_ rekey: Proposal.Rekey) -> Bool {
            guard !version.usedKeys.contains(rekey.key) else { return false }
            var cuts = rekey.cuts
            if let position = positions[rekey.organization] {
                version.organizations[position].key = rekey.key
                version.organizations[position].since = version.id
            } else if let former = version.removed.removeValue(forKey: rekey.organization) {
                append(
                    Organization(
                        id: rekey.organization,
                        key: rekey.key,
                        name: former.name ?? rekey.organization.hex,
                        hasVote: false,
                        since: version.id
                    )
                )
                // A readmission never extends a log beyond the cut of the removal.
                cuts = former.cuts
                for (log, sequence) in rekey.cuts { cuts[log] = min(sequence, former.cuts[log] ?? 0) }
            } else {
                return false
            }
            version.usedKeys.insert(rekey.key)
            version.remainders[rekey.organization] = Remainder(keeps: rekey.keeps, cuts: cuts, version: version.id)
            return true
        }

        /// False if a removal is impossible. Call it last: positions are wrong afterwards.
        mutating func remove(_ removals: [Proposal.Removal]) -> Bool {
            guard !removals.isEmpty else { return true }
            for removal in removals {
                let name = positions[removal.organization].map { version.organizations[$0].name }
                let removed = Removed(cuts: removal.cuts, name: name, version: version.id)
                guard version.removed.updateValue(removed, forKey: removal.organization) == nil else { return false }
            }
            version.organizations.removeAll { version.removed[$0.id] != nil }
            return true
        }

        private mutating func append(_ organization: Organization) {
            positions[organization.id] = version.organizations.count
            version.organizations.append(organization)
        }
    }
}
