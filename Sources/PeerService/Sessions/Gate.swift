import Catalog
import Gossip
import Governance
import OpenSSLKit
import Replica
import Store
import Synchronization
import Transport

/// Who gets past the TLS handshake and on which terms: the roster's nodes, and the holders of live invitations; and under
/// which certificate this node speaks. Asked on event loops, so all of it is in memory.
package final class Gate: Sendable {
    private let replica: Replica
    private let member: PeerClass
    private let state: Mutex<State>

    private struct State {
        /// Organizations' ids by their nodes' keys.
        var organizations: [[UInt8]: [UInt8]]
        var tickets: [[UInt8]: Ticket] = [:]
        var identity: TLSIdentity
        var identityMade: UInt64
    }

    /// A live invitation. Times in Unix milliseconds.
    private struct Ticket {
        let expires: UInt64
        let redeemed: UInt64?

        /// When its holder is no longer let in.
        var end: UInt64 {
            redeemed.map { min(expires, $0.addingReportingOverflow(Gate.returningMilliseconds).partialValue) }
                ?? expires
        }
    }

    /// Connections that the nodes of one organization may have dialled here at a time: half as many again as the engine keeps
    /// sessions with one (``EngineSettings/linksPerOrganizationMax``), since some are about to end. Those beyond it cost no
    /// session.
    package static let organizationConnectionsMax = 24
    /// Connections by tickets that nobody has redeemed. Each is there for a few round trips.
    package static let newcomersMax = 8
    /// The same by redeemed tickets, whose holders may ask again for an answer that was lost.
    package static let returningMax = 2
    /// Connections by one ticket.
    package static let ticketConnectionsMax = 2
    /// How long a redeemed ticket lets its holder in again, within its own life: a week, in which the other sponsors that a
    /// charter may ask for can sign.
    private static let returningMilliseconds: UInt64 = 7 * 86_400_000
    /// The longest frame of a newcomer: a request has some 700 bytes, with an announcement of 16 addresses 6 KiB.
    static let newcomerFrameBytesMax = 16 * 1024
    /// How long a newcomer's exchange may take, the answer in all its parts included.
    static let newcomerLifetime = Duration.seconds(120)

    private static let newcomer = ticketClass("newcomers", newcomersMax)
    private static let returning = ticketClass("holders of used tickets", returningMax)

    private static func ticketClass(_ name: String, _ connectionsMax: Int) -> PeerClass {
        PeerClass(
            name: name,
            connectionsMax: connectionsMax,
            accountConnectionsMax: ticketConnectionsMax,
            evictsOldest: true,
            frameBytesMax: newcomerFrameBytesMax,
            outboundBytesMax: 1024 * 1024,
            lifetime: newcomerLifetime
        )
    }

    /// - Parameters:
    ///   - membersMax: Connections that members may have dialled here at a time.
    ///   - outboundBytesMax: Bytes that may wait to be sent to one of them.
    init(replica: Replica, membersMax: Int, outboundBytesMax: Int) throws {
        self.replica = replica
        member = PeerClass(
            name: "members",
            connectionsMax: membersMax,
            accountConnectionsMax: Self.organizationConnectionsMax,
            outboundBytesMax: outboundBytesMax
        )
        let identity = try NodeIdentity.make(for: replica.signer.key)
        state = Mutex(
            State(
                organizations: Self.organizations(replica.roster, without: replica.node),
                identity: identity,
                identityMade: WallClock.milliseconds / 1000
            )
        )
        try reload()
    }

    private static func organizations(_ roster: Roster, without own: NodeKey) -> [[UInt8]: [UInt8]] {
        var organizations: [[UInt8]: [UInt8]] = [:]
        for (node, organization) in roster.organizations where node != own {
            organizations[node.bytes] = organization.bytes
        }
        return organizations
    }

    func adopt(_ roster: Roster) {
        let organizations = Self.organizations(roster, without: replica.node)
        state.withLock { $0.organizations = organizations }
    }

    /// Reads the invitations anew.
    func reload() throws {
        let live = try Replica.translating { try replica.snapshot { try $0.invitations() } }.filter {
            !$0.isRevoked
        }
        let tickets = Dictionary(
            live.map { ($0.oneTimeKey.bytes, Ticket(expires: $0.expires, redeemed: $0.redeemedAt)) },
            uniquingKeysWith: { first, _ in first }
        )
        state.withLock { $0.tickets = tickets }
    }

    /// On which terms a key is let in; nil for not at all.
    func terms(of key: [UInt8]) -> PeerTerms? {
        let now = WallClock.milliseconds
        return state.withLock { state in
            if let organization = state.organizations[key] { return PeerTerms(member, account: organization) }
            guard let ticket = state.tickets[key], now < ticket.end else { return nil }
            return PeerTerms(ticket.redeemed == nil ? Self.newcomer : Self.returning, account: key)
        }
    }

    /// What is said to a member for whose connection there is no room. Newcomers are not refused: the oldest makes room.
    func farewell(to terms: PeerTerms, _ reason: CloseReason) -> [UInt8]? {
        guard terms.peerClass == member else { return nil }
        let refusal = SessionRefusal(code: SessionRefusal.tooManySessions.code, reason: reason.words)
        return PeerMessage.refusal(refusal).encoded()
    }

    func isInvitation(_ key: [UInt8]) -> Bool {
        state.withLock { $0.organizations[key] == nil && $0.tickets[key] != nil }
    }

    var identity: TLSIdentity {
        let now = WallClock.milliseconds / 1000
        return state.withLock { state in
            if now > state.identityMade + UInt64(NodeIdentity.ageMaxSeconds),
                let fresh = try? NodeIdentity.make(for: replica.signer.key)
            {
                state.identity = fresh
                state.identityMade = now
            }
            return state.identity
        }
    }
}
