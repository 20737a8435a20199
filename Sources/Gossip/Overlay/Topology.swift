package import Catalog

/// A node's position in the overlay: its views, and which of its links are edges of the broadcast tree.
package struct Topology: Hashable, Sendable {
    /// A peer of the active view.
    package struct Neighbour: Hashable, Sendable {
        package let node: NodeKey
        /// True if new deltas are pushed to it at once: an edge of the broadcast tree.
        package let isEager: Bool
        /// The time from a question to its answer, last measured; nil before the first answer.
        package let roundTripMicroseconds: UInt64?

        package init(node: NodeKey, isEager: Bool, roundTripMicroseconds: UInt64?) {
            self.node = node
            self.isEager = isEager
            self.roundTripMicroseconds = roundTripMicroseconds
        }
    }

    /// The active view, ascending by node.
    package let active: [Neighbour]
    /// The passive view, ascending: nodes that can replace a lost neighbour.
    package let passive: [NodeKey]
    /// The number of neighbours that this node wants.
    package let activeWanted: Int
    /// True if every node is a neighbour of every other.
    package let isMesh: Bool

    package init(active: [Neighbour], passive: [NodeKey], activeWanted: Int, isMesh: Bool) {
        self.active = active
        self.passive = passive
        self.activeWanted = activeWanted
        self.isMesh = isMesh
    }
}
