package import Catalog
import DeltaLog
import Governance

/// The state of one of the alliance's nodes, as this engine knows it.
package struct PeerStatus: Hashable, Sendable {
    /// A node's standing compared with this one. The raw values are the tokens that scripts get.
    package enum Standing: String, Hashable, Sendable {
        case own = "self"
        /// A neighbour that holds the same by its state of at most ``EngineSettings/suspectAfter`` ago.
        case inStep = "in-step"
        case behind
        case ahead
        /// The node holds something else than this node; a comparison of frontiers is under way.
        case comparing
        /// The node has the same deltas and another digest: one of the two nodes is at fault.
        case differs
        /// A session is open, and nothing has come on it for ``EngineSettings/suspectAfter``.
        case silent
        /// No neighbour: its deltas come through others.
        case indirect = "through-others"
        case unreachable
        case unknown
    }

    /// A failed dial.
    package struct DialFailure: Hashable, Sendable {
        /// The reason, for people.
        package let reason: String
        package let at: Instant

        package init(reason: String, at: Instant) {
            self.reason = reason
            self.at = at
        }
    }

    package let node: NodeKey
    package let organization: OrganizationID
    package let standing: Standing
    /// The deltas held here that the node is known to lack.
    package let behindBy: UInt64?
    /// The deltas that the node is known to hold and this node lacks.
    package let aheadBy: UInt64?
    package let lastContact: Instant?
    package let isConnected: Bool
    package let dialled: Bool
    package let addresses: [String]
    package let program: String?
    /// The reason for which the node last ended or refused a session, in its own words; nil once a session is open
    /// again.
    package let refusal: SessionRefusal?
    /// The address that last answered a dial; nil if none is known.
    package let answeredAddress: String?
    /// The last failed dial; nil since a connection came up.
    package let dialFailure: DialFailure?
    /// The node's clock less this one's, in milliseconds, at its last message with a time.
    package let clockAheadMilliseconds: Int64?
    /// The number of logs that this node waits for from it.
    package let fetching: Int
}

extension Engine {
    /// The standing of every node of the roster, ascending by organization and key. Linear in nodes and their logs.
    package func peerStatuses(now: Instant) -> [PeerStatus] {
        roster.sorted.flatMap { member in
            member.nodes.map { status(of: $0, organization: member.id, now: now) }
        }
    }

    private func status(of peer: NodeKey, organization: OrganizationID, now: Instant) -> PeerStatus {
        let peerRecord = dialling.records[peer]
        let link = links.open(to: peer)
        let state = link?.frontier.state ?? peerRecord?.state
        // Counts of an ended session say nothing once this node holds other deltas than then.
        let difference = peerRecord?.difference.flatMap { $0.frontier == fingerprint ? $0 : nil }
        var behind = difference?.behindBy
        var ahead = difference?.aheadBy
        if state?.frontier == fingerprint {
            (behind, ahead) = (0, 0)
        } else if let link, link.frontier.isSynced {
            (behind, ahead) = self.difference(link)
        }
        let standing: PeerStatus.Standing =
            if peer == node {
                .own
            } else if let link {
                standing(of: link, state: state, behind: behind, ahead: ahead, now: now)
            } else if peerRecord?.hasFailed == true, overlay.isMesh || peerRecord?.dial.pause != nil {
                // Outside a full mesh, a node without a connection is nothing unusual.
                .unreachable
            } else {
                overlay.isMesh ? .unknown : .indirect
            }
        return PeerStatus(
            node: peer,
            organization: organization,
            standing: standing,
            behindBy: peer == node ? 0 : behind,
            aheadBy: peer == node ? 0 : ahead,
            lastContact: peerRecord?.lastContact,
            isConnected: link != nil,
            dialled: link?.dialled ?? false,
            addresses: announcements.latest[peer]?.addresses ?? [],
            program: peerRecord?.program,
            refusal: peerRecord?.refusal,
            answeredAddress: peerRecord?.dial.address,
            dialFailure: peerRecord?.dial.failure,
            clockAheadMilliseconds: peerRecord?.clockAheadMilliseconds,
            fetching: link?.fetching.wants.count ?? 0
        )
    }

    /// True if the link is gone, or nothing was received on it for ``EngineSettings/suspectAfter``.
    package func isSilent(_ id: LinkID, now: Instant) -> Bool {
        guard let link = links[id] else { return true }
        return link.isSuspect || link.liveness.lastHeard + settings.suspectAfter <= now
    }

    /// The standing of a node with an open session.
    private func standing(
        of link: Link,
        state: StateSummary?,
        behind: UInt64?,
        ahead: UInt64?,
        now: Instant
    ) -> PeerStatus.Standing {
        if isSilent(link.id, now: now) { return .silent }
        guard let state else { return .unknown }
        if state.frontier == fingerprint {
            guard state.digest == summary.digest else { return .differs }
            return link.isNeighbour || overlay.isMesh ? .inStep : .indirect
        }
        switch (behind, ahead) {
        case (nil, _), (0, nil), (0, 0): return .comparing
        case (0, _): return .ahead
        default: return .behind
        }
    }

    /// The deltas that a peer lacks, and those that it has more, as far as is known.
    func difference(_ link: Link) -> (behind: UInt64, ahead: UInt64) {
        var behind: UInt64 = 0
        var ahead: UInt64 = 0
        for (log, theirs) in link.frontier.behind {
            let own = frontier.advertised[log]?.sequence ?? 0
            if own > theirs { behind &+= own - theirs }
        }
        for (log, theirs) in link.frontier.ahead {
            let own = frontier.advertised[log]?.sequence ?? 0
            if theirs > own { ahead &+= theirs - own }
        }
        return (behind, ahead)
    }

    /// The open connection with a node.
    package func openLink(to peer: NodeKey) -> LinkID? { links.open(to: peer)?.id }

    /// True while a node is being dialled, or a session with it is being opened.
    package func isContacting(_ peer: NodeKey) -> Bool {
        dialling.current.contains(peer) || links.values.contains { $0.node == peer }
    }

    /// The announcements and statements that a newcomer is sent.
    package var everything: (statements: [[UInt8]], announcements: [[UInt8]]) {
        (governance.sorted.map(\.encoded), announcements.sorted.map(\.encoded))
    }

    /// The node's neighbours and those that could replace them.
    package func topology() -> Topology {
        Topology(
            active: overlay.active.sorted().map { peer in
                Topology.Neighbour(
                    node: peer,
                    isEager: broadcast.eager.contains(peer),
                    roundTripMicroseconds: links.open(to: peer)?.roundTrip.microseconds
                )
            },
            passive: overlay.passive.sorted(),
            activeWanted: overlay.wanted,
            isMesh: overlay.isMesh
        )
    }
}
