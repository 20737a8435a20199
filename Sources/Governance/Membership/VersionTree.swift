import Catalog

/// Who votes for which proposal, by signed statements alone.
struct VoteIndex {
    /// A held proposal.
    struct Entry {
        let proposal: Proposal
        let signer: Hash256
        let byteCount: Int
    }

    private(set) var proposals: [Hash256: Entry] = [:]
    /// The ids of the proposals on a base, ascending.
    private(set) var children: [VersionID: [Hash256]] = [:]
    /// The keys that signed anything that speaks for a proposal: the proposal, an approval of it, or anything that
    /// speaks for a proposal built on it.
    private(set) var supporters: [Hash256: Set<Hash256>] = [:]
    /// The keys that signed a final approval of a proposal, or anything that speaks for a proposal built on it.
    private(set) var builders: [Hash256: Set<Hash256>] = [:]

    /// - Complexity: One step for each pair of a signer and a proposal that it speaks for, and sorting the proposals.
    init(_ statements: some Sequence<MembershipStatement>) {
        var approvals: [(key: Hash256, proposal: Hash256, isFinal: Bool)] = []
        for statement in statements {
            switch statement.body {
            case .proposal(let proposal):
                proposals[statement.id] = Entry(
                    proposal: proposal,
                    signer: statement.signer,
                    byteCount: statement.encoded.count
                )
                children[proposal.base, default: []].append(statement.id)
            case .approval(let proposal, let isFinal): approvals.append((statement.signer, proposal, isFinal))
            case .admission, .enrolment, .retirement, .fork: break
            }
        }
        for base in children.keys { children[base]?.sort() }
        for (id, entry) in proposals { count(entry.signer, for: id, isFinal: false) }
        for approval in approvals where proposals[approval.proposal] != nil {
            count(approval.key, for: approval.proposal, isFinal: approval.isFinal)
        }
    }

    private mutating func count(_ key: Hash256, for id: Hash256, isFinal: Bool) {
        supporters[id, default: []].insert(key)
        if isFinal { builders[id, default: []].insert(key) }
        var below = proposals[id]?.proposal.base.proposal
        while let id = below, let entry = proposals[id] {
            supporters[id, default: []].insert(key)
            // A key that builds on a proposal is already counted for everything below.
            guard builders[id, default: []].insert(key).inserted else { return }
            below = entry.proposal.base.proposal
        }
    }

    /// The proposals from the charter to a version, in this order; nil if one of them is not held.
    func chain(to version: VersionID) -> [Hash256]? {
        var chain: [Hash256] = []
        var next = version
        while case .proposal(let id) = next {
            guard let entry = proposals[id] else { return nil }
            chain.append(id)
            next = entry.proposal.base
        }
        return chain.reversed()
    }
}

/// The versions that the votes put in force, from a root on.
///
/// With N voters on a proposal's base, the proposal is **in force** if it is possible there and those voters of the
/// base that speak for it are enough (``RosterVersion/isEnough(_:)``). It is **final** if it is in force and those that
/// build on it are enough and at least two thirds of N, or if a proposal that is in force on it is final.
struct VersionTree {
    let root: VersionID
    let votes: VoteIndex
    /// The root and the versions in force.
    private(set) var versions: [VersionID: RosterVersion]
    /// The proposals in force on each version, ascending.
    private(set) var inForce: [VersionID: [Hash256]] = [:]
    private(set) var final: Set<Hash256> = []

    /// - Parameter adopted: Proposals that count as in force on their base wherever they are possible.
    /// - Complexity: For each proposal on a version in force, linear in the voters of that version; for each version in
    ///   force, linear in the organizations that it lists. Needs no stack: chains can be long.
    init(root: RosterVersion, votes: VoteIndex, adopted: Set<Hash256> = [], hasher: some CatalogHasher) {
        self.root = root.id
        self.votes = votes
        versions = [root.id: root]
        var order: [VersionID] = []
        var waiting = [root.id]
        while let id = waiting.popLast() {
            order.append(id)
            guard let version = versions[id] else { continue }
            for child in votes.children[id] ?? [] {
                guard let entry = votes.proposals[child],
                    adopted.contains(child) || version.isEnough(supporters(of: child, on: version)),
                    let next = version.applying(entry.proposal, id: .proposal(child), hasher: hasher)
                else { continue }
                versions[.proposal(child)] = next
                inForce[id, default: []].append(child)
                waiting.append(.proposal(child))
            }
        }
        // A version is later in the order than its base.
        for id in order.reversed() {
            guard let version = versions[id] else { continue }
            for child in inForce[id] ?? [] where isFinal(child, on: version) { final.insert(child) }
        }
    }

    private func isFinal(_ id: Hash256, on base: RosterVersion) -> Bool {
        if (inForce[.proposal(id)] ?? []).contains(where: final.contains) { return true }
        let builders = builders(of: id, on: base)
        return 3 * builders.count >= 2 * base.voters.count && base.isEnough(builders)
    }

    /// The voters of the base that speak for a proposal, in the order of their seats.
    func supporters(of id: Hash256, on base: RosterVersion) -> [RosterVersion.Organization] {
        base.voters(among: votes.supporters[id] ?? [])
    }

    /// The voters of the base that build on a proposal, in the order of their seats.
    func builders(of id: Hash256, on base: RosterVersion) -> [RosterVersion.Organization] {
        base.voters(among: votes.builders[id] ?? [])
    }

    /// The versions that follow the root, in order, and the rivals that end the path if several are final.
    ///
    /// Of the proposals in force on a version the final one follows. If none is final, the one follows with the most
    /// builders, then the most supporters, then whose signer has the earlier seat, then the lower id.
    ///
    /// - Complexity: Linear in the proposals in force, times the voters of their bases.
    func path() -> (versions: [RosterVersion], split: SplitHistory?) {
        var path: [RosterVersion] = []
        guard var version = versions[root] else { return (path, nil) }
        while let rivals = inForce[version.id], !rivals.isEmpty {
            let final = rivals.filter(self.final.contains)
            if final.count > 1 { return (path, split(at: version, final)) }
            let winner = final.first ?? rivals.min { rank(of: $0, on: version) < rank(of: $1, on: version) }
            guard let winner, let next = versions[.proposal(winner)] else { break }
            path.append(next)
            version = next
        }
        return (path, nil)
    }

    /// The lower rank follows.
    private func rank(of id: Hash256, on base: RosterVersion) -> (Int, Int, Int, Hash256) {
        let signer = votes.proposals[id]?.signer
        return (
            -builders(of: id, on: base).count,
            -supporters(of: id, on: base).count,
            base.voters.firstIndex { $0.key == signer } ?? Int.max,
            id
        )
    }

    private func split(at version: RosterVersion, _ rivals: [Hash256]) -> SplitHistory {
        var counts: [OrganizationID: Int] = [:]
        for rival in rivals {
            for voter in supporters(of: rival, on: version) { counts[voter.id, default: 0] += 1 }
        }
        let signers = version.voters.map(\.id).filter { counts[$0, default: 0] > 1 }
        return SplitHistory(base: version.id, rivals: rivals, signers: signers)
    }
}
