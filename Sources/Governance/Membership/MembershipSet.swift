package import Catalog

/// The membership statements that a node keeps: those with standing, within bounds.
///
/// What is kept is a function of the charter, the anchor and the union of all statements received, so any two nodes
/// that exchange what they keep end with equal sets. **Standing** only grows with the set:
///
/// - known keys are the keys of every version in force on any branch, of the anchor's line, and of organizations
///   admitted by known nodes; known nodes are enrolled by known keys or kept by a rekey;
/// - kept are enrolments and retirements by known keys, admissions by known nodes, and fork proofs of known nodes'
///   logs;
/// - kept are the proposals of the anchor's line, every proposal in force, and some others on a version in force
///   (``otherProposalsPerVoterMax``, ``otherProposalsPerMemberMax``);
/// - kept are approvals of kept proposals by voters of their base.
///
/// Votes count only if they are kept, so the set is a fixed point of these rules. A removal, a retirement or a later
/// version never takes standing away. The bounds may: a signer can push out its own statements of one kind.
///
/// Versions in force have no bound: the holders of enough keys of one of them can add to them without end.
package struct MembershipSet: Hashable, Sendable {
    /// The statements by id.
    package private(set) var statements: [Hash256: MembershipStatement] = [:]

    package init() {}

    /// The maximum number of admissions by a node, of enrolments by an organization key and one signer, and of
    /// retirements by an organization key. Those with the lowest ids stay. A guess, far beyond any real need.
    package static let statementsPerSignerMax = 4096
    /// The size in bytes at which one signer's statements of one kind end, too. The statement that reaches it stays.
    /// Only retirements are large enough.
    package static let bytesPerSignerMax = statementsPerSignerMax * MembershipStatement.bytesMax
    /// The maximum number of fork proofs about one author's logs: those of the lowest logs.
    package static let forksPerAuthorMax = 64
    /// The maximum number of proposals by one voter on one version in force that are not in force: the lowest ids.
    package static let otherProposalsPerVoterMax = 8
    /// The same for a known key without a vote on that version. Its proposals have at most
    /// ``MembershipStatement/bytesMax`` bytes.
    package static let otherProposalsPerMemberMax = 1

    /// The statements in ascending order of their ids.
    package var sorted: [MembershipStatement] { statements.values.sorted { $0.id < $1.id } }

    /// SHA-256 of "hansa/governance\0" and the ids in ascending order; equal sets have equal fingerprints.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/governance")
        for id in statements.keys.sorted() { fields.append(id) }
        return hasher.hash(fields.bytes)
    }

    /// The result of a merge. Each list ascends by id.
    package struct Change: Hashable, Sendable {
        /// Statements that the set now holds and did not hold before.
        package fileprivate(set) var added: [MembershipStatement] = []
        /// Statements that the set no longer holds: superseded, or beyond a bound. Delete them from disk.
        package fileprivate(set) var dropped: [MembershipStatement] = []
        /// Statements of the merge that the set does not hold. They may gain standing with later statements: offer the
        /// most recent ones again with the next merge.
        package fileprivate(set) var orphans: [MembershipStatement] = []

        package var isEmpty: Bool { added.isEmpty && dropped.isEmpty }
    }

    /// Adds statements, as far as they have standing in the union with those held.
    ///
    /// - Parameter anchor: The version that the node is anchored at.
    /// - Complexity: Linear in all statements, for each round in which dropping a statement takes another one's
    ///   standing (one, unless somebody votes on versions that are not in force); see ``VersionTree`` for the votes.
    package mutating func merge(
        _ others: [MembershipStatement],
        charter: Charter,
        anchor: VersionID,
        hasher: some CatalogHasher
    ) -> Change {
        var union = statements
        // Of two signatures of one statement the first one stays.
        for statement in others where union[statement.id] == nil { union[statement.id] = statement }
        guard union.count > statements.count else { return Change() }
        let kept = StandingRules(charter: charter, anchor: anchor, hasher: hasher).kept(of: union)
        var change = Change()
        for statement in union.values {
            switch (statements[statement.id] != nil, kept[statement.id] != nil) {
            case (false, true): change.added.append(statement)
            case (false, false): change.orphans.append(statement)
            case (true, false): change.dropped.append(statement)
            case (true, true): break
            }
        }
        change.added.sort { $0.id < $1.id }
        change.orphans.sort { $0.id < $1.id }
        change.dropped.sort { $0.id < $1.id }
        statements = kept
        return change
    }

    /// Drops statements that have lost their standing by a change of the anchor.
    mutating func prune(charter: Charter, anchor: VersionID, hasher: some CatalogHasher) -> Change {
        let before = statements
        statements = StandingRules(charter: charter, anchor: anchor, hasher: hasher).kept(of: before)
        var change = Change()
        change.dropped = before.values.filter { statements[$0.id] == nil }.sorted { $0.id < $1.id }
        return change
    }
}

/// Decides which statements of a set have standing.
private struct StandingRules<Hasher: CatalogHasher> {
    typealias Statements = [Hash256: MembershipStatement]

    let charter: Charter
    let anchor: VersionID
    let hasher: Hasher

    /// The greatest subset that keeps itself.
    func kept(of all: Statements) -> Statements {
        var kept = withinBounds(all)
        while true {
            let next = standing(in: kept)
            if next.count == kept.count { return next }
            kept = next
        }
    }

    // MARK: - Bounds

    /// The key that is responsible for statements of one kind. That key signed them, so nobody else can fill the
    /// account.
    private enum Account: Hashable {
        case admissions(by: Hash256)
        case enrolments(by: Hash256, signer: Hash256)
        case retirements(by: Hash256)
    }

