import Catalog
import Governance
import Synchronization

/// The members of the alliance as this node knows them now, and the logs with a proven fork.
///
/// Isolation: any task may call it.
final class KnownMembers: Sendable {
    private let state: Mutex<State>

    private struct State {
        var roster: Roster
        /// The name of each member; if several members share a name, it includes the id's beginning.
        var names: [OrganizationID: String]
        var forks: [LogID: UInt64]
    }

    init(_ roster: Roster, forks: [LogID: UInt64]) {
        state = Mutex(State(roster: roster, names: Self.names(roster), forks: forks))
    }

    private static func names(_ roster: Roster) -> [OrganizationID: String] {
        let folded = roster.members.mapValues { NameFolding.fold($0.name) }
        let counts = Dictionary(folded.values.map { ($0, 1) }, uniquingKeysWith: +)
        return roster.members.mapValues { member in
            let isUnique = folded[member.id].flatMap { counts[$0] } == 1
            return isUnique ? member.name : "\(member.name) (\(member.id.short))"
        }
    }

    var roster: Roster { state.withLock { $0.roster } }

    func adopt(_ roster: Roster) {
        let names = Self.names(roster)
        state.withLock { ($0.roster, $0.names) = (roster, names) }
    }

    func name(of organization: OrganizationID) -> String {
        state.withLock { $0.names[organization] } ?? organization.short
    }

    func organizationName(of node: NodeKey) -> String? {
        state.withLock { state in state.roster.organization(of: node).flatMap { state.names[$0] } }
    }

    /// The logs with a proven fork, with the lowest proven sequence.
    var forks: [LogID: UInt64] { state.withLock { $0.forks } }

    func note(forkOf log: LogID, at sequence: UInt64) {
        state.withLock { $0.forks[log] = min($0.forks[log] ?? .max, sequence) }
    }
}
