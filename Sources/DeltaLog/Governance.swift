package import Catalog

/// The set of governance statements: grow-only, except that of the fork proofs of one log only the strongest is kept.
/// A join-semilattice: the same statements give the same set in any order.
package struct GovernanceSet: Hashable, Sendable {
    /// By id.
    package private(set) var statements: [Hash256: Statement] = [:]

    package init() {}

    /// Statements of one signer that are kept at most, so that no member can fill the others' memory.
    package static let statementsPerSignerMax = 4096

    /// Ascending by id.
    package var sorted: [Statement] { statements.values.sorted { $0.id < $1.id } }

    /// Adds a statement. Returns false where it is held already, is weaker than one held, or exceeds its signer's
    /// bound. `replaced` receives the id of a statement that it takes the place of.
    package mutating func insert(_ statement: Statement, replaced: inout Hash256?) -> Bool {
        replaced = nil
        guard statements[statement.id] == nil else { return false }
        if case .fork(let log, let sequence) = statement.body {
            let held = statements.values.first { if case .fork(log, _) = $0.body { true } else { false } }
            if let held, case .fork(_, let heldSequence) = held.body {
                guard (sequence, statement.id) < (heldSequence, held.id) else { return false }
                statements[held.id] = nil
                replaced = held.id
            }
        } else {
            let count = statements.values.count { $0.signer == statement.signer }
            guard count < Self.statementsPerSignerMax else { return false }
        }
        statements[statement.id] = statement
        return true
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

    /// Ascending by name, then id.
    package var sorted: [Member] { members.values.sorted { ($0.name, $0.id) < ($1.name, $1.id) } }

    /// Derives the roster: founders belong; an organization belongs once enough member organizations have admitted it
    /// by nodes of theirs; a member's enrolments count. Repeated until nothing changes, so at most as many rounds as
    /// there are members.
    package init(charter: Charter, statements: GovernanceSet, hasher: some CatalogHasher) {
        for founder in charter.founders {
            let id = OrganizationID(firstKey: founder.key, hasher: hasher)
            members[id] = Member(
                id: id,
                name: founder.name,
                key: founder.key,
                isFounder: true,
                nodes: [],
                sponsors: []
            )
        }
        let ordered = statements.sorted
        var isChanged = true
        while isChanged {
            isChanged = false
            if enrol(ordered) { isChanged = true }
            if admit(ordered, charter: charter, hasher: hasher) { isChanged = true }
        }
        for id in members.keys { members[id]?.nodes.sort() }
    }

    /// Of several enrolments of one node, and of several by one voucher, the one with the lowest id counts. Each round
    /// derives all enrolments anew from the members known, so the outcome does not depend on the rounds before.
    private mutating func enrol(_ statements: [Statement]) -> Bool {
        var derived: [NodeKey: OrganizationID] = [:]
        var usedVouchers: Set<Hash256> = []
        for statement in statements {
            guard case .enrolment(let organization, let key, let node, let voucher) = statement.body,
                members[organization]?.key == key, derived[node] == nil
            else { continue }
            if let voucher, !usedVouchers.insert(voucher).inserted { continue }
            derived[node] = organization
        }
        guard derived != organizations else { return false }
        organizations = derived
        for id in members.keys { members[id]?.nodes = [] }
        for (node, organization) in derived { members[organization]?.nodes.append(node) }
        return true
    }

    private mutating func admit(_ statements: [Statement], charter: Charter, hasher: some CatalogHasher) -> Bool {
        var sponsors: [Hash256: Set<OrganizationID>] = [:]
        var names: [Hash256: String] = [:]
        for statement in statements {
            guard case .admission(let name, let key) = statement.body,
                let sponsor = organizations[NodeKey(statement.signer)]
            else { continue }
            sponsors[key, default: []].insert(sponsor)
            // Sponsors sign the name too; of different ones the statement with the lowest id counts.
            if names[key] == nil { names[key] = name }
        }
        var isChanged = false
        for (key, sponsors) in sponsors.sorted(by: { $0.key < $1.key }) {
            let id = OrganizationID(firstKey: key, hasher: hasher)
            guard members[id] == nil, sponsors.count >= Int(charter.sponsors), let name = names[key] else { continue }
            members[id] = Member(
                id: id,
                name: name,
                key: key,
                isFounder: false,
                nodes: [],
                sponsors: sponsors.sorted()
            )
            isChanged = true
        }
        return isChanged
    }

    /// The organization of a node; nil for a stranger.
    package func organization(of node: NodeKey) -> OrganizationID? { organizations[node] }
}
