import Catalog
import Gossip
import Governance
import Replica
import Store

extension Engine {
    /// Creates the engine of a node, with everything that its store holds about the alliance.
    ///
    /// - Throws: ``Failure`` if the store cannot be read, or a statement or an announcement in it is damaged.
    init(of replica: Replica) throws {
        let loaded = try Replica.translating {
            try replica.snapshot { reading in
                (
                    statements: try reading.statements(), announcements: try reading.announcements(),
                    frontier: try reading.frontier(), totals: try reading.totals(),
                    contacts: try reading.peerContacts()
                )
            }
        }
        let governance = try GovernanceSet(
            stored: loaded.statements,
            in: replica.folder,
            alliance: replica.alliance,
            cryptography: replica.cryptography
        )
        let announcements = try AnnouncementSet(
            stored: loaded.announcements,
            in: replica.folder,
            alliance: replica.alliance,
            cryptography: replica.cryptography
        )
        self.init(
            charter: replica.charter,
            node: replica.node,
            program: "hansa \(programVersion)",
            governance: governance,
            announcements: announcements,
            frontier: loaded.frontier,
            summary: StoredSummary(digest: loaded.totals.digest, records: UInt64(loaded.totals.shown)),
            contacts: loaded.contacts.map {
                KnownContact(node: $0.node, time: $0.time, address: $0.note.isEmpty ? nil : $0.note)
            },
            cryptography: replica.cryptography,
            random: SystemRandomNumberGenerator()
        )
    }
}
