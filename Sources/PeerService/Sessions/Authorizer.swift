import Catalog
import Gossip
import Governance
import OpenSSLKit
import Replica
import Store
import Synchronization
import Transport

/// Decides which keys pass the TLS handshake, and on which terms: the roster's nodes, and the holders of live invitations.
/// Also holds this node's certificate. Event loops call it, so it works in memory only.
package final class Authorizer: Sendable {
    private let replica: Replica
    private let member: PeerClass
    private let state: Mutex<State>

    private struct State {
        /// The organizations' ids by the keys of their nodes.
        var organizations: [[UInt8]: [UInt8]]
        var tickets: [[UInt8]: Ticket] = [:]
        var identity: TLSIdentity
        var identityMade: UInt64
    }

    /// A live invitation. Times in Unix milliseconds.
    private struct Ticket {
        let expires: UInt64
        let redeemed: UInt64?

        /// The time from which on the holder is refused.
        var end: UInt64 {
            redeemed.map { min(expires, $0.addingReportingOverflow(Authorizer.returningMilliseconds).partialValue) }
                ?? expires
        }
    }

    /// Connections that the nodes of one organization may have dialled here at a time. This is half as many again as the
    /// sessions that the engine keeps with one organization (``EngineSettings/linksPerOrganizationMax``), since some are
    /// ending. Further ones are refused without a session.
    package static let organizationConnectionsMax = 24
    /// Connections by unredeemed tickets. Each lasts a few round trips.
    package static let newcomersMax = 8
    /// Connections by redeemed tickets, whose holders may ask again for a lost answer.
    package static let returningMax = 2
    /// Connections by one ticket.
    package static let ticketConnectionsMax = 2
    /// How long a redeemed ticket admits its holder again, within its own validity. A week gives the other sponsors that a
    /// charter may require time to sign.
    private static let returningMilliseconds: UInt64 = 7 * 86_400_000
    /// The longest frame of a newcomer. A request has some 700 bytes, with an announcement of 16 addresses 6 KiB.
    static let newcomerFrameBytesMax = 16 * 1024
    /// The longest time of a newcomer's exchange, including all parts of the answer.
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

    /// Reads the invitations again.
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

    /// The terms for a key; nil to refuse it.
    func terms(of key: [UInt8]) -> PeerTerms? {
        let now = WallClock.milliseconds
        return state.withLock { state in
            if let organization = state.organizations[key] { return PeerTerms(member, account: organization) }
            guard let ticket = state.tickets[key], now < ticket.end else { return nil }
            return PeerTerms(ticket.redeemed == nil ? Self.newcomer : Self.returning, account: key)
        }
    }

    /// The message to a member if there is no room for its connection. Newcomers get none: a new one displaces the oldest.
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
