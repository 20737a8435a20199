import Catalog
import DeltaLog
import OpenSSLKit
import Store
import Synchronization

/// Who gets past the TLS handshake: the roster's nodes and the holders of live invitations, and under which
/// certificate this node speaks. Asked on event loops, so all of it is in memory.
final class Gate: Sendable {
    private let directory: Directory
    private let state: Mutex<State>

    private struct State {
        var nodes: Set<[UInt8]>
        /// Unix milliseconds of expiry, by one-time key.
        var invitations: [[UInt8]: UInt64] = [:]
        var identity: TLSIdentity
        var identityMade: UInt64
    }

    init(directory: Directory) throws {
        self.directory = directory
        let identity = try NodeIdentity.make(for: directory.signer.key)
        state = Mutex(
            State(
                nodes: Self.nodes(directory.roster, without: directory.node),
                identity: identity,
                identityMade: WallClock.milliseconds / 1000
            )
        )
        try reload()
    }

    private static func nodes(_ roster: Roster, without own: NodeKey) -> Set<[UInt8]> {
        Set(roster.organizations.keys.filter { $0 != own }.map(\.bytes))
    }

    func adopt(_ roster: Roster) {
        let nodes = Self.nodes(roster, without: directory.node)
        state.withLock { $0.nodes = nodes }
    }

    /// Reads the invitations anew.
    func reload() throws {
        let live = try Directory.translating { try directory.store.read { try $0.invitations() } }.filter {
            !$0.isRevoked
        }
        let keys = Dictionary(live.map { ($0.oneTimeKey.bytes, $0.expires) }, uniquingKeysWith: { first, _ in first })
        state.withLock { $0.invitations = keys }
    }

    func admits(_ key: [UInt8]) -> Bool {
        let now = WallClock.milliseconds
        return state.withLock { state in
            state.nodes.contains(key) || state.invitations[key].map { $0 > now } ?? false
        }
    }

    func isInvitation(_ key: [UInt8]) -> Bool {
        state.withLock { !$0.nodes.contains(key) && $0.invitations[key] != nil }
    }

    var identity: TLSIdentity {
        let now = WallClock.milliseconds / 1000
        return state.withLock { state in
            if now > state.identityMade + UInt64(NodeIdentity.ageMaxSeconds),
                let fresh = try? NodeIdentity.make(for: directory.signer.key)
            {
                state.identity = fresh
                state.identityMade = now
            }
            return state.identity
        }
    }
}
