package import Catalog

/// Identifies a version of the roster.
package enum VersionID: Hashable, Comparable, Sendable {
    /// Version 0: the founders of the charter, all with a vote.
    case charter
    /// The version that the proposal with this id makes.
    case proposal(Hash256)

    /// The proposal's id; nil for the charter.
    package var proposal: Hash256? {
        if case .proposal(let id) = self { id } else { nil }
    }
}

/// The end of an organization's node.
package struct Retirement: Hashable, Sendable {
    package let organization: OrganizationID
    package let node: NodeKey
    /// The last sequence that counts, by incarnation of the node's logs. Other logs of the node end at 0.
    package let cuts: [UInt64: UInt64]
    /// Keys of organizations whose admission by this node still counts.
    package let stands: Set<Hash256>

    package init(organization: OrganizationID, node: NodeKey, cuts: [UInt64: UInt64], stands: Set<Hash256>) {
        self.organization = organization
        self.node = node
        self.cuts = cuts
        self.stands = stands
    }
}

/// Changes that make a new version of the roster from its base.
///
/// They apply in the order seats, rekeys, removals, policy. Each list names an organization at most once.
package struct Proposal: Hashable, Sendable {
    /// Lists an organization, or changes the name and the vote of a listed one.
    package struct Seat: Hashable, Sendable {
        package let organization: OrganizationID
        package let key: Hash256
        package let name: String
        package let hasVote: Bool

        package init(organization: OrganizationID, key: Hash256, name: String, hasVote: Bool) {
            self.organization = organization
            self.key = key
            self.name = name
            self.hasVote = hasVote
        }
    }

    /// Gives a listed organization a new key, or readmits a removed one without a vote.
    package struct Rekey: Hashable, Sendable {
        package let organization: OrganizationID
        package let key: Hash256
        /// Nodes that stay in force.
        package let keeps: Set<NodeKey>
        /// The last sequence that counts, by log. Logs of nodes that are neither kept nor enrolled by the new key end
        /// at 0 if they are not listed.
        package let cuts: [LogID: UInt64]

        package init(organization: OrganizationID, key: Hash256, keeps: Set<NodeKey>, cuts: [LogID: UInt64]) {
            self.organization = organization
            self.key = key
            self.keeps = keeps
            self.cuts = cuts
        }
    }

    /// Removes an organization, listed or not.
    package struct Removal: Hashable, Sendable {
        package let organization: OrganizationID
        /// The last sequence that counts, by log. Logs that are not listed end at 0.
        package let cuts: [LogID: UInt64]

        package init(organization: OrganizationID, cuts: [LogID: UInt64]) {
            self.organization = organization
            self.cuts = cuts
        }
    }

    /// The version that the proposal changes.
    package let base: VersionID
    package let seats: [Seat]
    package let rekeys: [Rekey]
    package let removals: [Removal]
    /// The new policy; nil leaves it unchanged.
    package let policy: Policy?

    package init(
        base: VersionID,
        seats: [Seat] = [],
        rekeys: [Rekey] = [],
        removals: [Removal] = [],
        policy: Policy? = nil
    ) {
        self.base = base
        self.seats = seats
        self.rekeys = rekeys
        self.removals = removals
        self.policy = policy
    }
}

/// The numbers that the members vote on.
package struct Policy: Hashable, Sendable {
    /// The number of sponsor organizations that an admission needs; at least 1.
    package var sponsors: UInt32
    /// The share of all voters, in percent, that a proposal must exceed; 50 to 99.
    package var percent: UInt32
    /// The least format version that nodes write.
    package var format: UInt32
    /// The maximum number of records of one organization; 0 for no limit.
    package var recordsMax: UInt64
    /// The maximum number of bytes of one organization; 0 for no limit.
    package var bytesMax: UInt64

    package init(
        sponsors: UInt32,
        percent: UInt32,
        format: UInt32 = 0,
        recordsMax: UInt64 = 0,
        bytesMax: UInt64 = 0
    ) {
        self.sponsors = sponsors
        self.percent = percent
        self.format = format
        self.recordsMax = recordsMax
        self.bytesMax = bytesMax
    }

    /// True if a version may have this policy.
    package var isInRange: Bool { sponsors >= 1 && (50...99).contains(percent) }
}