    /// Bounds apply before standing, to each signer alone. All statements of an account have the same standing.
    private func withinBounds(_ all: Statements) -> Statements {
        var kept = all
        var accounts: [Account: [MembershipStatement]] = [:]
        var forks: [NodeKey: [LogID: MembershipStatement]] = [:]
        for statement in all.values {
            switch statement.body {
            case .admission: accounts[.admissions(by: statement.signer), default: []].append(statement)
            case .enrolment(_, let key, _, _):
                accounts[.enrolments(by: key, signer: statement.signer), default: []].append(statement)
            case .retirement: accounts[.retirements(by: statement.signer), default: []].append(statement)
            case .fork(let log, _):
                let held = forks[log.author]?[log]
                if let held, held.supersedes(statement) {
                    kept[statement.id] = nil
                } else {
                    if let held { kept[held.id] = nil }
                    forks[log.author, default: [:]][log] = statement
                }
            case .proposal, .approval: break
            }
        }
        for logs in forks.values where logs.count > MembershipSet.forksPerAuthorMax {
            for log in logs.keys.sorted().dropFirst(MembershipSet.forksPerAuthorMax) {
                if let statement = logs[log] { kept[statement.id] = nil }
            }
        }
        for statements in accounts.values { drop(beyondBoundsOf: statements, from: &kept) }
        return kept
    }

    /// Keeps the lowest ids of an account. Whether a statement stays depends only on those with lower ids, and those
    /// that stay fill the account. So any order of arrival gives the same result.
    private func drop(beyondBoundsOf statements: [MembershipStatement], from kept: inout Statements) {
        guard
            statements.count > MembershipSet.statementsPerSignerMax
                || statements.reduce(0, { $0 + $1.encoded.count }) > MembershipSet.bytesPerSignerMax
        else { return }
        var (count, byteCount) = (0, 0)
        for statement in statements.sorted(by: { $0.id < $1.id }) {
            if count >= MembershipSet.statementsPerSignerMax || byteCount >= MembershipSet.bytesPerSignerMax {
                kept[statement.id] = nil
            }
            count += 1
            byteCount += statement.encoded.count
        }
    }

    // MARK: - Standing

    private func standing(in all: Statements) -> Statements {
        let votes = VoteIndex(all.values)
        let line = Set(votes.chain(to: anchor) ?? [])
        let tree = VersionTree(
            root: RosterVersion(charter: charter, hasher: hasher),
            votes: votes,
            adopted: line,
            hasher: hasher
        )
        let (keys, nodes) = known(all, tree)
        let voterKeys = tree.versions.mapValues { Set($0.voters.map(\.key)) }
        let proposals = keptProposals(tree, keys, voterKeys)
        return all.filter { _, statement in
            switch statement.body {
            case .admission: nodes.contains(NodeKey(statement.signer))
            case .enrolment(_, let key, _, _): keys.contains(key)
            case .retirement: keys.contains(statement.signer)
            case .fork(let log, _): nodes.contains(log.author)
            case .proposal: proposals.contains(statement.id)
            case .approval(let proposal, _):
                proposals.contains(proposal)
                    && votes.proposals[proposal].map {
                        voterKeys[$0.proposal.base]?.contains(statement.signer) ?? false
                    } ?? false
            }
        }
    }

    /// The keys and nodes that descend from the versions in force, by enrolments and admissions.
    private func known(_ all: Statements, _ tree: VersionTree) -> (keys: Set<Hash256>, nodes: Set<NodeKey>) {
        var enrolled: [Hash256: [NodeKey]] = [:]
        var admitted: [NodeKey: [Hash256]] = [:]
        for statement in all.values {
            switch statement.body {
            case .enrolment(_, let key, let node, _): enrolled[key, default: []].append(node)
            case .admission(_, let key): admitted[NodeKey(statement.signer), default: []].append(key)
            case .retirement, .proposal, .approval, .fork: break
            }
        }
        var keys: Set<Hash256> = []
        var nodes: Set<NodeKey> = []
        for version in tree.versions.values {
            keys.formUnion(version.usedKeys)
            for remainder in version.remainders.values { nodes.formUnion(remainder.keeps) }
        }
        var newNodes = Array(nodes)
        var newKeys = Array(keys)
        while !newKeys.isEmpty || !newNodes.isEmpty {
            for key in newKeys {
                for node in enrolled[key] ?? [] where nodes.insert(node).inserted { newNodes.append(node) }
            }
            newKeys = []
            for node in newNodes {
                for key in admitted[node] ?? [] where keys.insert(key).inserted { newKeys.append(key) }
            }
            newNodes = []
        }
        return (keys, nodes)
    }

    /// The proposals in force and, within the bounds, others by known keys on versions in force.
    private func keptProposals(
        _ tree: VersionTree,
        _ keys: Set<Hash256>,
        _ voterKeys: [VersionID: Set<Hash256>]
    ) -> Set<Hash256> {
        var kept = Set(tree.inForce.values.joined())
        for (id, voters) in voterKeys {
            var counts: [Hash256: Int] = [:]
            for child in tree.votes.children[id] ?? [] where !kept.contains(child) {
                guard let entry = tree.votes.proposals[child], keys.contains(entry.signer) else { continue }
                let isVoter = voters.contains(entry.signer)
                guard isVoter || entry.byteCount <= MembershipStatement.bytesMax else { continue }
                let max = isVoter ? MembershipSet.otherProposalsPerVoterMax : MembershipSet.otherProposalsPerMemberMax
                if counts[entry.signer, default: 0] < max {
                    counts[entry.signer, default: 0] += 1
                    kept.insert(child)
                }
            }
        }
        return kept
    }
}
