import Catalog
import DeltaLog
import Governance

extension Engine {
    /// The sizes of the state that an engine keeps for its peers, to be compared with its bounds.
    package struct Sizes: Hashable, Sendable {
        /// Logs of which peers announced more than is held here, over all links.
        package let headsAhead: Int
        /// Heads that neighbours announced and whose deltas have not come.
        package let headsMissing: Int
        /// The number of times that a log was planned since the engine was made.
        package let logsPlanned: UInt64
        package let links: Int
        package let waitingLookups: Int
        package let statements: Int
        package let announcements: Int
        /// Logs held.
        package let logs: Int
        /// Nodes with a peer record.
        package let peerRecords: Int
        /// Deltas that could not be taken.
        package let parked: Int
        /// Nodes of the passive view.
        package let passive: Int
        /// The most of each kind that is kept for any one link.
        package let perLink: PerLink

        /// The sizes for one link; of several links, the most of each.
        package struct PerLink: Hashable, Sendable {
            package fileprivate(set) var ahead = 0
            package fileprivate(set) var behind = 0
            package fileprivate(set) var pushed = 0
            package fileprivate(set) var served = 0
            package fileprivate(set) var orphans = 0
            package fileprivate(set) var inquiries = 0
        }

        /// A message about the first bound of the settings that is exceeded; nil if there is none.
        package func excess(over settings: EngineSettings) -> String? {
            let bounds = [
                ("links", links, settings.linksMax),
                ("logs that a peer has more of", perLink.ahead, settings.headsMax),
                ("logs that a peer lacks deltas of", perLink.behind, settings.headsMax + logs),
                ("logs pushed to a peer", perLink.pushed, logs),
                ("ranges that a peer waits for", perLink.served, settings.servedWantsMax),
                ("statements of a peer that do not count", perLink.orphans, settings.orphansMax),
                ("searches for forks", perLink.inquiries, settings.inquiriesMax),
                ("deltas that could not be taken", parked, settings.parkedMax),
                ("heads waited for", headsMissing, settings.broadcast.missingMax),
                ("nodes of the passive view", passive, settings.overlay.passiveMax),
            ]
            return bounds.first { $0.1 > $0.2 }.map { "\($0.1) \($0.0), of \($0.2)" }
        }
    }

    /// The sizes of the present state. Linear in the links.
    package var sizes: Sizes {
        var perLink = Sizes.PerLink()
        for link in links.values {
            perLink.ahead = max(perLink.ahead, link.frontier.ahead.count)
            perLink.behind = max(perLink.behind, link.frontier.behind.count)
            perLink.pushed = max(perLink.pushed, link.pushing.pushed.count)
            perLink.served = max(perLink.served, link.serving.ranges.count)
            perLink.orphans = max(perLink.orphans, link.orphans.count)
            perLink.inquiries = max(perLink.inquiries, link.inquiries.count)
        }
        return Sizes(
            headsAhead: links.values.reduce(0) { $0 + $1.frontier.ahead.count },
            headsMissing: broadcast.missingCount,
            logsPlanned: counters.logsPlanned,
            links: links.values.count,
            waitingLookups: transfer.lookups.waiting.count,
            statements: membership.statements.held.count,
            announcements: membership.announcements.held.count,
            logs: frontier.durable.heads.count,
            peerRecords: dialling.records.count,
            parked: transfer.parked.count,
            passive: overlay.passive.count,
            perLink: perLink
        )
    }
}
