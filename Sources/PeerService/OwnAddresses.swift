import Gossip
import Governance
import Logging
import Replica
import Store

/// Announces to the other nodes the addresses at which this one can be dialled.
struct OwnAddresses {
    let replica: Replica
    let settings: Settings
    let driver: EngineDriver
    let writing: StateWriting
    let logger: Logger

    /// Signs a new announcement if the addresses have changed.
    func announce(_ bound: HostPort) throws {
        let wanted: [String]
        if !settings.advertise.isEmpty {
            wanted = settings.advertise
        } else if bound.undialableReason != nil {
            wanted = []
            logger.warning(
                "this node announces no address; set an address to advertise",
                metadata: ["listen": "\(bound)"]
            )
        } else {
            wanted = [bound.description]
        }
        let held = driver.withEngine { $0.announcements.latest[replica.node] }
        guard held?.addresses ?? [] != wanted else { return }
        let version = (held?.version ?? 0) + 1
        guard version <= Announcement.versionMax else {
            // Only another holder of this node's key can have signed that.
            logger.error(
                "an announcement of this node's key has the highest version; its addresses can no longer be announced"
            )
            return
        }
        let bytes = try Announcement.sign(
            addresses: wanted,
            version: max(WallClock.milliseconds, version),
            alliance: replica.alliance,
            node: replica.signer
        )
        let announcement = try Announcement(
            verifying: bytes,
            alliance: replica.alliance,
            cryptography: replica.cryptography
        )
        writing.write({ try $0.set(announcement) }, then: { [driver] in driver.feed(.announced(announcement)) })
    }
}
