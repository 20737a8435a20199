package import Catalog

/// The set of governance statements: grow-only, except that of the fork proofs of one log, and of the enrolments by one
/// voucher, only the strongest is kept, and of more statements by one key than anybody needs only the lowest.
/// A join-semilattice: the same statements give the same set in any order, also beyond the bounds.
package struct GovernanceSet: Hashable, Sendable {
    /// By id.
    package private(set) var statements: [Hash256: Statement] = [:]

    /// The statement kept in each place that has room for one.
    private var places: [Place: Hash256] = [:]
    /// The ids of what each key is answerable for.
    private var accounts: [Account: Set<Hash256>] = [:]

    package init() {}

    /// Admissions by one node, and enrolments by one organization, that are kept at most, so that no member can fill the
    /// others' memory. A guess, far beyond what any needs.
    package static let statementsPerSignerMax = 4096
    /// Fork proofs of one author's logs that are kept at most. A key that has forked more is beyond saving.
    package static let forksPerAuthorMax = 64

    /// Ascending by id.
    package var sorted: [Statement] { statements.values.sorted { $0.id < $1.id } }

    /// Adds a statement. Returns false where it is held already, is weaker than one held, or exceeds its signer's
    /// bound. `replaced` receives the id of a statement that it takes the place of.
    package mutating func insert(_ statement: Statement, replaced: inout Hash256?) -> Bool {
        replaced = nil
        guard statements[statement.id] == nil else { return false }
        let account = Account(statement)
        if let place = Place(statement), let held = places[place].flatMap({ statements[$0] }) {
            guard statement.isStronger(than: held) else { return false }
            remove(held)
            replaced = held.id
        } else if let ids = accounts[account], ids.count >= account.countMax,
            let last = ids.compactMap({ statements[$0] }).max(by: { $0.ranksBefore($1) })
        {
            guard statement.ranksBefore(last) else { return false }
            remove(last)
            replaced = last.id
        }
        statements[statement.id] = statement
        if let place = Place(statement) { places[place] = statement.id }
        accounts[account, default: []].insert(statement.id)
        return true
    }

    private mutating func remove(_ statement: Statement) {
        statements[statement.id] = nil
        if let place = Place(statement) { places[place] = nil }
        accounts[Account(statement)]?.remove(statement.id)
    }

    /// Adds those statements that come from somebody the roster knows once all are added (``Roster/hasStanding(_:)``),
    /// and leaves out the others: they change nothing, and anybody can make any number of them.
    ///
    /// - Returns: What was added, with the ids of what it replaced; and the roster that the set now gives.
    /// - Complexity: That of deriving the roster once.
    package mutating func merge(
        _ others: [Statement],
        charter: Charter,
        hasher: some CatalogHasher
    ) -> (taken: [(statement: Statement, replaced: Hash256?)], roster: Roster) {
        var all = self
        var ignored: Hash256?
        for statement in others { _ = all.insert(statement, replaced: &ignored) }
        let roster = Roster(charter: charter, statements: all, hasher: hasher)
        var taken: [(statement: Statement, replaced: Hash256?)] = []
        for statement in others where roster.hasStanding(statement) {
            var replaced: Hash256?
            if insert(statement, replaced: &replaced) { taken.append((statement, replaced)) }
        }
        return (taken, roster)
    }

    /// A place for one statement, of which the strongest is kept.
    private enum Place: Hashable {
        case fork(LogID)
        case voucher(organizationKey: Hash256, oneTimeKey: Hash256)

        init?(_ statement: Statement) {
            switch statement.body {
            case .fork(let log, _): self = .fork(log)
            case .enrolment(_, let key, _, let voucher?): self = .voucher(organizationKey: key, oneTimeKey: voucher)
            case .enrolment, .admission: return nil
            }
        }
    }

    /// Whose doing a statement is. Every one is signed by that key, so nobody can fill another's account.
    private enum Account: Hashable {
        case admissions(by: Hash256)
        case enrolments(by: Hash256)
        case forks(by: NodeKey)

        init(_ statement: Statement) {
            switch statement.body {
            case .admission: self = .admissions(by: statement.signer)
            case .enrolment(_, let key, _, _): self = .enrolments(by: key)
            case .fork(let log, _): self = .forks(by: log.author)
            }
        }

        var countMax: Int {
            switch self {
            case .admissions, .enrolments: statementsPerSignerMax
            case .forks: forksPerAuthorMax
            }
        }
    }

    /// Logs with a fork proof, and the lowest sequence proven.
    package var forks: [LogID: UInt64] {
        var forks: [LogID: UInt64] = [:]
        for statement in statements.values {
            if case .fork(let log, let sequence) = statement.body { forks[log] = sequence }
        }
        return forks
    }

    /// SHA-256 of "hansa/governance\0" and the ids in ascending order: equal for equal sets.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/governance")
        for statement in sorted { fields.append(statement.id) }
        return hasher.hash(fields.bytes)
    }
}

