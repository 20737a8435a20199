import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator
import Store

// The properties of honest nodes after hostile peers have stopped.

extension Run {
    /// A forbidden difference between two honest nodes; nil if there is none.
    func difference() -> String? {
        for node in nodes where !node.work.isEmpty { return "node \(node.nodeIndex) has yet to write" }
        guard let first = nodes.first else { return nil }
        for node in nodes {
            for author in nodes where author.head != node.box.engine.durable[author.log] {
                return "node \(node.nodeIndex) lacks deltas of node \(author.nodeIndex)"
            }
        }
        for node in nodes.dropFirst() {
            let (one, other) = (first.nodeIndex, node.nodeIndex)
            if first.box.engine.governance != node.box.engine.governance {
                return "governance of nodes \(one) and \(other)"
            }
            if first.box.engine.announcements != node.box.engine.announcements {
                return "announcements of nodes \(one) and \(other)"
            }
            let different = differentLogs(first, node)
            if !different.isEmpty { return "frontiers of nodes \(one) and \(other), \(words(different, first, node))" }
        }
        return nil
    }

    /// The logs for which two nodes advertise different heads. Logs of a node that several organizations have enrolled
    /// may differ permanently (Docs/Protocol.md, section 16).
    private func differentLogs(_ one: HonestNode, _ other: HonestNode) -> [LogID] {
        guard one.box.engine.fingerprint != other.box.engine.fingerprint else { return [] }
        let (left, right) = (one.box.engine.advertised, other.box.engine.advertised)
        let ambiguous = ambiguous(one)
        return Set(left.heads.keys).union(right.heads.keys)
            .filter { left[$0] != right[$0] && !ambiguous.contains($0.author) }.sorted()
    }

    private func words(_ logs: [LogID], _ one: HonestNode, _ other: HonestNode) -> String {
        let words = logs.prefix(4).map { log in
            let number = peers.first { $0.key == log.author }?.number ?? -1
            let heads = [one, other].map { "\($0.box.engine.advertised[log]?.sequence ?? 0)" }
            let fork = one.box.engine.forks[log].map { ", forked at \($0)" } ?? ""
            let reasons = [one, other].compactMap { $0.box.engine.parked[log]?.refusal.reason }
            return "log \(log.incarnation) of \(number): \(heads.joined(separator: " and "))" + fork
                + reasons.map { ", refused: \($0)" }.joined()
        }
        return "\(logs.count) logs: " + words.joined(separator: "; ")
    }

    /// Nodes that several organizations have enrolled.
    private func ambiguous(_ node: HonestNode) -> Set<NodeKey> {
        var organizations: [NodeKey: Set<OrganizationID>] = [:]
        for statement in node.box.engine.governance.statements.values {
            guard case .enrolment(let organization, _, let enrolled, _) = statement.body else { continue }
            organizations[enrolled, default: []].insert(organization)
        }
        return Set(organizations.filter { $0.value.count > 1 }.keys)
    }

    /// Checks all data of a node.
    func examine(_ node: HonestNode, isDeep: Bool) throws {
        let engine = node.box.engine.sizes
        let stored = try node.store.read { reading in
            (
                totals: try reading.totals(), statements: try reading.statements().count,
                announcements: try reading.announcements().count, refusals: try reading.refusalCount(),
                frontier: try reading.frontier()
            )
        }
        if stored.statements != engine.statements || stored.announcements != engine.announcements {
            fail("node \(node.nodeIndex) has other statements or announcements in its store than in its engine")
        }
        if stored.frontier != node.box.engine.durable {
            fail("node \(node.nodeIndex) has another frontier in its store")
        }
        if stored.refusals > WriteTransaction.refusalsMax {
            fail("node \(node.nodeIndex) keeps \(stored.refusals) refusals")
        }
        if let what = node.box.engine.checkInvariants() {
            fail("an invariant does not hold at node \(node.nodeIndex): \(what)")
        }
        if let other = nodes.first(where: { $0.nodeIndex != node.nodeIndex }) {
            let totals = try other.store.read { try $0.totals() }
            let isKnown = !ambiguous(node).isEmpty
            for number in Self.honestOrganizations {
                let organization = alliance.organization(number)
                if stored.totals.organizations[organization] != totals.organizations[organization] {
                    fail("nodes \(node.nodeIndex) and \(other.nodeIndex) hold other records of organization \(number)")
                }
            }
            if !isKnown, stored.totals != totals {
                fail("nodes \(node.nodeIndex) and \(other.nodeIndex) hold other records")
            }
        }
        try readAll(of: node)
        guard isDeep else { return }
        let report = try node.store.verify(deep: true, applier: node.applier)
        if !report.isSound {
            let findings = report.findings.prefix(3).map { "\($0.what) (\($0.location))" }
            fail("the store of node \(node.nodeIndex) is not sound: \(findings.joined(separator: "; "))")
        }
    }

    /// Reads all records through the same interface as people: no member's writes may prevent it.
    private func readAll(of node: HonestNode) throws {
        try node.store.read { reading in
            var records: [RecordID] = []
            try reading.forEachRecord { records.append($0.id) }
            var shown = 0
            try reading.forEachRecordByID { _ in shown += 1 }
            let total = try reading.totals().shown
            if records.count != total || shown != total {
                fail("node \(node.nodeIndex) shows \(total) records, and lists \(records.count) and \(shown)")
            }
            for record in records.prefix(50) { _ = try reading.history(of: record, hasher: alliance.cryptography) }
            _ = try reading.conflicts(limit: 1_000)
            _ = try reading.counts()
            _ = try reading.excluded(limit: 1_000)
            _ = try reading.waiting(limit: 1_000)
            _ = try reading.recentDeltas(limit: 1_000)
            _ = try reading.refusals(limit: 1_000)
            for text in ["a", "word", "测", "x y", "\"", "*"] { _ = try reading.search(SearchQuery(text: text)) }
        }
    }
}
