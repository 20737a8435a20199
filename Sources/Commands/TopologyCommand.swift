import Catalog
import Gossip
import Governance
import PeerService
import Replica

/// Reports the node's position in the overlay: its views, its edges of the broadcast tree, and the cost of the
/// broadcast.
package struct TopologyCommand: Command {
    package static let endpoint = Endpoint("topology", .monitor)

    package init() {}

    package struct Neighbour: Codable, Sendable {
        package let organization: String
        package let id: String
        /// True if new deltas are pushed to it at once: an edge of the broadcast tree.
        package let eager: Bool
        /// The last measured time from a question to its answer, in milliseconds; null before the first answer.
        package let roundTripMilliseconds: Double?
    }

    package struct Other: Codable, Sendable {
        package let organization: String
        package let id: String
    }

    /// The counts of deltas and messages sent, received and delivered since the node started.
    package struct Counts: Codable, Sendable {
        /// Deltas that came by push, including those that were held already.
        package let pushesReceived: UInt64
        package let duplicates: UInt64
        package let delivered: UInt64
        /// Deltas that came because this node asked for them.
        package let fetched: UInt64
        package let pushesSent: UInt64
        package let headsAnnounced: UInt64
        package let grafts: UInt64
        package let prunes: UInt64
        /// Messages of comparisons of frontiers.
        package let comparisons: UInt64
        package let shuffles: UInt64

        fileprivate init(_ counters: GossipCounters) {
            pushesReceived = counters.pushesReceived
            duplicates = counters.duplicates
            delivered = counters.delivered
            fetched = counters.fetched
            pushesSent = counters.pushesSent
            headsAnnounced = counters.headsAnnounced
            grafts = counters.graftsSent
            prunes = counters.prunesSent
            comparisons = counters.rangeMessagesSent
            shuffles = counters.shufflesSent
        }
    }

    package struct Output: Codable, Sendable {
        /// True if every node is a neighbour of every other.
        package let mesh: Bool
        /// The number of neighbours that the node looks for.
        package let wanted: Int
        package let active: [Neighbour]
        package let passive: [Other]
        /// Deltas received by push that were held already, for each new one; 0 if all were new.
        package let redundancy: Double
        /// The links that a pushed delta has passed since its author, on average; null before the first.
        package let hopsAverage: Double?
        package let hopsMax: UInt32
        package let counters: Counts
        /// Authors over their budget for pushes.
        package let pullOnly: [Other]
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let (topology, counters, pullOnly) = try context.runningNode().topology()
        func other(_ node: NodeKey) -> Other {
            Other(organization: replica.organizationName(of: node) ?? "unknown", id: node.hex)
        }
        let delivered = counters.delivered
        return Output(
            mesh: topology.isMesh,
            wanted: topology.activeWanted,
            active: topology.active.map { neighbour in
                Neighbour(
                    organization: other(neighbour.node).organization,
                    id: neighbour.node.hex,
                    eager: neighbour.isEager,
                    roundTripMilliseconds: neighbour.roundTripMicroseconds.map { Double($0) / 1000 }
                )
            },
            passive: topology.passive.map(other),
            redundancy: delivered == 0 ? 0 : Double(counters.duplicates) / Double(delivered),
            hopsAverage: delivered == 0 ? nil : Double(counters.hopsTotal) / Double(delivered),
            hopsMax: counters.hopsMax,
            counters: Counts(counters),
            pullOnly: pullOnly.map(other)
        )
    }
}
