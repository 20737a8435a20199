package import Catalog

/// What an organization is to the alliance, and what that depends on.
package enum OrganizationState: Hashable, Sendable {
    /// The current version lists it. `since` last seated or rekeyed it; its signers are those of that version.
    case listed(hasVote: Bool, since: VersionID)
    /// A member as long as these members' nodes admit it and stay in force.
    case provisional(sponsors: [OrganizationID])
    /// These members' nodes admit it, but `needed` sponsors would make it a member.
    case candidate(sponsors: [OrganizationID], needed: UInt32)
    /// The version removed it.
    case removed(by: VersionID)
    /// No member admits it.
    case unknown
}

/// What a node is to one organization, and what that depends on.
package enum NodeState: Hashable, Sendable {
    /// In force by these enrolments by the organization's present key, ascending by id.
    case enrolled(by: [Hash256])
    /// In force because the rekey of this version keeps it.
    case kept(by: VersionID)
    /// Ended by these retirements, ascending by id.
    case retired(by: [Hash256])
    /// Cut by the rekey of this version.
    case replaced(by: VersionID)
    /// Cut by the removal of its organization by this version.
    case removed(by: VersionID)
}

extension MembershipRoster {
    /// The state of an organization.
    ///
    /// - Complexity: Linear in the organizations that the current version lists.
    package func state(of organization: OrganizationID) -> OrganizationState {
        if let removed = version.removed[organization] { return .removed(by: removed.version) }
        switch members[organization]?.basis {
        case .listed(let hasVote):
            let listed = version.organizations.first { $0.id == organization }
            return .listed(hasVote: hasVote, since: listed?.since ?? version.id)
        case .provisional(let sponsors): return .provisional(sponsors: sponsors)
        case nil: break
        }
        guard let candidate = candidates[organization] else { return .unknown }
        return .candidate(sponsors: candidate.sponsors, needed: version.policy.sponsors)
    }

    /// The state of every node that statements name for the organization.
    ///
    /// - Complexity: Linear in these nodes and in the cuts of the organization's logs.
    package func nodeStates(of organization: OrganizationID) -> [NodeKey: NodeState] {
        var states: [NodeKey: NodeState] = [:]
        if let removed = version.removed[organization] {
            for log in removed.cuts.keys { states[log.author] = .removed(by: removed.version) }
            return states
        }
        if let remainder = version.remainders[organization] {
            for log in remainder.cuts.keys { states[log.author] = .replaced(by: remainder.version) }
            for node in remainder.keeps { states[node] = .kept(by: remainder.version) }
        }
        for (node, statements) in enrolments[organization] ?? [:] { states[node] = .enrolled(by: statements) }
        for (node, retired) in retired[organization] ?? [:] { states[node] = .retired(by: retired.statements) }
        return states
    }
}
