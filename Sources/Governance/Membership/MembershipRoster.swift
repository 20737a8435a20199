package import Catalog
import DeltaLog

/// The reason why a version cannot be an anchor.
package enum AnchorRefusal: Error, Hashable, Sendable {
    /// The version's proposal, or one that it is built on, is not held. A newcomer then refuses to join.
    case notHeld
    /// The version, or one that it is built on, is impossible on its base.
    case impossible
}

/// Several final versions on one version: voters signed two histories. The path ends at the base until an operator
/// adopts one of the rivals.
package struct SplitHistory: Hashable, Sendable {
    package let base: VersionID
    /// The final proposals on the base, ascending.
    package let rivals: [Hash256]
    /// The voters of the base that speak for more than one of the rivals, in the order of their seats.
    package let signers: [OrganizationID]
}

/// The votes on a proposal.
package struct Ballot: Hashable, Sendable {
    package let id: Hash256
    package let base: VersionID
    /// The key that signed the proposal.
    package let signer: Hash256
    /// The voters of the base that speak for the proposal, in the order of their seats.
    package let supporters: [OrganizationID]
    /// The voters of the base that build on the proposal, in the order of their seats.
    package let builders: [OrganizationID]
    package let isInForce: Bool
    package let isFinal: Bool
}

/// The members of the alliance, their nodes and the limits of their logs: a pure function of the charter, the anchor
/// and the set of statements. The order of arrival has no effect.
///
/// The organizations and the policy are those of the current ``version``, which the votes decide from the anchor on.
/// Organizations that it does not list are **provisional** members as long as enough members admit them.
///
/// - For the engine: the keys of ``organizations`` are the peers that TLS accepts. ``limit(of:by:)`` ends wants, pushes
///   and the advertised frontier of each log.
/// - For the store: a log's bound is ``limit(of:by:)``. After a change of the roster, the store compares the bounds of
///   all its logs with the limits and re-derives where they differ.
/// - For the commands: ``state(of:)`` and ``nodeStates(of:)`` name what each state depends on, ``ballots`` the votes.
package struct MembershipRoster: Hashable, Sendable {
    /// A member organization.
    package struct Member: Hashable, Sendable {
        package let id: OrganizationID
        package let key: Hash256
        package let name: String
        package let basis: MemberBasis
        /// The member's nodes in force.
        package let nodes: Set<NodeKey>

        package var hasVote: Bool { basis == .listed(hasVote: true) }
    }

    /// What makes an organization a member.
    package enum MemberBasis: Hashable, Sendable {
        /// The current version lists it.
        case listed(hasVote: Bool)
        /// The admissions of these members' nodes do, ascending: enough without any later member.
        case provisional(sponsors: [OrganizationID])
    }

    /// An organization that members' nodes admit, with too few sponsors under one name.
    package struct Candidate: Hashable, Sendable {
        package let key: Hash256
        package let name: String
        /// The sponsors under this name, ascending: the name with the most of them, then the lesser bytes.
        package let sponsors: [OrganizationID]
    }

    /// The current version: the end of the line.
    package let version: RosterVersion
    /// The versions from the charter to the current one.
    package let line: [VersionID]
    /// The anchor that follows: the last final version on the line above the given anchor, else the given one. Store it
    /// durably before acting on the roster.
    package let anchor: VersionID
    /// Set if the line ends because of two histories.
    package let split: SplitHistory?
    /// The proposals on each version of the line from ``anchor`` on, ascending by id on each version.
    package let ballots: [Ballot]
    package private(set) var members: [OrganizationID: Member] = [:]
    package private(set) var candidates: [OrganizationID: Candidate] = [:]
    /// The organizations that each node in force serves. A node may serve several.
    package private(set) var organizations: [NodeKey: Set<OrganizationID>] = [:]
    /// The logs with a fork proof, each with the lowest proven sequence.
    package let forks: [LogID: UInt64]

    /// The ended nodes of each member.
    private(set) var retired: [OrganizationID: [NodeKey: RetiredNode]] = [:]
    /// The enrolments of each member's nodes by its present key, ascending by id.
    private(set) var enrolments: [OrganizationID: [NodeKey: [Hash256]]] = [:]

    /// What the retirements of one node by its organization's present key say together.
    struct RetiredNode: Hashable, Sendable {
        var cuts: [UInt64: UInt64]
        var stands: Set<Hash256>
        /// The ids of the retirements, ascending.
        var statements: [Hash256]

        /// The lowest cut of each log counts; a log that one of them does not list ends at 0.
        mutating func add(_ retirement: Retirement, id: Hash256) {
            cuts = cuts.filter { retirement.cuts[$0.key] != nil }
            for (incarnation, sequence) in cuts { cuts[incarnation] = min(sequence, retirement.cuts[incarnation] ?? 0) }
            stands.formIntersection(retirement.stands)
            statements.append(id)
        }
    }

    /// Derives the roster.
    ///
    /// Members are the organizations of the current version. Then, step by step until nobody is added: an organization
    /// that is not removed becomes a provisional member if enough different members admit its first key under one name.
    /// A member admits by its nodes in force, and by a retired node if all its retirements let that admission stand. If
    /// one step gives an organization several names, the one with the lesser bytes counts.
    ///
    /// - Parameter statements: Any statements; only their ids, signers and bodies matter.
    /// - Throws: The reason why `anchor` is no anchor.
    /// - Complexity: Linear in the statements, their sorting and the versions in force above the anchor, times the
    ///   organizations that a version lists.
    package init(
        charter: Charter,
        anchor: VersionID,
        statements: some Sequence<MembershipStatement>,
        hasher: some CatalogHasher
    ) throws(AnchorRefusal) {
        let statements = statements.sorted { $0.id < $1.id }
        let votes = VoteIndex(statements)
        guard let chain = votes.chain(to: anchor) else { throw .notHeld }
        var root = RosterVersion(charter: charter, hasher: hasher)
        for id in chain {
            guard let entry = votes.proposals[id],
                let next = root.applying(entry.proposal, id: .proposal(id), hasher: hasher)
            else { throw .impossible }
            root = next
        }
        let tree = VersionTree(root: root, votes: votes, hasher: hasher)
        let (path, split) = tree.path()
        version = path.last ?? root
        line = [.charter] + chain.map(VersionID.proposal) + path.map(\.id)
        self.anchor = path.last { $0.id.proposal.map(tree.final.contains) ?? false }?.id ?? anchor
        self.split = split
        let (versions, moved) = ([root] + path, self.anchor)
        ballots = versions.drop { $0.id != moved }.flatMap { Self.ballots(on: $0, tree) }
        var forks: [LogID: UInt64] = [:]
        for statement in statements {
            if case .fork(let log, let sequence) = statement.body {
                forks[log] = min(sequence, forks[log] ?? sequence)
            }
        }
        self.forks = forks
        deriveMembers(from: Evidence(statements), hasher: hasher)
    }

    private static func ballots(on base: RosterVersion, _ tree: VersionTree) -> [Ballot] {
        let inForce = tree.inForce[base.id] ?? []
        return (tree.votes.children[base.id] ?? []).compactMap { id in
            guard let entry = tree.votes.proposals[id] else { return nil }
            return Ballot(
                id: id,
                base: base.id,
                signer: entry.signer,
                supporters: tree.supporters(of: id, on: base).map(\.id),
                builders: tree.builders(of: id, on: base).map(\.id),
                isInForce: inForce.contains(id),
                isFinal: tree.final.contains(id)
            )
        }
    }

    // MARK: - Limits

    /// The last sequence of a log that counts; nil without a limit.
    ///
    /// The organization is the one that the log's headers name. All headers of a log name one: the engine must refuse a
    /// header with another organization than the first one's.
    ///
    /// - An organization that is neither a member nor removed: 0.
    /// - A removed organization: the removal's cut; 0 if the removal does not list the log.
    /// - A node in force: no limit.
    /// - A node retired by the organization's present key: the lowest cut of all retirements; 0 if one does not list
    ///   the log.
    /// - Other nodes: the cut of the organization's last rekey; 0 if it does not list the log.
    ///
    /// In each case the limit is below the lowest proven fork of the log.
    ///
    /// - Complexity: Constant.
    package func limit(of log: LogID, by organization: OrganizationID) -> UInt64? {
        guard let fork = forks[log] else { return limitWithoutForks(of: log, by: organization) }
        let beforeFork = fork - min(fork, 1)
        return min(limitWithoutForks(of: log, by: organization) ?? beforeFork, beforeFork)
    }

    private func limitWithoutForks(of log: LogID, by organization: OrganizationID) -> UInt64? {
        if let removed = version.removed[organization] { return removed.cuts[log] ?? 0 }
        guard let member = members[organization] else { return 0 }
        if member.nodes.contains(log.author) { return nil }
        if let retired = retired[organization]?[log.author] { return retired.cuts[log.incarnation] ?? 0 }
        return version.remainders[organization]?.cuts[log] ?? 0
    }

    // MARK: - Members and nodes

    /// The statements about members, by the one who is responsible for them, each ascending by id.
    private struct Evidence {
        struct Signature: Hashable {
            let organization: OrganizationID
            let key: Hash256
        }

        var enrolments: [Signature: [NodeKey: [Hash256]]] = [:]
        var retired: [Signature: [NodeKey: RetiredNode]] = [:]
        var admissions: [NodeKey: [(name: String, key: Hash256)]] = [:]

        init(_ statements: [MembershipStatement]) {
            for statement in statements {
                switch statement.body {
                case .enrolment(let organization, let key, let node, _):
                    enrolments[Signature(organization: organization, key: key), default: [:]][node, default: []]
                        .append(statement.id)
                case .retirement(let retirement):
                    let signature = Signature(organization: retirement.organization, key: statement.signer)
                    let first = RetiredNode(
                        cuts: retirement.cuts,
                        stands: retirement.stands,
                        statements: []
                    )
                    retired[signature, default: [:]][retirement.node, default: first].add(retirement, id: statement.id)
                case .admission(let name, let key):
                    admissions[NodeKey(statement.signer), default: []].append((name, key))
                case .proposal, .approval, .fork: break
                }
            }
        }
    }

    private mutating func deriveMembers(from evidence: Evidence, hasher: some CatalogHasher) {
        var support = Support(needed: Int(version.policy.sponsors), hasher: hasher)
        var joined: [OrganizationID] = []
        for organization in version.organizations {
            let basis = MemberBasis.listed(hasVote: organization.hasVote)
            add(organization.id, key: organization.key, name: organization.name, basis: basis, evidence)
            joined.append(organization.id)
        }
        while !joined.isEmpty {
            for id in joined { admit(by: id, evidence, &support) }
            joined = []
            for (id, candidate) in support.takeChanged() where isOpen(id) {
                guard candidate.sponsors.count >= Int(version.policy.sponsors) else { continue }
                let basis = MemberBasis.provisional(sponsors: candidate.sponsors)
                add(id, key: candidate.key, name: candidate.name, basis: basis, evidence)
                joined.append(id)
            }
        }
        candidates = support.all.filter { isOpen($0.key) }
    }

    /// True if admissions of the organization have an effect.
    private func isOpen(_ id: OrganizationID) -> Bool { members[id] == nil && version.removed[id] == nil }

    private mutating func add(
        _ id: OrganizationID,
        key: Hash256,
        name: String,
        basis: MemberBasis,
        _ evidence: Evidence
    ) {
        let signature = Evidence.Signature(organization: id, key: key)
        let retired = evidence.retired[signature] ?? [:]
        let enrolled = evidence.enrolments[signature] ?? [:]
        let nodes = (version.remainders[id]?.keeps ?? []).union(enrolled.keys).subtracting(retired.keys)
        members[id] = Member(id: id, key: key, name: name, basis: basis, nodes: nodes)
        self.retired[id] = retired
        enrolments[id] = enrolled
        for node in nodes { organizations[node, default: []].insert(id) }
    }

    /// Counts the admissions by a member's nodes.
    private func admit<Hasher: CatalogHasher>(
        by id: OrganizationID,
        _ evidence: Evidence,
        _ support: inout Support<Hasher>
    ) {
        for node in members[id]?.nodes ?? [] {
            for (name, key) in evidence.admissions[node] ?? [] { support.add(id, for: key, name) }
        }
        for (node, retired) in retired[id] ?? [:] where isOwn(node, of: id) {
            for (name, key) in evidence.admissions[node] ?? [] where retired.stands.contains(key) {
                support.add(id, for: key, name)
            }
        }
    }

    /// True if the organization's present key enrolled the node or its last rekey kept it.
    private func isOwn(_ node: NodeKey, of id: OrganizationID) -> Bool {
        enrolments[id]?[node] != nil || version.remainders[id]?.keeps.contains(node) ?? false
    }

    /// The sponsors of each admitted organization, by the name that they signed. Sponsors of another name do not count.
    private struct Support<Hasher: CatalogHasher> {
        /// The number of sponsors that make a member.
        let needed: Int
        let hasher: Hasher
        private var keys: [OrganizationID: Hash256] = [:]
        private var sponsors: [OrganizationID: [ByteText: Set<OrganizationID>]] = [:]
        private var changed: Set<OrganizationID> = []

        init(needed: Int, hasher: Hasher) {
            self.needed = needed
            self.hasher = hasher
        }

        mutating func add(_ sponsor: OrganizationID, for key: Hash256, _ name: String) {
            let id = OrganizationID(firstKey: key, hasher: hasher)
            keys[id] = key
            sponsors[id, default: [:]][ByteText(name), default: []].insert(sponsor)
            changed.insert(id)
        }

        /// The organizations with new sponsors since the last call.
        mutating func takeChanged() -> [OrganizationID: Candidate] {
            defer { changed = [] }
            return candidates(changed)
        }

        var all: [OrganizationID: Candidate] { candidates(keys.keys) }

        private func candidates(_ ids: some Collection<OrganizationID>) -> [OrganizationID: Candidate] {
            var candidates: [OrganizationID: Candidate] = [:]
            for id in ids {
                guard let key = keys[id], let names = sponsors[id],
                    let best = names.filter({ $0.value.count >= needed }).min(by: { $0.key < $1.key })
                        ?? names.min(by: { ($1.value.count, $0.key) < ($0.value.count, $1.key) })
                else { continue }
                candidates[id] = Candidate(key: key, name: best.key.text, sponsors: best.value.sorted())
            }
            return candidates
        }
    }
}
