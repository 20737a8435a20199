package import Catalog
package import DeltaLog
package import Governance

extension GovernanceSet {
    /// The statements that a node's store holds, each checked.
    ///
    /// - Throws: ``Failure`` where one is damaged.
    package init(
        stored: [[UInt8]],
        in folder: DataFolder,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(Failure) {
        do {
            try self.init(verifying: stored, alliance: alliance, cryptography: cryptography)
        } catch {
            throw Failure(.dataDamaged, "a governance statement in \(folder.path) is damaged")
        }
    }
}

extension AnnouncementSet {
    /// The announcements that a node's store holds, each checked.
    ///
    /// - Throws: ``Failure`` where one is damaged.
    package init(
        stored: [[UInt8]],
        in folder: DataFolder,
        alliance: AllianceID,
        cryptography: some Cryptography
    ) throws(Failure) {
        do {
            try self.init(verifying: stored, alliance: alliance, cryptography: cryptography)
        } catch {
            throw Failure(.dataDamaged, "an announcement in \(folder.path) is damaged")
        }
    }
}
