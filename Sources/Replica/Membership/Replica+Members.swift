package import Catalog
import DeltaLog
package import Governance
import Store

// The members of the alliance, as this node knows them.

extension Replica {
    /// The members with their nodes.
    package var roster: Roster { members.roster }

    /// Sets the roster that follows from governance now.
    package func adopt(_ roster: Roster) { members.adopt(roster) }

    /// The name of an organization; if the name is not unique, it includes the id's beginning.
    package func name(of organization: OrganizationID) -> String { members.name(of: organization) }

    /// The name of the organization to which a node belongs; nil for a node that is not in the roster.
    package func organizationName(of node: NodeKey) -> String? { members.organizationName(of: node) }

    /// The logs with a proven fork, with the lowest proven sequence.
    package var forks: [LogID: UInt64] { members.forks }

    /// Notes a fork proof.
    package func note(forkOf log: LogID, at sequence: UInt64) { members.note(forkOf: log, at: sequence) }

    /// The stored statements, and the roster that follows from them.
    ///
    /// Signatures were checked before storing and are not checked again.
    ///
    /// - Throws: ``Failure`` with ``Reason/dataDamaged``.
    func storedRoster(_ reading: ReadTransaction) throws -> (statements: [Statement], roster: Roster) {
        let governance = try GovernanceSet(
            stored: try reading.statements(),
            in: folder,
            alliance: alliance,
            cryptography: CheckedBefore(hasher: cryptography)
        )
        let roster = Roster(charter: charter, statements: governance, hasher: cryptography)
        return (Array(governance.statements.values), roster)
    }

    /// Cryptography for bytes whose signatures were checked before: it hashes, and accepts every signature.
    private struct CheckedBefore: Cryptography {
        let hasher: SystemCryptography

        func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 { hasher.hash(bytes) }
        func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool { true }
    }
}
