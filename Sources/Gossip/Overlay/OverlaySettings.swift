/// The overlay's sizes and intervals.
package struct OverlaySettings: Hashable, Sendable {
    /// The most nodes of an alliance with a full mesh. A dozen links cost a node next to nothing, and every delta then
    /// takes one hop only.
    package var meshNodesMax = 12
    /// The neighbours that a node looks for. HyParView's evaluation has five with 10,000 nodes. With six, if three in
    /// ten nodes are dead, a node has no live neighbour in seven of 10,000 cases.
    package var neighboursWanted = 6
    /// The most neighbours that a node accepts. Beyond it only a node without neighbours is accepted, and replaces
    /// another one. A larger value means fewer refusals and more links.
    package var neighboursMax = 8
    /// The number of parts into which the slots of neighbours and of the passive view are divided; at least 1. No
    /// organization but the node's own takes more than one part, unless there are fewer organizations. With more parts,
    /// one organization can withhold less, but several together can withhold more.
    package var organizationParts = 3
    /// The most nodes in the passive view. The paper has 30 for 10,000 nodes.
    package var passiveMax = 30
    /// How often a node looks for neighbours while some are lacking.
    package var seekInterval: Milliseconds = 1_000
    /// How long an answer to a request may take.
    package var answerDeadline: Milliseconds = 5_000
    /// How long a node is not asked again after it refused, left or fell silent.
    package var reluctance: Milliseconds = 30_000
    /// How often a view is shuffled, with jitter from half to one and a half times this. A guess: a dead node leaves
    /// the views after some minutes.
    package var shuffleInterval: Milliseconds = 30_000
    /// The number of links in a shuffle's walk: the paper's active random walk length.
    package var walkHops: UInt32 = 6
    /// The nodes of the active and of the passive view in a shuffle: the paper's 3 and 4.
    package var shuffleActive = 3
    package var shufflePassive = 4
    /// How long the way back of a shuffle is remembered, and how many shuffles are remembered.
    package var walkDeadline: Milliseconds = 10_000
    package var walksMax = 64

    package init() {}
}