/// Who belongs to the alliance: a pure function of the charter and the governance set, whatever the order of arrival.
package struct Roster: Hashable, Sendable {
    /// A member organization.
    package struct Member: Hashable, Sendable {
        package let id: OrganizationID
        package let name: String
        package let key: Hash256
        package let isFounder: Bool
        /// Ascending.
        package fileprivate(set) var nodes: [NodeKey]
        /// Organizations whose nodes admitted it, ascending; none for a founder.
        package let sponsors: [OrganizationID]
    }

    package private(set) var members: [OrganizationID: Member] = [:]
    /// The organization of every enrolled node.
    package private(set) var organizations: [NodeKey: OrganizationID] = [:]

    /// Ascending by the bytes of the name, then by id.
    package var sorted: [Member] {
        members.values.sorted { (ByteText($0.name), $0.id) < (ByteText($1.name), $1.id) }
    }

    /// Organization keys that some member's node has admitted, and that are short of sponsors.
    package private(set) var candidates: Set<Hash256> = []

    /// Derives the roster from the founders outward, step by step. In each step the enrolments by the organizations that
    /// have become members in the step before count, then the admissions by the nodes so enrolled, and who has enough
    /// sponsors for one name becomes a member. Statements of the same step are taken in the order of their ids.
    ///
    /// So nobody who does not descend from the founders has any influence, and what a step has settled (a member's name
    /// and sponsors, a node's organization) no later one alters.
    ///
    /// - Complexity: Each statement is looked at once; sorting them costs most.
    package init(charter: Charter, statements: GovernanceSet, hasher: some CatalogHasher) {
        var enrolments: [OrganizationID: [Statement]] = [:]
        var admissions: [NodeKey: [Statement]] = [:]
        for statement in statements.sorted {
            switch statement.body {
            case .enrolment(let organization, _, _, _): enrolments[organization, default: []].append(statement)
            case .admission: admissions[NodeKey(statement.signer), default: []].append(statement)
            case .fork: break
            }
        }
        var support = Support()
        var joined = charter.founders.map { founder in
            Member(
                id: OrganizationID(firstKey: founder.key, hasher: hasher),
                name: founder.name,
                key: founder.key,
                isFounder: true,
                nodes: [],
                sponsors: []
            )
        }
        while !joined.isEmpty {
            for member in joined { members[member.id] = member }
            let enrolled = enrol(joined.flatMap { enrolments[$0.id] ?? [] })
            let vouched = support.add(enrolled.flatMap { admissions[$0] ?? [] }, organizations: organizations)
            joined = vouched.compactMap { key in
                let id = OrganizationID(firstKey: key, hasher: hasher)
                guard members[id] == nil, let (name, sponsors) = support.name(of: key, sponsors: charter.sponsors)
                else { return nil }
                return Member(id: id, name: name, key: key, isFounder: false, nodes: [], sponsors: sponsors)
            }
        }
        let memberKeys = Set(members.values.map(\.key))
        candidates = Set(support.keys).subtracting(memberKeys)
        for id in members.keys { members[id]?.nodes.sort() }
    }

    /// Counts enrolments by organizations that are members. Returns the nodes that are new.
    private mutating func enrol(_ statements: [Statement]) -> [NodeKey] {
        var nodes: [NodeKey] = []
        for statement in statements.sorted(by: { $0.id < $1.id }) {
            guard case .enrolment(let organization, let key, let node, _) = statement.body,
                members[organization]?.key == key, organizations[node] == nil
            else { continue }
            organizations[node] = organization
            members[organization]?.nodes.append(node)
            nodes.append(node)
        }
        return nodes
    }

    /// Who has vouched for whom, by which name. Sponsors sign the name too, so those of another name do not count.
    private struct Support {
        private struct Backing {
            let name: String
            /// The lowest id of a statement that says so.
            let statement: Hash256
            var sponsors: Set<OrganizationID>
        }

        /// By organization key, then by the bytes of the name.
        private var backings: [Hash256: [[UInt8]: Backing]] = [:]

        var keys: [Hash256] { Array(backings.keys) }

        /// Adds admissions by nodes in `organizations`. Returns the organization keys that they name, ascending.
        mutating func add(_ statements: [Statement], organizations: [NodeKey: OrganizationID]) -> [Hash256] {
            var vouched: Set<Hash256> = []
            for statement in statements.sorted(by: { $0.id < $1.id }) {
                guard case .admission(let name, let key) = statement.body,
                    let sponsor = organizations[NodeKey(statement.signer)]
                else { continue }
                let bytes = Array(name.utf8)
                backings[key, default: [:]][
                    bytes,
                    default: Backing(name: name, statement: statement.id, sponsors: [])
                ].sponsors.insert(sponsor)
                vouched.insert(key)
            }
            return vouched.sorted()
        }

        /// The name that enough sponsors have signed, with them, ascending; of several the one that the statement with
        /// the lowest id of its first step gives.
        func name(of key: Hash256, sponsors: UInt32) -> (name: String, sponsors: [OrganizationID])? {
            backings[key]?.values.filter { $0.sponsors.count >= Int(sponsors) }
                .min { $0.statement < $1.statement }
                .map { ($0.name, $0.sponsors.sorted()) }
        }
    }

    /// True if the statement comes from somebody whom this roster knows: an admission from an enrolled node, an enrolment
    /// from a member or a candidate, a fork proof about an enrolled node's log. No other has any effect.
    package func hasStanding(_ statement: Statement) -> Bool {
        switch statement.body {
        case .admission: organizations[NodeKey(statement.signer)] != nil
        case .enrolment(let organization, let key, _, _):
            members[organization]?.key == key || candidates.contains(key)
        case .fork(let log, _): organizations[log.author] != nil
        }
    }

    /// The organization of a node; nil for a stranger.
    package func organization(of node: NodeKey) -> OrganizationID? { organizations[node] }
}

extension Statement {
    /// Of two in one place, the one that is kept: the lower sequence of a fork, then the lower id.
    fileprivate func isStronger(than held: Statement) -> Bool {
        if case .fork(_, let sequence) = body, case .fork(_, let heldSequence) = held.body, sequence != heldSequence {
            return sequence < heldSequence
        }
        return id < held.id
    }

    /// The order in which statements of one key keep their place when there are too many. A fork proof's rank goes by its
    /// log, since which proof of a log is held may change.
    fileprivate func ranksBefore(_ other: Statement) -> Bool {
        if case .fork(let log, _) = body, case .fork(let otherLog, _) = other.body { return log < otherLog }
        return id < other.id
    }
}
