package import Catalog
package import DeltaLog

/// The set of governance statements. It only grows, with two exceptions.
///
/// - It keeps one fork proof per log and one enrolment per voucher: the strongest.
/// - It keeps a bounded number of statements per key: those with the lowest rank.
///
/// The set is a join-semilattice: the same statements give the same set in any order, even beyond the bounds.
package struct GovernanceSet: Hashable, Sendable {
    /// The statements by id.
    package private(set) var statements: [Hash256: Statement] = [:]

    /// The strongest statement for each slot that holds only one.
    private var places: [Place: Hash256] = [:]
    /// The statement ids that count against each key's bound.
    private var accounts: [Account: Set<Hash256>] = [:]

    package init() {}

    /// The maximum number of admissions per node and of enrolments per organization. It prevents a member from filling
    /// other nodes' memory.
    ///
    /// A guess, far beyond any real need.
    package static let statementsPerSignerMax = 4096
    /// The maximum number of fork proofs about one author's logs. A key with more forks cannot be trusted again.
    package static let forksPerAuthorMax = 64

    /// The statements in ascending order of their ids.
    package var sorted: [Statement] { statements.values.sorted { $0.id < $1.id } }

    /// Inserts a statement.
    ///
    /// - Parameter replaced: Set to the id of the statement that this one replaces, or to nil.
    /// - Returns: False if the set already holds it or a stronger one, or if it exceeds its signer's bound.
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

    /// The set of stored statements, each checked.
    ///
    /// - Throws: ``StatementRefusal`` where one is damaged.
    package init(
        verifying stored: some Sequence<[UInt8]>,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(StatementRefusal) {
        for bytes in stored {
            var replaced: Hash256?
            let statement = try Statement(verifying: bytes, alliance: alliance, cryptography: cryptography)
            _ = insert(statement, replaced: &replaced)
        }
    }

    /// Adds the statements of signers that the roster knows after all are added (``Roster/hasStanding(_:)``).
    ///
    /// The set ignores the others: they have no effect, and anybody can create any number of them.
    ///
    /// - Returns: The added statements, with the ids of those that they replaced, and the new roster.
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

    /// A slot that holds one statement: the strongest.
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

    /// The key that is responsible for a statement. That key signed it, so nobody else can fill the account.
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

    /// The logs with a fork proof, each with the lowest proven sequence.
    package var forks: [LogID: UInt64] {
        var forks: [LogID: UInt64] = [:]
        for statement in statements.values {
            if case .fork(let log, let sequence) = statement.body { forks[log] = sequence }
        }
        return forks
    }

    /// SHA-256 of "hansa/governance\0" and the ids in ascending order; equal sets have equal fingerprints.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/governance")
        for statement in sorted { fields.append(statement.id) }
        return hasher.hash(fields.bytes)
    }
}

/// The members of the alliance: a pure function of the charter and the governance set, independent of the order of
/// arrival.
package struct Roster: Hashable, Sendable {
    /// A member organization.
    package struct Member: Hashable, Sendable {
        package let id: OrganizationID
        package let name: String
        package let key: Hash256
        package let isFounder: Bool
        /// The member's nodes, ascending.
        package fileprivate(set) var nodes: [NodeKey]
        /// The organizations whose nodes admitted this member, ascending; empty for a founder.
        package let sponsors: [OrganizationID]
    }

    package private(set) var members: [OrganizationID: Member] = [:]
    /// The organization of every enrolled node.
    package private(set) var organizations: [NodeKey: OrganizationID] = [:]

    /// The members in ascending order of the bytes of their names, then of their ids.
    package var sorted: [Member] {
        members.values.sorted { (ByteText($0.name), $0.id) < (ByteText($1.name), $1.id) }
    }

    /// Organization keys that a member's node has admitted but that lack sponsors.
    package private(set) var candidates: Set<Hash256> = []

    /// Derives the roster step by step, starting from the founders.
    ///
    /// Each step first counts the enrolments by organizations that became members in the previous step. It then counts
    /// the admissions by the newly enrolled nodes. An organization with enough sponsors for one name becomes a member.
    /// Each step orders its statements by id.
    ///
    /// Only organizations that descend from the founders have any influence. Later steps never change an earlier
    /// result: a member's name and sponsors, or a node's organization.
    ///
    /// - Complexity: Reads each statement once; sorting the statements dominates.
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

    /// Counts enrolments by member organizations. Returns the newly enrolled nodes.
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

    /// The sponsors of each organization key, by the name that they signed. Sponsors of another name do not count.
    private struct Support {
        private struct Backing {
            let name: String
            /// The lowest statement id for this name in the step that first named it.
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

        /// The name that enough sponsors have signed, with these sponsors in ascending order.
        ///
        /// If several names qualify, the one with the lowest ``Backing/statement`` wins.
        func name(of key: Hash256, sponsors: UInt32) -> (name: String, sponsors: [OrganizationID])? {
            backings[key]?.values.filter { $0.sponsors.count >= Int(sponsors) }
                .min { $0.statement < $1.statement }
                .map { ($0.name, $0.sponsors.sorted()) }
        }
    }

    /// True if the roster knows the statement's origin. Other statements have no effect.
    ///
    /// Known origins: an enrolled node for an admission, a member or candidate for an enrolment, an enrolled node's log
    /// for a fork proof.
    package func hasStanding(_ statement: Statement) -> Bool {
        switch statement.body {
        case .admission: organizations[NodeKey(statement.signer)] != nil
        case .enrolment(let organization, let key, _, _):
            members[organization]?.key == key || candidates.contains(key)
        case .fork(let log, _): organizations[log.author] != nil
        }
    }

    /// The organization of a node; nil if the node is not enrolled.
    package func organization(of node: NodeKey) -> OrganizationID? { organizations[node] }
}

extension Statement {
    /// Decides which of two statements for one slot is kept: the lower sequence of a fork, then the lower id.
    fileprivate func isStronger(than held: Statement) -> Bool {
        if case .fork(_, let sequence) = body, case .fork(_, let heldSequence) = held.body, sequence != heldSequence {
            return sequence < heldSequence
        }
        return id < held.id
    }

    /// The order in which a key's statements are kept when there are too many.
    ///
    /// A fork proof ranks by its log, since a stronger proof can replace the one held for that log.
    fileprivate func ranksBefore(_ other: Statement) -> Bool {
        if case .fork(let log, _) = body, case .fork(let otherLog, _) = other.body { return log < otherLog }
        return id < other.id
    }
}
