package import Catalog
import DeltaLog

/// What an engine can tell of the alliance's nodes.
package struct PeerStatus: Hashable, Sendable {
    /// How a node stands against this one.
    package enum Standing: String, Hashable, Sendable {
        case own = "self"
        case inStep = "in step"
        case behind
        case ahead
        /// No neighbour: what it has comes through others.
        case indirect = "through others"
        case unreachable
        case unknown
    }

    package let node: NodeKey
    package let organization: OrganizationID
    package let standing: Standing
    /// Deltas held here that the node lacks, as far as is known.
    package let behindBy: UInt64?
    /// Deltas the node holds that are lacking here.
    package let aheadBy: UInt64?
    package let lastContact: Instant?
    package let isConnected: Bool
    package let dialled: Bool
    package let addresses: [String]
    package let program: String?
    /// Why the node last ended or refused a session, in its own words; nil once a session is open again.
    package let refusal: SessionRefusal?
    /// The node's clock less this one's, in milliseconds, when it was last told.
    package let clockAheadMilliseconds: Int64?
    /// Logs and deltas that this node waits for from it.
    package let fetching: Int
}

extension Engine {
    /// The standing of every node of the roster, ascending by organization and key. Linear in nodes and their logs.
    package func peerStatuses() -> [PeerStatus] {
        roster.sorted.flatMap { member in
            member.nodes.map { status(of: $0, organization: member.id) }
        }
    }

    private func status(of peer: NodeKey, organization: OrganizationID) -> PeerStatus {
        let acquaintance = acquaintances[peer]
        let link = openLink(to: peer).flatMap { links[$0] }
        let state = link?.state ?? acquaintance?.state
        let isEqual = state?.frontier == fingerprint && state?.digest == summary.digest
        var behind = acquaintance?.behindBy
        var ahead = acquaintance?.aheadBy
        if isEqual {
            (behind, ahead) = (0, 0)
        } else if let link, link.isSynced {
            (behind, ahead) = difference(link)
        }
        let standing: PeerStatus.Standing
        if peer == node {
            standing = .own
        } else if link == nil {
            // Not to be connected is nothing unusual where not everybody is everybody's neighbour.
            standing =
                acquaintance?.hasFailed == true && (overlay.isMesh || acquaintance?.pause != nil)
                ? .unreachable : overlay.isMesh ? .unknown : .indirect
        } else if isEqual {
            standing = .inStep
        } else if behind == nil {
            standing = .unknown
        } else if behind == 0, let ahead, ahead > 0 {
            standing = .ahead
        } else {
            standing = .behind
        }
        return PeerStatus(
            node: peer,
            organization: organization,
            standing: standing,
            behindBy: peer == node ? 0 : behind,
            aheadBy: peer == node ? 0 : ahead,
            lastContact: acquaintance?.lastContact,
            isConnected: link != nil,
            dialled: link?.dialled ?? false,
            addresses: announcements.latest[peer]?.addresses ?? [],
            program: acquaintance?.program,
            refusal: acquaintance?.refusal,
            clockAheadMilliseconds: acquaintance?.clockAheadMilliseconds,
            fetching: link?.wants.count ?? 0
        )
    }

    /// Deltas that a peer lacks, and those that it has more, as far as is known.
    func difference(_ link: Link) -> (behind: UInt64, ahead: UInt64) {
        var behind: UInt64 = 0
        var ahead: UInt64 = 0
        for (log, theirs) in link.behind {
            let own = frontier[log]?.sequence ?? 0
            if own > theirs { behind &+= own - theirs }
        }
        for (log, theirs) in link.ahead {
            let own = frontier[log]?.sequence ?? 0
            if theirs > own { ahead &+= theirs - own }
        }
        return (behind, ahead)
    }

    /// The open connection with a node.
    package func openLink(to peer: NodeKey) -> LinkID? {
        links.values.last { $0.node == peer && $0.isOpen }?.id
    }

    /// True while a node is being dialled, or a session with it is being opened.
    package func isContacting(_ peer: NodeKey) -> Bool {
        acquaintances[peer]?.isDialling == true || links.values.contains { $0.node == peer }
    }

    /// The announcements and statements that a newcomer is told.
    package var everything: (statements: [[UInt8]], announcements: [[UInt8]]) {
        (governance.sorted.map(\.encoded), announcements.sorted.map(\.encoded))
    }

    /// The node's neighbours and those that could take their place.
    package func topology() -> Topology {
        Topology(
            active: overlay.active.sorted().map { peer in
                Topology.Neighbour(
                    node: peer,
                    isEager: broadcast.eager.contains(peer),
                    roundTripMicroseconds: openLink(to: peer).flatMap { links[$0]?.roundTripMicroseconds }
                )
            },
            passive: overlay.passive.sorted(),
            activeWanted: overlay.wanted,
            isMesh: overlay.isMesh
        )
    }
}
